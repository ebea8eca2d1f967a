"""What verifiers read of labelled steps, and what a threshold then does to them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

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


class Sample(NamedTuple):
    """Values of steps, NaN unread, with their labels and problems."""

    values: Sequence[float]
    good: Sequence[bool]
    problems: Sequence[str]

    @classmethod
    def read(cls, name: str, steps: Sequence[JudgedStep]) -> Sample:
        """What a verifier reads of each step; NaN where a run could not read it either."""
        verifier = VERIFIERS[name]
        raws = (verifier.raw(reading_of(one.step, verifier.question)) for one in steps)
        values = [raw if math.isfinite(raw) else math.nan for raw in raws]
        return cls(values, [one.good for one in steps], [one.problem for one in steps])

    def at(self, indices: Sequence[int]) -> Sample:
        """Those at these indices."""
        return Sample(
            [self.values[i] for i in indices],
            [self.good[i] for i in indices],
            [self.problems[i] for i in indices],
        )

    def readable(self) -> Sample:
        """Those with a value."""
        return self.at([i for i, value in enumerate(self.values) if not math.isnan(value)])


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
