"""Learning calibrations from labelled steps, and trying them on problems held out. Pure.

Folds are made of whole problems: steps of one problem share its difficulty and one another's
text, and a curve that has seen one of them knows something of the others. What a step's samples
tell (``JudgedStep.evidence``) rests on all problems, but on nothing that a verifier reads.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

from msgspec.structs import replace

from ssr_local.bench.labels.curves import Curve, Knots, fit_curve
from ssr_local.bench.labels.judging import JudgedStep
from ssr_local.bench.labels.readings import fitted_raws, raw_values, spread
from ssr_local.bench.statistics import Ratio, grouped_folds, grouped_mean, log_losses
from ssr_local.core.records import Calibration
from ssr_local.method.verification import MAX_SCORE, VERIFIERS, interpolate

# Losses nearer than this, in nats a step, count as equal: then the smoother curve is taken.
_TIE = 0.001


class Choice(NamedTuple):
    """A wording, every candidate's cross-validated log loss, and what the best one saves over the
    first (None where that is the first); in nats a step."""

    wording: str
    losses: dict[str, float]
    gain: Ratio | None


class Learned(NamedTuple):
    """By verifier name; ``curves`` are the log losses, in nats a step, that chose between them."""

    calibrations: dict[str, Calibration]
    curves: dict[str, dict[Curve, float]]
    choices: dict[str, Choice]


def learn(
    steps: Sequence[JudgedStep],
    candidates: Mapping[str, tuple[str, ...]],
    folds: int,
    seed: int,
) -> Learned:
    """Wordings, curves and calibrations from these steps; ``candidates`` are the wordings that may
    be chosen, by verifier. Each choice is cross-validated by problem."""
    parts = folds_of(steps, folds, seed)
    choices = {
        name: _choose(name, wordings, steps, parts)
        for name, wordings in candidates.items()
        if VERIFIERS[name].worded_by in ("", name)
    }
    calibrations, curves = {}, {}
    for name in candidates:
        wording = choices[VERIFIERS[name].worded_by or name].wording
        kinds: tuple[Curve, ...] = get_args(Curve)
        losses = {
            kind: mean_loss(losses_of(_crossed(name, wording, kind, steps, parts), steps))
            for kind in kinds
        }
        curves[name] = losses
        calibrations[name] = _calibration(name, wording, curve_for(losses), steps)
    return Learned(calibrations, curves, choices)


def held_out(
    steps: Sequence[JudgedStep],
    candidates: Mapping[str, tuple[str, ...]],
    parts: Sequence[int],
    folds: int,
    seed: int,
) -> tuple[dict[str, list[float]], list[float]]:
    """Each step's chance of being good by verifier, and the base rate, both from other folds alone.

    All that ``learn`` chooses is chosen again for every fold. NaN where a step cannot be read.
    """
    chances = {name: [math.nan] * len(steps) for name in candidates}
    base = [math.nan] * len(steps)
    for others, places in _splits(parts):
        train = [steps[place] for place in others]
        found = learn(train, candidates, folds, seed).calibrations
        tested = [steps[place].step for place in places]
        for name in candidates:
            raws = raw_values(tested, VERIFIERS[name], found[name].wording, found)
            for place, raw in zip(places, raws, strict=True):
                if not math.isnan(raw):
                    chances[name][place] = interpolate(found[name].knots, raw) / MAX_SCORE
        for place in places:
            base[place] = _base(train)
    return chances, base


def curve_for(losses: Mapping[Curve, float]) -> Curve:
    """The curve of the lower log loss; the smoother one when they are equal."""
    return "isotonic" if losses["isotonic"] < losses["logistic"] - _TIE else "logistic"


def folds_of(steps: Sequence[JudgedStep], folds: int, seed: int) -> list[int]:
    """Each step's fold; a problem is in one fold."""
    return grouped_folds([one.problem for one in steps], [one.good for one in steps], folds, seed)


