"""Two methods on the same problems: how much more often one is right, with its interval. Pure."""

from __future__ import annotations

import math

from ssr_local.bench.statistics import Interval, wilson


def paired_difference(
    both: int, only_first: int, only_second: int, neither: int
) -> Interval | None:
    """The 95 % interval of the first's share of right answers less the second's, -1 to 1.

    Newcombe 1998 (Statistics in Medicine 17:2635-2650), method 10: the Wilson intervals of the
    two shares, put together with their correlation, itself corrected for continuity. None of
    nothing.
    """
    num = both + only_first + only_second + neither
    first, second = wilson(both + only_first, num), wilson(both + only_second, num)
    if first is None or second is None:
        return None
    one, two = (both + only_first) / num, (both + only_second) / num
    correlation = _correlation(both, only_first, only_second, neither)
    below = _joined(one - first.low, second.high - two, correlation)
    above = _joined(first.high - one, two - second.low, correlation)
    return Interval(one - two - below, one - two + above)


def _joined(one: float, two: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * correlation * one * two + two**2))


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """The phi coefficient, a positive one moved towards 0; 0 where a margin is empty."""
    margins = (
        (both + only_first)
        * (only_second + neither)
        * (both + only_second)
        * (only_first + neither)
    )
    if margins == 0:
        return 0.0
    product = both * neither - only_first * only_second
    if product > 0:
        num = both + only_first + only_second + neither
        return max(0.0, product - num / 2) / math.sqrt(margins)
    return product / math.sqrt(margins)
