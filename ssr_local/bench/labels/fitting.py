"""From a verifier's values to the chance that a step is good, tried on problems held out. Pure.

Folds are made of whole problems: steps of one problem share its difficulty and one another's
text, and a curve that has seen one of them knows something of the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

from ssr_local.bench.statistics import bench_library

Curve = Literal["logistic", "isotonic"]
Knots = tuple[tuple[float, float], ...]
"""(value, chance) pairs: values strictly ascending, chances never falling."""

FOLDS = 5
_LOGISTIC_KNOTS = 12
# Losses nearer than this, in nats a step, count as equal: then the smoother curve is taken.
_TIE = 0.001


class Sample(NamedTuple):
    """Values with their labels, and the problem each is of."""

    values: Sequence[float]
    good: Sequence[bool]
    problems: Sequence[str]

    def at(self, indices: Sequence[int]) -> Sample:
        """Those at these indices."""
        return Sample(*([part[index] for index in indices] for part in self))

    def readable(self) -> Sample:
        """Those with a value."""
        return self.at([i for i, value in enumerate(self.values) if not math.isnan(value)])


class Fit(NamedTuple):
    """The curve of the lower cross-validated log loss (nats a step), and its knots."""

    curve: Curve
    losses: dict[Curve, float]
    knots: Knots


def fit_curve(kind: Curve, sample: Sample) -> Knots:
    """The chance that a label is True, given the value: linear between knots, flat outside them.

    A flat curve has one knot: where all values or labels are equal, or higher values go with
    False. The chances of "isotonic" stay off 0 and 1 by as much as a further label could.
    """
    np = bench_library("numpy")
    values, good = np.asarray(sample.values, dtype=float), np.asarray(sample.good, dtype=int)
    flat = ((float(values.min()) if len(values) else 0.0, (good.sum() + 1) / (len(good) + 2)),)
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
    sample = sample.readable()
    losses: dict[Curve, float] = {
        kind: log_loss(cross_validated(sample, partial(fit_curve, kind)), sample)
        for kind in get_args(Curve)
    }
    curve: Curve = "isotonic" if losses["isotonic"] < losses["logistic"] - _TIE else "logistic"
    return Fit(curve, losses, fit_curve(curve, sample))


def cross_validated(sample: Sample, fit: Callable[[Sample], Knots]) -> list[float]:
    """Each value's chance by the curve that ``fit`` makes of the other folds; NaN unread."""
    np = bench_library("numpy")
    chances = np.full(len(sample.values), math.nan)
    for train, held_out in folds_of(sample):
        at, curve = zip(*fit(sample.at(train).readable()), strict=True)
        values = np.asarray(sample.values, dtype=float)[held_out]
        chances[held_out] = np.where(np.isnan(values), math.nan, np.interp(values, at, curve))
    return [float(chance) for chance in chances]


def folds_of(sample: Sample) -> list[tuple[Any, Any]]:
    """The indices outside and inside each fold; with few problems every one is a fold."""
    num = min(FOLDS, len(set(sample.problems)))
    folds = bench_library("sklearn.model_selection").GroupKFold(num)
    return list(folds.split(sample.values, sample.good, sample.problems))


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
