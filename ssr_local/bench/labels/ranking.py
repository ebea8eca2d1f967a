"""How well a number tells good from bad. Pure.

A label is True for what a high value should go with.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ssr_local.bench.statistics import Interval, bench_library, wilson

_RESAMPLES = 1000


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
