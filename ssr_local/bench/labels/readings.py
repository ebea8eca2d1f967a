"""What verifiers read of labelled steps, and what a threshold then does to them. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from msgspec import Struct

from ssr_local.bench.labels.judging import THRESHOLD
from ssr_local.bench.records import LabelledStep
from ssr_local.bench.statistics import Proportion, proportion
from ssr_local.core.records import Calibration
from ssr_local.method.prompts import QUESTIONS
from ssr_local.method.verification import VERIFIERS, Reading, Verifier, reading_of


class Operating(Struct, frozen=True):
    """What a threshold does to the judged steps.

    ``false_accepts`` are of the bad steps, ``false_rejects`` of the good ones. What cannot be
    read is rejected, as in a run.
    """

    threshold: float
    accepted: Proportion
    false_accepts: Proportion
    false_rejects: Proportion


def wordings_of(verifier: Verifier) -> tuple[str, ...]:
    """The candidates for the wording of a verifier's question; one "" where it asks nothing."""
    return tuple(QUESTIONS[verifier.question]) if verifier.question else ("",)


def reading(step: LabelledStep, verifier: Verifier, wording: str) -> Reading:
    """What a run would have of the step under this wording."""
    return reading_of(step, verifier.question, wording)


def raw_values(
    steps: Sequence[LabelledStep],
    verifier: Verifier,
    wording: str,
    calibrations: Mapping[str, Calibration],
) -> list[float]:
    """What the verifier reads of each step; NaN where a run could not read it either."""
    raws = (verifier.raw(reading(step, verifier, wording), calibrations) for step in steps)
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


def fitted_raws(name: str, wording: str, steps: Sequence[LabelledStep]) -> list[float]:
    """What a verifier reads of the steps; ``combined`` is standardised on them."""
    fitted = standardising(steps, wording) if name == "combined" else {}
    return raw_values(steps, VERIFIERS[name], wording, fitted)


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
