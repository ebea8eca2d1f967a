from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local.api import Solver
from ssr_local.bench.methods import parse_method
from ssr_local.bench.records import Problem, Row
from ssr_local.bench.scoring import Scorer
from ssr_local.bench.store import ROWS, open_for_writing
from ssr_local.bench.tuning import FEWEST, Standing, candidates, choose_plans, standings, tune
from ssr_local.core.errors import DecodeError, EngineError
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import Profile, RunResult
from tests.unit.bench.report.made_rows import outcomes

ALONE, OTHER, THIRD = "prose:target", "program:target", "3 x prose:target"


def race(*made: tuple[str, str, float]) -> dict[str, Standing]:
    """Plans with their outcomes, a mark a problem, and their seconds."""
    rows = [row for plan, marks, seconds in made for row in outcomes(plan, marks, seconds=seconds)]
    # As a tune writes them: problem by problem.
    rows.sort(key=lambda row: row.problem)
    return {one.plan: one for one in standings(rows, [plan for plan, _, _ in made])}


def out(found: dict[str, Standing]) -> dict[str, str]:
    return {plan: one.dropped for plan, one in found.items() if one.dropped}


def test_a_plan_that_no_effort_could_afford_is_out_after_two_problems() -> None:
    assert out(race((ALONE, "+", 1), (OTHER, "+", 7))) == {}
    assert list(out(race((ALONE, "++", 1), (OTHER, "++", 7)))) == [OTHER]
    assert out(race((ALONE, "++", 1), (OTHER, "++", 5))) == {}


@pytest.mark.parametrize(
    ("alone", "other", "seconds", "why"),
    [
        ("+++++-", "+++++-", 2.0, "slower and never better than prose:target"),
        ("+++++", "+++++", 2.0, ""),  # too few problems
        ("+++++-", "----++", 2.0, ""),  # it has solved one that the other has not
        ("+++++-", "+++++-", 1.05, ""),  # as good as equally fast
        ("+++++-", "------", 0.5, ""),  # it is the fastest
        ("+" * 10, "-" * 9 + "+", 1.0, "less accurate and no faster than prose:target"),
    ],
)
def test_what_can_no_longer_win_is_out(alone: str, other: str, seconds: float, why: str) -> None:
    found = race((ALONE, alone, 1.0), (OTHER, other, seconds))
    assert found[OTHER].dropped == why
    assert found[ALONE].dropped == ""


def test_the_targets_prose_stays_whatever_it_is_worth() -> None:
    assert out(race((ALONE, "-" * 12, 9.0), (OTHER, "+" * 12, 1.0))) == {}


def test_a_dropped_plan_needs_no_more_rows_and_the_others_go_on() -> None:
    found = race((ALONE, "+" * 9, 1), (OTHER, "+" * 6, 2), (THIRD, "+" * 8, 0.5))
    assert found[OTHER].num == 6
    assert found[OTHER].dropped
    assert (found[ALONE].num, found[THIRD].num) == (8, 8), "the ninth is not done by all"


def test_each_effort_takes_the_most_accurate_plan_that_it_can_afford() -> None:
    def standing(plan: str, right: int, seconds: float, dropped: str = "") -> Standing:
        solved = frozenset(map(str, range(right)))
        return Standing(plan=plan, right=solved, num=10, seconds=seconds, dropped=dropped)

    found = [
        standing(ALONE, 5, 1.0),
        standing("a", 6, 0.9),
        standing("b", 6, 0.4),
        standing("c", 7, 1.9),
        standing("d", 9, 3.9),
        standing("e", 10, 4.1),
        standing("f", 10, 0.1, "slower"),
    ]
    assert choose_plans(found) == {"quick": "b", "normal": "c", "thorough": "d"}
    few = [Standing(plan=ALONE, right=frozenset(), num=FEWEST - 1, seconds=1.0)]
    assert choose_plans(few) is None


def test_the_profiles_own_plans_are_tried_too_and_none_twice() -> None:
    own = Profile(quick="prose:draft", normal="prose:target", thorough="2x prose:ssd")
    names = [method.name for method in candidates(own)]
    assert names[0] == ALONE
    assert {"prose:draft", "2 x prose:ssd"} <= set(names)
    assert len(names) == len(set(names)) == len(candidates(None)) + 2


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
