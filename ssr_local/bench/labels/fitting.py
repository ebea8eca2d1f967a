"""From a verifier's values to the chance that a step is good, tried on problems held out. Pure.

Folds are made of whole problems: steps of one problem share its difficulty and one another's
text, and a curve that has seen one of them knows something of the others. Only which of the two
kinds of curve it is was decided on all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from ssr_local.bench.labels.readings import Sample
from ssr_local.bench.statistics import bench_library

Curve = Literal["logistic", "isotonic"]
Knots = tuple[tuple[float, float], ...]
"""(value, chance) pairs: values strictly ascending, chances never falling."""

_FOLDS = 5
_LOGISTIC_KNOTS = 12
# Losses nearer than this, in nats a step, count as equal: then the smoother curve is taken.
_TIE = 0.001


class Fit(NamedTuple):
    """The curve of the lower cross-validated log loss (nats a step) through all values.

    ``chances`` has each value's by the curve of that kind through the other folds; NaN unread.
    """

    curve: Curve
    losses: dict[Curve, float]
    knots: Knots
    chances: list[float]


def fit_curve(kind: Curve, sample: Sample) -> Knots:
    """The chance that a label is True, given the value: linear between knots, flat outside them.

    A flat curve has one knot: where all values or labels are equal, or higher values go with
    False. The chances of "isotonic" stay off 0 and 1 by as much as a further label could.
    """
    np = bench_library("numpy")
    values, good = np.asarray(sample.values, dtype=float), np.asarray(sample.good, dtype=int)
    base = (float(good.sum()) + 1) / (len(good) + 2)
    flat = ((float(values.min()) if len(values) else 0.0, base),)
    if len(np.unique(values)) < 2 or len(np.unique(good)) < 2:
        return flat
    if kind == "isotonic":
        edge = 1.0 / (len(values) + 2)
        regression = bench_library("sklearn.isotonic").IsotonicRegression(
            y_min=edge, y_max=1.0 - edge
        )
        fitted = regression.fit(values, good)
        return _knots(fitted.X_thresholds_, fitted.y_thresholds_)
    mean, deviation = values.mean(), values.std()
    regression = bench_library("sklearn.linear_model").LogisticRegression()
    fitted = regression.fit((values[:, None] - mean) / deviation, good)
    if fitted.coef_[0, 0] <= 0:
        return flat
    at = np.unique(np.quantile(values, np.linspace(0.0, 1.0, _LOGISTIC_KNOTS)))
    return _knots(at, fitted.predict_proba((at[:, None] - mean) / deviation)[:, 1])


def fit_best(sample: Sample) -> Fit:
    """The better of both curves through the readable values."""
    chances: dict[Curve, list[float]] = {kind: held_out(kind, sample) for kind in get_args(Curve)}
    losses = {kind: log_loss(found, sample) for kind, found in chances.items()}
    curve: Curve = "isotonic" if losses["isotonic"] < losses["logistic"] - _TIE else "logistic"
    return Fit(curve, losses, fit_curve(curve, sample.readable()), chances[curve])


def held_out(kind: Curve, sample: Sample) -> list[float]:
    """Each value's chance by a curve through the other folds; NaN where it cannot be read."""
    np = bench_library("numpy")
    values, chances = np.asarray(sample.values, dtype=float), np.full(len(sample.values), math.nan)
    folds = bench_library("sklearn.model_selection").GroupKFold(num_folds(sample.problems))
    for train, tested in folds.split(values, groups=sample.problems):
        at, curve = zip(*fit_curve(kind, sample.at(train).readable()), strict=True)
        chances[tested] = np.interp(values[tested], at, curve)
    chances[np.isnan(values)] = math.nan
    return [float(chance) for chance in chances]


def num_folds(problems: Sequence[str]) -> int:
    """With few problems every one is a fold."""
    return min(_FOLDS, len(set(problems)))


def log_loss(chances: Sequence[float], sample: Sample) -> float:
    """The mean log loss of the readable ones, in nats; infinite without any."""
    known = [(c, good) for c, good in zip(chances, sample.good, strict=True) if not math.isnan(c)]
    if not known:
        return math.inf
    chance, good = zip(*known, strict=True)
    metrics = bench_library("sklearn.metrics")
    return float(metrics.log_loss(good, chance, labels=[False, True]))


def _knots(values: Any, chances: Any) -> Knots:
    return tuple(zip(values.tolist(), chances.tolist(), strict=True))
