"""What a fit of a pair's calibrations comes to: its figures, and the same in words. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import tomlkit
from msgspec import Struct
from msgspec.structs import replace

from ssr_local.bench.labels.curves import Curve
from ssr_local.bench.labels.judging import THRESHOLD, JudgedStep, LabelNoise
from ssr_local.bench.labels.readings import Operating
from ssr_local.bench.records import Walk
from ssr_local.bench.statistics import Interval, Proportion, Ratio
from ssr_local.core.records import Calibration
from ssr_local.method.verification import MAX_SCORE


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


class HardFit(Struct, frozen=True):
    """A calibration fitted to labels taken at their word; ``gain`` is in nats of cross-entropy."""

    lowest_score: float
    highest_score: float
    gain: Ratio | None


class VerifierFit(Struct, frozen=True, kw_only=True):
    """What a verifier's calibration is worth on problems it was not learned from.

    Log losses are in nats a step, of what the step's samples tell; only differences mean
    something. ``gain`` is what the verifier saves over knowing the base rate alone, and
    ``curve_losses`` decided between the curves. The AUC is on labels as they are and compares
    steps of one fold, since two folds' curves differ a little; ``auc_without_noise`` is an upper
    end (``LabelNoise``). ``lowest_score`` and ``highest_score`` are those the final calibration
    can give. ``at_their_word`` is a fit to the labels as if they were no samples. ``scores`` are
    those of all steps, each from the other folds' calibration; None where it cannot be read.
    """

    name: str
    wording: str
    curve: Curve
    curve_losses: dict[Curve, float]
    log_loss: float
    gain: Ratio | None
    auc: float | None
    interval: Interval | None
    auc_without_noise: float | None
    operating: Operating
    lowest_score: float
    highest_score: float
    num_unreadable: int
    at_their_word: HardFit
    scores: tuple[float | None, ...]
    evidence: str

    @property
    def is_reachable(self) -> bool:
        """Whether any step can be accepted at the default threshold."""
        return self.highest_score >= THRESHOLD


class PairFit(Struct, frozen=True, kw_only=True):
    """A pair's calibrations with the evidence for them.

    ``base_log_loss`` is that of always giving the share of good steps among the other folds,
    ``num_bad`` counts labels, and ``share_good`` is what of the steps is good in truth, estimated.
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
    share_good: float
    num_problems: int
    base_log_loss: float
    noise: LabelNoise | None
    left_out: tuple[str, ...]


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


def noise_text(noise: LabelNoise, share_good: float) -> str:
    """What the labels' noise is, and what it does to figures that take them at their word."""
    return (
        f"Noise: {_whole(noise.of_good)} of the good labels and {_whole(noise.of_bad)} of the bad"
        f" ones are expected to be wrong; {_whole(share_good)} of the steps are good in truth, so"
        " it is estimated."
        f" A harmless step is called bad with a chance of {_whole(noise.harmless_called_bad)}, a"
        f" harmful one good with {_whole(noise.harmful_called_good)}: scores fitted to the labels"
        f" as they are would keep between {MAX_SCORE * noise.harmful_called_good:.1f} and"
        f" {MAX_SCORE * noise.highest_share:.1f}, and a verifier that knows the truth would"
        f" have an AUC of {noise.highest_auc:.2f} on them. The calibrations allow for the noise;"
        " AUC, false accepts and false rejects are on the labels as they are."
    )


def evidence(fit: VerifierFit, calibration: Calibration, noise: LabelNoise | None) -> str:
    """One verifier's fit in words."""
    at = fit.operating
    found = (
        f"{auc_text(fit.auc, fit.interval)}; {_reach(calibration)}. On problems held out, a"
        f" threshold of {at.threshold:g} takes {_percent(at.accepted)} of the steps and"
        f" {_percent(at.false_accepts)} of the bad ones, and rejects"
        f" {_percent(at.false_rejects)} of the good ones."
    )
    if fit.gain is not None:
        found += f" It saves {ratio_text(fit.gain)} nats a step over the base rate."
    found += f" {_noise_allowed_for(fit, noise)}"
    if fit.num_unreadable:
        found += f" {fit.num_unreadable} steps could not be read, which counts as rejected."
    return found


def _noise_allowed_for(fit: VerifierFit, noise: LabelNoise | None) -> str:
    hard = fit.at_their_word
    found = (
        f"The labels' noise is allowed for in its scores, from {fit.lowest_score:.2f} to"
        f" {fit.highest_score:.2f}; with the labels taken at their word they would go from"
        f" {hard.lowest_score:.2f} to {hard.highest_score:.2f}"
    )
    if hard.gain is not None:
        found += f" and save {ratio_text(hard.gain)} nats of cross-entropy"
    if noise is not None:
        found += (
            f". {_whole(noise.of_good)} of good and {_whole(noise.of_bad)} of bad labels are"
            " expected to be wrong"
        )
        if fit.auc_without_noise is not None and fit.auc_without_noise > 0.5:
            found += f"; without that its AUC would be {fit.auc_without_noise:.2f} at most"
    return found + "."


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


def documented(calibration: Calibration, fit: VerifierFit, about: str, date: str) -> Calibration:
    """The calibration with what it rests on."""
    note = f"{about}; {auc_text(fit.auc, fit.interval)} on problems held out; {fit.curve}"
    return replace(
        calibration,
        auc=None if fit.auc is None else round(fit.auc, 3),
        samples=fit.operating.accepted.num - fit.num_unreadable,
        date=date,
        note=f"{note}; {_reach(calibration)}",
    )


def about(
    walks: Sequence[Walk], steps: Sequence[JudgedStep], margin: float, noise: LabelNoise | None
) -> str:
    """What the steps are, for notes."""
    tasks = sorted({walk.task for walk in walks})
    samples = " or ".join(str(num) for num in sorted({walk.samples for walk in walks}))
    num_bad = sum(not one.good for one in steps)
    wrong = "" if noise is None else f"; {_whole(noise.mislabelled)} of labels wrong, allowed for"
    return (
        f"{len(steps)} drafted steps of {len({one.problem for one in steps})} problems"
        f" ({', '.join(tasks)}), {100 * num_bad / len(steps):.0f} % bad (of {samples}"
        " continuations by the target, the share that came out right fell by more than"
        f" {margin:g}{wrong})"
    )


def auc_text(value: float | None, interval: Interval | None) -> str:
    """An AUC with its interval."""
    if value is None:
        return "no AUC"
    return f"AUC {value:.2f}" + (f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else "")


def ratio_text(ratio: Ratio) -> str:
    """A ratio with its interval, in thousandths."""
    value, low, high = (round(x, 3) + 0.0 for x in (ratio.value, ratio.low, ratio.high))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def _percent(found: Proportion) -> str:
    if found.share is None or found.interval is None:
        return "none"
    low, high = found.interval.low, found.interval.high
    return f"{100 * found.share:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
