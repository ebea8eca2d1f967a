"""Shares of right answers with their intervals, and means over problems. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import by_problem, is_right
from ssr_local.bench.statistics import Ratio, bootstrap_ratio, wilson


class Share(Struct, frozen=True):
    """A share of ``num`` with its 95 % interval, all from 0 to 1."""

    value: float
    low: float
    high: float
    num: int


def share(value: float, num: int) -> Share | None:
    """``value`` with the Wilson interval of ``num`` independent trials; None without any.

    Over repeats a share need not be a whole number of problems. The interval then is that
    of the nearest one: its units stay problems, since repeats of one problem are no
    independent trials, and so it is rather too wide than too narrow.
    """
    interval = wilson(round(value * num), num) if num else None
    if interval is None:
        return None
    return Share(value, min(interval.low, value), max(interval.high, value), num)


def accuracy(rows: Iterable[Row]) -> Share | None:
    """pass@1: the mean over problems of the share of right runs."""
    problems = by_problem(rows)
    shares = [sum(map(is_right, found)) / len(found) for found in problems.values()]
    value = mean(shares)
    return None if value is None else share(value, len(shares))


def mean(values: Iterable[float]) -> float | None:
    """The mean; None of nothing."""
    known = list(values)
    return math.fsum(known) / len(known) if known else None


def without_interval(ratio: Ratio | None) -> Ratio | None:
    """The ratio alone, both ends at its value, as of problems that all agree."""
    return ratio and Ratio(ratio.value, ratio.value, ratio.value, ratio.num)


def clustered(pairs: Mapping[str, Sequence[tuple[float, float]]]) -> Ratio | None:
    """Sum over sum with an interval over problems, from each problem's (numerator, denominator)s.

    Paths and steps of one problem stand or fall together, so whole problems are drawn anew.
    """
    sums = {
        problem: (math.fsum(top for top, _ in found), math.fsum(below for _, below in found))
        for problem, found in sorted(pairs.items())
    }
    counted = [(top, below) for top, below in sums.values() if below > 0]
    if not counted:
        return None
    return bootstrap_ratio([top for top, _ in counted], [below for _, below in counted])
