"""The plan that is taken when the user names none, by effort, pool and pair. Pure."""

from __future__ import annotations

from msgspec import Struct

from ssr_local.core.options import Effort
from ssr_local.core.records import Profile
from ssr_local.method.pools import Pool

# What programs add was measured on mathematics alone.
_PROSE_ALONE = {
    "quick": "prose:target",
    "normal": "prose:target",
    "thorough": "3 x prose:target; agree",
}


class Choice(Struct, frozen=True):
    """A plan, and why it was taken, in words."""

    plan: str
    why: str


def choose(effort: Effort, pool: Pool, profile: Profile | None, nearest: Profile | None) -> Choice:
    """The plan for an effort, from the pair's profile; ``nearest`` is another pair's, followed
    where this one has none."""
    if pool.answer == "code":
        return Choice("prose:target", "an answer that is code cannot be put to a vote")
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
    plan: str = getattr(known, effort)
    return Choice(plan, why)
