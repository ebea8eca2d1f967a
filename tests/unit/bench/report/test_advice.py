"""Which method is advised, and when none is."""

from __future__ import annotations

import pytest

from ssr_local.bench.report.advice import advise, may_be_as_good
from ssr_local.bench.report.shares import share
from ssr_local.bench.report.tradeoff import Point, Tradeoff
from ssr_local.bench.statistics import Ratio


@pytest.mark.parametrize(
    ("loss", "p", "num", "found"),
    [
        (0.3, 0.2, 20, True),
        (0.3, 0.19, 20, False),
        (0.1, 1.0, 10, True),
        (2 / 19, 0.5, 19, False),
        (0.1, 0.1, 10, False),
        (0.3, None, 20, False),
        (0.0, 0.01, 5, True),
        (-0.3, 0.01, 20, True),
    ],
)
def test_what_is_let_pass(loss: float, p: float | None, num: int, found: bool) -> None:
    assert may_be_as_good(loss, p, num) is found


def _point(method: str, right: int, seconds: float | None, p_best: float | None, num: int) -> Point:
    accuracy = share(right / num, num)
    assert accuracy is not None
    return Point(
        method=method,
        accuracy=accuracy,
        seconds=None if seconds is None else Ratio(seconds, seconds, seconds, num),
        decode_flops=None,
        total_flops=None,
        p_best=p_best,
    )


def _trade(
    points: list[tuple[str, int, float | None, float | None]], num: int, num_timed: int
) -> Tradeoff:
    return Tradeoff(
        num_problems=num,
        num_timed=num_timed,
        left_out=(),
        best=points[0][0] if points else None,
        points=tuple(_point(*point, num) for point in points),
        rates=(),
        decode_correlation=None,
        total_correlation=None,
    )


@pytest.mark.parametrize(
    ("points", "num_timed", "use", "told"),
    [
        (
            [("a", 18, 9.0, None), ("b", 15, 5.0, 0.3), ("c", 5, 1.0, 0.001)],
            20,
            "b",
            "could not be told apart from the best on 20 problems, a (90.0 % right against 75.0 %",
        ),
        ([("a", 18, 9.0, None), ("b", 15, 5.0, 0.2)], 20, "b", "the fastest"),
        ([("a", 18, 9.0, None), ("b", 15, 5.0, 0.19)], 20, "a", "b (p 0.19) likely is less"),
        (
            [("a", 18, 9.0, None), ("b", 9, 5.0, 0.01), ("c", 17, 99.0, 0.9)],
            20,
            "a",
            "every faster method was shown to be less accurate",
        ),
        ([("a", 18, 9.0, None), ("b", 9, 5.0, 0.01)], 20, "a", "every other method was shown"),
        ([("a", 18, 4.0, None), ("b", 15, 5.0, 0.3)], 20, "a", "none is faster than its 4.00 s"),
        ([("a", 18, 9.0, None), ("b", 15, 5.0, 0.3)], 9, None, "10 problems that all"),
        ([("a", 18, 9.0, None), ("b", 15, 5.0, 0.3)], 10, "b", "the fastest"),
        ([("a", 18, 9.0, None)], 20, None, "at least two methods"),
        ([("a", 0, 9.0, None), ("b", 0, 5.0, 1.0)], 20, None, "none of them solved"),
        ([("a", 18, None, None), ("b", 15, None, 0.3)], 20, None, "no run took measurable time"),
        ([], 0, None, "at least two methods"),
    ],
)
def test_the_fastest_that_could_not_be_told_from_the_best_is_advised(
    points: list[tuple[str, int, float | None, float | None]],
    num_timed: int,
    use: str | None,
    told: str,
) -> None:
    found = advise(_trade(points, 20, num_timed))
    assert found.use == use
    assert told in found.text
    assert ("Use " in found.text) is (use is not None)


@pytest.mark.parametrize(
    ("right", "num", "use"), [(9, 10, "b"), (8, 10, None), (17, 19, None), (18, 20, "b")]
)
def test_on_few_problems_a_faster_method_must_be_near(
    right: int, num: int, use: str | None
) -> None:
    points = [("a", num, 9.0, None), ("b", right, 5.0, 0.5)]
    found = advise(_trade(points, num, num))
    assert found.use == use
    assert ("too few to tell" in found.text) is (use is None)
