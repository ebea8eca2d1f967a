"""The Pareto front and the compared methods."""

from __future__ import annotations

import pytest

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.tradeoff import Point, Tradeoff, front, trade
from ssr_local.bench.statistics import Ratio, Share
from tests.unit.bench.report.made_rows import outcomes


def _trade(rows: list[Row]) -> Tradeoff:
    (runs,), _ = arrange(rows)
    return trade(runs)


def _point(method: str, accuracy: float, seconds: float | None) -> Point:
    return Point(
        method=method,
        accuracy=Share(accuracy, 0.0, 1.0, 10),
        seconds=None if seconds is None else Ratio(seconds, seconds, seconds, 10),
        decode_flops=None,
        total_flops=None,
    )


@pytest.mark.parametrize(
    ("points", "kept"),
    [
        ([], []),
        ([("a", 0.5, 1.0)], ["a"]),
        ([("a", 0.5, 2.0), ("b", 0.4, 3.0)], ["a"]),
        ([("a", 0.5, 2.0), ("b", 0.6, 3.0), ("c", 0.4, 1.0)], ["c", "a", "b"]),
        ([("a", 0.5, 2.0), ("b", 0.5, 1.0)], ["b"]),  # as good, and cheaper
        ([("a", 0.5, 2.0), ("b", 0.6, 2.0)], ["b"]),  # as cheap, and better
        ([("a", 0.5, 2.0), ("b", 0.5, 2.0)], ["a", "b"]),  # neither beats its equal
        ([("a", 0.5, None), ("b", 0.4, 2.0)], ["b"]),  # not timed
        ([("a", 0.0, 0.0)], []),  # nothing done
    ],
)
def test_front(points: list[tuple[str, float, float | None]], kept: list[str]) -> None:
    found = front([_point(*point) for point in points], "seconds")
    assert [point.method for point in found] == kept


def test_methods_are_compared_on_the_problems_all_have() -> None:
    rows = outcomes("target", "++--++++", seconds=10.0) + outcomes("draft", "+---    ", seconds=2.0)
    rows += outcomes("ssr-m3", "+++     ", seconds=50.0)
    found = _trade(rows)
    assert found.left_out == ("ssr-m3",)  # the draft has done half as many, which is enough
    assert (found.num_problems, found.num_timed, found.best) == (4, 4, "target")
    assert [(p.method, p.accuracy.value, p.cost("seconds")) for p in found.points] == [
        ("target", 0.5, 10.0),
        ("draft", 0.25, 2.0),
    ]
    assert [p.p_best for p in found.points] == [None, 1.0]


def test_of_equally_accurate_methods_the_fastest_is_the_best() -> None:
    rows = outcomes("target", "+-", seconds=10.0) + outcomes("draft", "-+", seconds=2.0)
    assert _trade(rows).best == "draft"


def test_methods_without_a_common_problem_make_no_points() -> None:
    found = _trade(outcomes("target", "++  ") + outcomes("draft", "  ++"))
    assert (found.num_problems, found.points, found.best) == (0, (), None)
