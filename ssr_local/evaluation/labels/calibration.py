"""From labelled steps to a pair's calibrations: 9 times the chance that a step is good. Pure.

Everything is learned twice: from all steps, for use, and from all problems but a few, to see what
it is worth on those few. The second time repeats every choice (wording, curve,
standardisation), so that its figures flatter nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import tomlkit
from msgspec import Struct
from msgspec.structs import replace

from ssr_local.errors import UsageError
from ssr_local.evaluation.labels.curves import Curve, auc, auc_interval
from ssr_local.evaluation.labels.learning import (
    Choice,
    Learned,
    curve_for,
    fitted_raws,
    folds_of,
    held_out,
    learn,
    losses_of,
    mean_loss,
    saving,
)
from ssr_local.evaluation.labels.verifiers import (
    MARGIN,
    THRESHOLD,
    JudgedStep,
    LabelNoise,
    Operating,
    judged,
    label_noise,
    operating,
    wordings_of,
)
from ssr_local.evaluation.records import Walk
from ssr_local.evaluation.statistics import Interval, Proportion, Ratio
from ssr_local.records import Calibration
from ssr_local.verification import MAX_SCORE, VERIFIERS

MIN_STEPS = 10
"""Good steps, and bad steps, that a calibration takes at least."""
MIN_PROBLEMS = 3
"""Problems that either must come from."""


class WordingResult(Struct, frozen=True):
    """One wording: cross-validated log loss in nats a step, and the AUC of its raw value."""

    wording: str
    log_loss: float
    auc: float | None
    interval: Interval | None


class WordingChoice(Struct, frozen=True):
    """Which wording a verifier's question gets, and why.

    ``gain`` is the mean log loss, in nats a step, that the best wording saves over the first;
    None where the first is the best. The results are from the steps that decided, so the best
    one's are somewhat flattered; a ``VerifierFit``'s are not.
    """

    verifier: str
    wording: str
    results: tuple[WordingResult, ...]
    gain: Ratio | None
    reason: str


class VerifierFit(Struct, frozen=True, kw_only=True):
    """What a verifier's calibration is worth on problems it was not learned from.

    Log losses are in nats a step; ``gain`` is what the verifier saves over knowing the base
    rate alone, and ``curve_losses`` decided between the curves. The AUC compares steps of one
    fold, since two folds' curves differ a little. ``lowest_score`` and ``highest_score`` are
    those the final calibration can give.
    """

    name: str
    wording: str
    curve: Curve
    curve_losses: dict[Curve, float]
    log_loss: float
    gain: Ratio | None
    auc: float | None
    interval: Interval | None
    operating: Operating
    lowest_score: float
    highest_score: float
    num_unreadable: int
    evidence: str

    @property
    def is_reachable(self) -> bool:
        """Whether any step can be accepted at the default threshold."""
        return self.highest_score >= THRESHOLD


class PairFit(Struct, frozen=True, kw_only=True):
    """A pair's calibrations with the evidence for them.

    ``base_log_loss`` is that of always giving the share of good steps among the other folds.
    ``left_out`` names verifiers without enough readable steps.
    """

    calibrations: dict[str, Calibration]
    verifiers: tuple[VerifierFit, ...]
    wordings: tuple[WordingChoice, ...]
    best_verifier: str
    reason: str
    margin: float
    folds: int
    seed: int
    date: str
    num_steps: int
    num_bad: int
    num_problems: int
    base_log_loss: float
    noise: LabelNoise | None
    left_out: tuple[str, ...]


def fit_pair(
    walks: Sequence[Walk],
    *,
    margin: float = MARGIN,
    folds: int = 5,
    seed: int = 0,
    date: str,
) -> PairFit:
    """The calibrations that the drafted steps of ``walks`` give, cross-validated by problem.

    With fewer problems than ``folds`` every problem is a fold. Raises ``UsageError`` when the
    walks are of several pairs, when good or bad steps are too few (it says how many are
    missing), and without scipy.
    """
    if folds < 2:
        raise UsageError(f"Cross-validation takes 2 folds or more, not {folds}.")
    _check_one_pair(walks)
    steps = judged(walks, margin)
    _check_enough(steps)
    candidates = _candidates(steps)
    learned = learn(steps, candidates, folds, seed)
    parts = folds_of(steps, folds, seed)
    chances, base = held_out(steps, candidates, parts, folds, seed)
    fits = tuple(
        _verifier_fit(name, learned, chances[name], base, steps, parts) for name in candidates
    )
    about = _about(walks, steps, margin)
    best_verifier, reason = _best(fits, chances, steps)
    asked = [name for name in learned.choices if VERIFIERS[name].question]
    return PairFit(
        calibrations={
            fit.name: _documented(learned.calibrations[fit.name], fit, about, date) for fit in fits
        },
        verifiers=fits,
        wordings=tuple(_explained(name, learned.choices[name], steps) for name in asked),
        best_verifier=best_verifier,
        reason=reason,
        margin=margin,
        folds=len(set(parts)),
        seed=seed,
        date=date,
        num_steps=len(steps),
        num_bad=sum(not one.good for one in steps),
        num_problems=len({one.problem for one in steps}),
        base_log_loss=mean_loss(losses_of(base, steps)),
        noise=label_noise([s for w in walks for s in w.steps if s.author == "draft"], margin),
        left_out=tuple(name for name in VERIFIERS if name not in candidates),
    )


def calibration_toml(pair: str, fit: PairFit) -> str:
    """The calibrations as models.toml has them, to stand behind ``[pairs.<pair>]``."""
    blocks = []
    for name, calibration in fit.calibrations.items():
        header = ".".join(
            tomlkit.key(part).as_string() for part in ("pairs", pair, "calibrations", name)
        )
        lines = [f"[{header}]"]
        for field in ("mean", "deviation", "knots", "auc", "samples", "date", "wording", "note"):
            value = getattr(calibration, field)
            if value not in (None, ""):
                lines.append(f"{field} = {tomlkit.item(value).as_string()}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _candidates(steps: Sequence[JudgedStep]) -> dict[str, tuple[str, ...]]:
    """By verifier: the wordings that enough good and enough bad steps have a value of."""

    def is_enough(name: str, wording: str) -> bool:
        raws = fitted_raws(name, wording, steps)
        good = [one.good for raw, one in zip(raws, steps, strict=True) if not math.isnan(raw)]
        return min(sum(good), len(good) - sum(good)) >= MIN_STEPS

    found = {
        name: tuple(one for one in wordings_of(verifier) if is_enough(name, one))
        for name, verifier in VERIFIERS.items()
    }
    if not any(found.values()):
        raise UsageError("No verifier can read these steps.", "They hold no log-probabilities.")
    return {name: wordings for name, wordings in found.items() if wordings}


def _check_one_pair(walks: Sequence[Walk]) -> None:
    pairs = {
        tuple(
            model and (model.name, model.sha256) for model in (one.models.draft, one.models.target)
        )
        for one in walks
    }
    if len(pairs) > 1:
        raise UsageError(
            "These labelled steps are of more than one pair of models.",
            "A calibration holds for one pair.",
            "Give the steps of one pair only.",
        )


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
        raise UsageError(
            f"Too few labelled steps for a calibration: {' and '.join(found)}.",
            f"It takes {MIN_STEPS} of either, from {MIN_PROBLEMS} problems.",
            f"Collect about {missing} more labelled steps: ssr-local bench steps",
        )


def _missing(count: int, least: int, num: int) -> int:
    """How many more trials bring ``count`` of ``num`` to ``least``, if they go on as before."""
    if count >= least:
        return 0
    return math.ceil((least - count) * (num + 1) / (count + 0.5))


def _ranked(
    values: Sequence[float], steps: Sequence[JudgedStep], parts: Sequence[int] | None
) -> tuple[float | None, Interval | None]:
    """The AUC and its interval; within the folds ``parts`` where they are given."""
    places = [place for place, value in enumerate(values) if not math.isnan(value)]
    known = [values[place] for place in places]
    good = [steps[place].good for place in places]
    strata = None if parts is None else [parts[place] for place in places]
    groups = [steps[place].problem for place in places]
    return auc(known, good, strata=strata), auc_interval(known, good, groups, strata=strata)


def _verifier_fit(
    name: str,
    learned: Learned,
    chances: Sequence[float],
    base: Sequence[float],
    steps: Sequence[JudgedStep],
    parts: Sequence[int],
) -> VerifierFit:
    calibration = learned.calibrations[name]
    losses = losses_of(chances, steps)
    value, interval = _ranked(chances, steps, parts)
    # An unreadable step's NaN is at or above nothing, so it counts as rejected.
    accepted = [MAX_SCORE * chance >= THRESHOLD for chance in chances]
    fit = VerifierFit(
        name=name,
        wording=calibration.wording,
        curve=curve_for(learned.curves[name]),
        curve_losses=learned.curves[name],
        log_loss=mean_loss(losses),
        gain=saving(losses_of(base, steps), losses, steps),
        auc=value,
        interval=interval,
        operating=operating(accepted, [one.good for one in steps]),
        lowest_score=calibration.knots[0][1],
        highest_score=calibration.knots[-1][1],
        num_unreadable=sum(map(math.isnan, chances)),
        evidence="",
    )
    return replace(fit, evidence=_evidence(fit, calibration))


def _evidence(fit: VerifierFit, calibration: Calibration) -> str:
    at = fit.operating
    found = (
        f"{_auc_text(fit.auc, fit.interval)}; {_reach(calibration)}. On problems held out, a"
        f" threshold of {at.threshold:g} takes {_percent(at.accepted)} of the steps and"
        f" {_percent(at.false_accepts)} of the bad ones, and rejects"
        f" {_percent(at.false_rejects)} of the good ones."
    )
    if fit.gain is not None:
        found += f" It saves {_spread(fit.gain)} nats a step over the base rate."
    if fit.num_unreadable:
        found += f" {fit.num_unreadable} steps could not be read, which counts as rejected."
    return found


def _reach(calibration: Calibration) -> str:
    """Where the calibration reaches the default threshold, in words."""
    knots = calibration.knots
    (lowest, low), (_, high) = knots[0], knots[-1]
    if len(knots) == 1:
        found = f"the raw value is {lowest:.4g} for every step and tells nothing, the score {low:g}"
    elif high < THRESHOLD:
        found = f"the score never reaches {THRESHOLD:g}, its highest is {high:.2f}"
    elif low >= THRESHOLD:
        found = f"the score is never below {THRESHOLD:g}, its lowest is {low:.2f}"
    else:
        raw = next(
            a + (b - a) * (THRESHOLD - x) / (y - x)
            for (a, x), (b, y) in itertools.pairwise(knots)
            if x < THRESHOLD <= y
        )
        return f"a score of {THRESHOLD:g} is reached at a raw value of {raw:.4g}"
    outcome = "rejected" if high < THRESHOLD else "accepted"
    return f"{found}: at a threshold of {THRESHOLD:g} every step is {outcome}"


def _best(
    fits: Sequence[VerifierFit],
    chances: Mapping[str, Sequence[float]],
    steps: Sequence[JudgedStep],
) -> tuple[str, str]:
    """The verifier with the lowest log loss on problems held out, and why it is that one."""
    ranked = sorted(fits, key=lambda fit: (round(fit.log_loss, 3), -(fit.auc or 0.0)))
    best = ranked[0]
    own = losses_of(chances[best.name], steps)
    close = []
    for other in ranked[1:]:
        gain = saving(losses_of(chances[other.name], steps), own, steps)
        if gain is None or gain.low <= 0:
            close.append(other.name)
    reason = (
        f"{best.name} has the lowest log loss on problems held out, {best.log_loss:.3f} nats a"
        f" step, and {_auc_text(best.auc, best.interval)}."
    )
    if close:
        reason += f" Within chance of it: {', '.join(close)}."
    if best.gain is None or best.gain.low <= 0:
        reason += " Not even it is better than the base rate alone beyond chance."
    if best.lowest_score >= THRESHOLD or not best.is_reachable:
        outcome = "accepts" if best.is_reachable else "rejects"
        reason += f" At the default threshold it {outcome} every step."
    return best.name, reason


def _explained(name: str, choice: Choice, steps: Sequence[JudgedStep]) -> WordingChoice:
    results = []
    for wording, loss in choice.losses.items():
        results.append(
            WordingResult(wording, loss, *_ranked(fitted_raws(name, wording, steps), steps, None))
        )
    first, best = results[0], min(results, key=lambda result: result.log_loss)
    chosen = next(result for result in results if result.wording == choice.wording)
    if choice.gain is None:
        reason = f"{first.wording!r} has the lowest log loss, {first.log_loss:.3f} nats a step"
    else:
        verdict = (
            "more than chance explains"
            if chosen is best
            else f"within chance, so the first, {first.wording!r}, stays"
        )
        reason = (
            f"{best.wording!r} saves {_spread(choice.gain)} nats a step over {first.wording!r}:"
            f" {verdict}"
        )
    apart = chosen.interval is not None and chosen.interval.low > 0.5
    chance = "the interval excludes chance" if apart else "not distinguishable from chance"
    ranking = _auc_text(chosen.auc, chosen.interval)
    return WordingChoice(
        verifier=name,
        wording=chosen.wording,
        results=tuple(results),
        gain=choice.gain,
        reason=f"{reason}. {chosen.wording!r} has {ranking}; {chance}.",
    )


def _documented(calibration: Calibration, fit: VerifierFit, about: str, date: str) -> Calibration:
    note = f"{about}; {_auc_text(fit.auc, fit.interval)} on problems held out; {fit.curve}"
    return replace(
        calibration,
        auc=None if fit.auc is None else round(fit.auc, 3),
        samples=fit.operating.accepted.num - fit.num_unreadable,
        date=date,
        note=f"{note}; {_reach(calibration)}",
    )


def _about(walks: Sequence[Walk], steps: Sequence[JudgedStep], margin: float) -> str:
    """What the steps are, for notes."""
    tasks = sorted({walk.task for walk in walks})
    samples = " or ".join(str(num) for num in sorted({walk.samples for walk in walks}))
    num_bad = sum(not one.good for one in steps)
    return (
        f"{len(steps)} drafted steps of {len({one.problem for one in steps})} problems"
        f" ({', '.join(tasks)}), {100 * num_bad / len(steps):.0f} % bad (of {samples}"
        f" continuations by the target, the share that came out right fell by more than {margin:g})"
    )


def _auc_text(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "no AUC"
    return f"AUC {value:.2f}" + (f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else "")


def _spread(ratio: Ratio) -> str:
    value, low, high = (round(x, 3) + 0.0 for x in (ratio.value, ratio.low, ratio.high))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _percent(found: Proportion) -> str:
    if found.share is None or found.interval is None:
        return "none"
    low, high = found.interval.low, found.interval.high
    return f"{100 * found.share:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
