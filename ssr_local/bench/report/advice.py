"""Which method to use, by fixed rules that rather stay silent than guess. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from ssr_local.bench.report.tables import FEWEST_FOR_INTERVAL, decimal, p_text
from ssr_local.bench.report.tradeoff import Point, Tradeoff

ALPHA = 0.05
CLOSE = 0.2
"""Less accuracy is not let pass for speed when its p is below this: such a difference likely is
there, shown or not."""
FEWEST_TOLERANT = 20
TOLERANCE = 0.1
"""Of fewer than twenty problems even large differences have a large p, so the p alone does not
do: there no more than ten points less are let pass, on ten problems a single one."""
FEWEST_TIMED = FEWEST_FOR_INTERVAL
"""On fewer problems than this nothing is advised."""


class Advice(Struct, frozen=True):
    """The method to use, None when nothing can be advised, and the sentence that says so."""

    use: str | None
    text: str


def may_be_as_good(loss: float, p: float | None, num: int) -> bool:
    """Whether a share of right answers lower by ``loss``, with that exact p, is let pass."""
    if loss <= 0:
        return True
    close = p is not None and p >= CLOSE
    return close and (num >= FEWEST_TOLERANT or loss <= TOLERANCE + 1e-9)


def advise(tradeoff: Tradeoff) -> Advice:
    """The fastest method that could not be told apart from the most accurate one.

    Nothing where too little was done, where nothing was solved, and where a faster method is
    neither likely less accurate nor near enough on so few problems.
    """
    best = next((point for point in tradeoff.points if point.method == tradeoff.best), None)
    if best is None or len(tradeoff.points) < 2 or tradeoff.num_timed < FEWEST_TIMED:
        return _nothing(
            f"that takes at least two methods and {FEWEST_TIMED} problems that all of them finished"
        )
    if best.accuracy.value == 0:
        return _nothing("none of them solved a single problem")
    timed = sorted(
        (seconds, place, point)
        for place, point in enumerate(tradeoff.points)
        if (seconds := point.cost("seconds")) is not None
    )
    if not timed:
        return _nothing("no run took measurable time")
    num = tradeoff.num_problems
    close = [p for _, _, p in timed if p is best or (p.p_best is not None and p.p_best >= CLOSE)]
    use = close[0] if close else best
    lower = best.accuracy.value - use.accuracy.value
    if use is not best and not may_be_as_good(lower, use.p_best, num):
        return _nothing(
            f"{use.method} is faster than {best.method}, {decimal(100 * lower)} points less"
            f" accurate, and {num} problems are too few to tell whether that is chance"
            f" (p {p_text(use.p_best)})"
        )
    if use is best:
        return _best(best, tradeoff.points)
    return Advice(
        use.method,
        f"Use {use.method} here: at {_seconds(use)} s a problem it is the fastest of the methods"
        f" that could not be told apart from the best on {num} problems, {best.method}"
        f" ({_percent(best)} right against {_percent(use)}, p {p_text(use.p_best)}).",
    )


def _nothing(why: str) -> Advice:
    return Advice(None, f"Which method to use cannot be said: {why}.")


def _best(best: Point, points: Sequence[Point]) -> Advice:
    """The most accurate one: all faster ones are likely less accurate."""
    others = [point for point in points if point is not best]
    seconds = best.cost("seconds") or math.inf
    faster = [point for point in others if (point.cost("seconds") or math.inf) < seconds]
    likely = [point for point in faster if not _shown(point)]
    if all(map(_shown, others)):
        why = "every other method was shown to be less accurate"
    elif not faster:
        why = f"none is faster than its {_seconds(best)} s a problem, none got more right"
        why += f" ({_percent(best)})"
    elif not likely:
        why = "every faster method was shown to be less accurate"
    else:
        names = ", ".join(f"{point.method} (p {p_text(point.p_best)})" for point in likely)
        return Advice(
            best.method,
            f"Use {best.method} here if right answers count for more than time: of what is faster,"
            f" {names} likely is less accurate, but that was not shown.",
        )
    return Advice(best.method, f"Use {best.method} here: {why}.")


def _shown(point: Point) -> bool:
    return point.p_best is not None and point.p_best < ALPHA


def _seconds(point: Point) -> str:
    return decimal(point.cost("seconds"))


def _percent(point: Point) -> str:
    return f"{decimal(100 * point.accuracy.value)} %"
