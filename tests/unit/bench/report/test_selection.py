"""What choosing strategies is worth, on rows whose paths are known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ssr_local.bench.records import Outcome, Row
from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.selection import (
    CHOSEN,
    Choice,
    SelectionFigures,
    choice,
    chosen_by,
    selection_figures,
)
from tests.unit.bench.report.made_rows import ACCEPTED, path, result, row


def _figures(rows: list[Row]) -> SelectionFigures:
    (runs,), _ = arrange(rows)
    return selection_figures(runs)


def _run(
    method: str,
    problem: str,
    paths: Sequence[Outcome],
    outcome: Outcome,
    letters: str = "ABC",
    *,
    selection: str = "logprob",
    **others: object,
) -> Row:
    found = result(
        [path([ACCEPTED], index=n, strategy=letter) for n, letter in enumerate(letters)],
        options={"selection": selection},
    )
    return row(method, problem, outcome, found=found, paths=paths, **others)


R, W = "right", "wrong"


@pytest.mark.parametrize(
    ("method", "found"),
    [
        ("ssr-m3", Choice("ssr-m3", CHOSEN)),
        ("ssr-m3+random", Choice("ssr-m3", "at random")),
        ("ssr-m3+first+tau=5", Choice("ssr-m3+tau=5", "the pool's first")),
        ("ssr-m3-fast2+none", Choice("ssr-m3-fast2", "none")),
        ("ssr-m3+generate", Choice("ssr-m3", "written by the target")),
        ("ssr-m3+perm=4", Choice("ssr-m3", "over 4 letter orders")),
        ("ssr-m3+perm=4+yes-no", Choice("ssr-m3+yes-no", "over 4 letter orders")),
        ("parallel-spm-3", Choice("parallel-spm-3", CHOSEN)),
        ("parallel-3", Choice("parallel-spm-3", "none")),
        ("target", None),
        ("specreason", None),
    ],
)
def test_what_a_method_is_an_ablation_of(method: str, found: Choice | None) -> None:
    assert choice(method) == found


def test_ways_of_choosing_are_compared_on_shared_problems() -> None:
    rows = [
        _run("ssr-m3", "p1", [W, R, W], W),
        _run("ssr-m3", "p2", [R, R, W], R),
        _run("ssr-m3", "p3", [R, R, R], R),
        _run("ssr-m3+none", "p1", [W, W, W], W, "MMM", selection="none"),
        _run("ssr-m3+none", "p2", [W, R, R], R, "MMM", selection="none"),
    ]
    found = _figures(rows).rows
    assert [(r.method, r.selection, r.num_runs) for r in found] == [
        ("ssr-m3", CHOSEN, 2),
        ("ssr-m3+none", "none", 2),
    ]
    assert [r.any_right.value for r in found if r.any_right] == [1.0, 0.5]
    assert [r.vote_right.value for r in found if r.vote_right] == [0.5, 0.5]
    assert [r.p for r in found] == [None, 1.0]


def test_six_problems_to_one_side_show_a_difference() -> None:
    rows = [_run("ssr-m3", f"p{n}", [R, W, W], W) for n in range(6)]
    rows += [_run("ssr-m3+random", f"p{n}", [W, W, W], W, selection="random") for n in range(6)]
    assert _figures(rows).rows[1].p == pytest.approx(2 / 64)


def test_subjects_and_levels_in_order() -> None:
    rows = [
        _run("ssr-m3", f"p{level}", [R, W, W], R if level > 2 else W, level=level, subject=subject)
        for level, subject in ((10, "b"), (9, "a"), (2, "b"))
    ]
    parts = [
        (p.by, p.value, p.num_runs, p.num_any_right, p.num_vote_right) for p in _figures(rows).parts
    ]
    assert parts == [
        ("subject", "a", 1, 1, 1),
        ("subject", "b", 2, 2, 1),
        ("level", "2", 1, 1, 0),
        ("level", "9", 1, 1, 1),
        ("level", "10", 1, 1, 1),
    ]


def test_strategies_count_their_own_paths_and_leave_out_stopped_ones() -> None:
    paths = [
        path(index=0, strategy="B"),
        path(index=1, strategy="A"),
        path(index=2, strategy="B", end="early_exit", answer=None),
    ]
    rows = [
        row("ssr-m3", "p1", "right", found=result(paths), paths=["right", "wrong", "missing"]),
        _run("ssr-m3+random", "p1", [R, R, W], R, "BAA", selection="random"),
        _run("ssr-m3+none", "p1", [R, R, R], R, "MMM", selection="none"),
    ]
    found = [
        (s.letter, s.selection, s.num_chosen, s.num_right, s.num_ended)
        for s in _figures(rows).strategies
    ]
    assert found == [
        ("A", CHOSEN, 1, 0, 1),
        ("B", CHOSEN, 2, 1, 1),
        ("A", "at random", 2, 1, 2),
        ("B", "at random", 1, 1, 1),
    ]


def _choices(rows: list[Row]) -> list[tuple[str, str, int, int]]:
    return [(s.letter, s.selection, s.num_chosen, s.num_ended) for s in _figures(rows).strategies]


@pytest.mark.parametrize(
    ("other", "num_chosen", "num_ended"),
    [
        # Another method, or a repeat, that asks the same gets the same, in any order.
        (_run("ssr-m2+tau=5", "p1", [R, R], R, "AB"), 1, 2),
        (_run("ssr-m2+tau=5", "p1", [R, R], R, "BA"), 1, 2),
        (_run("ssr-m2", "p1", [R, R], R, "AB", repeat=1), 1, 2),
        (_run("ssr-m2", "p2", [R, R], R, "AB"), 2, 2),
        (_run("ssr-m2+perm=4", "p1", [R, R], R, "AC"), 2, 2),
        # What the target writes is drawn each time.
        (_run("ssr-m2+generate", "p1", [R, R], R, "AB", selection="generate"), 2, 2),
        # The paths an early exit lets end are those that came first.
        (_run("ssr-m2-fast1", "p1", [R, R], R, "AB"), 1, 1),
    ],
)
def test_one_scored_choice_counts_once_a_problem(
    other: Row, num_chosen: int, num_ended: int
) -> None:
    rows = [_run("ssr-m2", "p1", [R, W], R, "AB"), other]
    assert _choices(rows)[0] == ("A", CHOSEN, num_chosen, num_ended)


def test_drawn_choices_count_each() -> None:
    rows = [
        _run(method, "p1", [R, W], R, "AB", selection="random")
        for method in ("ssr-m2+random", "ssr-m2+random+tau=5")
    ]
    assert [found[2] for found in _choices(rows)] == [2, 2]


@pytest.mark.parametrize(
    ("letters", "selection", "by"),
    [
        ("ABC", "logprob", CHOSEN),
        ("ABM", "generate", CHOSEN),
        ("ABC", "random", "at random"),
        ("MMM", "logprob", None),
    ],
)
def test_who_chose(letters: str, selection: str, by: str | None) -> None:
    found = _run("ssr-m3", "p1", [R, R, R], R, letters, selection=selection).result
    assert found is not None
    assert chosen_by(found) == by
