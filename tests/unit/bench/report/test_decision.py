"""What the figures decide: every branch of the rules."""

from __future__ import annotations

import pytest

from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.decision import Worth, decide, to_use, worth
from ssr_local.bench.report.summary import AgainstBaseline, summarise
from ssr_local.bench.report.tradeoff import Point, Tradeoff, trade
from ssr_local.bench.statistics import Interval, Ratio, share
from tests.unit.bench.report.made_rows import outcomes

FASTER, OPEN, SLOWER = (0.4, 0.8), (0.8, 1.2), (1.5, 3.0)


def beside(
    gain: int,
    p: float,
    time: tuple[float, float],
    *,
    timed: int = 20,
    num: int = 20,
    target_right: int = 10,
    timed_alone: bool = True,
) -> AgainstBaseline:
    return AgainstBaseline(
        num_problems=num,
        num_right=target_right + gain,
        num_target_right=target_right,
        p=p,
        difference=Interval(-0.2, 0.3),
        decode_flops=None,
        total_flops=None,
        time=Ratio(sum(time) / 2, *time, timed),
        timed_alone=timed_alone,
    )


@pytest.mark.parametrize(
    ("found", "decided"),
    [
        (beside(5, 0.01, FASTER), "pays twice"),
        (beside(5, 0.01, OPEN), "pays in accuracy"),
        (beside(5, 0.01, SLOWER), "buys accuracy with time"),
        (beside(5, 0.06, FASTER), "pays in time"),
        (beside(-5, 0.2, FASTER), "pays in time"),
        (beside(-5, 0.19, FASTER), "not shown to pay"),  # likely less accurate
        (beside(5, 0.2, SLOWER), "not shown to pay"),
        (beside(-5, 0.01, FASTER), "buys time with accuracy"),
        (beside(-5, 0.01, OPEN), "costs accuracy"),
        (beside(-5, 0.01, SLOWER), "costs accuracy"),
        (beside(5, 0.05, OPEN), "not shown to pay"),  # only below 0.05 is shown
        (beside(5, 0.01, (1.0, 2.0)), "pays in accuracy"),  # an interval that touches 1
        (beside(5, 0.01, (0.5, 1.0)), "pays in accuracy"),
        (beside(0, 1.0, FASTER, target_right=0), "solved nothing"),
        # On few problems little accuracy is let pass: ten points, and no more.
        (beside(-1, 0.5, FASTER, num=10), "pays in time"),
        (beside(-1, 0.1, FASTER, num=10), "not shown to pay"),
        (beside(-2, 0.5, FASTER, num=19), "not shown to pay"),
        (beside(-2, 0.5, FASTER, num=20), "pays in time"),
        # Too few timed problems, or ones timed together, decide nothing.
        (beside(5, 0.01, FASTER, timed=10), "pays twice"),
        (beside(5, 0.01, FASTER, timed=9), None),
        (beside(5, 0.01, FASTER, timed_alone=False), None),
    ],
)
def test_what_a_method_is_worth(found: AgainstBaseline, decided: Worth | None) -> None:
    assert worth(found) == decided


Compared = tuple[str, int, float | None, float | None]
"""A method, its right ones, its seconds and its p to the best, which stands first."""


def tradeoff(points: list[Compared], num: int, num_timed: int) -> Tradeoff:
    found = []
    for method, right, seconds, p_best in points:
        accuracy = share(right / num, num)
        assert accuracy is not None
        found.append(
            Point(
                method=method,
                accuracy=accuracy,
                seconds=None if seconds is None else Ratio(seconds, seconds, seconds, num),
                decode_flops=None,
                total_flops=None,
                p_best=p_best,
            )
        )
    return Tradeoff(
        num_problems=num,
        num_timed=num_timed,
        left_out=(),
        best=points[0][0] if points else None,
        points=tuple(found),
    )


BEST: Compared = ("a", 18, 9.0, None)


@pytest.mark.parametrize(
    ("points", "num", "num_timed", "use"),
    [
        ([BEST, ("b", 15, 5.0, 0.2)], 20, 20, "b"),
        ([BEST, ("b", 15, 5.0, 0.19)], 20, 20, "a"),  # likely less accurate
        ([BEST, ("b", 9, 5.0, 0.01), ("c", 17, 99.0, 0.9)], 20, 20, "a"),
        ([("a", 18, 4.0, None), ("b", 15, 5.0, 0.3)], 20, 20, "a"),
        ([BEST, ("b", 15, 5.0, 0.3)], 20, 9, None),  # too few timed
        ([BEST], 20, 20, None),
        ([("a", 0, 9.0, None), ("b", 0, 5.0, 1.0)], 20, 20, None),
        ([("a", 18, None, None), ("b", 15, None, 0.3)], 20, 20, None),
        ([], 20, 0, None),
        # On few problems a faster method must be near.
        ([("a", 10, 9.0, None), ("b", 9, 5.0, 0.5)], 10, 10, "b"),
        ([("a", 10, 9.0, None), ("b", 8, 5.0, 0.5)], 10, 10, None),
        ([("a", 19, 9.0, None), ("b", 17, 5.0, 0.5)], 19, 19, None),
    ],
)
def test_the_fastest_that_could_not_be_told_from_the_best_is_used(
    points: list[Compared], num: int, num_timed: int, use: str | None
) -> None:
    assert to_use(tradeoff(points, num, num_timed)) == use


def test_every_method_but_the_baseline_and_the_draft_is_decided_on() -> None:
    names = ("target", "draft+prompt=first", "ssr-m3+none", "auto-quick", "prose:target")
    (runs,), _ = arrange([one for name in names for one in outcomes(name, "+" * 6)])
    found = decide(summarise(runs), trade(runs)).findings
    assert [(one.method, one.worth) for one in found] == [
        ("auto-quick", "not shown to pay"),
        ("ssr-m3+none", "not shown to pay"),
        ("prose:target", "not shown to pay"),
    ]
