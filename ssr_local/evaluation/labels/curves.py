"""How well a number tells good from bad, and the curve from the number to the chance of good. Pure.

A label is True for what a high value should go with.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import Any, Literal

from msgspec import Struct

from ssr_local.evaluation.statistics import Interval, bench_library

Curve = Literal["logistic", "isotonic"]
Knots = tuple[tuple[float, float], ...]
"""(value, chance) pairs: values strictly ascending, chances never falling."""

_Z = NormalDist().inv_cdf(0.975)
# Knots that would move the curve by less are left out.
_KNOT_ERROR = 0.002


class Roc(Struct, frozen=True):
    """``points`` are (threshold, false accept rate, true accept rate), the strictest first.

    What is at or above the threshold is accepted; the first point accepts nothing. No points
    when one class is empty.
    """

    points: tuple[tuple[float, float, float], ...]


class Bin(Struct, frozen=True):
    """Neighbouring values: their mean, the mean share that goes with them, and its interval."""

    mean_value: float
    mean_share: float
    count: int
    low: float
    high: float


def roc(values: Sequence[float], labels: Sequence[bool]) -> Roc:
    """One point for each distinct value, behind one that accepts nothing."""
    _check_finite(values)
    num_good = sum(labels)
    num_bad = len(labels) - num_good
    ordered = sorted(zip(values, labels, strict=True), reverse=True)
    if not num_good or not num_bad:
        return Roc(())
    points = [(math.nextafter(ordered[0][0], math.inf), 0.0, 0.0)]
    good = bad = 0
    for value, tied in itertools.groupby(ordered, key=lambda pair: pair[0]):
        found = [label for _, label in tied]
        good += sum(found)
        bad += len(found) - sum(found)
        points.append((value, bad / num_bad, good / num_good))
    return Roc(tuple(points))


def auc(
    values: Sequence[float],
    labels: Sequence[bool],
    *,
    strata: Sequence[Hashable] | None = None,
) -> float | None:
    """The chance that a good one's value is above a bad one's, ties counting half.

    With ``strata`` only pairs within one stratum are compared. None without such pairs.
    """
    np = bench_library("numpy")
    wins, pairs = _compared(values, labels, strata, np.ones((1, len(values))))
    return float(wins[0] / pairs[0]) if pairs[0] else None


def auc_interval(
    values: Sequence[float],
    labels: Sequence[bool],
    groups: Sequence[Hashable],
    *,
    strata: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval | None:
    """The 95 % percentile bootstrap interval of the AUC over groups.

    Steps of one problem are not independent, so whole problems are drawn anew. None unless
    good and bad ones each come from two groups at least: one alone says nothing of others.
    """
    for kind in (True, False):
        found = {group for group, label in zip(groups, labels, strict=True) if label == kind}
        if len(found) < 2:
            return None
    np = bench_library("numpy")
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(group, len(numbers)) for group in groups]
    drawn = np.random.default_rng(seed).multinomial(
        len(numbers), np.full(len(numbers), 1.0 / len(numbers)), size=resamples
    )
    wins, pairs = _compared(values, labels, strata, drawn[:, index].astype(float))
    usable = pairs > 0
    if not usable.any():
        return None
    low, high = np.quantile(wins[usable] / pairs[usable], (0.025, 0.975))
    return Interval(float(low), float(high))


def reliability(values: Sequence[float], shares: Sequence[float], bins: int = 8) -> tuple[Bin, ...]:
    """Bins of about equal count by value, ascending; equal values stay together.

    ``shares`` are from 0 to 1, so Wilson's formula on their mean is rather too wide where they
    are not just 0 or 1; it takes them for independent.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    _check_finite(values)
    found: list[Bin] = []
    ordered = sorted(zip(values, shares, strict=True))
    started = 0
    for end in range(1, len(ordered) + 1):
        # Of what is left, so that a large bin of equal values leaves the later ones even.
        full = (end - started) * (bins - len(found)) >= len(ordered) - started
        if full and (end == len(ordered) or ordered[end][0] != ordered[end - 1][0]):
            found.append(_bin(ordered[started:end]))
            started = end
    return tuple(found)


def fit_curve(
    kind: Curve, values: Sequence[float], labels: Sequence[bool], most: int = 12
) -> Knots:
    """The chance that a label is True, given the value: at most ``most`` knots, never falling.

    Between knots the curve is linear, outside them flat. "logistic" has a slope of 0 where
    higher values went with False, and Platt's targets, which keep perfect separation finite; the
    chances of "isotonic" stay off 0 and 1 by as much as a further label could. A constant
    value gives one knot at the share of True ones, no values a chance of 1/2 everywhere.
    """
    _check_finite(values)
    base = (sum(labels) + 1) / (len(labels) + 2)
    distinct = sorted(set(values))
    if len(distinct) < 2:
        return ((distinct[0] if distinct else 0.0, base),)
    fit = _logistic if kind == "logistic" else _isotonic
    return _thinned(distinct, fit(values, labels, distinct), most)


