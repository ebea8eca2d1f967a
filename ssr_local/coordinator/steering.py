"""What the user can do to a run while it is running: commands, applied between rounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

from msgspec import structs

from ssr_local.coordinator.ending import end
from ssr_local.coordinator.path import Judged, PathState
from ssr_local.coordinator.run import Run
from ssr_local.coordinator.spm import open_paths
from ssr_local.coordinator.ssd import accept, reject
from ssr_local.core.commands import (
    AddPath,
    AnyCommand,
    Cancel,
    DropPath,
    OverrideVerdict,
    Pause,
    Resume,
)
from ssr_local.core.events import AnyEvent, RunPaused, RunResumed, StepVerified
from ssr_local.engine.base import Cancelled, ExtendJob
from ssr_local.method.plans import SELECTED


def apply_commands(run: Run, commands: Sequence[AnyCommand]) -> Iterator[AnyEvent]:
    """Carry out commands in order; while the run is paused the next ones are waited for."""
    waiting = deque(commands)
    paused_at: float | None = None
    while waiting or paused_at is not None:
        if not waiting:
            waiting.extend(run.commands.wait())
        command = waiting.popleft()
        if isinstance(command, Cancel):
            raise Cancelled
        if isinstance(command, Pause) and paused_at is None:
            paused_at = run.clock()
            yield run.at(RunPaused())
        elif isinstance(command, Resume) and paused_at is not None:
            run.paused_s += run.clock() - paused_at
            paused_at = None
            yield run.at(RunResumed())
        elif isinstance(command, AddPath):
            yield from _add_path(run, command.letter)
        elif isinstance(command, DropPath) and (path := run.find(command.path)) is not None:
            yield from end(run, path, "dropped")
        elif isinstance(command, OverrideVerdict):
            yield from _override(run, command)


def _add_path(run: Run, letter: str) -> Iterator[AnyEvent]:
    known = {strategy.letter for strategy in run.pool.strategies} | {"M"}
    room = min(
        engine.max_sequences - len(run.roots) - len(run.live()) for engine in run.engines.values()
    )
    reason = ""
    if letter not in known:
        reason = "no strategy has that letter"
    elif room < 1:
        reason = "there is no room"
    if reason:
        yield run.notice(f"No path was added on {letter}: {reason}.")
        return
    opened = [path for wave in run.plan.waves[: run.num_waves] for path in wave.paths]
    kind = next((path.kind for path in opened if path.strategy == SELECTED), opened[-1].kind)
    # Another greedy one would only repeat the first.
    yield from open_paths(run, [(structs.replace(kind, greedy=False), letter)])


def _override(run: Run, command: OverrideVerdict) -> Iterator[AnyEvent]:
    """Give the step verified last the other verdict and continue from there."""
    path = run.find(command.path)
    judged = path.judged if path else None
    if path is None or judged is None or judged.verdict.accepted == command.accept:
        yield run.notice(f"Path {command.path + 1} has no such verdict to change.")
        return
    _back_to(run, path, judged)
    verdict = structs.replace(judged.verdict, accepted=command.accept, reason="changed by the user")
    path.judged = replace(judged, verdict=verdict)
    yield run.at(
        StepVerified(path=path.index, step=path.step_index, verdict=verdict, overridden=True)
    )
    if not command.accept:
        run.num_accepted -= 1
        reject(run, path)
        return
    for role in run.engines:
        job = ExtendJob(seq_id=path.sequences[role], tokens=judged.tokens[role])
        (result,) = run.extend(role, [job])
        judged.step.end = result.no_room or judged.step.end
    yield from accept(run, path)


def _back_to(run: Run, path: PathState, judged: Judged) -> None:
    """The path as it was before the judged step, on both models."""
    for step in path.steps[judged.num_steps :]:
        path.num_tokens -= step.num_tokens
        run.num_rewrites -= step.author == "target"
    del path.steps[judged.num_steps :]
    for role, seq_id in path.sequences.items():
        run.engines[role].stop_step(seq_id)
    path.current, path.exhausted = judged.step, judged.exhausted
    run.truncate(path)
