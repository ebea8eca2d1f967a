"""What verifiers are worth on labelled steps. Pure.

No human labelled them. A step is bad when the target, continuing behind it, comes to the right
answer more rarely than from before it, by more than a margin. That label is noisy: two
rates from six samples each differ by 0.29 (one standard error) at worst where nothing changed.
With ``MARGIN`` a step needs three right continuations fewer of 6, 7 or 8 to be bad: chance alone
does that to 7 % (of 6) or 11 % (of 8) of harmless steps at a rate of one half, against 19 % at a
margin of 0.25 and 6 samples. ``LabelNoise`` says what that comes to in the steps at hand.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from ssr_local.evaluation.labels.curves import Bin, Roc, auc, auc_interval, reliability, roc
from ssr_local.evaluation.records import LabelledStep, Rate, Walk
from ssr_local.evaluation.statistics import (
    Interval,
    Proportion,
    Ratio,
    drop_probabilities,
    grouped_mean,
    proportion,
    spearman,
)
from ssr_local.options import SolveOptions
from ssr_local.prompts import QUESTIONS
from ssr_local.records import Author, Calibration
from ssr_local.verification import VERIFIERS, Judge, Reading, Verifier

MARGIN = 0.35
THRESHOLD = SolveOptions().threshold

# Walks pass over places with a lower share, unless a step shows that these did not.
_WALKED = 0.5
# Rates are fractions of small integers; sums of such floats are not exact.
_EXACT = 1e-9


class JudgedStep(Struct, frozen=True):
    """A step that could have done harm; ``good`` says that it did not.

    ``problem`` is "task/problem": steps of one problem are not independent.
    """

    problem: str
    good: bool
    step: LabelledStep


class Operating(Struct, frozen=True):
    """What a threshold does to the judged steps.

    ``false_accepts`` are of the bad steps, ``false_rejects`` of the good ones. What cannot be
    read is rejected, as in a run.
    """

    threshold: float
    accepted: Proportion
    false_accepts: Proportion
    false_rejects: Proportion


class LabelNoise(Struct, frozen=True, kw_only=True):
    """How far the labels can be trusted, estimated from the samples alone.

    ``mislabelled`` is the expected share of steps whose true effect, over endless
    continuations, is on the other side of the margin; ``of_good`` and ``of_bad`` are that
    share among the steps labelled so. ``error`` is the mean standard error of a step's effect.
    ``retained`` is the part of (AUC - 1/2) that such labels leave of a verifier's true one,
    1 - of_good - of_bad, 0 at least. It holds where mistaken labels have nothing to do
    with the verifier's value; they gather at steps near the margin, where a verifier is in doubt
    too, so (AUC - 1/2) / retained is an upper end and no correction.
    """

    mislabelled: float
    of_good: float
    of_bad: float
    error: float
    retained: float


class VerifierScore(Struct, frozen=True, kw_only=True):
    """One verifier under one wording of its question, on the drafted steps.

    A high raw value speaks for a step. ``num_good`` and ``num_bad`` count steps with a readable
    value; everything but ``operating`` leaves out the ``num_unreadable`` others. ``reliability``
    bins the raw value against the share of good steps, ``rates`` against the rate of right
    answers after the step. ``rank_after`` and ``rank_relative`` are Spearman's correlations
    with that rate, and with it over the rate before. ``operating`` is None where no
    calibration was made for this wording.
    """

    name: str
    wording: str
    num_good: int
    num_bad: int
    num_unreadable: int
    auc: float | None
    interval: Interval | None
    roc: Roc
    reliability: tuple[Bin, ...]
    rates: tuple[Bin, ...]
    rank_after: float | None
    rank_relative: float | None
    operating: Operating | None = None


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

    ``num_without_steps`` of them have no steps, because the target solved them too rarely from the
    start for harm to be seen; ``num_unsolved`` it never solved. Of ``num_drafted`` drafted steps
    ``num_judged`` began where harm could be seen. ``bad_ratio`` is the share of bad ones with
    an interval over problems. ``baselines`` know only how short a step is ("length") and how
    early in its path ("position"); AUC below 1/2 there means that longer or later is better.
    ``target_bad`` counts bad steps among the target's own. Those were only written where the
    drafted step did harm, so among harder places, and places whose rate before was overrated by
    luck; read them beside ``draft_bad`` with that in mind. ``fallback`` is what a run does that
    has no calibration (likelihood relative to its own steps).
    """

    margin: float
    threshold: float
    samples: tuple[int, ...]
    num_problems: int
    num_unsolved: int
    num_drafted: int
    num_judged: int
    good: Proportion
    draft_bad: Proportion
    target_bad: Proportion
    bad_ratio: Ratio | None
    noise: LabelNoise | None
    verifiers: tuple[VerifierScore, ...]
    baselines: tuple[VerifierScore, ...]
    agreement: tuple[Agreement, ...]
    good_length: Lengths
    bad_length: Lengths
    target_length: Lengths
    fallback: Operating | None = None
    num_without_steps: int = 0


