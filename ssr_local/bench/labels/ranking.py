"""How well a number tells good from bad. Pure.

A label is True for what a high value should go with.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Sequence

from msgspec import Struct

from ssr_local.bench.statistics import Interval, bench_library, proportion, wilson

_RESAMPLES = 1000


class Roc(Struct, frozen=True):
    """``points`` are (threshold, false accept rate, true accept rate), the strictest first.

    What is at or above the threshold is accepted; the first point accepts nothing. No points
    when one class is empty.
    """

    points: tuple[tuple[float, float, float], ...]


class Bin(Struct, frozen=True):
    """Neighbouring values: their mean, the share of good ones, and Wilson's interval of it."""

    mean_value: float
    mean_share: float
    count: int
    low: float
    high: float


def roc(values: Sequence[float], labels: Sequence[bool]) -> Roc:
    """One point for each distinct value, after one that accepts nothing."""
    if len(set(labels)) < 2:
        return Roc(())
    found = bench_library("sklearn.metrics").roc_curve(labels, values, drop_intermediate=False)
    false, true, thresholds = (part.tolist() for part in found)
    thresholds[0] = math.nextafter(max(values), math.inf)
    return Roc(tuple(zip(thresholds, false, true, strict=True)))


def auc(values: Sequence[float], labels: Sequence[bool]) -> float | None:
    """The chance that a good one's value is above a bad one's, ties counting half.

    None when one class is empty.
    """
    if len(set(labels)) < 2:
        return None
    return float(bench_library("sklearn.metrics").roc_auc_score(labels, values))


def auc_interval(
    values: Sequence[float], labels: Sequence[bool], groups: Sequence[Hashable]
) -> Interval | None:
    """The 95 % percentile bootstrap interval of the AUC over groups.

    Steps of one problem are not independent, so whole problems are drawn anew. None unless
    good and bad ones each come from two groups at least: one alone says nothing of others.
    Perfect separation is perfect in every draw; an AUC of 0 or 1 therefore has Wilson's interval
    for as many trials as the rarer label has groups, since the variance of an AUC is at most
    AUC (1 - AUC) over the number of the rarer ones (Birnbaum and Klose 1957).
    """
    pairs = list(zip(groups, labels, strict=True))
    num = min(len({group for group, label in pairs if label == kind}) for kind in (True, False))
    if num < 2:
        return None
    whole = auc(values, labels)
    if whole in (0.0, 1.0):
        return wilson(round(whole * num), num)
    np = bench_library("numpy")
    _, index = np.unique([str(group) for group in groups], return_inverse=True)
    raw, good = np.asarray(values, dtype=float), np.asarray(labels, dtype=bool)
    above = np.sign(raw[good][:, None] - raw[~good][None, :]) / 2 + 0.5
    # What the good ones of each group win against the bad ones of each group, and of how many.
    member = np.eye(index.max() + 1)[index]
    wins = member[good].T @ above @ member[~good]
    possible = np.outer(member[good].sum(axis=0), member[~good].sum(axis=0))
    chances = np.full(len(wins), 1.0 / len(wins))
    drawn = np.random.default_rng(0).multinomial(len(wins), chances, size=_RESAMPLES)
    num_pairs = np.einsum("ri,ij,rj->r", drawn, possible, drawn)
    usable = num_pairs > 0
    shares = np.einsum("ri,ij,rj->r", drawn, wins, drawn)[usable] / num_pairs[usable]
    low, high = np.quantile(shares, (0.025, 0.975))
    return Interval(float(low), float(high))


def reliability(values: Sequence[float], labels: Sequence[bool], bins: int = 8) -> tuple[Bin, ...]:
    """Bins of about equal count by value, ascending; equal values stay together."""
    found: list[Bin] = []
    ordered = sorted(zip(values, labels, strict=True))
    start = 0
    for end in range(1, len(ordered) + 1):
        # Of what is left, so that a large bin of equal values leaves the later ones even.
        full = (end - start) * (bins - len(found)) >= len(ordered) - start
        if full and (end == len(ordered) or ordered[end][0] != ordered[end - 1][0]):
            found.append(_bin(ordered[start:end]))
            start = end
    return tuple(found)


def _bin(pairs: Sequence[tuple[float, bool]]) -> Bin:
    good = proportion(sum(label for _, label in pairs), len(pairs))
    assert good.share is not None
    assert good.interval is not None
    mean = statistics.fmean(value for value, _ in pairs)
    return Bin(mean, good.share, good.num, good.interval.low, good.interval.high)
