"""The plan that is taken when the user names none, by effort, pool and pair. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.core.errors import UsageError
from ssr_local.core.options import Effort, SolveOptions
from ssr_local.core.records import EffortPlans, Profile
from ssr_local.method.plans import parse_plan
from ssr_local.method.pools import Pool
from ssr_local.method.prediction import Speeds, figures_on, kind_name, predict
from ssr_local.method.prompts import is_typeset

ALONE = "prose:target"
"""The plan that all others are held against."""

# What programs add was measured on mathematics alone.
_PROSE_ALONE = EffortPlans(quick=ALONE, normal=ALONE, thorough="3 x prose:target; agree")

TOLERANCE = 1.25
"""How far a prediction, or a mean over few problems, may be off."""
BUDGETS: dict[Effort, float] = {"quick": 1.0, "normal": 2.0, "thorough": 4.0}
"""How many times the seconds of the target's prose alone an effort's plan may take. One that is
predicted to take a quarter more than that gives way to the next cheaper effort's."""


_POOL = SolveOptions().strategies
_BUDGET = 4
"""How many times the mean tokens of its kind a path may write: of 140 greedy ones of the default
pair on school problems none wrote more than 3.2 times as many."""


class Choice(Struct, frozen=True):
    """A plan, and why it was taken, in words. ``max_tokens`` is enough for any of its paths, None
    where nothing is known of their lengths."""

    plan: str
    why: str
    max_tokens: int | None = None


def problems_of(pool: Pool, *, typeset: bool) -> str:
    """The name that a profile has for problems of a pool, with formulas in LaTeX or not."""
    return "typeset" if typeset and pool.programs else pool.name


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
    known = profile or nearest
    kind = problems_of(pool, typeset=typeset)
    figures = figures_on(known, kind)
    plans: Profile | EffortPlans
    if profile and kind in profile.plans_for:
        plans = profile.plans_for[kind]
        about = "problems with formulas" if kind == "typeset" else f"the pool {kind}"
        why = f"chosen for this pair and {about}"
    elif pool.answer == "code":
        return Choice(ALONE, "an answer that is code cannot be put to a vote")
    elif not pool.programs:
        plan: str = getattr(_PROSE_ALONE, effort)
        return Choice(plan, f"programs are no help with the pool {pool.name}")
    elif known:
        plans = known
        what = "measured with this pair" if profile else "a guess from another pair"
        why = f"{what}, {known.note}"
    else:
        return Choice(getattr(_PROSE_ALONE, effort), "nothing was measured with this pair")
    plans = _fitted(plans, pool, letters=plans is not known or pool.name == _POOL, typeset=typeset)
    plan = getattr(plans, effort)
    chosen = Choice(plan, why, _max_tokens(plan, plans, profile))
    times = _times_alone(plan, figures, speeds)
    if times is None or (profile and machine and profile.machine.startswith(machine)):
        return chosen
    if times <= TOLERANCE * BUDGETS[effort]:
        why = f"{why}; predicted to take {times:.1f} times the target alone"
        return replace(chosen, why=why)
    cheaper = next(one for one in _cheaper(effort, plans) if _fits(one, effort, figures, speeds))
    why = (
        f"the plan for {effort} is predicted to take {times:.1f} times the target alone here,"
        " so a cheaper one is taken"
    )
    return Choice(cheaper, why, _max_tokens(cheaper, plans, profile))


def choose_after(effort: Effort, given: Sequence[str]) -> Choice:
    """The plan for an effort where steps are given already, which all paths go on from: in their
    form."""
    form = "program" if any("```" in step for step in given) else "prose"
    plan: str = getattr(_PROSE_ALONE, effort).replace("prose", form)
    what = "a program" if form == "program" else "prose"
    return Choice(plan, f"the steps that are given are {what}")


def _max_tokens(plan: str, plans: Profile | EffortPlans, profile: Profile | None) -> int | None:
    """Another pair's lengths say nothing: one that thinks aloud writes ten times as much."""
    names = {kind_name(path.kind) for path in parse_plan(plan).paths}
    if profile is None or not names <= {*plans.kinds}:
        return None
    return math.ceil(_BUDGET * max(plans.kinds[name].tokens for name in names))


def _fitted(
    plans: Profile | EffortPlans, pool: Pool, *, letters: bool, typeset: bool
) -> Profile | EffortPlans:
    """The plans as a pool can follow them that may lack the ``letters`` of strategies, or worked
    examples for such problems."""
    shown = any(is_typeset(example.problem) is typeset for example in pool.examples)
    texts = {effort: parse_plan(getattr(plans, effort)) for effort in get_args(Effort)}
    fitted = {
        effort: plan.fitted(letters=letters, examples=shown).text for effort, plan in texts.items()
    }
    return replace(plans, **fitted)


def _cheaper(effort: Effort, plans: Profile | EffortPlans) -> list[str]:
    efforts = get_args(Effort)
    less = efforts[: efforts.index(effort)]
    return [*(getattr(plans, one) for one in reversed(less)), ALONE]


def _fits(plan: str, effort: Effort, profile: Profile | None, speeds: Speeds | None) -> bool:
    times = _times_alone(plan, profile, speeds)
    return plan == ALONE or (times is not None and times <= TOLERANCE * BUDGETS[effort])


def _times_alone(plan: str, profile: Profile | None, speeds: Speeds | None) -> float | None:
    """Predicted seconds beside the target's prose; None where a speed is not known."""
    if not speeds:
        return None
    try:
        planned, alone = (predict(parse_plan(one), speeds, profile) for one in (plan, ALONE))
    except UsageError:
        return None
    return planned.seconds / alone.seconds