def _logistic(values: Sequence[float], labels: Sequence[bool], at: Sequence[float]) -> Any:
    np = bench_library("numpy")
    special = bench_library("scipy.special")
    raw = np.asarray(values, dtype=float)
    mean, deviation = raw.mean(), raw.std() or 1.0
    x = (raw - mean) / deviation
    num_true = sum(labels)
    num_false = len(labels) - num_true
    targets = np.where(labels, (num_true + 1) / (num_true + 2), 1 / (num_false + 2))

    def loss(parameters: Any) -> tuple[float, Any]:
        logits = parameters[0] + parameters[1] * x
        errors = special.expit(logits) - targets
        value = (np.logaddexp(0.0, logits) - targets * logits).mean()
        return value, np.asarray([errors.mean(), (errors * x).mean()])

    found = bench_library("scipy.optimize").minimize(
        loss, (0.0, 0.0), jac=True, method="L-BFGS-B", bounds=((None, None), (0.0, None))
    )
    return special.expit(found.x[0] + found.x[1] * (np.asarray(at) - mean) / deviation)


def _isotonic(values: Sequence[float], labels: Sequence[bool], at: Sequence[float]) -> Any:
    np = bench_library("numpy")
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    means = np.bincount(where, weights=labels) / counts
    fitted = bench_library("scipy.optimize").isotonic_regression(means, weights=counts)
    edge = 1.0 / (len(values) + 2)
    return np.clip(fitted.x, edge, 1.0 - edge)


def _thinned(values: Sequence[float], chances: Any, most: int) -> Knots:
    """The ends, then again and again the point that the knots so far miss by most."""
    np = bench_library("numpy")
    x = np.asarray(values)
    kept = [0, len(x) - 1]
    while len(kept) < most:
        errors = np.abs(np.interp(x, x[kept], chances[kept]) - chances)
        worst = int(errors.argmax())
        if errors[worst] < _KNOT_ERROR:
            break
        kept = sorted([*kept, worst])
    return tuple((float(x[place]), float(chances[place])) for place in kept)


def _bin(pairs: Sequence[tuple[float, float]]) -> Bin:
    num = len(pairs)
    share = math.fsum(share for _, share in pairs) / num
    centre = (share + _Z**2 / (2 * num)) / (1 + _Z**2 / num)
    spread = math.sqrt(share * (1 - share) / num + _Z**2 / (4 * num**2)) * _Z / (1 + _Z**2 / num)
    return Bin(
        mean_value=math.fsum(value for value, _ in pairs) / num,
        mean_share=share,
        count=num,
        low=max(0.0, centre - spread),
        high=min(1.0, centre + spread),
    )


def _compared(
    values: Sequence[float],
    labels: Sequence[bool],
    strata: Sequence[Hashable] | None,
    weights: Any,
) -> tuple[Any, Any]:
    """Pairs that a good one wins, and all pairs of a good and a bad one.

    Each row of ``weights`` says how often each value counts; both results have one entry a row.
    """
    _check_finite(values)
    if len(labels) != len(values) or (strata is not None and len(strata) != len(values)):
        raise ValueError("values, labels and strata must be of one length")
    np = bench_library("numpy")
    wins, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    members: dict[Hashable, list[int]] = {}
    for position, stratum in enumerate([None] * len(values) if strata is None else strata):
        members.setdefault(stratum, []).append(position)
    for inside in members.values():
        order = sorted(inside, key=values.__getitem__)
        ranked = np.asarray([values[position] for position in order], dtype=float)
        starts = np.flatnonzero(np.r_[True, ranked[1:] > ranked[:-1]])
        is_good = np.asarray([bool(labels[position]) for position in order])
        good = np.add.reduceat(weights[:, order] * is_good, starts, axis=1)
        bad = np.add.reduceat(weights[:, order] * ~is_good, starts, axis=1)
        below = bad.cumsum(axis=1) - bad
        wins += (good * (below + bad / 2)).sum(axis=1)
        pairs += good.sum(axis=1) * bad.sum(axis=1)
    return wins, pairs


def _check_finite(values: Sequence[float]) -> None:
    if not all(map(math.isfinite, values)):
        raise ValueError("values must be finite; leave out what could not be read")
