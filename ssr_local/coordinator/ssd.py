"""Step-level Speculative Decoding: draft, verify, rewrite (ssr.md, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ssr_local.coordinator.ending import end, settle
from ssr_local.coordinator.path import Judged, PathState, current_step, last_judged
from ssr_local.coordinator.run import Run
from ssr_local.core.events import AnyEvent, StepDelta, StepDrafted, StepRewritten, StepVerified
from ssr_local.core.records import REWRITE_SCORE, Author, Step, Verdict
from ssr_local.engine.base import Delta, ExtendJob
from ssr_local.method.steps import is_thinking
from ssr_local.method.verification import Reading, places_of_digits


def write(run: Run) -> Iterator[AnyEvent]:
    """One decode round of the writer for every path that is writing."""
    writer = run.plan.writer
    ready = [path for path in run.live() if path.state == "ready"]
    with run.phase("draft" if writer == "draft" else "write"):
        run.start_steps(writer, ready, "writing")
        writing = run.in_state("writing", writer)
        deltas = run.engines[writer].decode_round() if writing else []
    yield from _take_all(run, writing, deltas, _written)


def _written(run: Run, path: PathState) -> Iterator[AnyEvent]:
    """A step is complete: it waits for its verdict, or stands when nobody verifies."""
    step = current_step(path)
    if not step.text.strip():
        yield from settle(run, path, None)
        return
    yield run.at(
        StepDrafted(
            path=path.index,
            step=path.step_index,
            author=step.author,
            text=step.text,
            num_tokens=step.num_tokens,
            elapsed_s=run.clock() - step.started_s,
        )
    )
    if run.plan.verified:
        path.state = "drafted"
    else:
        yield from settle(
            run, path, Step(text=step.text, author=step.author, num_tokens=step.num_tokens)
        )


def verify(run: Run) -> Iterator[AnyEvent]:
    """Judge every waiting step in one batch, once at least as many wait as still write.

    Waiting for all would leave the draft's batch running half empty; not waiting at
    all would read the target's weights once for every single step.
    """
    waiting = [path for path in run.live() if path.state == "drafted"]
    writing = [path for path in run.live() if path.state == "writing"]
    if not waiting or len(waiting) < len(writing):
        return
    target = run.engines["target"]
    with run.phase("verify"):
        tokens = {path.index: run.hand_over(path, "draft", "target") for path in waiting}
        results = target.extend([_probe_job(run, p, tokens[p.index]) for p in waiting])
    for path, result in zip(waiting, results, strict=True):
        if result.no_room:
            yield from end(run, path, result.no_room)
            continue
        digits = _digits(run, tokens[path.index])
        verdict = run.judge.verdict(Reading.of(result.probe, result.log_probs, digits))
        yield from _judged(run, path, verdict, tokens[path.index])


def _digits(run: Run, tokens: list[int]) -> tuple[int, ...] | None:
    if not run.judge.verifier.needs_digits:
        return None
    return places_of_digits(run.engines["target"].pieces(tokens))


def _probe_job(run: Run, path: PathState, tokens: list[int]) -> ExtendJob:
    judge, prompter = run.judge, run.prompters["target"]
    suffix: list[int] = []
    if judge.question and judge.verifier.question:
        thinking = is_thinking(path.text + current_step(path).text)
        if thinking not in run.probes:
            run.probes[thinking] = prompter.probe(*judge.verifier.question, thinking)
        suffix = run.probes[thinking]
    return ExtendJob(
        seq_id=path.sequences["target"],
        tokens=tokens,
        log_probs=judge.verifier.needs_tokens,
        suffix=suffix,
        candidates=prompter.candidates(judge.question.words if judge.question else ()),
    )


def _judged(
    run: Run, path: PathState, verdict: Verdict, target_tokens: list[int]
) -> Iterator[AnyEvent]:
    step = current_step(path)
    draft = run.engines["draft"]
    tokens: dict[Author, list[int]] = {
        "draft": draft.tokens(path.sequences["draft"], step.marks["draft"]),
        "target": target_tokens,
    }
    run.num_drafted += 1
    path.judged = Judged(step, tokens, verdict, len(path.steps))
    yield run.at(StepVerified(path=path.index, step=path.step_index, verdict=verdict))
    if verdict.accepted:
        yield from accept(run, path)
    else:
        reject(run, path)


def accept(run: Run, path: PathState) -> Iterator[AnyEvent]:
    """Keep the drafted step: both models hold it already."""
    step, verdict = current_step(path), last_judged(path).verdict
    run.num_accepted += 1
    yield from settle(
        run,
        path,
        Step(
            text=step.text,
            author="draft",
            score=verdict.score,
            accepted=True,
            num_tokens=step.num_tokens,
        ),
    )


def reject(run: Run, path: PathState) -> None:
    """Forget the drafted step on both models and let the target begin its own."""
    run.truncate(path)
    path.current = None
    with run.phase("rewrite"):
        run.start_steps("target", [path], "rewriting")


def rewrite(run: Run) -> Iterator[AnyEvent]:
    """One decode round of the target for every path whose step was rejected."""
    rewriting = run.in_state("rewriting", "target")
    if not rewriting or not run.plan.verified:
        return
    with run.phase("rewrite"):
        deltas = run.engines["target"].decode_round()
    yield from _take_all(run, rewriting, deltas, _rewritten)


def _rewritten(run: Run, path: PathState) -> Iterator[AnyEvent]:
    step, judged = current_step(path), last_judged(path)
    if not step.text.strip():
        yield from settle(run, path, None)
        return
    run.num_rewrites += 1
    yield run.at(
        StepRewritten(
            path=path.index,
            step=path.step_index,
            text=step.text,
            num_tokens=step.num_tokens,
            elapsed_s=run.clock() - step.started_s,
        )
    )
    with run.phase("draft"):
        tokens = run.hand_over(path, "target", "draft")
        (result,) = run.engines["draft"].extend(
            [ExtendJob(seq_id=path.sequences["draft"], tokens=tokens)]
        )
    if result.no_room and step.end != "end_of_generation":
        step.end = result.no_room
    yield from settle(
        run,
        path,
        Step(
            text=step.text,
            author="target",
            score=REWRITE_SCORE,
            accepted=False,
            num_tokens=step.num_tokens,
            draft_text=judged.step.text,
            draft_score=judged.verdict.score,
        ),
    )


def _take_all(
    run: Run,
    paths: Mapping[int, PathState],
    deltas: Sequence[Delta],
    finish: Callable[[Run, PathState], Iterator[AnyEvent]],
) -> Iterator[AnyEvent]:
    """Give each path (by its sequence's id) its delta, and ``finish`` those whose step is done."""
    for delta in deltas:
        path = paths[delta.seq_id]
        yield from _take(run, path, delta)
        if delta.end is not None:
            yield from finish(run, path)


def _take(run: Run, path: PathState, delta: Delta) -> Iterator[AnyEvent]:
    step = current_step(path)
    step.text += delta.text
    step.num_tokens += delta.num_tokens
    step.end = delta.end
    if delta.text:
        yield run.at(
            StepDelta(path=path.index, step=path.step_index, author=step.author, text=delta.text)
        )
