"""From labelled steps to a pair's calibrations: 9 times the chance that a step is good. Pure.

Everything is learned twice: from all steps, for use, and from all problems but a few, to see what
it is worth on those few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tomlkit
from msgspec import Struct
from msgspec.structs import asdict

from ssr_local.bench.labels.fitting import Curve, Fit, fit_best, num_folds
from ssr_local.bench.labels.process_labels import MARGIN, THRESHOLD, JudgedStep, judged
from ssr_local.bench.labels.ranking import auc, auc_interval
from ssr_local.bench.labels.readings import Operating, Sample, operating
from ssr_local.bench.records import Walk
from ssr_local.bench.statistics import Interval
from ssr_local.core.errors import UsageError
from ssr_local.core.records import Calibration
from ssr_local.method.verification import MAX_SCORE, VERIFIERS

MIN_STEPS = 10
"""Good steps, and bad steps, that a calibration takes at least."""
MIN_PROBLEMS = 3
"""Problems that either must come from."""


class TooFewStepsError(UsageError):
    """These labelled steps are not enough for a calibration."""


class VerifierFit(Struct, frozen=True, kw_only=True):
    """What a verifier's calibration is worth on problems it was not learned from.

    ``curve_losses``, log losses in nats a step, decided between the curves; ``log_loss`` is that
    of the held-out scores. The AUC is that of the raw value, from which nothing is learned.
    ``lowest_score`` and ``highest_score`` are those the calibration can give.
    """

    name: str
    curve: Curve
    curve_losses: dict[Curve, float]
    log_loss: float
    auc: float | None
    interval: Interval | None
    operating: Operating
    lowest_score: float
    highest_score: float
    num_unreadable: int


class PairFit(Struct, frozen=True, kw_only=True):
    """A pair's calibrations with the evidence for them.

    ``best_verifier`` has the lowest log loss on problems held out. ``left_out`` names verifiers
    without enough readable steps.
    """

    calibrations: dict[str, Calibration]
    verifiers: tuple[VerifierFit, ...]
    best_verifier: str
    margin: float
    folds: int
    date: str
    num_steps: int
    num_bad: int
    num_problems: int
    left_out: tuple[str, ...]


def fit_pair(
    walks: Sequence[Walk], *, margin: float = MARGIN, threshold: float = THRESHOLD, date: str
) -> PairFit:
    """The calibrations that the drafted steps of ``walks`` give, cross-validated by problem.

    ``threshold`` is what the operating figures are for. Raises ``TooFewStepsError`` when good or
    bad steps are too few (it says how many are missing) or unreadable, and ``UsageError`` when the
    walks are of several pairs and without the ``bench`` extra.
    """
    _check_one_pair(walks)
    steps = judged(walks, margin)
    _check_enough(steps)
    samples = {name: Sample.read(name, steps) for name in VERIFIERS}
    samples = {name: one for name, one in samples.items() if _is_enough(one)}
    if not samples:
        raise TooFewStepsError(
            "No verifier can read these steps.", "They hold no log-probabilities."
        )
    fits = {name: fit_best(sample) for name, sample in samples.items()}
    verifiers = tuple(
        _verifier_fit(name, fits[name], sample, threshold) for name, sample in samples.items()
    )
    basis = _basis(walks, steps, margin)
    return PairFit(
        calibrations={
            one.name: _calibration(fits[one.name], one, basis, date) for one in verifiers
        },
        verifiers=verifiers,
        best_verifier=min(verifiers, key=lambda one: one.log_loss).name,
        margin=margin,
        folds=num_folds([one.problem for one in steps]),
        date=date,
        num_steps=len(steps),
        num_bad=sum(not one.good for one in steps),
        num_problems=len({one.problem for one in steps}),
        left_out=tuple(name for name in VERIFIERS if name not in samples),
    )


def calibration_toml(pair: str, fit: PairFit) -> str:
    """The calibrations as models.toml has them, to stand after ``[pairs.<pair>]``."""
    known = {
        name: {field: value for field, value in asdict(one).items() if value not in (None, "")}
        for name, one in fit.calibrations.items()
    }
    return tomlkit.dumps({"pairs": {pair: {"calibrations": known}}})


def _check_one_pair(walks: Sequence[Walk]) -> None:
    """Raises ``UsageError`` when labelled steps are of several pairs of models.

    Models are told apart by name and SHA-256; a walk that names no draft, or a file without a
    known SHA-256, agrees with all.
    """
    for role in ("draft", "target"):
        known = [model for one in walks if (model := getattr(one.models, role))]
        names = {model.name for model in known}
        files = {model.sha256 for model in known} - {None}
        if len(names) > 1 or len(files) > 1:
            raise UsageError(
                "These labelled steps are of more than one pair of models.",
                f"Among their {role} models are {' and '.join(sorted(names))}."
                if len(names) > 1
                else f"The {role} model {next(iter(names))} had more than one content.",
                "Give the steps of one pair only.",
            )


def _is_enough(sample: Sample) -> bool:
    good = sample.readable().good
    return min(sum(good), len(good) - sum(good)) >= MIN_STEPS


def _check_enough(steps: Sequence[JudgedStep]) -> None:
    """Raises unless both classes have enough steps from enough problems."""
    num_problems = len({one.problem for one in steps})
    missing, found = 0, []
    for good, name in ((True, "good"), (False, "bad")):
        mine = [one for one in steps if one.good is good]
        problems = len({one.problem for one in mine})
        found.append(f"{len(mine)} {name} ones of {problems} problems")
        by_steps = _missing(len(mine), MIN_STEPS, len(steps))
        by_problems = _missing(problems, MIN_PROBLEMS, num_problems)
        each = len(steps) / num_problems if num_problems else 1.0
        missing = max(missing, by_steps, math.ceil(by_problems * each))
    if missing:
        raise TooFewStepsError(
            f"Too few labelled steps for a calibration: {' and '.join(found)}.",
            f"It takes {MIN_STEPS} of either, from {MIN_PROBLEMS} problems.",
            f"Collect about {missing} more labelled steps: ssr-local bench steps",
        )


def _missing(count: int, least: int, num: int) -> int:
    """How many more trials bring ``count`` of ``num`` to ``least``, if they go on as before."""
    if count >= least:
        return 0
    return math.ceil((least - count) * (num + 1) / (count + 0.5))


def _verifier_fit(name: str, fit: Fit, sample: Sample, threshold: float) -> VerifierFit:
    known = sample.readable()
    # An unreadable step's NaN is at or above nothing, so it counts as rejected.
    accepted = [MAX_SCORE * chance >= threshold for chance in fit.chances]
    return VerifierFit(
        name=name,
        curve=fit.curve,
        curve_losses=fit.losses,
        log_loss=fit.losses[fit.curve],
        auc=auc(known.values, known.good),
        interval=auc_interval(*known),
        operating=operating(accepted, sample.good, threshold),
        lowest_score=MAX_SCORE * fit.knots[0][1],
        highest_score=MAX_SCORE * fit.knots[-1][1],
        num_unreadable=sum(map(math.isnan, fit.chances)),
    )


def _calibration(fit: Fit, found: VerifierFit, basis: str, date: str) -> Calibration:
    # Two raw values may become one when rounded; the later, higher chance stands.
    knots = {
        round(raw, 4) + 0.0: round(MAX_SCORE * chance, 3)  # no negative zero
        for raw, chance in fit.knots
    }
    return Calibration(
        knots=tuple(knots.items()),
        auc=None if found.auc is None else round(found.auc, 3),
        samples=found.operating.accepted.num - found.num_unreadable,
        date=date,
        note=f"{basis}; {_figures(found)}",
    )


def _basis(walks: Sequence[Walk], steps: Sequence[JudgedStep], margin: float) -> str:
    """What the steps are, for notes."""
    tasks = sorted({walk.task for walk in walks})
    samples = " or ".join(str(num) for num in sorted({walk.samples for walk in walks}))
    num_bad = sum(not one.good for one in steps)
    return (
        f"{len(steps)} drafted steps of {len({one.problem for one in steps})} problems"
        f" ({', '.join(tasks)}), {100 * num_bad / len(steps):.0f} % bad (of {samples} rollouts by"
        f" the target, the share that was right fell by more than {margin:g})"
    )


def _figures(fit: VerifierFit) -> str:
    at = fit.operating
    found = "no AUC" if fit.auc is None else f"AUC {fit.auc:.2f}"
    if fit.interval:
        found += f" [{fit.interval.low:.2f}, {fit.interval.high:.2f}]"
    found += (
        f"; on problems held out a threshold of {at.threshold:g} accepts"
        f" {_percent(at.false_accepts.share)} of the bad steps and rejects"
        f" {_percent(at.false_rejects.share)} of the good ones; {fit.curve}, scores from"
        f" {fit.lowest_score:.2f} to {fit.highest_score:.2f}"
    )
    if fit.num_unreadable:
        found += f"; {fit.num_unreadable} steps could not be read, which counts as rejected"
    return found


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.0f} %"
