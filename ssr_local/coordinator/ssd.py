"""Step-level Speculative Decoding: draft, verify, rewrite (docs/method.md, section 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssr_local.coordinator.ending import commit_step, end
from ssr_local.coordinator.path import Judged, PathState, current_step, last_judged
from ssr_local.coordinator.run import (
    PhaseName,
    Run,
    RunPart,
    SharedCall,
    counted,
    extend_together,
    phase_of,
)
from ssr_local.core.events import AnyEvent, StepDelta, StepDrafted, StepRewritten, StepVerified
from ssr_local.core.records import ALGEBRA, REWRITE_SCORE, ModelRole, Verdict
from ssr_local.engine.base import Delta, Extended, ExtendJob
from ssr_local.method.steps import is_thinking
from ssr_local.method.verification import Reading, indices_of_digits

_WRITER_PHASE: dict[ModelRole, PhaseName] = {"draft": "draft", "target": "write"}


def begin_steps(run: Run) -> None:
    """Let the writer begin a step on every path that is ready for one."""
    for writer, phase in _WRITER_PHASE.items():
        ready = [path for path in run.in_state("ready") if path.kind.writer == writer]
        if ready:
            with run.phase(phase):
                run.start_steps(writer, ready, "writing")


def decode(runs: Sequence[Run], role: ModelRole) -> SharedCall:
    """One decode round of a model, for all the paths that it writes on."""
    decoding = {
        path.sequences[role]: (run, path)
        for run in runs
        for path in run.in_state("writing", "rewriting")
        if current_step(path).author == role
    }
    takers = list(dict.fromkeys(run for run, _ in decoding.values()))

    def call() -> list[RunPart]:
        with (
            phase_of([(run, _phase(run, role)) for run in takers]),
            counted(role, [(run, 1) for run, _ in decoding.values()]),
        ):
            deltas = takers[0].engines[role].decode_round()
        parts = [(*decoding[delta.seq_id], delta) for delta in deltas]
        return [(run, _take(run, path, delta)) for run, path, delta in parts]

    return SharedCall(takers, call)


def _phase(run: Run, role: ModelRole) -> PhaseName:
    """What a run's decode round on a model is counted as: of several kinds, as writing."""
    writes = any(path.state == "writing" and path.kind.writer == role for path in run.live())
    return _WRITER_PHASE[role] if writes else "rewrite"


def _take(run: Run, path: PathState, delta: Delta) -> Iterator[AnyEvent]:
    """Add a path's new text; a step that is complete waits, or is committed."""
    step = current_step(path)
    new = delta.text if step.num_tokens else step.text + delta.text  # a conclusion has a beginning
    run.decoded[step.author] += delta.num_tokens
    step.text += delta.text
    step.num_tokens += delta.num_tokens
    step.log_probs += delta.log_probs
    step.end = delta.end
    if new:
        yield run.at(StepDelta(path=path.index, step=path.step_index, author=step.author, text=new))
    if delta.end is None:
        return
    if not step.text.strip():
        yield from commit_step(run, path, None)
    else:
        yield from (_written if path.state == "writing" else _rewritten)(run, path)


def _written(run: Run, path: PathState) -> Iterator[AnyEvent]:
    """A step is complete: it waits for its verdict, or stands when nobody verifies.

    One that algebra refutes is rejected without asking the target.
    """
    step = current_step(path)
    yield run.at(
        StepDrafted(
            path=path.index,
            step=path.step_index,
            author=step.author,
            text=step.text,
            num_tokens=step.num_tokens,
            elapsed_s=run.clock() - step.started_s,
            log_prob=step.log_prob,
        )
    )
    if not path.kind.verified:
        yield from commit_step(run, path, step.record())
        return
    claim = run.refute(step.text) if path.kind.form != "program" else ""
    if not claim:
        path.state = "drafted"
        return
    tokens = run.transfer_tokens(path, "draft", "target")
    reason = f"algebra refutes: {claim}"
    verdict = Verdict(score=0.0, accepted=False, verifier=ALGEBRA, reason=reason)
    yield _judged(run, path, tokens, verdict)
    reject(run, path)


