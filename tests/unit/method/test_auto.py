from __future__ import annotations

from typing import get_args

import pytest

from ssr_local.core.options import Effort
from ssr_local.core.records import Profile
from ssr_local.method.auto import choose
from ssr_local.method.plans import parse_plan
from ssr_local.method.pools import PACKAGED, load_pool
from ssr_local.method.prediction import Speed
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


@pytest.mark.parametrize(
    ("two_rows", "effort", "machine", "plan"),
    [
        # Two paths take 1.9 times as long as one, four 3.8 times.
        (10.5, "normal", "", "2 x prose:target"),
        (10.5, "thorough", "", "4 x prose:target"),
        # 2.6 and 6.2 times.
        (7.0, "normal", "", "prose:target; first"),
        (7.0, "thorough", "", "2 x prose:target"),
        # Two 5.6 times.
        (3.0, "thorough", "", "prose:target; first"),
        # What was measured on this very CPU is not held against a prediction.
        (2.0, "thorough", "Some CPU", "4 x prose:target"),
    ],
)
def test_a_plan_too_slow_for_its_effort_gives_way_to_a_cheaper_one(
    two_rows: float, effort: Effort, machine: str, plan: str
) -> None:
    profile = Profile(
        quick="prose:target; first",
        normal="2 x prose:target",
        thorough="4 x prose:target",
        machine="Some CPU, 4 cores",
    )
    speeds = {"target": Speed(prefill=1e9, decode=((1, 10.0), (2, two_rows)))}
    choice = choose(effort, MATHS, profile, None, speeds, machine)
    assert choice.plan == plan
    assert ("cheaper" in choice.why) == (plan != getattr(profile, effort))
