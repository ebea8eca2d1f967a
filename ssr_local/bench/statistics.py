"""Intervals, tests and estimators of the evaluation, as its reports state them. Pure.

scipy and numpy are an optional extra, so they are only imported where a figure needs them.
Intervals are for 95 % unless said otherwise.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from msgspec import Struct

from ssr_local.core.errors import UsageError

# A rate known from at most ten continuations does not resolve a finer grid; the rounds of
# the fit end long before it would put all weight on a few points.
_RATE_GRID = 17
_PRIOR_ROUNDS = 60
_SHARE_ROUNDS = 200


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


def wilson(right: int, num: int, confidence: float = 0.95) -> Interval | None:
    """The Wilson score interval of ``right`` in ``num`` trials; None without trials."""
    if num == 0:
        return None
    test = bench_library("scipy.stats").binomtest(right, num)
    found = test.proportion_ci(confidence_level=confidence, method="wilson")
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


def bootstrap_ratio(
    numerators: Sequence[float], denominators: Sequence[float], *, seed: int = 0
) -> Ratio | None:
    """Sum of ``numerators`` over sum of ``denominators``, one entry of each a problem.

    The interval is the percentile bootstrap over problems; problems whose denominator is 0
    are left out. None of nothing.
    """
    pairs = [p for p in zip(numerators, denominators, strict=True) if p[1] > 0]
    if not pairs:
        return None
    tops, bottoms = zip(*pairs, strict=True)
    value = math.fsum(tops) / math.fsum(bottoms)
    if len(pairs) == 1:
        return Ratio(value, value, value, 1)
    np = bench_library("numpy")
    found = bench_library("scipy.stats").bootstrap(
        (tops, bottoms),
        lambda top, bottom, axis=-1: np.sum(top, axis=axis) / np.sum(bottom, axis=axis),
        n_resamples=2000,
        paired=True,
        vectorized=True,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    low, high = map(float, found.confidence_interval)
    return Ratio(value, low, high, len(pairs))


def clustered(pairs: Mapping[str, Sequence[tuple[float, float]]]) -> Ratio | None:
    """Sum over sum with an interval over problems, from each problem's (numerator, denominator)s.

    Paths and steps of one problem stand or fall together, so whole problems are drawn anew.
    """
    groups = [found for _, found in sorted(pairs.items())]
    return bootstrap_ratio(
        [math.fsum(top for top, _ in found) for found in groups],
        [math.fsum(below for _, below in found) for found in groups],
    )


def grouped_mean(values: Sequence[float], groups: Sequence[str], *, seed: int = 0) -> Ratio | None:
    """The mean of the values without NaN, with a bootstrap interval over groups.

    For steps, that stand or fall with their problem; None of nothing.
    """
    sums: dict[str, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        if not math.isnan(value):
            sums.setdefault(group, []).append(value)
    return bootstrap_ratio(
        [math.fsum(found) for found in sums.values()],
        [len(found) for found in sums.values()],
        seed=seed,
    )


def grouped_folds(
    groups: Sequence[str], labels: Sequence[bool], folds: int, seed: int
) -> list[int]:
    """Each entry's fold, 0 to ``folds`` - 1 at most, for cross-validation: no group is split.

    Groups are dealt out at random, those with the most False labels first, so that no fold has
    them all. With fewer groups than ``folds`` every group is a fold.
    """
    counts: dict[str, int] = {}
    for group, label in zip(groups, labels, strict=True):
        counts[group] = counts.get(group, 0) + (not label)
    order = sorted(counts)
    random.Random(seed).shuffle(order)  # noqa: S311  the same folds again from the same seed
    order.sort(key=counts.__getitem__, reverse=True)
    fold = {group: place % folds for place, group in enumerate(order)}
    return [fold[group] for group in groups]


def log_losses(chances: Sequence[float], evidence: Sequence[float]) -> list[float]:
    """What each predicted chance of True costs, in nats; NaN where the chance is NaN.

    ``evidence`` is 1 for what is known to be True and 0 for False. Anything between is the
    probability of True from an observation, had both been equally likely beforehand; the loss is
    then that of foretelling the observation. So it is a proper score whatever the noise, unlike the
    cross-entropy with a probability for its target, that rewards doubt.
    """
    return [
        chance
        if math.isnan(chance)
        else -math.log(max(chance * one + (1 - chance) * (1 - one), 1e-9))
        for chance, one in zip(chances, evidence, strict=True)
    ]


def share_behind(evidence: Sequence[float], start: float) -> float | None:
    """The share of True ones behind such evidence, by maximum likelihood; None of nothing.

    ``start``, in (0, 1), is where the search begins, and where it ends if the evidence tells
    nothing.
    """
    if not evidence:
        return None
    share = start
    for _ in range(_SHARE_ROUNDS):
        share = math.fsum(posterior(share, one) for one in evidence) / len(evidence)
    return share


def posterior(chance: float, evidence: float) -> float:
    """The probability of True by Bayes' rule, where it was ``chance`` without the evidence."""
    true, false = chance * evidence, (1.0 - chance) * (1.0 - evidence)
    return true / (true + false) if true + false else chance


