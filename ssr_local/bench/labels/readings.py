"""What verifiers read of labelled steps, and what a threshold then does to them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from ssr_local.bench.labels.process_labels import THRESHOLD, JudgedStep
from ssr_local.bench.statistics import Proportion, proportion
from ssr_local.method.verification import VERIFIERS, reading_of


class Operating(Struct, frozen=True):
    """What a threshold does to the judged steps.

    ``false_accepts`` are of the bad steps, ``false_rejects`` of the good ones. What cannot be
    read is rejected, as in a run.
    """

    threshold: float
    accepted: Proportion
    false_accepts: Proportion
    false_rejects: Proportion


def raw_values(name: str, steps: Sequence[JudgedStep]) -> list[float]:
    """What a verifier reads of each step; NaN where a run could not read it either."""
    verifier = VERIFIERS[name]
    raws = (verifier.raw(reading_of(one.step, verifier.question)) for one in steps)
    return [raw if math.isfinite(raw) else math.nan for raw in raws]


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
