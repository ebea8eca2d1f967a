"""Which steps are called good or bad, and how far that can be trusted. Pure.

No human labelled them. A step is bad when the target, continuing behind it, comes to the right
answer more rarely than from before it, by more than a margin. That label is a sample: the standard
error of a step's effect is up to 0.35 with four continuations from either place, 0.29 with six.
With ``MARGIN`` a bad step has lost two right ones of 4, or three of 6, 7 or 8. Chance alone does
that to harmless steps as well, the more as walks go on only from places with half of their
continuations right, which are partly lucky ones (regression to the mean):

    true rate, before and after     0.5     0.6     0.7     0.8     0.9
    called bad, of 4 continuations  21 %    17 %    13 %    9 %     4 %
    of 6                            11 %    8 %     6 %     3 %     1 %
    of 8                            16 %    12 %    9 %     6 %     2 %

Without that selection it is 14, 7 and 10 % at a rate of 0.5. So labels taken at their word put a
ceiling on every score; ``chance`` and ``evidence`` say what a step's samples really tell.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from msgspec import Struct

from ssr_local.bench.records import LabelledStep, Rate, Walk
from ssr_local.bench.statistics import drop_probabilities
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import Author

MARGIN = 0.35
THRESHOLD = SolveOptions().threshold

# Walks pass over places with a lower share, unless a step shows that these did not.
_WALKED = 0.5
# Rates are fractions of small integers; sums of such floats are not exact.
_EXACT = 1e-9


class JudgedStep(Struct, frozen=True):
    """A step that could have done harm; ``good`` says that in its samples it did not.

    ``problem`` is "task/problem": steps of one problem are not independent. ``chance`` is the
    probability that the step is good in truth, that is over endless continuations, given its
    samples and how steps are in general. ``evidence`` is that probability had good and bad been
    equally likely beforehand, 1/2 where the samples tell nothing; it is what a curve is fitted to.
    """

    problem: str
    good: bool
    step: LabelledStep
    chance: float
    evidence: float


class LabelNoise(Struct, frozen=True, kw_only=True):
    """How far the labels can be trusted, estimated from the samples alone.

    ``mislabelled`` is the expected share of steps whose true effect, over endless
    continuations, is on the other side of the margin; ``of_good`` and ``of_bad`` are that
    share among the steps labelled so. ``harmless_called_bad`` is of the steps that are good in
    truth, ``harmful_called_good`` of the bad ones. ``error`` is the mean standard error of a
    step's effect. ``retained`` is the part of (AUC - 1/2) that such labels leave of a verifier's
    true one, 1 - of_good - of_bad, 0 at least. It holds where mistaken labels have nothing to do
    with the verifier's value; they gather at steps near the margin, where a verifier is in doubt
    too, so ``without_noise`` is an upper end rather than an estimate.
    """

    mislabelled: float
    of_good: float
    of_bad: float
    harmless_called_bad: float
    harmful_called_good: float
    error: float
    retained: float

    @property
    def highest_share(self) -> float:
        """The share of good labels among steps that are all good in truth."""
        return 1.0 - self.harmless_called_bad

    @property
    def highest_auc(self) -> float:
        """The AUC, on these labels, of a verifier that knows the truth."""
        return 0.5 + self.retained / 2

    def without_noise(self, auc: float | None) -> float | None:
        """The AUC on true labels at most; None where these leave nothing to tell it by."""
        if auc is None or self.retained < _EXACT:
            return None
        return min(1.0, max(0.0, 0.5 + (auc - 0.5) / self.retained))


def judged(
    walks: Sequence[Walk], margin: float = MARGIN, author: Author = "draft"
) -> tuple[JudgedStep, ...]:
    """The steps of one author that a label can be given to: the rate before is above ``margin``.

    The distribution of rates is fitted to all steps of that author, judged or not. That walks go
    on only from places that did well in their samples is allowed for.
    """
    known = [
        (f"{walk.task}/{walk.problem}", step)
        for walk in walks
        for step in walk.steps
        if step.author == author and step.before.num and step.after.num
    ]
    chances = _chances([step for _, step in known], margin)
    found = [
        (problem, step, chance)
        for (problem, step), chance in zip(known, chances, strict=True)
        if is_judgeable(step, margin)
    ]
    edge = 1.0 / (len(found) + 2)
    mean = statistics.fmean([chance for *_, chance in found]) if found else 0.5
    share = min(1.0 - edge, max(edge, mean))
    return tuple(
        JudgedStep(problem, not is_bad(step, margin), step, chance, _evidence(chance, share))
        for problem, step, chance in found
    )


def label_noise(steps: Sequence[JudgedStep]) -> LabelNoise | None:
    """The noise in these labels; None unless some are good and some bad."""
    wrong_good = [1.0 - one.chance for one in steps if one.good]
    wrong_bad = [one.chance for one in steps if not one.good]
    if not wrong_good or not wrong_bad:
        return None
    of_good, of_bad = statistics.fmean(wrong_good), statistics.fmean(wrong_bad)
    harmless = math.fsum(one.chance for one in steps)
    harmful = len(steps) - harmless
    return LabelNoise(
        mislabelled=statistics.fmean([*wrong_good, *wrong_bad]),
        of_good=of_good,
        of_bad=of_bad,
        harmless_called_bad=math.fsum(wrong_bad) / harmless if harmless else 0.0,
        harmful_called_good=math.fsum(wrong_good) / harmful if harmful else 0.0,
        error=statistics.fmean(_error(one.step) for one in steps),
        retained=max(0.0, 1.0 - of_good - of_bad),
    )


def is_judgeable(step: LabelledStep, margin: float) -> bool:
    """Whether harm could be seen: the rate before is above the margin, the one after is known."""
    return bool(step.before.num and step.after.num) and step.before.share > margin + _EXACT


def is_bad(step: LabelledStep, margin: float) -> bool:
    """Whether the rate fell by more than the margin, in the samples."""
    return step.effect < -margin - _EXACT


def is_final(step: LabelledStep) -> bool:
    """Whether its path ended with the step: its answer is judged, nothing is continued."""
    return step.states_answer or _is_certain(step)


def _chances(steps: Sequence[LabelledStep], margin: float) -> list[float]:
    """For each step the probability that it is good in truth."""
    drops = drop_probabilities(
        [(step.before.right, step.before.num) for step in steps],
        [(step.after.right, step.after.num) for step in steps],
        [_is_certain(step) for step in steps],
        margin,
        least=min([_WALKED, *(step.before.share for step in steps)]),
    )
    return [min(1.0, max(0.0, 1.0 - drop)) for drop in drops]


def _evidence(chance: float, share: float) -> float:
    good, bad = chance * (1.0 - share), (1.0 - chance) * share
    return good / (good + bad)


def _is_certain(step: LabelledStep) -> bool:
    """Whether the rate after the step is no sample."""
    return step.after.num == 1 < step.before.num


def _error(step: LabelledStep) -> float:
    """The standard error of the effect, each rate moved a little from 0 and 1 first."""

    def variance(rate: Rate) -> float:
        share = (rate.right + 1) / (rate.num + 2)
        return share * (1 - share) / rate.num

    after = 0.0 if _is_certain(step) else variance(step.after)
    return math.sqrt(variance(step.before) + after)
