"""Intervals, tests and estimators of the evaluation, as its reports state them. Pure.

scipy and numpy are an optional extra, so they are only imported where a figure needs them.
Intervals are for 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from msgspec import Struct

from ssr_local.core.errors import UsageError


class Interval(Struct, frozen=True):
    """A confidence interval, both ends included."""

    low: float
    high: float


class Share(Struct, frozen=True):
    """A share of ``num`` with its 95 % interval, all from 0 to 1."""

    value: float
    low: float
    high: float
    num: int


class Ratio(Struct, frozen=True):
    """A ratio of two sums with its interval; ``num`` is the number of problems in it."""

    value: float
    low: float
    high: float
    num: int


class Proportion(Struct, frozen=True):
    """``count`` of ``num``, with the Wilson interval; None of nothing.

    The interval takes the ``num`` for independent, which steps of one problem are not: with
    long paths it is too narrow.
    """

    count: int
    num: int
    interval: Interval | None

    @property
    def share(self) -> float | None:
        """``count`` / ``num``, 0 to 1; None of nothing."""
        return self.count / self.num if self.num else None


def bench_library(name: str) -> Any:
    """A module of the optional extra ``bench``. Raises ``UsageError`` when it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(
            f"The evaluation needs {name.partition('.')[0]}, which is not installed.",
            "Whoever only solves problems can do without it.",
            "Install it: pip install 'ssr-local[bench]'",
        ) from error


def wilson(right: int, num: int) -> Interval | None:
    """The Wilson score interval of ``right`` in ``num`` trials; None without trials."""
    if num == 0:
        return None
    test = bench_library("scipy.stats").binomtest(right, num)
    found = test.proportion_ci(method="wilson")
    return Interval(float(found.low), float(found.high))


def proportion(count: int, num: int) -> Proportion:
    """``count`` of ``num`` with its interval."""
    return Proportion(count, num, wilson(count, num))


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of two methods on the same problems; 1.0 when they never differ.

    ``only_first`` problems were solved by the first method alone.
    """
    differing = only_first + only_second
    if differing == 0:
        return 1.0
    return float(bench_library("scipy.stats").binomtest(only_first, differing, 0.5).pvalue)


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


def mean(values: Iterable[float]) -> float | None:
    """The mean; None of nothing."""
    known = list(values)
    return math.fsum(known) / len(known) if known else None


def paired_difference(
    both: int, only_first: int, only_second: int, neither: int
) -> Interval | None:
    """The 95 % interval of the first's share of right answers less the second's, -1 to 1.

    Newcombe 1998 (Statistics in Medicine 17:2635-2650), method 10: the Wilson intervals of the
    two shares, put together with their correlation (phi), itself corrected for continuity. None
    of nothing.
    """
    num = both + only_first + only_second + neither
    first, second = wilson(both + only_first, num), wilson(both + only_second, num)
    if first is None or second is None:
        return None
    one, two = (both + only_first) / num, (both + only_second) / num
    margins = num**4 * one * (1 - one) * two * (1 - two)
    product = both * neither - only_first * only_second
    shrunk = max(0.0, product - num / 2) if product > 0 else product
    phi = shrunk / math.sqrt(margins) if margins > 0 else 0.0

    def joined(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a**2 - 2 * phi * a * b + b**2))

    below = joined(one - first.low, second.high - two)
    above = joined(first.high - one, two - second.low)
    return Interval(one - two - below, one - two + above)


def clustered(parts: Iterable[tuple[str, float, float]]) -> Ratio | None:
    """Sum over sum, from (problem, numerator, denominator)s; None of nothing.

    The interval is the percentile bootstrap over problems: paths and steps of one problem stand
    or fall together. Problems whose denominator is 0 are left out.
    """
    problems: dict[str, list[tuple[float, float]]] = {}
    for problem, top, bottom in parts:
        problems.setdefault(problem, []).append((top, bottom))
    sums = [
        tuple(map(math.fsum, zip(*found, strict=True))) for _, found in sorted(problems.items())
    ]
    known = [pair for pair in sums if pair[1] > 0]
    if not known:
        return None
    tops, bottoms = zip(*known, strict=True)
    value = math.fsum(tops) / math.fsum(bottoms)
    if len(known) == 1:
        return Ratio(value, value, value, 1)
    np = bench_library("numpy")
    found = bench_library("scipy.stats").bootstrap(
        (tops, bottoms),
        lambda top, bottom, axis=-1: np.sum(top, axis=axis) / np.sum(bottom, axis=axis),
        n_resamples=2000,
        paired=True,
        vectorized=True,
        method="percentile",
        random_state=np.random.default_rng(0),
    )
    low, high = map(float, found.confidence_interval)
    return Ratio(value, low, high, len(known))


def pass_at_k(num: int, right: int, k: int) -> float:
    """The chance that one of ``k`` runs is right, estimated without bias from ``num`` runs.

    Chen et al. 2021, arXiv 2107.03374, section 2.1.
    """
    return 1.0 - math.comb(num - right, k) / math.comb(num, k)
