from __future__ import annotations

import pytest
from msgspec.structs import replace

from ssr_local.bench.profiling import figures_from
from ssr_local.bench.records import Row
from ssr_local.core.records import Agreement, EndReason, PathKind, Step, VoteGroup
from tests.unit.bench.report.made_rows import ACCEPTED, ALONE, REWRITE, path, result, row

PROSE, PROGRAM, SSD = PathKind(), PathKind(form="program"), PathKind("draft", True)


def alone(problem: str, outcome: str, seconds: float = 10.0) -> Row:
    one = replace(path([ALONE, ALONE]), kind=PROSE)
    found = replace(result([one], prefill=100), plan="prose:target")
    return row("prose:target", problem, outcome, found=found, seconds=seconds)  # type: ignore[arg-type]


def two_forms(
    problem: str, *, agree: bool, right: bool = True, prose_end: EndReason = "answered"
) -> Row:
    program = replace(path([replace(ALONE, num_tokens=8)]), kind=PROGRAM)
    prose = replace(path([ALONE], index=1, end=prose_end), kind=PROSE)
    found = replace(result([program, prose]), plan="program:target + prose:target")
    groups = [(0, 1)] if agree else [(0,), (1,)]
    votes = tuple(VoteGroup(answer="7", paths=paths, mean_score=None) for paths in groups)
    outcome = "right" if right else "wrong"
    return row(
        "program:target + prose:target",
        problem,
        outcome,  # type: ignore[arg-type]
        found=replace(found, votes=votes),
        paths=[outcome, "wrong"],  # type: ignore[list-item]
        seconds=12.0,
    )


def test_plans_beside_the_targets_prose_on_the_problems_of_both() -> None:
    rows = [alone("a", "right"), alone("b", "wrong", 20.0), two_forms("a", agree=True)]
    rows.append(row("program:target + prose:target", "c", "failed"))
    found = figures_from(rows)
    prose, both = (found.plans[rows[index].method] for index in (0, 2))
    assert (prose.right, prose.num, prose.times_target) == (1, 2, 1.0)
    assert prose.percent == (50.0, 9.5, 90.5)
    # What failed is a problem not solved, and has no time.
    assert (both.right, both.num, both.times_target) == (1, 2, 1.2)
    assert found.seconds["prose:target"] == 15
    assert found.prompt_tokens == 60


@pytest.mark.parametrize("end", ["early_exit", "time_limit", "cancelled"])
def test_a_wave_of_which_a_path_was_cut_short_says_nothing(end: EndReason) -> None:
    found = figures_from([alone("a", "right"), two_forms("a", agree=True, prose_end=end)])
    assert list(found.kinds) == ["prose:target"]
    assert found.kinds["prose:target"].num == 1
    assert found.agree is None


@pytest.mark.parametrize(
    ("plan", "num"),
    [
        ("prose:target; first; 3 x prose:target", 1),
        ("program:target + prose:target; agree; prose:target", 1),
        ("3 x prose:target", 1),
        ("3 x prose:target; agree", 0),
        ("2 x prose:target; first", 0),
    ],
)
def test_paths_count_of_waves_that_their_rule_cannot_cut_short(plan: str, num: int) -> None:
    """Elsewhere whole waves are those of problems on which paths differ."""
    long = [replace(ALONE, num_tokens=90)]
    paths = [replace(path([ALONE]), kind=PROSE), replace(path(long, index=1), kind=PROSE, wave=1)]
    found = replace(result(paths), plan=plan)
    figures = figures_from([row(plan, found=found, paths=["right", "wrong"])])
    assert {name: (kind.num, kind.tokens, kind.right) for name, kind in figures.kinds.items()} == (
        {"prose:target": (1, 15, 1)} if num else {}
    )


def test_each_problem_counts_once_and_greedy_paths_are_no_kind_of_their_own() -> None:
    greedy = replace(alone("a", "wrong"), method="greedy prose:target")
    assert greedy.result is not None
    steps = replace(path([ALONE] * 4), kind=replace(PROSE, greedy=True))
    greedy = replace(greedy, result=replace(greedy.result, paths=(steps,), plan=greedy.method))
    same = [alone("a", "right"), greedy, greedy, two_forms("a", agree=True)]
    kind = figures_from([*same, replace(greedy, problem="b")]).kinds["prose:target"]
    assert (kind.num, kind.tokens, kind.right) == (2, 45, 0.5)


def test_a_program_after_which_prose_was_opened_is_no_agreement() -> None:
    one = two_forms("a", agree=True)
    assert one.result is not None
    program, prose = one.result.paths
    plan = "program:target; first; prose:target"
    later = replace(one.result, paths=(program, replace(prose, wave=1)), plan=plan)
    assert figures_from([replace(one, result=later, method=plan)]).agree is None


def test_agreement_and_how_often_it_is_right() -> None:
    rows = [
        two_forms("a", agree=True),
        two_forms("b", agree=True, right=False),
        two_forms("c", agree=False),
        replace(two_forms("a", agree=False), method="program:target + prose:target; agree"),
    ]
    assert figures_from(rows).agree == Agreement(same=2, right=1, num=3)


def test_what_is_kept_of_the_draft_is_counted_in_tokens() -> None:
    # Three drafted steps of ten tokens, two of which stay; twenty are written for the third.
    one = replace(path([ACCEPTED, ACCEPTED, REWRITE]), kind=SSD)
    found = replace(result([one], draft_tokens=30), plan="prose:ssd")
    figures = figures_from([row("prose:ssd", found=found)])
    kind = figures.kinds["prose:ssd"]
    assert (kind.acceptance, kind.rewrite) == (pytest.approx(2 / 3, abs=1e-3), 2)
    assert kind.tokens == 40
    assert figures.plans["prose:ssd"].acceptance == pytest.approx(2 / 3, abs=1e-3)
    assert figures.plans["prose:ssd"].times_target is None


def test_a_path_without_a_step_says_nothing() -> None:
    empty = replace(path(()), kind=PROSE)
    found = replace(result([empty]), plan="prose:target")
    assert figures_from([row("prose:target", found=found)]).kinds == {}
    step = Step(text="x", author="target")
    found = replace(result([replace(path([step]), kind=None)]), plan="prose:target")
    assert figures_from([row("prose:target", found=found)]).kinds == {}
