"""Any number of runs over the same models, in rounds that share their batches.

A round decodes once on each model, for whichever run's paths write there, and verifies all
waiting steps in one call; a run alone is the case of one. What a call returns goes to its
run by the sequence it belongs to. A run that fails ends with its error and the others go
on; a call that fails has failed for every run that took part in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial

from ssr_local.coordinator.ending import count_votes, end_all, stop_early
from ssr_local.coordinator.result import build_result
from ssr_local.coordinator.run import Run, RunEvent, of_run
from ssr_local.coordinator.spm import check_room, open_paths, prefill_shared, room_for, select
from ssr_local.coordinator.ssd import decode, verify
from ssr_local.coordinator.steering import apply_commands
from ssr_local.core.events import AnyEvent, RunEnded, RunStarted
from ssr_local.core.records import ModelRole
from ssr_local.engine.base import Cancelled
from ssr_local.version import VERSION

_Shared = Callable[[Sequence[Run]], Iterator[RunEvent]]
_Single = Callable[[Run], Iterator[AnyEvent]]


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
        live = list(runs)
        while live:
            yield from _each(live, _look_up)
            yield from _shared(live, partial(decode, role="draft"))
            yield from _shared(live, verify)
            yield from _shared(live, partial(decode, role="target"))
            yield from _each(live, stop_early)
            yield from _each([run for run in live if not run.live()], _finish)
            live = [run for run in live if run.live()]
    finally:
        for run in runs:
            run.release_all()
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
    yield from prefill_shared(run)
    chosen = yield from select(run)
    yield from open_paths(run, chosen)


def _look_up(run: Run) -> Iterator[AnyEvent]:
    yield from run.measure()
    yield from apply_commands(run, run.commands.poll())


def _finish(run: Run) -> Iterator[AnyEvent]:
    run.release_all()
    yield from count_votes(run)
    run.result = build_result(run)
    yield RunEnded(at_s=run.result.timing_s.total, result=run.result)


def _each(runs: Sequence[Run], phase: _Single) -> Iterator[RunEvent]:
    """A phase that every run goes through by itself."""
    for run in runs:
        if run.failure is None:
            yield from _guarded([run], of_run(run, phase(run)))


def _shared(runs: Sequence[Run], phase: _Shared) -> Iterator[RunEvent]:
    """A phase that makes one call for all runs."""
    return _guarded(runs, phase([run for run in runs if run.live()]))


def _guarded(runs: Sequence[Run], events: Iterator[RunEvent]) -> Iterator[RunEvent]:
    """The events; what is raised among them ends these runs and no others."""
    try:
        yield from events
    except Cancelled:
        for run in runs:
            run.cancelled = True
            yield from of_run(run, end_all(run, "cancelled"))
    except Exception as error:  # noqa: BLE001 - whoever waits for the run is told
        for run in runs:
            run.fail(error)
