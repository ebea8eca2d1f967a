from __future__ import annotations

from typing import get_args

import pytest

from ssr_local.core.options import Effort
from ssr_local.core.records import Profile
from ssr_local.method.auto import choose
from ssr_local.method.plans import parse_plan
from ssr_local.method.pools import PACKAGED, load_pool
from ssr_local.models.registry import load_registry

OWN = Profile(quick="program:draft", normal="prose:ssd", thorough="3 x prose:ssd", note="on 60")
OTHER = Profile(quick="prose:target", normal="2 x prose:target", thorough="prose:draft", note="x")
MATHS = load_pool("maths")


@pytest.mark.parametrize("effort", get_args(Effort))
def test_a_pairs_own_profile_decides(effort: Effort) -> None:
    choice = choose(effort, MATHS, OWN, OTHER)
    assert choice.plan == getattr(OWN, effort)
    assert choice.why == "measured with this pair, on 60"


def test_without_one_anothers_is_followed_and_called_a_guess() -> None:
    choice = choose("normal", MATHS, None, OTHER)
    assert choice.plan == OTHER.normal
    assert "guess" in choice.why
    assert "nothing was measured" in choose("normal", MATHS, None, None).why


@pytest.mark.parametrize("effort", get_args(Effort))
@pytest.mark.parametrize("name", PACKAGED)
def test_programs_only_where_the_pool_says_so(effort: Effort, name: str) -> None:
    pool = load_pool(name)
    plan = parse_plan(choose(effort, pool, load_registry().pair("default").profile, None).plan)
    forms = {path.kind.form for path in plan.paths}
    assert ("program" in forms) is pool.programs
    assert pool.programs is (name in ("maths", "school"))
    if pool.answer == "code":
        assert len(plan.paths) == 1, "code cannot be put to a vote"
