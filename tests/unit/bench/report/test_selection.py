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
