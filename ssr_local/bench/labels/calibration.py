"""From labelled steps to a pair's calibrations: 9 times the chance that a step is good. Pure.

Everything is learned twice: from all steps, for use, and from all problems but a few, to see what
it is worth on those few. The second time repeats every choice (wording, curve,
standardisation), so that its figures flatter nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ssr_local.bench.labels.curves import auc, auc_interval
from ssr_local.bench.labels.fits import (
    HardFit,
    PairFit,
    VerifierFit,
    WordingChoice,
    WordingResult,
    about,
    auc_text,
    documented,
    evidence,
    ratio_text,
)
from ssr_local.bench.labels.judging import (
    MARGIN,
    THRESHOLD,
    JudgedStep,
    LabelNoise,
    judged,
    label_noise,
)
from ssr_local.bench.labels.learning import (
    Choice,
    Learned,
    at_their_word,
    curve_for,
    folds_of,
    held_out,
    learn,
    losses_of,
    mean_loss,
    saving,
)
from ssr_local.bench.labels.readings import fitted_raws, operating, wordings_of
from ssr_local.bench.records import Walk
from ssr_local.bench.statistics import Interval
from ssr_local.core.errors import UsageError
from ssr_local.core.records import Models
from ssr_local.method.verification import MAX_SCORE, VERIFIERS

MIN_STEPS = 10
"""Good steps, and bad steps, that a calibration takes at least."""
MIN_PROBLEMS = 3
"""Problems that either must come from."""


class TooFewStepsError(UsageError):
    """These labelled steps are not enough for a calibration."""


def fit_pair(
    walks: Sequence[Walk],
    *,
    margin: float = MARGIN,
    threshold: float = THRESHOLD,
    folds: int = 5,
    seed: int = 0,
    date: str,
) -> PairFit:
    """The calibrations that the drafted steps of ``walks`` give, cross-validated by problem.

    ``threshold`` is what the operating figures are for. With fewer problems than ``folds`` every
    problem is a fold. Raises ``TooFewStepsError`` when good or bad steps are too few (it says how
    many are missing) or unreadable, and ``UsageError`` when the walks are of several pairs and
    without scipy.
    """
    if folds < 2:
        raise UsageError(f"Cross-validation takes 2 folds or more, not {folds}.")
    check_one_pair(walks)
    steps = judged(walks, margin)
    _check_enough(steps)
    candidates = _candidates(steps)
    learned = learn(steps, candidates, folds, seed)
    parts = folds_of(steps, folds, seed)
    chances, base = held_out(steps, candidates, parts, folds, seed)
    noise = label_noise(steps)
    hard = _hard_fits(steps, candidates, parts, folds, seed)
    fits = tuple(
        _verifier_fit(
            name, learned, chances[name], base, steps, parts, noise, hard[name], threshold
        )
        for name in candidates
    )
    basis = about(walks, steps, margin, noise)
    best_verifier, reason = _best(fits, chances, steps)
    asked = [name for name in learned.choices if VERIFIERS[name].question]
    return PairFit(
        calibrations={
            fit.name: documented(learned.calibrations[fit.name], fit, basis, date) for fit in fits
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
        share_good=sum(one.chance for one in steps) / len(steps),
        num_problems=len({one.problem for one in steps}),
        base_log_loss=mean_loss(losses_of(base, steps)),
        noise=noise,
        left_out=tuple(name for name in VERIFIERS if name not in candidates),
    )


def _candidates(steps: Sequence[JudgedStep]) -> dict[str, tuple[str, ...]]:
    """By verifier: the wordings that enough good and enough bad steps have a value of."""

    def is_enough(name: str, wording: str) -> bool:
        raws = fitted_raws(name, wording, [one.step for one in steps])
        good = [one.good for raw, one in zip(raws, steps, strict=True) if not math.isnan(raw)]
        return min(sum(good), len(good) - sum(good)) >= MIN_STEPS

    found = {
        name: tuple(one for one in wordings_of(verifier) if is_enough(name, one))
        for name, verifier in VERIFIERS.items()
    }
    if not any(found.values()):
        raise TooFewStepsError(
            "No verifier can read these steps.", "They hold no log-probabilities."
        )
    return {name: wordings for name, wordings in found.items() if wordings}


def check_one_pair(walks: Sequence[Walk]) -> None:
    """Raises ``UsageError`` when labelled steps are of several pairs of models.

    Models are told apart by name and SHA-256; a walk that names no draft, or a file without a
    known SHA-256, agrees with all.
    """
    for role in ("draft", "target"):
        known = [model for one in walks if (model := _model(one.models, role)) is not None]
        names = {name for name, _ in known}
        files = {sha256 for _, sha256 in known if sha256}
        if len(names) > 1 or len(files) > 1:
            raise UsageError(
                "These labelled steps are of more than one pair of models.",
                f"Among their {role} models are {' and '.join(sorted(names))}."
                if len(names) > 1
                else f"The {role} model {next(iter(names))} had more than one content.",
                "Give the steps of one pair only.",
            )


def _model(models: Models, role: str) -> tuple[str, str | None] | None:
    found = models.draft if role == "draft" else models.target
    return None if found is None else (found.name, found.sha256)


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


def _hard_fits(
    steps: Sequence[JudgedStep],
    candidates: Mapping[str, tuple[str, ...]],
    parts: Sequence[int],
    folds: int,
    seed: int,
) -> dict[str, HardFit]:
    """The same with labels taken at their word, to be set beside."""
    steps = at_their_word(steps)
    found = learn(steps, candidates, folds, seed).calibrations
    chances, base = held_out(steps, candidates, parts, folds, seed)
    plain = losses_of(base, steps)
    return {
        name: HardFit(
            found[name].knots[0][1],
            found[name].knots[-1][1],
            saving(plain, losses_of(chances[name], steps), steps),
        )
        for name in candidates
    }


def _verifier_fit(
    name: str,
    learned: Learned,
    chances: Sequence[float],
    base: Sequence[float],
    steps: Sequence[JudgedStep],
    parts: Sequence[int],
    noise: LabelNoise | None,
    hard: HardFit,
    threshold: float,
) -> VerifierFit:
    calibration = learned.calibrations[name]
    losses = losses_of(chances, steps)
    value, interval = _ranked(chances, steps, parts)
    # An unreadable step's NaN is at or above nothing, so it counts as rejected.
    accepted = [MAX_SCORE * chance >= threshold for chance in chances]
    fit = VerifierFit(
        name=name,
        wording=calibration.wording,
        curve=curve_for(learned.curves[name]),
        curve_losses=learned.curves[name],
        log_loss=mean_loss(losses),
        gain=saving(losses_of(base, steps), losses, steps),
        auc=value,
        interval=interval,
        auc_without_noise=noise.without_noise(value) if noise else None,
        operating=operating(accepted, [one.good for one in steps], threshold),
        lowest_score=calibration.knots[0][1],
        highest_score=calibration.knots[-1][1],
        num_unreadable=sum(map(math.isnan, chances)),
        at_their_word=hard,
        scores=tuple(None if math.isnan(chance) else MAX_SCORE * chance for chance in chances),
        evidence="",
    )
    return replace(fit, evidence=evidence(fit, calibration, noise))


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
        f" step, and {auc_text(best.auc, best.interval)}."
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
        raws = fitted_raws(name, wording, [one.step for one in steps])
        results.append(WordingResult(wording, loss, *_ranked(raws, steps, None)))
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
            f"{best.wording!r} saves {ratio_text(choice.gain)} nats a step over {first.wording!r}:"
            f" {verdict}"
        )
    apart = chosen.interval is not None and chosen.interval.low > 0.5
    chance = "the interval excludes chance" if apart else "not distinguishable from chance"
    ranking = auc_text(chosen.auc, chosen.interval)
    return WordingChoice(
        verifier=name,
        wording=chosen.wording,
        results=tuple(results),
        gain=choice.gain,
        reason=f"{reason}. {chosen.wording!r} has {ranking}; {chance}.",
    )