def judged(
    walks: Sequence[Walk], margin: float = MARGIN, author: Author = "draft"
) -> tuple[JudgedStep, ...]:
    """The steps of one author that a label can be given to: the rate before is above ``margin``."""
    return tuple(
        JudgedStep(f"{walk.task}/{walk.problem}", not _is_bad(step, margin), step)
        for walk in walks
        for step in walk.steps
        if step.author == author and _is_judgeable(step, margin)
    )


def wordings_of(verifier: Verifier) -> tuple[str, ...]:
    """The candidates for the wording of a verifier's question; one "" where it asks nothing."""
    return tuple(QUESTIONS[verifier.question]) if verifier.question else ("",)


def raw_values(
    steps: Sequence[LabelledStep],
    verifier: Verifier,
    wording: str,
    calibrations: Mapping[str, Calibration],
) -> list[float]:
    """What the verifier reads of each step; NaN where a run could not read it either."""
    raws = (verifier.raw(_reading(step, verifier, wording), calibrations) for step in steps)
    return [raw if math.isfinite(raw) else math.nan for raw in raws]


def spread(raws: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of the readable values; 0 and 1 where there are none, and a
    deviation of 1 where they are all the same."""
    known = [raw for raw in raws if not math.isnan(raw)]
    if not known:
        return 0.0, 1.0
    return statistics.fmean(known), statistics.pstdev(known) or 1.0


def standardising(steps: Sequence[LabelledStep], wording: str) -> dict[str, Calibration]:
    """What ``combined`` standardises by, fitted on these steps; ``wording`` is that of yes-no."""
    found = {}
    for name, asked in (("yes-no", wording), ("likelihood", "")):
        mean, deviation = spread(raw_values(steps, VERIFIERS[name], asked, {}))
        found[name] = Calibration(knots=(), mean=mean, deviation=deviation, wording=asked)
    return found


def operating(
    accepted: Sequence[bool], good: Sequence[bool], threshold: float = THRESHOLD
) -> Operating:
    """The accepts and rejects of steps whose labels are known."""
    pairs = list(zip(accepted, good, strict=True))
    num_good = sum(good)
    return Operating(
        threshold,
        proportion(sum(accepted), len(pairs)),
        proportion(sum(taken and not fine for taken, fine in pairs), len(pairs) - num_good),
        proportion(sum(fine and not taken for taken, fine in pairs), num_good),
    )


def score_verifiers(
    walks: Sequence[Walk],
    *,
    margin: float = MARGIN,
    calibrations: Mapping[str, Calibration] | None = None,
    threshold: float = THRESHOLD,
) -> VerifierReport:
    """Every verifier under every wording of its question, on the same drafted steps.

    ``combined`` is standardised on these very steps; its ``operating`` uses ``calibrations``.
    Without calibrations there is no ``operating``. Raises ``UsageError`` without scipy.
    """
    steps = judged(walks, margin)
    own = judged(walks, margin, "target")
    drafted = [step for walk in walks for step in walk.steps if step.author == "draft"]
    num_bad = sum(not one.good for one in steps)
    return VerifierReport(
        margin=margin,
        threshold=threshold,
        samples=tuple(sorted({walk.samples for walk in walks})),
        num_problems=len({walk.key for walk in walks}),
        num_unsolved=sum(not walk.start.right for walk in walks),
        num_drafted=len(drafted),
        num_judged=len(steps),
        good=proportion(len(steps) - num_bad, len(steps)),
        draft_bad=proportion(num_bad, len(steps)),
        target_bad=proportion(sum(not one.good for one in own), len(own)),
        bad_ratio=grouped_mean([not one.good for one in steps], [one.problem for one in steps]),
        noise=label_noise(drafted, margin),
        verifiers=tuple(_scores(steps, calibrations, threshold)),
        baselines=(
            _score("length", "", [-float(len(one.step.log_probs)) for one in steps], steps),
            _score("position", "", [-float(len(one.step.given)) for one in steps], steps),
        ),
        agreement=tuple(_agreements(steps)),
        good_length=_lengths([one for one in steps if one.good]),
        bad_length=_lengths([one for one in steps if not one.good]),
        target_length=_lengths(own),
        num_without_steps=sum(not walk.steps for walk in walks),
        fallback=None if calibrations is None else _fallback(walks, margin, threshold),
    )


def label_noise(drafted: Sequence[LabelledStep], margin: float = MARGIN) -> LabelNoise | None:
    """The noise in the judged steps' labels; None unless some are good and some bad.

    The distribution of rates is fitted to all drafted steps given, judged or not. That walks go on
    only from places that did well in their samples is allowed for.
    """
    known = [step for step in drafted if step.before.num and step.after.num]
    chances = drop_probabilities(
        [(step.before.right, step.before.num) for step in known],
        [(step.after.right, step.after.num) for step in known],
        [_is_certain(step) for step in known],
        margin,
        least=min([_WALKED, *(step.before.share for step in known)]),
    )
    pairs = [(s, c) for s, c in zip(known, chances, strict=True) if _is_judgeable(s, margin)]
    wrong_good = [chance for step, chance in pairs if not _is_bad(step, margin)]
    wrong_bad = [1.0 - chance for step, chance in pairs if _is_bad(step, margin)]
    if not wrong_good or not wrong_bad:
        return None
    of_good, of_bad = statistics.fmean(wrong_good), statistics.fmean(wrong_bad)
    return LabelNoise(
        mislabelled=statistics.fmean([*wrong_good, *wrong_bad]),
        of_good=of_good,
        of_bad=of_bad,
        error=statistics.fmean(_error(step) for step, _ in pairs),
        retained=max(0.0, 1.0 - of_good - of_bad),
    )


def _is_judgeable(step: LabelledStep, margin: float) -> bool:
    return bool(step.before.num and step.after.num) and step.before.share > margin + _EXACT


def _is_bad(step: LabelledStep, margin: float) -> bool:
    return step.effect < -margin - _EXACT


def _is_certain(step: LabelledStep) -> bool:
    """Whether the path ended with the step: its rate after it is no sample."""
    return step.after.num == 1 < step.before.num


def _error(step: LabelledStep) -> float:
    """The standard error of the effect, each rate moved a little from 0 and 1 first."""

    def variance(rate: Rate) -> float:
        share = (rate.right + 1) / (rate.num + 2)
        return share * (1 - share) / rate.num

    after = 0.0 if _is_certain(step) else variance(step.after)
    return math.sqrt(variance(step.before) + after)


def _reading(step: LabelledStep, verifier: Verifier, wording: str) -> Reading:
    probe = step.probes.get(f"{verifier.question}/{wording}") if verifier.question else None
    return Reading(probe=probe, tokens=step.log_probs)


def _scores(
    steps: Sequence[JudgedStep], calibrations: Mapping[str, Calibration] | None, threshold: float
) -> Iterator[VerifierScore]:
    plain = [one.step for one in steps]
    for name, verifier in VERIFIERS.items():
        judge = None if calibrations is None else Judge(name, threshold, calibrations)
        for wording in wordings_of(verifier):
            fitted = standardising(plain, wording) if name == "combined" else {}
            raws = raw_values(plain, verifier, wording, fitted)
            outcome = None
            if judge is not None and not judge.notice and judge.wording == wording:
                verdicts = [judge.verdict(_reading(step, verifier, wording)) for step in plain]
                outcome = operating(
                    [verdict.accepted for verdict in verdicts],
                    [one.good for one in steps],
                    threshold,
                )
            yield _score(name, wording, raws, steps, outcome)


def _score(
    name: str,
    wording: str,
    raws: Sequence[float],
    steps: Sequence[JudgedStep],
    outcome: Operating | None = None,
) -> VerifierScore:
    pairs = [(raw, one) for raw, one in zip(raws, steps, strict=True) if not math.isnan(raw)]
    values = [raw for raw, _ in pairs]
    good = [one.good for _, one in pairs]
    after = [one.step.after.share for _, one in pairs]
    relative = [one.step.after.share / one.step.before.share for _, one in pairs]
    return VerifierScore(
        name=name,
        wording=wording,
        num_good=sum(good),
        num_bad=len(good) - sum(good),
        num_unreadable=len(raws) - len(pairs),
        auc=auc(values, good),
        interval=auc_interval(values, good, [one.problem for _, one in pairs]),
        roc=roc(values, good),
        reliability=reliability(values, [float(label) for label in good]),
        rates=reliability(values, after),
        rank_after=spearman(values, after),
        rank_relative=spearman(values, relative),
        operating=outcome,
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
            if _is_judgeable(step, margin):
                accepted.append(verdict.accepted)
                good.append(not _is_bad(step, margin))
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
