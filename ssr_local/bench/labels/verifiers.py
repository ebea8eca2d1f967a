"""What verifiers are worth on labelled steps. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from ssr_local.bench.labels.calibration import TooFewStepsError, fit_pair
from ssr_local.bench.labels.process_labels import (
    MARGIN,
    THRESHOLD,
    JudgedStep,
    is_bad,
    is_final,
    is_judgeable,
    judged,
)
from ssr_local.bench.labels.ranking import Bin, Roc, auc, auc_interval, reliability, roc
from ssr_local.bench.labels.readings import Operating, Sample, operating, raw_values
from ssr_local.bench.records import Walk
from ssr_local.bench.statistics import Interval, Proportion, proportion
from ssr_local.core.records import Calibration
from ssr_local.method.verification import VERIFIERS, Judge, Reading

__all__ = ["MARGIN", "THRESHOLD", "VerifierReport", "VerifierScore", "score_verifiers"]


class ScoreBin(Struct, frozen=True):
    """Steps of neighbouring scores, 0 to 9: their labels, and the mean rate after them."""

    labels: Bin
    rate_after: float


class VerifierScore(Struct, frozen=True, kw_only=True):
    """One verifier on the drafted steps.

    A high raw value speaks for a step. ``num_good`` and ``num_bad`` count steps with a readable
    value; everything but ``operating`` leaves out the ``num_unreadable`` others. ``scores`` are
    the calibrated ones. They and ``operating`` are of calibrations that other problems gave where
    ``is_held_out``, otherwise of the one in force; empty and None where there is none.
    """

    name: str
    num_good: int
    num_bad: int
    num_unreadable: int
    auc: float | None
    interval: Interval | None
    roc: Roc
    scores: tuple[ScoreBin, ...] = ()
    operating: Operating | None = None
    is_held_out: bool = False


class PartScore(Struct, frozen=True):
    """A verifier on a part of the steps."""

    name: str
    auc: float | None
    interval: Interval | None


class Part(Struct, frozen=True):
    """A part of the judged steps: "final" ones, whose answer is judged right or wrong once, or
    "other" ones, after which the target went on."""

    name: str
    bad: Proportion
    scores: tuple[PartScore, ...]


class VerifierReport(Struct, frozen=True, kw_only=True):
    """Verifiers on the labelled steps of ``num_problems`` problems.

    On ``num_failed`` of them the models could not be run. ``num_without_steps`` have no steps,
    mostly because the target solved them too rarely from the start for harm to be seen;
    ``num_unsolved`` it never solved. Of ``num_drafted`` drafted steps ``num_judged`` began where
    harm could be seen. ``baselines`` know only how short a step is ("length"), how early in its
    path ("position"), and the rate of right answers before it ("rate before"). ``target_bad``
    counts bad steps among the target's own, written only where the drafted step did harm, so at
    harder positions. ``is_fitted`` says that a calibration could be fitted to these steps, so that
    operating figures are held out. ``fallback`` is what a run does that has no calibration.
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
    good: Proportion
    draft_bad: Proportion
    target_bad: Proportion
    is_fitted: bool
    verifiers: tuple[VerifierScore, ...]
    baselines: tuple[VerifierScore, ...]
    parts: tuple[Part, ...]
    fallback: Operating | None = None


class _Calibrated(NamedTuple):
    """Scores of all steps, None where unreadable, and what a threshold does to them."""

    scores: Sequence[float | None]
    operating: Operating
    is_held_out: bool


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
    raws = {name: raw_values(name, steps) for name in VERIFIERS}
    held_out = _held_out(walks, margin, threshold)
    calibrated = _in_force(steps, calibrations, threshold) | (held_out or {})
    return VerifierReport(
        margin=margin,
        threshold=threshold,
        samples=tuple(sorted({walk.samples for walk in walks})),
        num_problems=len({walk.key for walk in walks}),
        num_failed=sum(bool(walk.error) for walk in walks),
        num_without_steps=sum(not walk.steps for walk in walks),
        num_unsolved=sum(not walk.start.right and not walk.error for walk in walks),
        num_drafted=sum(step.author == "draft" for walk in walks for step in walk.steps),
        num_judged=len(steps),
        good=_share_of(steps, good=True),
        draft_bad=_share_of(steps, good=False),
        target_bad=_share_of(own, good=False),
        is_fitted=held_out is not None,
        verifiers=tuple(
            _score(name, values, steps, calibrated.get(name)) for name, values in raws.items()
        ),
        baselines=tuple(_score(name, values, steps) for name, values in _baselines(steps).items()),
        parts=tuple(_parts(raws, steps)) if steps else (),
        fallback=None if calibrations is None else _fallback(walks, margin, threshold),
    )


