from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.errors import UsageError
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import PathKind, VoteGroup
from ssr_local.method.plans import Plan, PlannedPath, Wave, is_over, parse_plan, plan_for

KINDS = [
    PathKind(writer, verified, form, greedy)
    for writer, verified in (("target", False), ("draft", False), ("draft", True))
    for form in ("prose", "program")
    for greedy in (False, True)
]  # type: ignore[arg-type]
PATHS = st.builds(PlannedPath, st.sampled_from(KINDS), st.sampled_from(["", "A", "L", "selected"]))
RULES = st.sampled_from(["first", "agree", "decided"])


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    waves = draw(st.lists(st.lists(PATHS, min_size=1, max_size=3), min_size=1, max_size=4))
    last = draw(st.sampled_from(["all", "first", "agree", "decided"]))
    rules = [*(draw(RULES) for _ in waves[1:]), last]
    return Plan(tuple(Wave(tuple(w), rule) for w, rule in zip(waves, rules, strict=True)))


@given(plans())
def test_a_plan_reads_back_what_it_writes(plan: Plan) -> None:
    assert parse_plan(plan.text) == plan


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("prose:target", "prose:target"),
        ("3xprose:ssd@selected;agree", "3 x prose:ssd@selected; agree"),
        ("prose:target+prose:target + program:draft@B", "2 x prose:target + program:draft@B"),
        ("greedy  program:target+2 x prose:ssd", "greedy program:target + 2 x prose:ssd"),
        (" program : target ; first ; 2 x prose:ssd ; all", "program:target; first; 2 x prose:ssd"),
    ],
)
def test_how_a_plan_is_written(text: str, written: str) -> None:
    assert parse_plan(text).text == written


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "'' is no path"),
        ("prose", "'prose' is no path"),
        ("poem:target", "'poem' is no form"),
        ("prose:oracle", "'oracle' writes no path"),
        ("0 x prose:target", "'0 x prose:target' cannot be"),
        ("13 x prose:target", "'13 x prose:target' cannot be"),
        ("7 x prose:target; agree; 6 x prose:target", "has 13 paths"),
        ("prose:target; all; prose:target", "'all' is no rule"),
        ("prose:target; sometimes", "'sometimes' is no rule"),
        ("prose:target; agree;", "'' is no path"),
        ("prose:target@m", "is no path"),
        ("greedyprose:target", "'greedyprose' is no form"),
    ],
)
def test_what_is_wrong_is_named(text: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_plan(text)
    assert what in caught.value.what
    assert "Accepted" in str(caught.value)


@given(st.text(alphabet="prosegamtd: x+;@A3", max_size=40))
def test_any_text_is_a_plan_or_refused(text: str) -> None:
    try:
        plan = parse_plan(text)
    except UsageError:
        return
    assert parse_plan(plan.text) == plan


@pytest.mark.parametrize(
    ("options", "text", "roles"),
    [
        ({}, "3 x prose:ssd@selected", ("draft", "target")),
        ({"mode": "fast2", "paths": 2}, "2 x prose:ssd@selected; agree", ("draft", "target")),
        ({"method": "specreason", "paths": 5}, "prose:ssd", ("draft", "target")),
        ({"method": "target", "mode": "fast1"}, "prose:target; first", ("target",)),
        ({"method": "draft"}, "prose:draft", ("draft",)),
        ({"method": "parallel", "paths": 4}, "4 x prose:target", ("target",)),
        ({"method": "parallel-spm"}, "3 x prose:target@selected", ("target",)),
        ({"plan": "prose:draft@selected"}, "prose:draft@selected", ("draft", "target")),
        ({"plan": "program:draft", "method": "target"}, "program:draft", ("draft",)),
    ],
)
def test_methods_are_plans_with_names(
    options: dict[str, Any], text: str, roles: tuple[str, ...]
) -> None:
    plan = plan_for(SolveOptions(**options))
    assert (plan.text, plan.roles) == (text, roles)


def group(answer: str, *paths: int, refuted: tuple[int, ...] = ()) -> VoteGroup:
    return VoteGroup(answer=answer, paths=paths, mean_score=None, refuted=refuted)


@pytest.mark.parametrize(
    ("groups", "first", "agree"),
    [
        ([], False, False),
        ([group("1", 0)], True, False),
        ([group("1", 0), group("2", 1)], True, False),
        ([group("1", 0, 2), group("2", 1)], True, True),
        ([group("1", 0, refuted=(0,))], False, False),
        ([group("1", 0, 1, refuted=(1,))], True, False),
        ([group("1", 0, 1, 2, refuted=(1,))], True, True),
    ],
)
def test_when_a_run_is_over(groups: list[VoteGroup], first: bool, agree: bool) -> None:
    assert (is_over("first", groups), is_over("agree", groups)) == (first, agree)
    assert not is_over("all", groups)


@pytest.mark.parametrize(
    ("sizes", "most_live"),
    [((), -1), ((1,), 0), ((2,), 1), ((1, 1), -1), ((3, 1), 1), ((3, 1, 1), 1), ((2, 2), -1)],
)
def test_a_vote_is_decided_when_no_other_path_can_change_it(
    sizes: tuple[int, ...], most_live: int
) -> None:
    """With one path more the second answer could draw level, or another."""
    groups = [group(str(i), *range(10 * i, 10 * i + size)) for i, size in enumerate(sizes)]
    assert [is_over("decided", groups, live) for live in range(4)] == [
        live <= most_live for live in range(4)
    ]
    if sizes:
        assert not is_over("decided", [group("0", *range(9), refuted=tuple(range(9)))], 0)
