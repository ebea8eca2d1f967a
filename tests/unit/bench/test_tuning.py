from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from ssr_local.api import Solver
from ssr_local.bench.methods import parse_method
from ssr_local.bench.profiling import figures_from
from ssr_local.bench.records import Problem, Row
from ssr_local.bench.scoring import Scorer
from ssr_local.bench.store import ROWS, open_for_writing
from ssr_local.bench.tuning import (
    FEWEST,
    Standing,
    are_typeset,
    candidates,
    choose_plans,
    measured_profile,
    plans_in,
    rows_of,
    standings,
    tune,
)
from ssr_local.core.errors import DecodeError, EngineError
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import (
    Agreement,
    EffortPlans,
    KindFigures,
    Profile,
    ReasoningPath,
    RunResult,
    Step,
)
from ssr_local.method.plans import parse_plan
from tests.unit.bench.report.made_rows import outcomes, path, result, row

ALONE, OTHER, THIRD = "prose:target", "program:target", "3 x prose:target"


def race(*made: tuple[str, str, float]) -> dict[str, Standing]:
    """Plans with their outcomes, a mark a problem, and their seconds."""
    rows = [row for plan, marks, seconds in made for row in outcomes(plan, marks, seconds=seconds)]
    # As a tune writes them: problem by problem.
    rows.sort(key=lambda row: row.problem)
    return {one.plan: one for one in standings(rows, [plan for plan, _, _ in made])}


def out(found: dict[str, Standing]) -> dict[str, str]:
    return {plan: one.dropped for plan, one in found.items() if one.dropped}


def test_a_plan_that_no_effort_could_afford_is_out_after_three_problems() -> None:
    assert out(race((ALONE, "++", 1), (OTHER, "++", 7))) == {}
    assert out(race((ALONE, "+++", 1), (OTHER, "+++", 5.1))) == {
        OTHER: "takes over 5 times the target's time"
    }
    assert out(race((ALONE, "---", 1), (OTHER, "+++", 4.9))) == {}


@pytest.mark.parametrize(
    ("alone", "other", "seconds", "why"),
    [
        ("+" * 10, "+" * 8 + "--", 1.1, f"slower than {ALONE}, which solved 2 more of 10"),
        ("+" * 9, "-" * 9, 1.1, ""),  # too few problems
        ("+" * 10, "+" * 9 + "-", 3.0, ""),  # too close
        ("+" * 10, "-" * 10, 1.0, ""),  # no slower
        ("+-" * 9, "-+" * 9, 3.0, ""),  # too few to be no better
        ("+-" * 10, "-+" * 10, 3.0, f"slower than {ALONE}, and solved no more of 20"),
        ("+-" * 10, "-+" * 9 + "++", 3.0, ""),  # better
    ],
)
def test_slower_plans_that_solve_less_are_out(
    alone: str, other: str, seconds: float, why: str
) -> None:
    found = race((ALONE, alone, 1.0), (OTHER, other, seconds))
    assert found[OTHER].dropped == why
    assert found[ALONE].dropped == ""


def test_a_plan_is_not_held_against_a_slower_one() -> None:
    assert (
        out(race((ALONE, "-" * 20, 9.0), (OTHER, "-" * 20, 1.0), (THIRD, "-" * 19 + "+", 8))) == {}
    )


def test_the_targets_prose_stays_whatever_it_is_worth() -> None:
    assert out(race((ALONE, "-" * 20, 9.0), (OTHER, "+" * 20, 1.0))) == {}


def test_a_dropped_plan_needs_no_more_rows_and_the_others_go_on() -> None:
    found = race((ALONE, "+" * 9, 1), (OTHER, "+" * 3, 6), (THIRD, "+" * 8, 0.5))
    assert found[OTHER].num == 3
    assert found[OTHER].dropped
    assert (found[ALONE].num, found[THIRD].num) == (8, 8), "the ninth is not done by all"


def standing(plan: str, right: int, seconds: float, dropped: str = "") -> Standing:
    solved = frozenset(map(str, range(right)))
    return Standing(plan=plan, right=solved, num=10, seconds=seconds, dropped=dropped)


def test_each_effort_takes_the_most_accurate_plan_that_it_can_afford() -> None:
    found = [
        standing(ALONE, 5, 1.0),
        standing("a", 6, 0.9),
        standing("b", 6, 0.4),
        standing("c", 7, 1.9),
        standing("d", 9, 3.9),
        standing("e", 10, 4.1),
        standing("f", 10, 0.1, "slower"),
    ]
    assert choose_plans(found) == EffortPlans(quick="b", normal="c", thorough="d")
    few = [Standing(plan=ALONE, right=frozenset(), num=FEWEST - 1, seconds=1.0)]
    assert choose_plans(few) is None


@pytest.mark.parametrize(
    ("right", "seconds", "dropped", "quick"),
    [
        (6, 0.9, "", "kept"),  # one more is chance
        (7, 0.9, "", OTHER),
        (5, 0.55, "", "kept"),  # not much faster
        (5, 0.4, "", OTHER),
        (4, 0.1, "", "kept"),  # fewer
        (6, 0.9, "slower", OTHER),  # the one in force is out of the race
    ],
)
def test_the_plan_in_force_stays_unless_another_is_clearly_better(
    right: int, seconds: float, dropped: str, quick: str
) -> None:
    kept = "greedy prose:target"
    found = [standing(ALONE, 1, 1.0), standing(kept, 5, 0.6, dropped)]
    found.append(standing(OTHER, right, seconds))
    in_force = Profile(quick="greedy  prose:target", normal=ALONE, thorough=ALONE)
    chosen = choose_plans(found, in_force)
    assert chosen is not None
    assert chosen.quick == (kept if quick == "kept" else quick)