def _share_of(steps: Sequence[JudgedStep], *, good: bool) -> Proportion:
    return proportion(sum(one.good is good for one in steps), len(steps))


def _held_out(
    walks: Sequence[Walk], margin: float, threshold: float
) -> dict[str, _Calibrated] | None:
    """By verifier; None where the steps are too few. "digit" is never fitted in a run."""
    try:
        fit = fit_pair(walks, margin=margin, threshold=threshold, date="")
    except TooFewStepsError:
        return None
    return {
        one.name: _Calibrated(one.scores, one.operating, is_held_out=True)
        for one in fit.verifiers
        if one.name != "digit"
    }


def _in_force(
    steps: Sequence[JudgedStep], calibrations: Mapping[str, Calibration] | None, threshold: float
) -> dict[str, _Calibrated]:
    """What a run now does to the steps, by verifier."""
    found = {}
    for name in VERIFIERS:
        if calibrations is None or (judge := Judge(name, threshold, calibrations)).notice:
            continue
        verdicts = [judge.verdict_on(one.step) for one in steps]
        outcome = operating(
            [verdict.accepted for verdict in verdicts], [one.good for one in steps], threshold
        )
        scores = [verdict.score for verdict in verdicts]
        found[name] = _Calibrated(scores, outcome, is_held_out=False)
    return found


def _baselines(steps: Sequence[JudgedStep]) -> dict[str, list[float]]:
    return {
        "length": [-float(len(one.step.log_probs)) for one in steps],
        "position": [-float(len(one.step.given)) for one in steps],
        "rate before": [one.step.before.share for one in steps],
    }


def _score(
    name: str,
    raws: Sequence[float],
    steps: Sequence[JudgedStep],
    calibrated: _Calibrated | None = None,
) -> VerifierScore:
    values, good, _ = known = Sample.of(raws, steps).readable()
    return VerifierScore(
        name=name,
        num_good=sum(good),
        num_bad=len(good) - sum(good),
        num_unreadable=len(raws) - len(values),
        auc=auc(values, good),
        interval=auc_interval(*known),
        roc=roc(values, good),
        scores=tuple(_score_bins(calibrated.scores, steps)) if calibrated else (),
        operating=calibrated.operating if calibrated else None,
        is_held_out=calibrated is not None and calibrated.is_held_out,
    )


def _score_bins(scores: Sequence[float | None], steps: Sequence[JudgedStep]) -> Iterator[ScoreBin]:
    known = sorted(
        (score, one.good, one.step.after.share)
        for score, one in zip(scores, steps, strict=True)
        if score is not None
    )
    start = 0
    for found in reliability([score for score, *_ in known], [good for _, good, _ in known]):
        rates = [rate for *_, rate in known[start : start + found.count]]
        start += found.count
        yield ScoreBin(found, statistics.fmean(rates))


def _parts(raws: Mapping[str, Sequence[float]], steps: Sequence[JudgedStep]) -> Iterator[Part]:
    for part, wanted in (("final", True), ("other", False)):
        indices = [i for i, one in enumerate(steps) if is_final(one.step) is wanted]
        inside = [steps[i] for i in indices]
        scores = []
        for name, values in raws.items():
            known = Sample.of([values[i] for i in indices], inside).readable()
            scores.append(PartScore(name, auc(known.values, known.good), auc_interval(*known)))
        yield Part(part, _share_of(inside, good=False), tuple(scores))


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
