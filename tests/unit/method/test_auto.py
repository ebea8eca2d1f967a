from __future__ import annotations

from typing import get_args

import pytest
from msgspec.structs import replace

from ssr_local.coordinator import choosing
from ssr_local.coordinator.choosing import Known
from ssr_local.core.options import Effort
from ssr_local.core.records import EffortPlans, KindFigures, Profile
from ssr_local.method.auto import choose, choose_after
from ssr_local.method.plans import parse_plan
from ssr_local.method.pools import PACKAGED, load_pool
from ssr_local.method.prediction import Speed
from ssr_local.models.registry import load_registry

OWN = Profile(quick="program:draft", normal="prose:ssd", thorough="3 x prose:ssd", note="on 60")
OTHER = Profile(quick="prose:target", normal="2 x prose:target", thorough="prose:draft", note="x")
MATHS = load_pool("maths")
FAST = Speed(prefill=1e9, decode=((1, 10.0),))


@pytest.mark.parametrize("effort", get_args(Effort))
def test_a_pairs_own_profile_decides(effort: Effort) -> None:
    choice = choose(effort, MATHS, OWN, OTHER)
    assert choice.plan == getattr(OWN, effort)
    assert choice.why == "measured with this pair, on 60"


@pytest.mark.parametrize("effort", get_args(Effort))
def test_formulas_and_pools_can_have_plans_of_their_own(effort: Effort) -> None:
    plans = EffortPlans(quick="prose:draft", normal="2 x prose:draft", thorough="3 x prose:draft")
    known = replace(OWN, plans_for={"typeset": plans})
    found = choose(effort, MATHS, known, OTHER, typeset=True)
    assert found.plan == getattr(plans, effort)
    assert "formulas" in found.why
    assert choose(effort, MATHS, known, OTHER).plan == getattr(OWN, effort)
    assert choose(effort, MATHS, OWN, OTHER, typeset=True).plan == getattr(OWN, effort)
    logic, code = load_pool("logic"), load_pool("code")
    for pool in (logic, code):  # where a formula changes nothing
        other = choose(effort, pool, known, None)
        assert choose(effort, pool, known, None, typeset=True) == other
        assert other.plan != getattr(plans, effort)
        known_pool = replace(OWN, plans_for={pool.name: plans})
        assert choose(effort, pool, known_pool, None).plan == getattr(plans, effort)
        assert choose(effort, pool, None, known_pool) == choose(effort, pool, None, None)


def test_a_pairs_own_lengths_bound_its_paths() -> None:
    kinds = {"program:draft": KindFigures(tokens=70.2, right=0.5)}
    known = replace(OWN, kinds=kinds, normal="program:draft + prose:ssd")
    assert choose("quick", MATHS, known, None).max_tokens == 281
    assert choose("normal", MATHS, known, None).max_tokens is None  # of prose nothing is known
    assert choose("quick", MATHS, None, known).max_tokens is None
    shorter = {"program:draft": KindFigures(tokens=10, right=0.5)}
    special = EffortPlans(quick=OWN.quick, normal=OWN.normal, thorough=OWN.thorough, kinds=shorter)
    other = replace(known, plans_for={"typeset": special, "code": replace(special, kinds={})})
    assert choose("quick", MATHS, other, None, typeset=True).max_tokens == 40
    assert choose("quick", load_pool("code"), other, None).max_tokens is None
    longer = replace(known, kinds=kinds | {"prose:ssd": KindFigures(tokens=200, right=0.5)})
    assert choose("normal", MATHS, longer, None).max_tokens == 800


def test_a_plan_is_held_against_the_lengths_of_such_problems() -> None:
    kinds = {
        "prose:target": KindFigures(tokens=200, right=0.5),
        "program:target": KindFigures(tokens=20, right=0.5),
    }
    plan = "program:target"
    longer = {"program:target": KindFigures(tokens=200, right=0.5)}
    plans = EffortPlans(quick=plan, normal=plan, thorough=plan, kinds=longer)
    known = replace(OWN, quick=plan, kinds=kinds, plans_for={"typeset": plans})
    speeds = {"target": Speed(prefill=1e9, decode=((1, 10.0),))}
    usual, special = (
        choose("quick", MATHS, known, None, speeds, typeset=one) for one in (False, True)
    )
    assert "0.1 times" in usual.why
    assert "1.0 times" in special.why


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


@pytest.mark.parametrize("effort", get_args(Effort))
@pytest.mark.parametrize("name", PACKAGED)
@pytest.mark.parametrize("typeset", [False, True])
def test_plans_that_ship_name_strategies_that_the_pool_has(
    effort: Effort, name: str, typeset: bool
) -> None:
    pool = load_pool(name)
    for pair in load_registry().pairs.values():
        nearest = load_registry().pair("default").profile
        for profile in {id(one): one for one in (pair.profile, None)}.values():
            found = choose(effort, pool, profile, nearest, typeset=typeset)
            for path in parse_plan(found.plan).paths:
                pool.by_letter(path.strategy or "M")


def test_a_pool_of_ones_own_is_not_taken_for_the_default_one() -> None:
    known = replace(OWN, normal="greedy program:target@N; agree; prose:ssd@selected")
    assert choose("normal", MATHS, known, None).plan == known.normal
    mine = replace(MATHS, name="mine", strategies=MATHS.strategies[:3])
    assert choose("normal", mine, known, None).plan == (
        "greedy program:target; agree; prose:ssd@selected"
    )
    plan = "greedy brief:target + greedy program:target@A; first; greedy prose:target@B"
    twice = replace(known, normal=f"{plan}; agree; greedy program:target + greedy brief:target")
    assert choose("normal", mine, twice, None).plan == (
        "greedy brief:target + greedy program:target; first; greedy prose:target;"
        " agree; program:target + brief:target"
    )
    bare = replace(mine, examples=())
    assert choose("normal", bare, twice, None).plan == (
        "greedy prose:target + greedy program:target; first; prose:target;"
        " agree; program:target + prose:target"
    )
    slow = {"draft": Speed(prefill=1, decode=((1, 0.1),)), "target": FAST}
    assert "@N" not in choose("normal", mine, known, None, slow).plan


@pytest.mark.parametrize(
    ("given", "plan"),
    [
        (["Let x be 5.\n\n"], "3 x prose:target; agree"),
        (["```python\nx = 5\n\n", "y = 2 * x\n\n"], "3 x program:target; agree"),
    ],
)
def test_steps_that_are_given_are_gone_on_with_in_their_form(given: list[str], plan: str) -> None:
    assert choose_after("thorough", given).plan == plan


def test_without_an_interpreter_nobody_writes_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Known(own=load_registry().pair("default").profile, nearest=None)
    assert "program" in known.choose("normal", MATHS).plan
    monkeypatch.setattr(choosing, "can_run_programs", lambda: False)
    assert "program" not in known.choose("normal", MATHS).plan
    assert "program" not in known.choose("thorough", MATHS, typeset=True).plan
