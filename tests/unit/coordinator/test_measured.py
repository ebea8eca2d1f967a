"""What a run says of its cost while it goes on."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ssr_local.core.events import AnyEvent, RunMeasured
from tests.unit.coordinator.scripted import Paths, Ticks, Turn, engine_of, make_run, solve

TURNS = [
    Turn("First we look at it closely.\n\n"),
    Turn("A slip is made here.\n\n", 0.5, "The target says it right.\n\n"),
    Turn("Then we count all of them.\n\n"),
    Turn("So it is \\boxed{7}."),
]


@pytest.mark.parametrize("method", ["ssr", "specreason", "parallel", "target", "draft"])
def test_cells_seconds_and_tokens_are_those_of_the_moment(method: str) -> None:
    run = make_run(Paths(TURNS), method=method, clock=Ticks(0.2))
    measured, written_s = 0, 0.0
    for event in solve(run):
        if isinstance(event, RunMeasured):
            measured += 1
            for role in run.engines:
                engine = engine_of(run, role)
                assert event.kv_cells[role] == engine._cache.used_cells > 0
                assert getattr(event.usage, role) == engine.usage()
            assert event.timing_s.total == pytest.approx(event.at_s, abs=1.0)
            written_s = event.timing_s.draft + event.timing_s.write
            assert written_s <= event.timing_s.total
    assert measured > 2
    assert written_s > 0


def measured_at(step_s: float) -> list[float]:
    run = make_run(Paths(TURNS), clock=Ticks(step_s))
    events: list[AnyEvent] = list(solve(run))
    return [event.at_s for event in events if isinstance(event, RunMeasured)]


def test_at_most_once_a_second() -> None:
    times = measured_at(0.05)
    assert len(times) > 2
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))
    assert measured_at(0.0001) == []
