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

from ssr_local.bench.statistics import Interval, bench_library, wilson

Curve = Literal["logistic", "isotonic"]
Knots = tuple[tuple[float, float], ...]
"""(value, chance) pairs: values strictly ascending, chances never falling."""

_Z = NormalDist().inv_cdf(0.975)
# Knots that would move the curve by less are left out.
_KNOT_ERROR = 0.002
_FURTHER_LABELS = 2.0
_ISOTONIC_ROUNDS = 100
_LEAST = 1e-300
_NEWTON_ROUNDS = 100
_HALVINGS = 30
_SETTLED = 1e-6


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
    Perfect separation is perfect in every draw; an AUC of 0 or 1 therefore has Wilson's interval
    for as many trials as the rarer label has groups, since the variance of an AUC is at most
    AUC (1 - AUC) over the number of the rarer ones (Birnbaum and Klose 1957).
    """
    num = min(
        len({group for group, label in zip(groups, labels, strict=True) if label == kind})
        for kind in (True, False)
    )
    if num < 2:
        return None
    whole = auc(values, labels, strata=strata)
    if whole in (0.0, 1.0):
        return wilson(round(whole * num), num)
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
    kind: Curve,
    values: Sequence[float],
    evidence: Sequence[float],
    *,
    base: float | None = None,
    most: int = 12,
) -> Knots:
    """The chance that a label is True, given the value: at most ``most`` knots, never falling.

    ``evidence`` is 1 for True and 0 for False; anything between is the probability of True from
    noisy samples, had both been equally likely beforehand. The curve is that of maximum likelihood
    for the samples, so noise does not flatten it. ``base`` is the share of True ones to be expected
    of such labels, by default that of the evidence.

    Between knots the curve is linear, outside them flat. "logistic" has a slope of 0 where
    higher values went with False, and two more labels, shared out by ``base`` and spread over all
    values, which keep perfect separation finite; the chances of "isotonic" stay off 0 and 1 by as
    much as a further label could. A constant value gives one knot at ``base``, no values a chance
    of 1/2 everywhere.

    Simulated with 200 steps of four samples from either place, walked from a rate of 0.5, a
    verifier with an AUC of 0.76, and none to 81 % of steps bad in truth: at its upper quartile and
    95th percentile 9 times the logistic chance is on average within 0.4 of 9 times the true one, at
    its lower quartile and 5th percentile within 0.7. A single fit is 0.1 to 0.9 off, 1.4 at the end
    with few steps of the rarer kind; isotonic curves about one and a half times as much. Fitted
    to labels taken at their word, 9 times the chance is 0.7 to 1.2 too low at the 95th percentile,
    2 where true drops crowd around the margin. Fitted by cross-entropy to the probabilities that
    samples alone give (``drop_probabilities``) it is 0.1 to 2 too low there, 3 where they crowd,
    and 0.5 to 2 too high at the 5th: each of those is drawn to the base rate already, which
    flattens the curve.
    """
    _check_finite(values)
    if base is None:
        base = (math.fsum(evidence) + 1) / (len(evidence) + 2)
    distinct = sorted(set(values))
    if len(distinct) < 2:
        return ((distinct[0] if distinct else 0.0, base),)
    fit = _logistic if kind == "logistic" else _isotonic
    return _thinned(distinct, fit(values, evidence, base, distinct), most)


def _logistic(
    values: Sequence[float], evidence: Sequence[float], base: float, at: Sequence[float]
) -> Any:
    np = bench_library("numpy")
    raw = np.asarray(values, dtype=float)
    mean, deviation = raw.mean(), raw.std() or 1.0
    x = np.stack([np.ones(len(raw)), (raw - mean) / deviation])
    found = _maximum(x, np.asarray(evidence, dtype=float), base)
    return _expit(found @ np.stack([np.ones(len(at)), (np.asarray(at) - mean) / deviation]))


def _maximum(x: Any, known: Any, base: float) -> Any:
    """Level and slope of greatest likelihood, by Newton's method with halved steps.

    ``x`` (2, n) has a row of ones. Two parameters do not need a library's minimiser, which costs
    many times as much where thousands of such curves are fitted.
    """
    np = bench_library("numpy")
    further = _FURTHER_LABELS / x.shape[1]

    def loss(parameters: Any) -> Any:
        logits = parameters @ x
        chances = _expit(logits)
        told = np.maximum(chances * known + (1 - chances) * (1 - known), _LEAST)
        return (further * (np.logaddexp(0.0, logits) - base * logits) - np.log(told)).mean()

    found = np.asarray([math.log(base / (1 - base)), 0.0])
    best = loss(found)
    for _ in range(_NEWTON_ROUNDS):
        step = _newton_step(found, x, known, base, further)
        for _ in range(_HALVINGS):
            tried = np.asarray([found[0] + step[0], max(0.0, found[1] + step[1])])
            reached = loss(tried)
            if reached <= best:
                break
            step = step / 2
        else:
            break
        moved = np.abs(tried - found).max()
        found, best = tried, reached
        if moved < _SETTLED:
            break
    return found


def _newton_step(found: Any, x: Any, known: Any, base: float, further: float) -> Any:
    np = bench_library("numpy")
    chances = _expit(found @ x)
    true, false = chances * known, (1 - chances) * (1 - known)
    posterior = true / np.maximum(true + false, _LEAST)
    errors = chances - posterior + further * (chances - base)
    gradient = x @ errors
    spread, unsure = chances * (1 - chances), posterior * (1 - posterior)
    for curvature in ((1 + further) * spread - unsure, (1 + further) * spread):
        (level, mixed), (_, slope) = (x * curvature) @ x.T
        if found[1] == 0.0 and gradient[1] >= 0 and level > 0:
            return np.asarray([-gradient[0] / level, 0.0])  # a falling curve would be better
        determinant = level * slope - mixed**2
        if level > 0 and determinant > 0:
            return (
                np.asarray(
                    [
                        mixed * gradient[1] - slope * gradient[0],
                        mixed * gradient[0] - level * gradient[1],
                    ]
                )
                / determinant
            )
    return -gradient / x.shape[1]


def _expit(logits: Any) -> Any:
    np = bench_library("numpy")
    return np.exp(-np.logaddexp(0.0, -logits))


def _isotonic(
    values: Sequence[float], evidence: Sequence[float], base: float, at: Sequence[float]
) -> Any:
    """Expectation maximisation: what each label is by now, then the best curve through that."""
    np = bench_library("numpy")
    regression = bench_library("scipy.optimize").isotonic_regression
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    known = np.asarray(evidence, dtype=float)
    edge = 1.0 / (len(values) + 2)
    chances = np.full(len(at), base)
    for _ in range(_ISOTONIC_ROUNDS):
        true = chances[where] * known
        told = np.maximum(true + (1 - chances[where]) * (1 - known), _LEAST)
        means = np.bincount(where, weights=true / told) / counts
        found = np.clip(regression(means, weights=counts).x, edge, 1.0 - edge)
        moved = np.abs(found - chances).max()
        chances = found
        if moved < _KNOT_ERROR / 10:
            break
    return chances


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
