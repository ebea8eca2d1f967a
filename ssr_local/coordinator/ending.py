"""How steps are committed, paths end, and answers are counted (docs/method.md, sections 2, 3)."""

from __future__ import annotations

from collections.abc import Iterator

from ssr_local.coordinator.path import PathState, current_step
from ssr_local.coordinator.run import Run
from ssr_local.core.events import AnyEvent, PathEnded, ProgramRan, VotesCounted
from ssr_local.core.records import EndReason, ProgramRun, Step
from ssr_local.mathtext.text import extract_answer, last_number
from ssr_local.method import voting
from ssr_local.method.steps import THINK_CLOSE, is_thinking, path_end

_FINISHED: tuple[EndReason, ...] = ("answered", "end_of_generation", "concluded")
_EXHAUSTED: tuple[EndReason, ...] = ("repetition", "token_budget", "step_budget")


def commit_step(run: Run, path: PathState, step: Step | None) -> Iterator[AnyEvent]:
    """Append a finished step (None: it was empty) and see whether the path ends."""
    current = current_step(path)
    path.current = None
    path.state = "ready"
    earlier = [old.text for old in path.steps]
    if step is not None:
        path.steps.append(step)
        path.num_tokens += step.num_tokens
    answered = answer_of(run, path, at_end=False) is not None
    reason = path_end(
        step=step.text if step else "",
        earlier=earlier,
        prefix_steps=run.prefix_steps,
        step_end=current.end or "blank_line",
        answered=answered,
        num_tokens=path.num_tokens,
        max_tokens=run.max_tokens(path),
        max_steps=run.options.max_steps,
    )
    if path.exhausted:
        yield from end(run, path, "concluded" if answered else path.exhausted)
    elif reason in _EXHAUSTED and run.can_conclude(path):
        path.exhausted = reason
    elif reason:
        yield from end(run, path, reason)


def answer_of(run: Run, path: PathState, *, at_end: bool) -> str | None:
    """What a path states as its answer so far; of one that writes a program, the program."""
    text = path.text
    if not at_end:
        if is_thinking(text):
            return None
        # A guess boxed while thinking is no answer as long as one can still follow.
        text = text.rpartition(THINK_CLOSE)[2]
    kind = "code" if path.kind.form == "program" else run.pool.answer
    answer = extract_answer(text, kind=kind, at_end=at_end)
    if answer is None and at_end and kind == "boxed":
        return last_number(text)  # "12 + 35 = 47", and not a word more
    return answer


def end(run: Run, path: PathState, reason: EndReason) -> Iterator[AnyEvent]:
    """Close a path; only one that ended by itself has an answer to vote with."""
    step, path.current = path.current, None
    if step is not None and step.text.strip():  # what it was stopped in stays, unverified
        path.steps.append(step.record())
    path.state = "ended"
    if path.kind.form != "program":
        path.refuted = next(filter(None, (run.refute(one.text) for one in path.steps)), "")
    if reason in _FINISHED and path.kind.form == "program":
        path.program = _run_program(run, path)
        path.answer = path.program.value
        if path.answer is None:
            reason = "program_failed"
        yield run.at(ProgramRan(path=path.index, program=path.program))
    elif reason in _FINISHED:
        path.answer = answer_of(run, path, at_end=True)
    path.end_reason = reason
    for role, seq_id in path.sequences.items():
        run.release(role, seq_id)
    path.sequences.clear()
    yield run.at(
        PathEnded(
            path=path.index,
            reason=reason,
            answer=path.answer,
            mean_score=path.mean_score,
            refuted=path.refuted,
        )
    )
    is_last = not run.live() and run.num_waves == len(run.plan.waves)
    if path.answer is not None and not is_last:
        yield from count_votes(run)


def _run_program(run: Run, path: PathState) -> ProgramRun:
    """Run what the path itself wrote, together with a program that was given if it goes on."""
    _, closed, after = path.text.rpartition(THINK_CLOSE)
    own = after if closed else path.text.removeprefix(path.opening)
    program = run.run_program(own)
    if program.value is None and any("```" in step for step in run.prefix_steps):
        whole = run.run_program(after)
        return whole if whole.value is not None else program
    return program


def end_all(run: Run, reason: EndReason) -> Iterator[AnyEvent]:
    for path in run.live():
        yield from end(run, path, reason)


def stop_early(run: Run) -> Iterator[AnyEvent]:
    """End the other paths when the wave's rule holds, or time is up."""
    if run.is_decided:
        yield from end_all(run, "early_exit")
    if run.time_is_up:
        yield from end_all(run, "time_limit")


def count_votes(run: Run) -> Iterator[AnyEvent]:
    ballots = [
        voting.Ballot(
            path.index,
            path.answer,
            path.mean_score,
            path.selection_score,
            path.confidence,
            refuted=bool(path.refuted),
        )
        for path in run.paths
        if path.answer is not None
    ]
    with run.phase("vote"):
        run.groups = voting.group(ballots, run.compare)
    yield run.at(VotesCounted(groups=run.groups))
