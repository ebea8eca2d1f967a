"""Accuracy against cost. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import Runs, accuracy, by_problem, is_right
from ssr_local.bench.report.summary import results, without_interval
from ssr_local.bench.statistics import Ratio, Share, clustered, mean

Cost = Literal["seconds", "decode_flops", "total_flops"]
COSTS: tuple[Cost, ...] = ("seconds", "decode_flops", "total_flops")


class Point(Struct, frozen=True, kw_only=True):
    """One method on the problems all compared ones have tried.

    ``seconds`` is the mean of a problem with its interval over problems, which is missing (both
    ends at the mean) where several were solved at once; FLOPs are means of a problem too.
    ``p_best`` is the exact McNemar p against the most accurate method, None for that one.
    ``fronts`` names the costs at which no other method is both as accurate and as cheap, and
    better in one of the two.
    """

    method: str
    accuracy: Share
    seconds: Ratio | None
    decode_flops: float | None
    total_flops: float | None
    p_best: float | None = None
    fronts: tuple[Cost, ...] = ()

    def cost(self, cost: Cost) -> float | None:
        """The mean of one problem; None where it was not measured, or is nothing."""
        value = getattr(self, cost)
        number: float | None = value.value if isinstance(value, Ratio) else value
        return number if number else None


class Tradeoff(Struct, frozen=True, kw_only=True):
    """The compared methods: ``num_problems`` that all of them tried, ``num_timed`` without
    a failed run. ``left_out`` did fewer than half as many as the fullest."""

    num_problems: int
    num_timed: int
    left_out: tuple[str, ...]
    best: str | None
    points: tuple[Point, ...]


def trade(runs: Runs) -> Tradeoff:
    """Accuracy and costs of the methods that have done enough of the task to be compared."""
    tried = {name: len(by_problem(runs.of(name))) for name in runs.methods}
    compared = [name for name in runs.methods if 2 * tried[name] >= max(tried.values())]
    units = runs.shared(compared)
    rows = {name: runs.at(name, units) for name in compared} if units else {}
    done = enumerate(zip(*rows.values(), strict=True))
    timed = [index for index, found in done if all(row.result is not None for row in found)]
    points = [
        point
        for name, found in rows.items()
        if (point := _point(name, found, [found[index] for index in timed], runs.timed_alone))
    ]
    ranked = sorted(points, key=lambda one: (-one.accuracy.value, one.cost("seconds") or math.inf))
    best = ranked[0].method if ranked else None
    fronts = {cost: front(points, cost) for cost in COSTS}
    return Tradeoff(
        num_problems=len({problem for problem, _ in units}),
        num_timed=len({units[index][0] for index in timed}),
        left_out=tuple(name for name in runs.methods if name not in compared),
        best=best,
        points=tuple(
            replace(
                point,
                p_best=runs.p(best, point.method, units, is_right)
                if best is not None and best != point.method
                else None,
                fronts=tuple(cost for cost in COSTS if point in fronts[cost]),
            )
            for point in points
        ),
    )


def front(points: Sequence[Point], cost: Cost) -> tuple[Point, ...]:
    """The Pareto front, cheapest first."""
    priced = [(point, price) for point in points if (price := point.cost(cost)) is not None]
    kept = [
        (point, price)
        for point, price in priced
        if not any(
            other.accuracy.value >= point.accuracy.value
            and less <= price
            and (other.accuracy.value > point.accuracy.value or less < price)
            for other, less in priced
        )
    ]
    return tuple(point for point, _ in sorted(kept, key=lambda item: item[1]))


def _point(
    method: str, rows: Sequence[Row], timed: Sequence[Row], timed_alone: bool
) -> Point | None:
    right = accuracy(rows)
    if right is None:
        return None
    found = results(timed)
    seconds = clustered(
        (problem, sum(row.elapsed_s for row in group) / len(group), 1)
        for problem, group in by_problem(timed).items()
    )
    return Point(
        method=method,
        accuracy=right,
        seconds=seconds if timed_alone else without_interval(seconds),
        decode_flops=mean(result.flops.decode for result in found),
        total_flops=mean(result.flops.total for result in found),
    )