def pass_at_k(num: int, right: int, k: int) -> float:
    """The chance that one of ``k`` runs is right, estimated without bias from ``num`` runs.

    Chen et al. 2021, arXiv 2107.03374, section 2.1.
    """
    if not 1 <= k <= num:
        raise ValueError(f"k must be from 1 to {num}, not {k}")
    if not 0 <= right <= num:
        raise ValueError(f"{right} of {num} runs cannot be right")
    return 1.0 - math.comb(num - right, k) / math.comb(num, k)


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """The rank correlation, -1 to 1, of the pairs without NaN.

    None under three such pairs, and when one side is constant.
    """
    pairs = [(x, y) for x, y in zip(xs, ys, strict=True) if not (math.isnan(x) or math.isnan(y))]
    if len(pairs) < 3 or any(len(set(side)) == 1 for side in zip(*pairs, strict=True)):
        return None
    first, second = zip(*pairs, strict=True)
    return float(bench_library("scipy.stats").spearmanr(first, second).statistic)


def drop_probabilities(
    before: Sequence[tuple[int, int]],
    after: Sequence[tuple[int, int]],
    exact: Sequence[bool],
    margin: float,
    *,
    least: float = 0.0,
) -> list[float]:
    """For each step, the probability that its true rate fell by more than ``margin``.

    ``before`` and ``after`` are (right, samples); ``exact`` says that a step's rate after it
    is known without sampling, then 0 or 1. Places whose share before was below ``least`` were
    passed over, so what is left of them was partly lucky, which is allowed for. True rates
    before and after are taken from one joint distribution, itself fitted to all the steps
    given (nonparametric maximum likelihood by expectation maximisation, ended early); what one
    step's samples then say of its own two rates is Bayes' rule. Steps count as independent,
    although one's rate after it is often the next one's rate before it.

    Simulated with 200 steps, four samples from either place and ``least`` at 0.5, where a step
    either changes next to nothing or ruins much: with 0, 9, 29, 54 and 81 % of steps dropping in
    truth, the mean of these is 1, 8, 25, 48 and 80 % (one run: give or take 1 to 5), while 11, 19,
    33, 54 and 78 % drop in their samples. Where the true drops crowd around the margin: 29 % in
    truth, 30 % give or take 5 (other runs: 10) here, 41 % in the samples.
    """
    if not before:
        return []
    np = bench_library("numpy")
    grid = np.linspace(0.0, 1.0, _RATE_GRID)

    def likelihoods(samples: Sequence[tuple[int, int]]) -> Any:
        right, num = np.asarray(samples, dtype=float).T[:, :, None]
        return grid**right * (1.0 - grid) ** (num - right)

    num = np.asarray([num for _, num in before])[:, None]
    seen = bench_library("scipy.stats").binom.sf(np.ceil(least * num - 1e-9) - 1, num, grid)
    in_front = np.divide(likelihoods(before), seen, out=np.zeros_like(seen), where=seen > 0)
    known = np.asarray([right for right, _ in after])[:, None] > 0
    behind = np.where(
        np.asarray(exact)[:, None], grid == np.where(known, 1.0, 0.0), likelihoods(after)
    )
    joint = in_front[:, :, None] * behind[:, None, :]
    prior = np.full((_RATE_GRID, _RATE_GRID), 1.0 / _RATE_GRID**2)
    for _ in range(_PRIOR_ROUNDS):
        posterior = joint * prior
        posterior /= posterior.sum(axis=(1, 2), keepdims=True)
        prior = posterior.mean(axis=0)
    dropped = grid[None, :] < grid[:, None] - margin - 1e-9
    return [float(share) for share in (posterior * dropped).sum(axis=(1, 2))]
