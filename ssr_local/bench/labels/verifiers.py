"""What verifiers are worth on labelled steps. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from ssr_local.bench.labels.calibration import TooFewStepsError, fit_pair
from ssr_local.bench.labels.curves import Bin, Roc, auc, auc_interval, reliability, roc
from ssr_local.bench.labels.fits import PairFit
from ssr_local.bench.labels.judging import (
    MARGIN,
    THRESHOLD,
    JudgedStep,
    LabelNoise,
    is_bad,
    is_final,
    is_judgeable,
    judged,
    label_noise,
)
from ssr_local.bench.labels.readings import (
    Operating,
    fitted_raws,
    operating,
    raw_values,
    reading,
    wordings_of,
)
from ssr_local.bench.records import Walk
from ssr_local.bench.statistics import (
    Interval,
    Proportion,
    Ratio,
    grouped_mean,
    proportion,
    share_behind,
    spearman,
)
from ssr_local.core.records import Calibration
from ssr_local.method.verification import VERIFIERS, Judge, Reading

__all__ = ["MARGIN", "THRESHOLD", "VerifierReport", "VerifierScore", "score_verifiers"]


class ScoreBin(Struct, frozen=True):
    """Steps of neighbouring scores, 0 to 9.

    ``labels`` has their mean score, their share of good labels and its interval; ``true_share``
    is the share of good steps with the labels' noise allowed for, itself uncertain;
    ``rate_after`` is the mean rate of right answers behind the steps.
    """

    labels: Bin
    true_share: float
    rate_after: float


class VerifierScore(Struct, frozen=True, kw_only=True):
    """One verifier under one wording of its question, on the drafted steps.

    A high raw value speaks for a step. ``num_good`` and ``num_bad`` count steps with a readable
    value; everything but ``operating`` leaves out the ``num_unreadable`` others.
    ``auc_without_noise`` is an upper end (``LabelNoise``). ``reliability`` bins the raw value
    against the share of good steps, ``rates`` against the rate of right answers after the step.
    ``rank_after`` and ``rank_relative`` are Spearman's correlations with that rate, and with it
    over the rate before. ``scores`` are the calibrated ones. They and ``operating`` are of
    calibrations that other problems gave where ``is_held_out``, otherwise of the one in force;
    empty and None where neither was made for this wording.
    """

    name: str
    wording: str
    num_good: int
    num_bad: int
    num_unreadable: int
    auc: float | None
    interval: Interval | None
    auc_without_noise: float | None
    roc: Roc
    reliability: tuple[Bin, ...]
    rates: tuple[Bin, ...]
    rank_after: float | None
    rank_relative: float | None
    scores: tuple[ScoreBin, ...] = ()
    operating: Operating | None = None
    is_held_out: bool = False


class PartScore(Struct, frozen=True):
    """A verifier under its main wording: the fitted one, else the one in force, else the first."""

    name: str
    wording: str
    auc: float | None
    interval: Interval | None


class Part(Struct, frozen=True):
    """A part of the judged steps: "final" ones, whose answer is judged right or wrong once, or
    "other" ones, behind which the target went on."""

    name: str
    bad: Proportion
    scores: tuple[PartScore, ...]


class Lengths(Struct, frozen=True):
    """Tokens of ``num`` steps."""

    num: int
    mean: float | None
    median: float | None


class Agreement(Struct, frozen=True):
    """Spearman's correlation of yes-no under one wording with the likelihood."""

    wording: str
    correlation: float | None


