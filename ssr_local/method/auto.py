"""The plan that is taken when the user names none, by effort, pool and pair. Pure."""

from __future__ import annotations

from typing import get_args

from msgspec import Struct

from ssr_local.core.errors import UsageError
from ssr_local.core.options import Effort
from ssr_local.core.records import EffortPlans, Profile
from ssr_local.method.plans import parse_plan
from ssr_local.method.pools import Pool
from ssr_local.method.prediction import Speeds, predict

ALONE = "prose:target"
"""The plan that all others are held against."""

# What programs add was measured on mathematics alone.
_PROSE_ALONE = {
    "quick": ALONE,
    "normal": ALONE,
    "thorough": "3 x prose:target; agree",
}

_TOLERANCE = 1.25  # how far a prediction may be off
BUDGETS: dict[Effort, float] = {"quick": 1.0, "normal": 2.0, "thorough": 4.0}
"""How many times the seconds of the target's prose alone an effort's plan may take. One that is
predicted to take a quarter more than that gives way to the next cheaper effort's."""


class Choice(Struct, frozen=True):
    """A plan, and why it was taken, in words."""

    plan: str
    why: str


def choose(
    effort: Effort,
    pool: Pool,
    profile: Profile | None,
    nearest: Profile | None,
    speeds: Speeds | None = None,
    machine: str = "",
    *,
    typeset: bool = False,
) -> Choice:
    """The plan for an effort, from the pair's profile; ``nearest`` is another pair's, followed
    where this one has none.

    A profile that was measured elsewhere is held against the seconds predicted from this
    machine's ``speeds``; ``machine`` is this one's CPU. ``typeset`` says that the problem has
    formulas in LaTeX.
    """
    if pool.answer == "code":
        return Choice(ALONE, "an answer that is code cannot be put to a vote")
    if not pool.programs:
        return Choice(_PROSE_ALONE[effort], f"programs are no help with the pool {pool.name}")
    known = profile or nearest
    if known is None:
        return Choice(_PROSE_ALONE[effort], "nothing was measured with this pair")
    why = (
        f"measured with this pair, {known.note}"
        if profile
        else f"a guess from another pair, {known.note}"
    )
    plans = known.typeset if typeset and known.typeset else known
    plan: str = getattr(plans, effort)
    if plans is known.typeset:
        why = f"for a problem with formulas, {why}"
    if profile and machine and profile.machine.startswith(machine):
        return Choice(plan, why)
    times = _times_alone(plan, known, speeds)
    if times is None:
        return Choice(plan, why)
    if times <= _TOLERANCE * BUDGETS[effort]:
        return Choice(plan, f"{why}; predicted to take {times:.1f} times the target alone")
    cheaper = next(one for one in _cheaper(effort, plans) if _fits(one, effort, known, speeds))
    why = f"the plan for {effort} is predicted to take {times:.1f} times the target alone here"
    return Choice(cheaper, f"{why}, so a cheaper one is taken")


def _cheaper(effort: Effort, plans: Profile | EffortPlans) -> list[str]:
    efforts = get_args(Effort)
    less = efforts[: efforts.index(effort)]
    return [*(getattr(plans, one) for one in reversed(less)), ALONE]


def _fits(plan: str, effort: Effort, profile: Profile, speeds: Speeds | None) -> bool:
    times = _times_alone(plan, profile, speeds)
    return plan == ALONE or (times is not None and times <= _TOLERANCE * BUDGETS[effort])


def _times_alone(plan: str, profile: Profile, speeds: Speeds | None) -> float | None:
    """Predicted seconds beside the target's prose; None where a speed is not known."""
    if not speeds:
        return None
    try:
        planned, alone = (predict(parse_plan(one), speeds, profile) for one in (plan, ALONE))
    except UsageError:
        return None
    return planned.seconds / alone.seconds