def test_known_plans_and_those_with_rows_are_tried_too_and_none_twice() -> None:
    own = Profile(quick="prose:draft", normal="prose:target", thorough="2x prose:ssd")
    names = [method.name for method in candidates([own, None], ["2 x prose:ssd", "5 x prose:ssd"])]
    assert names[0] == ALONE
    assert {"prose:draft", "2 x prose:ssd", "5 x prose:ssd"} <= set(names)
    assert len(names) == len(set(names)) == len(candidates([])) + 3


CHOSEN = EffortPlans(quick=OTHER, normal=THIRD, thorough=THIRD)
SOME = {
    "prose:ssd": KindFigures(tokens=300, right=0.5),
    "prose:target": KindFigures(tokens=9, right=1),
}


def measured(before: Profile | None, *, typeset: bool) -> Profile:
    found = figures_from(
        row(plan, found=made_result([made_path(plan, tokens)], plan), paths=["right"])
        for plan, tokens in ((ALONE, 40), (OTHER, 10))
    )
    return measured_profile(
        before, CHOSEN, found, typeset=typeset, note="new", machine="here", date="today"
    )


def made_path(plan: str, tokens: int) -> ReasoningPath:
    steps = [Step(text="x", author="target", num_tokens=tokens)]
    return replace(path(steps), kind=parse_plan(plan).paths[0].kind)


def made_result(paths: list[ReasoningPath], plan: str) -> RunResult:
    return replace(result(paths), plan=plan)


def test_what_was_not_measured_of_a_profile_stays() -> None:
    logic = {"logic": EffortPlans(quick=ALONE, normal=ALONE, thorough=ALONE)}
    before = Profile(
        quick=ALONE,
        normal=ALONE,
        thorough=ALONE,
        note="old",
        kinds=SOME,
        plans_for=logic,
        harmful=("x",),
        agree=Agreement(same=1, right=1, num=2),
    )
    found = measured(before, typeset=False)
    assert (found.quick, found.normal, found.note) == (OTHER, THIRD, "new")
    assert {name: kind.tokens for name, kind in found.kinds.items()} == {
        "prose:ssd": 300,
        "prose:target": 40,
        "program:target": 10,
    }
    assert list(found.plans) == [ALONE, OTHER]
    assert (found.plans_for, found.harmful, found.agree) == (logic, ("x",), before.agree)


def test_problems_with_formulas_give_the_plans_for_those() -> None:
    before = Profile(quick=ALONE, normal=ALONE, thorough=ALONE, note="old", kinds=SOME)
    alone = measured(None, typeset=True)
    typeset = replace(CHOSEN, kinds=alone.kinds)
    assert {name: kind.tokens for name, kind in typeset.kinds.items()} == {
        "prose:target": 40,
        "program:target": 10,
    }
    assert measured(before, typeset=True) == replace(before, plans_for={"typeset": typeset})
    assert alone == replace(measured(None, typeset=False), plans_for={"typeset": typeset})
    assert plans_in(alone, typeset=True) == typeset
    assert plans_in(before, typeset=True) == plans_in(before, typeset=False) == before


def test_more_than_half_of_the_problems_decide_which_plans_are_measured() -> None:
    texts = ("$x^2$", "Hens?", r"\frac{1}{2}")
    made = [Problem(id=text, problem=text, answer="1") for text in texts]
    assert are_typeset(made)
    assert not are_typeset(made[:2])


def test_rows_of_other_problems_and_other_tasks_do_not_count() -> None:
    problems = [Problem(id="p01", problem="?", answer="1")]
    rows = [*outcomes(ALONE, "++"), *outcomes(OTHER, "+", task="t")]
    assert rows_of(rows, "gsm8k", problems) == rows[:1]


class Failing(Solver):
    """A solver whose engine fails in every call after the first few."""

    calls = 0

    def solve(self, *args: object, **kwargs: object) -> RunResult:
        self.calls += 1
        if self.calls > 2:
            raise DecodeError("The decode failed.", "No reason.")
        return super().solve(*args, **kwargs)  # type: ignore[arg-type]


def test_an_engine_that_fails_on_and_on_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "0")
    problems = [Problem(id=f"p{number}", problem="Farm?", answer="18") for number in range(9)]
    with (
        Failing(pair="demo", in_process=True) as solver,
        Scorer() as scorer,
        open_for_writing(tmp_path, ROWS, Row, {}) as file,
    ):
        methods = [parse_method(plan) for plan in (ALONE, THIRD)]
        made = tune(problems, methods, solver, scorer, SolveOptions(), file, task="t", seconds=99)
        with pytest.raises(EngineError, match="on 3 problems"):
            list(made)
        assert [row.outcome == "failed" for row in file.lines] == [False] * 2 + [True] * 6
        assert [row.method for row in file.lines[:4]] == [ALONE, THIRD, THIRD, ALONE]


def test_without_rows_all_are_in_the_race() -> None:
    rows: list[Row] = []
    assert [one.num for one in standings(rows, [ALONE, OTHER])] == [0, 0]
