"""What verifiers are worth on labelled steps. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.bench.labels.calibration import TooFewStepsError, fit_pair
from ssr_local.bench.labels.process_labels import (
    MARGIN,
    THRESHOLD,
    JudgedStep,
    is_bad,
    is_judgeable,
    judged,
)
from ssr_local.bench.labels.ranking import auc, auc_interval
from ssr_local.bench.labels.readings import Operating, Sample, operating
from ssr_local.bench.records import Walk
from ssr_local.bench.statistics import Interval, Proportion, proportion
from ssr_local.core.records import Calibration
from ssr_local.method.verification import VERIFIERS, Judge, Reading


class VerifierScore(Struct, frozen=True, kw_only=True):
    """One verifier on the drafted steps.

    A high raw value speaks for a step. ``num_good`` and ``num_bad`` count steps with a readable
    value; everything but ``operating`` leaves out the ``num_unreadable`` others. ``operating`` is
    of calibrations that other problems gave where ``is_held_out``, otherwise of the one in force;
    None where there is none.
    """

    name: str
    num_good: int
    num_bad: int
    num_unreadable: int
    auc: float | None
    interval: Interval | None
    operating: Operating | None = None
    is_held_out: bool = False


class VerifierReport(Struct, frozen=True, kw_only=True):
    """Verifiers on the labelled steps of ``num_problems`` problems.

    On ``num_failed`` of them the models could not be run. ``num_without_steps`` have no steps,
    mostly because the target solved them too rarely from the start for harm to be seen;
    ``num_unsolved`` it never solved. Of ``num_drafted`` drafted steps ``num_judged`` began where
    harm could be seen. ``target_bad`` counts bad steps among the target's own, written only where
    the drafted step did harm, so at harder positions. ``is_fitted``: a calibration could be
    fitted to these steps, so that operating figures are held out. ``fallback`` is what a run does
    that has no calibration.
    """

    margin: float
    threshold: float
    samples: tuple[int, ...]
    num_problems: int
    num_failed: int
    num_without_steps: int
    num_unsolved: int
    num_drafted: int
    num_judged: int
    draft_bad: Proportion
    target_bad: Proportion
    is_fitted: bool
    verifiers: tuple[VerifierScore, ...]
    fallback: Operating | None = None


def score_verifiers(
    walks: Sequence[Walk],
    *,
    margin: float = MARGIN,
    calibrations: Mapping[str, Calibration] | None = None,
    threshold: float = THRESHOLD,
) -> VerifierReport:
    """Every verifier on the same drafted steps.

    Calibrated figures are held out where the steps are enough for a fit: ``calibrations``, those
    in force, may have been fitted to them. They are used for what is not fitted, and for "digit",
    whose scale is its own. Raises ``UsageError`` without the ``bench`` extra, and when the walks
    are of several pairs.
    """
    steps, own = judged(walks, margin), judged(walks, margin, "target")
    held_out = _held_out(walks, margin, threshold)
    in_force = _in_force(steps, calibrations, threshold)
    return VerifierReport(
        margin=margin,
        threshold=threshold,
        samples=tuple(sorted({walk.samples for walk in walks})),
        num_problems=len({walk.key for walk in walks}),
        num_failed=sum(bool(walk.error) for walk in walks),
        num_without_steps=sum(not walk.steps for walk in walks),
        num_unsolved=sum(not walk.start.right and not walk.error for walk in walks),
        num_drafted=sum(walk.num_drafted for walk in walks),
        num_judged=len(steps),
        draft_bad=_share_of_bad(steps),
        target_bad=_share_of_bad(own),
        is_fitted=held_out is not None,
        verifiers=tuple(
            replace(
                _score(name, steps),
                operating=(held_out or {}).get(name, in_force.get(name)),
                is_held_out=name in (held_out or {}),
            )
            for name in VERIFIERS
        ),
        fallback=None if calibrations is None else _fallback(walks, margin, threshold),
    )


def _share_of_bad(steps: Sequence[JudgedStep]) -> Proportion:
    return proportion(sum(not one.good for one in steps), len(steps))


def _held_out(
    walks: Sequence[Walk], margin: float, threshold: float
) -> dict[str, Operating] | None:
    """By verifier; None where the steps are too few. "digit" is never fitted in a run."""
    try:
        fit = fit_pair(walks, margin=margin, threshold=threshold, date="")
    except TooFewStepsError:
        return None
    return {one.name: one.operating for one in fit.verifiers if one.name != "digit"}


def _in_force(
    steps: Sequence[JudgedStep], calibrations: Mapping[str, Calibration] | None, threshold: float
) -> dict[str, Operating]:
    """What a run now does to the steps, by verifier."""
    found = {}
    for name in VERIFIERS:
        if calibrations is None or (judge := Judge(name, threshold, calibrations)).notice:
            continue
        accepted = [judge.verdict_on(one.step).accepted for one in steps]
        found[name] = operating(accepted, [one.good for one in steps], threshold)
    return found


def _score(name: str, steps: Sequence[JudgedStep]) -> VerifierScore:
    values, good, _ = known = Sample.read(name, steps).readable()
    return VerifierScore(
        name=name,
        num_good=sum(good),
        num_bad=len(good) - sum(good),
        num_unreadable=len(steps) - len(values),
        auc=auc(values, good),
        interval=auc_interval(*known),
    )


def _fallback(walks: Sequence[Walk], margin: float, threshold: float) -> Operating:
    """Each walk is a run of its own: the judge remembers the steps it has seen."""
    accepted, good = [], []
    for walk in walks:
        judge = Judge("likelihood", threshold, {})
        for step in walk.steps:
            if step.author != "draft":
                continue
            verdict = judge.verdict(Reading(tokens=step.log_probs))
            if is_judgeable(step, margin):
                accepted.append(verdict.accepted)
                good.append(not is_bad(step, margin))
    return operating(accepted, good, threshold)
