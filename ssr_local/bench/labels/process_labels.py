"""Process labels: which steps are called good or bad. Pure.

No human gave them. A step is bad when fewer of the target's Monte-Carlo rollouts after it are
right than of those before it, by more than a margin. That is a sample: the standard error of a
step's effect is up to 0.35 with four rollouts on either side, 0.29 with six, and where only
positions with half of their rollouts right are gone on from, those are partly lucky ones
(regression to the mean). So chance alone calls some harmless steps bad:

    true rate, before and after     0.5     0.6     0.7     0.8     0.9
    called bad, of 4 rollouts       21 %    17 %    13 %    9 %     4 %
    of 6                            11 %    8 %     6 %     3 %     1 %
    of 8                            16 %    12 %    9 %     6 %     2 %
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ssr_local.bench.records import LabelledStep, Rate, Walk
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import ModelRole

MARGIN = 0.35
THRESHOLD = SolveOptions().threshold


class JudgedStep(Struct, frozen=True):
    """A step that could have done harm; ``good`` says that in its samples it did not.

    ``problem`` is "task/problem": steps of one problem are not independent.
    """

    problem: str
    good: bool
    step: LabelledStep


def judged(
    walks: Sequence[Walk], margin: float = MARGIN, author: ModelRole = "draft"
) -> tuple[JudgedStep, ...]:
    """The steps of one author that a label can be given to: the rate before is above ``margin``."""
    return tuple(
        JudgedStep(f"{walk.task}/{walk.problem}", not is_bad(step, margin), step)
        for walk in walks
        for step in walk.steps
        if step.author == author and is_judgeable(step, margin)
    )


def is_judgeable(step: LabelledStep, margin: float) -> bool:
    """Whether harm could be seen: the rate before is above the margin, the one after is known."""
    return bool(step.before.num and step.after.num) and step.before.exceeds(Rate(0, 1), margin)


def is_bad(step: LabelledStep, margin: float) -> bool:
    """Whether the rate fell by more than the margin, in the samples."""
    return step.before.exceeds(step.after, margin)
