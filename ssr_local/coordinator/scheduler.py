"""Any number of runs over the same models, in rounds that share their batches.

A round decodes once on each model, for whichever run's paths write there, and verifies all
waiting steps in one call; a run alone is the case of one. What a call returns goes to its
run by the sequence it belongs to. A run that fails ends with its error and the others go
on; a call that fails has failed for every run that took part in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence

from ssr_local.coordinator.ending import count_votes, end_all, stop_early
from ssr_local.coordinator.result import build_result
from ssr_local.coordinator.run import Run, RunPart, SharedCall
from ssr_local.coordinator.spm import check_room, open_wave, room_for
from ssr_local.coordinator.ssd import begin_steps, decode, verify
from ssr_local.coordinator.steering import apply_commands
from ssr_local.core.events import AnyEvent, RunEnded, RunStarted
from ssr_local.core.records import ModelRole
from ssr_local.engine.base import Cancelled
from ssr_local.version import VERSION

RunEvent = tuple[Run, AnyEvent]
"""An event and the run it belongs to."""


def solve_together(runs: Sequence[Run]) -> Generator[RunEvent, None, None]:
    """Solve the runs' problems in shared batches; afterwards each has its result or failure.

    A run's last event is ``RunEnded`` unless it failed. Sequences are released however this
    ends, also when the consumer stops early.

    Which paths share a batch decides the last bits of what is computed, so a text can differ
    from the one of a run alone where two tokens are all but equally likely.
    """
    try:
        make_room(runs)
        yield from _each(runs, _begin)
        live = yield from _still_live(runs)
        while live:
            yield from _each(live, _look_up)
            yield from _shared(decode(live, "draft"))
            yield from _shared(verify(live))
            yield from _shared(decode(live, "target"))
            yield from _each(live, stop_early)
            live = yield from _still_live(live)
    finally:
        for engine in {id(one): one for run in runs for one in run.engines.values()}.values():
            engine.clear()


def make_room(runs: Sequence[Run]) -> None:
    """Give every model a KV cache that holds the runs' problems on all their paths.

    A run whose prompt is too long for a model fails.
    """
    num_cells: defaultdict[ModelRole, int] = defaultdict(int)
    for run in runs:
        try:
            needed = room_for(run)
        except Exception as error:  # noqa: BLE001 - the others go on
            run.fail(error)
        else:
            for role, cells in needed.items():
                num_cells[role] += cells
    engines = {role: engine for run in runs for role, engine in run.engines.items()}
    for role, cells in num_cells.items():
        engines[role].reserve(cells)


def _begin(run: Run) -> Iterator[AnyEvent]:
    check_room(run)
    yield RunStarted(
        problem=run.problem,
        options=run.option_values,
        models=run.models(),
        pool=run.pool.strategies,
        version=VERSION,
        given=run.prefix_steps,
    )
    yield from open_wave(run)


def _look_up(run: Run) -> Iterator[AnyEvent]:
    yield from run.measure()
    yield from apply_commands(run, run.commands.poll())
    begin_steps(run)


def _still_live(runs: Sequence[Run]) -> Generator[RunEvent, None, list[Run]]:
    """Let the runs whose paths have all ended go on to their next wave, or finish them; those
    that still live."""
    resting = [run for run in runs if not run.live()]
    while resting:  # a wave can end as soon as it is opened
        going_on = [run for run in resting if run.has_more]
        yield from _each([run for run in resting if run not in going_on], _finish)
        yield from _each(going_on, open_wave)
        resting = [run for run in going_on if not run.live()]
    return [run for run in runs if run.live()]


def _finish(run: Run) -> Iterator[AnyEvent]:
    run.release_all()
    yield from count_votes(run)
    run.result = build_result(run)
    yield RunEnded(at_s=run.result.timing_s.total, result=run.result)


def _each(runs: Sequence[Run], phase: Callable[[Run], Iterator[AnyEvent]]) -> Iterator[RunEvent]:
    """A phase that every run goes through by itself."""
    for run in runs:
        yield from _guarded(run, phase(run))


def _shared(call: SharedCall) -> Iterator[RunEvent]:
    """One call for several runs, and then each run's own part; what fails ends who took part."""
    parts: Sequence[RunPart] = ()
    try:
        parts = call.make() if call.runs else ()
    except Exception as error:  # noqa: BLE001 - whoever waits for these runs is told
        for run in call.runs:
            yield from _guarded(run, _end_with(run, error))
    for run, events in parts:
        yield from _guarded(run, events)


def _guarded(run: Run, events: Iterator[AnyEvent]) -> Iterator[RunEvent]:
    """A run's events; what is raised among them ends this run and no other."""
    try:
        if run.failure is None:
            for event in events:
                yield run, event
    except Exception as error:  # noqa: BLE001 - whoever waits for this run is told
        for event in _end_with(run, error):
            yield run, event


def _end_with(run: Run, error: Exception) -> Iterator[AnyEvent]:
    """End a run: with what it has when it was cancelled, else with the error."""
    if isinstance(error, Cancelled):
        run.cancelled = True
        yield from end_all(run, "cancelled")
    else:
        run.fail(error)