def verify(runs: Sequence[Run]) -> SharedCall:
    """Judge every waiting step in one batch, once at least as many wait as still write.

    Waiting for all would leave the draft's batch running half empty; not waiting at
    all would read the target's weights once for every single step.
    """
    waiting = [(run, path) for run in runs for path in run.in_state("drafted")]
    writing = [path for run in runs for path in run.in_state("writing") if path.kind.verified]
    if len(waiting) < len(writing):
        waiting = []
    judged = list(dict.fromkeys(run for run, _ in waiting))

    def call() -> list[RunPart]:
        with phase_of([(run, "verify") for run in judged]):
            jobs = [(run, _probe_job(run, path)) for run, path in waiting]
            results = extend_together("target", jobs)
        return [
            (run, _read(run, path, job, result))
            for (run, path), (_, job), result in zip(waiting, jobs, results, strict=True)
        ]

    return SharedCall(judged, call)


def _read(run: Run, path: PathState, job: ExtendJob, result: Extended) -> Iterator[AnyEvent]:
    """The verdict on a step from what the target returned for it."""
    if result.no_room:
        yield from end(run, path, result.no_room)
        return
    digits = None
    if run.judge.verifier.needs_digits:
        digits = indices_of_digits(run.engines["target"].pieces(job.tokens))
    verdict = run.judge.verdict(Reading(probe=result.probe, tokens=result.log_probs, digits=digits))
    yield _judged(run, path, list(job.tokens), verdict)
    if verdict.accepted:
        yield from accept(run, path)
    else:
        reject(run, path)


def _judged(run: Run, path: PathState, tokens: list[int], verdict: Verdict) -> StepVerified:
    """Keep the verdict on a step with the step, as both models' tokens; ``tokens`` the target's."""
    step = current_step(path)
    drafted = run.engines["draft"].tokens(path.sequences["draft"], step.marks["draft"])
    run.num_drafted += 1
    read: dict[ModelRole, list[int]] = {"draft": drafted, "target": tokens}
    path.judged = Judged(step, read, verdict, len(path.steps), path.exhausted)
    return run.at(StepVerified(path=path.index, step=path.step_index, verdict=verdict))


def _probe_job(run: Run, path: PathState) -> ExtendJob:
    judge, prompter = run.judge, run.prompters["target"]
    suffix: list[int] = []
    if judge.question and judge.verifier.question:
        thinking = is_thinking(path.text + current_step(path).text)
        if thinking not in run.probes:
            run.probes[thinking] = prompter.probe(*judge.verifier.question, thinking)
        suffix = run.probes[thinking]
    return ExtendJob(
        seq_id=path.sequences["target"],
        tokens=run.transfer_tokens(path, "draft", "target"),
        log_probs=judge.verifier.needs_tokens,
        suffix=suffix,
        candidates=prompter.candidates(judge.question.words if judge.question else ()),
    )


def accept(run: Run, path: PathState) -> Iterator[AnyEvent]:
    """Keep the drafted step: both models hold it already."""
    score = last_judged(path).verdict.score
    run.num_accepted += 1
    yield from commit_step(run, path, current_step(path).record(score=score, accepted=True))


def reject(run: Run, path: PathState) -> None:
    """Forget the drafted step on both models and let the target begin its own."""
    run.truncate(path)
    path.current = None
    with run.phase("rewrite"):
        run.start_steps("target", [path], "rewriting")


def _rewritten(run: Run, path: PathState) -> Iterator[AnyEvent]:
    step, judged = current_step(path), last_judged(path)
    run.num_rewrites += 1
    yield run.at(
        StepRewritten(
            path=path.index,
            step=path.step_index,
            text=step.text,
            num_tokens=step.num_tokens,
            elapsed_s=run.clock() - step.started_s,
            log_prob=step.log_prob,
        )
    )
    with run.phase("draft"):
        tokens = run.transfer_tokens(path, "target", "draft")
        (result,) = run.extend("draft", [ExtendJob(seq_id=path.sequences["draft"], tokens=tokens)])
    if result.no_room and step.end != "end_of_generation":
        step.end = result.no_room
    rewrite = step.record(
        score=REWRITE_SCORE,
        accepted=False,
        draft_text=judged.step.text,
        draft_score=judged.verdict.score,
    )
    yield from commit_step(run, path, rewrite)