class VerifierReport(Struct, frozen=True, kw_only=True):
    """Verifiers on the labelled steps of ``num_problems`` problems.

    On ``num_failed`` of them the models could not be run. ``num_without_steps`` have no steps,
    mostly because the target solved them too rarely from the start for harm to be seen;
    ``num_unsolved`` it never solved. Of ``num_drafted`` drafted steps
    ``num_judged`` began where harm could be seen. ``bad_ratio`` is the share of bad ones with
    an interval over problems. ``baselines`` know only how short a step is ("length"), how
    early in its path ("position"), and the rate of right answers before it ("rate before"); AUC
    below 1/2 there means that longer, later or from a lower rate is better.
    ``target_bad`` counts bad steps among the target's own. Those were only written where the
    drafted step did harm, so among harder places, and places whose rate before was overrated by
    luck; read them beside ``draft_bad`` with that in mind. ``is_fitted`` says that a calibration
    could be fitted to these steps, so that operating figures are held out. ``fallback`` is what a
    run does that has no calibration (likelihood relative to its own steps).
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
    bad_ratio: Ratio | None
    noise: LabelNoise | None
    is_fitted: bool
    verifiers: tuple[VerifierScore, ...]
    baselines: tuple[VerifierScore, ...]
    parts: tuple[Part, ...]
    agreement: tuple[Agreement, ...]
    good_length: Lengths
    bad_length: Lengths
    target_length: Lengths
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
    """Every verifier under every wording of its question, on the same drafted steps.

    ``combined`` is standardised on these very steps. Calibrated figures are held out where the
    steps are enough for a fit: ``calibrations``, those in force, may have been fitted to them.
    They are used for what is not fitted, and for "digit", whose scale is its own. Raises
    ``UsageError`` without scipy, and when the walks are of several pairs.
    """
    steps, own = judged(walks, margin), judged(walks, margin, "target")
    drafted = [step for walk in walks for step in walk.steps if step.author == "draft"]
    num_bad = sum(not one.good for one in steps)
    noise = label_noise(steps)
    fit = _fitted(walks, margin, threshold)
    calibrated = _in_force(steps, calibrations, threshold) | _held_out(fit)
    return VerifierReport(
        margin=margin,
        threshold=threshold,
        samples=tuple(sorted({walk.samples for walk in walks})),
        num_problems=len({walk.key for walk in walks}),
        num_failed=sum(bool(walk.error) for walk in walks),
        num_without_steps=sum(not walk.steps for walk in walks),
        num_unsolved=sum(not walk.start.right and not walk.error for walk in walks),
        num_drafted=len(drafted),
        num_judged=len(steps),
        good=proportion(len(steps) - num_bad, len(steps)),
        draft_bad=proportion(num_bad, len(steps)),
        target_bad=proportion(sum(not one.good for one in own), len(own)),
        bad_ratio=grouped_mean([not one.good for one in steps], [one.problem for one in steps]),
        noise=noise,
        is_fitted=fit is not None,
        verifiers=tuple(
            _score(
                name,
                wording,
                fitted_raws(name, wording, [one.step for one in steps]),
                steps,
                noise,
                calibrated.get((name, wording)),
            )
            for name, verifier in VERIFIERS.items()
            for wording in wordings_of(verifier)
        ),
        baselines=tuple(
            _score(name, "", values, steps, noise) for name, values in _baselines(steps).items()
        ),
        parts=_parts(steps, calibrated) if steps else (),
        agreement=tuple(_agreements(steps)),
        good_length=_lengths([one for one in steps if one.good]),
        bad_length=_lengths([one for one in steps if not one.good]),
        target_length=_lengths(own),
        fallback=None if calibrations is None else _fallback(walks, margin, threshold),
    )


def _fitted(walks: Sequence[Walk], margin: float, threshold: float) -> PairFit | None:
    try:
        return fit_pair(walks, margin=margin, threshold=threshold, date="")
    except TooFewStepsError:
        return None


def _held_out(fit: PairFit | None) -> dict[tuple[str, str], _Calibrated]:
    """By verifier and wording. "digit" is never fitted in a run."""
    return {
        (one.name, one.wording): _Calibrated(one.scores, one.operating, is_held_out=True)
        for one in (fit.verifiers if fit else ())
        if one.name != "digit"
    }


def _in_force(
    steps: Sequence[JudgedStep], calibrations: Mapping[str, Calibration] | None, threshold: float
) -> dict[tuple[str, str], _Calibrated]:
    """What a run now does to the steps, by verifier and wording."""
    found = {}
    for name, verifier in VERIFIERS.items():
        if calibrations is None or (judge := Judge(name, threshold, calibrations)).notice:
            continue
        verdicts = [judge.verdict(reading(one.step, verifier, judge.wording)) for one in steps]
        outcome = operating(
            [verdict.accepted for verdict in verdicts], [one.good for one in steps], threshold
        )
        scores = [verdict.score for verdict in verdicts]
        found[name, judge.wording] = _Calibrated(scores, outcome, is_held_out=False)
    return found


def _baselines(steps: Sequence[JudgedStep]) -> dict[str, list[float]]:
    return {
        "length": [-float(len(one.step.log_probs)) for one in steps],
        "position": [-float(len(one.step.given)) for one in steps],
        "rate before": [one.step.before.share for one in steps],
    }


def _score(
    name: str,
    wording: str,
    raws: Sequence[float],
    steps: Sequence[JudgedStep],
    noise: LabelNoise | None,
    calibrated: _Calibrated | None = None,
) -> VerifierScore:
    pairs = [(raw, one) for raw, one in zip(raws, steps, strict=True) if not math.isnan(raw)]
    values = [raw for raw, _ in pairs]
    good = [one.good for _, one in pairs]
    after = [one.step.after.share for _, one in pairs]
    relative = [one.step.after.share / one.step.before.share for _, one in pairs]
    found = auc(values, good)
    return VerifierScore(
        name=name,
        wording=wording,
        num_good=sum(good),
        num_bad=len(good) - sum(good),
        num_unreadable=len(raws) - len(pairs),
        auc=found,
        interval=auc_interval(values, good, [one.problem for _, one in pairs]),
        auc_without_noise=noise.without_noise(found) if noise else None,
        roc=roc(values, good),
        reliability=reliability(values, [float(label) for label in good]),
        rates=reliability(values, after),
        rank_after=spearman(values, after),
        rank_relative=spearman(values, relative),
        scores=tuple(_score_bins(calibrated.scores, steps)) if calibrated else (),
        operating=calibrated.operating if calibrated else None,
        is_held_out=calibrated is not None and calibrated.is_held_out,
    )


def _score_bins(scores: Sequence[float | None], steps: Sequence[JudgedStep]) -> Iterator[ScoreBin]:
    known = sorted(
        ((score, one) for score, one in zip(scores, steps, strict=True) if score is not None),
        key=lambda pair: pair[0],
    )
    place = 0
    for found in reliability([score for score, _ in known], [float(o.good) for _, o in known]):
        inside = [one for _, one in known[place : place + found.count]]
        place += found.count
        # The evidence alone may hardly say anything; then what is known beforehand stands.
        start = (math.fsum(one.chance for one in steps) + 1) / (len(steps) + 2)
        share = share_behind([one.evidence for one in inside], start)
        rate = statistics.fmean(one.step.after.share for one in inside)
        yield ScoreBin(found, found.mean_share if share is None else share, rate)


def _parts(
    steps: Sequence[JudgedStep], calibrated: Mapping[tuple[str, str], _Calibrated]
) -> tuple[Part, ...]:
    plain = [one.step for one in steps]
    places = {
        "final": [place for place, step in enumerate(plain) if is_final(step)],
        "other": [place for place, step in enumerate(plain) if not is_final(step)],
    }
    raws = {}
    for name, verifier in VERIFIERS.items():
        made = [(one.is_held_out, key[1]) for key, one in calibrated.items() if key[0] == name]
        wording = max(made)[1] if made else wordings_of(verifier)[0]
        raws[name, wording] = fitted_raws(name, wording, plain)
    return tuple(
        Part(
            part,
            proportion(sum(not steps[place].good for place in inside), len(inside)),
            tuple(
                _part_score(key, [values[place] for place in inside], [steps[p] for p in inside])
                for key, values in raws.items()
            ),
        )
        for part, inside in places.items()
    )


def _part_score(
    key: tuple[str, str], raws: Sequence[float], steps: Sequence[JudgedStep]
) -> PartScore:
    pairs = [(raw, one) for raw, one in zip(raws, steps, strict=True) if not math.isnan(raw)]
    values, good = [raw for raw, _ in pairs], [one.good for _, one in pairs]
    groups = [one.problem for _, one in pairs]
    return PartScore(*key, auc(values, good), auc_interval(values, good, groups))


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


def _agreements(steps: Sequence[JudgedStep]) -> Iterator[Agreement]:
    plain = [one.step for one in steps]
    likelihoods = raw_values(plain, VERIFIERS["likelihood"], "", {})
    yes_no = VERIFIERS["yes-no"]
    for wording in wordings_of(yes_no):
        yield Agreement(wording, spearman(raw_values(plain, yes_no, wording, {}), likelihoods))


def _lengths(steps: Sequence[JudgedStep]) -> Lengths:
    tokens = [len(one.step.log_probs) for one in steps]
    if not tokens:
        return Lengths(0, None, None)
    return Lengths(len(tokens), statistics.fmean(tokens), float(statistics.median(tokens)))