def at_their_word(steps: Sequence[JudgedStep]) -> tuple[JudgedStep, ...]:
    """The steps as if their labels were no samples."""
    return tuple(replace(one, chance=float(one.good), evidence=float(one.good)) for one in steps)


def losses_of(chances: Sequence[float], steps: Sequence[JudgedStep]) -> list[float]:
    """The log loss of each step's samples under its chance of being good, in nats; NaN where
    that is NaN. Only differences mean something."""
    return log_losses(chances, [one.evidence for one in steps])


def saving(
    first: Sequence[float], second: Sequence[float], steps: Sequence[JudgedStep]
) -> Ratio | None:
    """What the second saves over the first, a step, where both are known."""
    saved = [one - other for one, other in zip(first, second, strict=True)]
    return grouped_mean(saved, [one.problem for one in steps])


def mean_loss(values: Iterable[float]) -> float:
    """The mean of what is not NaN; infinite when nothing is known."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.inf


def _choose(
    name: str, wordings: Sequence[str], steps: Sequence[JudgedStep], parts: Sequence[int]
) -> Choice:
    """The first wording, unless another's log loss is lower by more than chance explains."""
    found = {
        wording: losses_of(_crossed(name, wording, "logistic", steps, parts), steps)
        for wording in wordings
    }
    losses = {wording: mean_loss(values) for wording, values in found.items()}
    first, best = wordings[0], min(wordings, key=losses.__getitem__)
    if best == first:
        return Choice(first, losses, None)
    gain = saving(found[first], found[best], steps)
    return Choice(best if gain and gain.low > 0 else first, losses, gain)


def _calibration(name: str, wording: str, curve: Curve, steps: Sequence[JudgedStep]) -> Calibration:
    raws = fitted_raws(name, wording, [one.step for one in steps])
    mean, deviation = spread(raws)
    knots = _curve(curve, [place for place, _ in enumerate(steps)], raws, steps)
    # Finer than a thousandth of a deviation no figure here is known.
    places = 3 - math.floor(math.log10(deviation))
    # Two raw values may become one when rounded; the later, higher chance stands.
    rounded = {_rounded(raw, places): round(MAX_SCORE * chance, 3) for raw, chance in knots}
    return Calibration(
        knots=tuple(rounded.items()),
        mean=_rounded(mean, places),
        deviation=_rounded(deviation, places),
        wording=wording,
    )


def _crossed(
    name: str, wording: str, curve: Curve, steps: Sequence[JudgedStep], parts: Sequence[int]
) -> list[float]:
    """Each step's chance of being good, from a curve fitted on the other folds; NaN unread."""
    chances = [math.nan] * len(steps)
    raws = fitted_raws(name, wording, [one.step for one in steps])
    for train, places in _splits(parts):
        knots = _curve(curve, train, raws, steps)
        for place in places:
            if not math.isnan(raws[place]):
                chances[place] = interpolate(knots, raws[place])
    return chances


def _curve(
    kind: Curve, places: Sequence[int], raws: Sequence[float], steps: Sequence[JudgedStep]
) -> Knots:
    """The curve through the readable ones of these places."""
    known = [place for place in places if not math.isnan(raws[place])]
    return fit_curve(
        kind,
        [raws[place] for place in known],
        [steps[place].evidence for place in known],
        base=_base([steps[place] for place in known]),
    )


def _base(steps: Sequence[JudgedStep]) -> float:
    """The share of good steps in truth, kept off 0 and 1 as by two further labels."""
    return (math.fsum(one.chance for one in steps) + 1) / (len(steps) + 2)


def _splits(parts: Sequence[int]) -> Iterable[tuple[list[int], list[int]]]:
    """For each fold: the places of the steps outside it, and of those inside."""
    for part in sorted(set(parts)):
        yield (
            [place for place, other in enumerate(parts) if other != part],
            [place for place, other in enumerate(parts) if other == part],
        )


def _rounded(value: float, places: int) -> float:
    return round(value, places) + 0.0  # no negative zero
