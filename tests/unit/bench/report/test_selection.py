"""What choosing strategies is worth, on rows whose paths are known."""

from __future__ import annotations

import pytest

from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.selection import CHOSEN, Choice, choice, selection_figures
from tests.unit.bench.report.made_rows import row


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
        row("ssr-m3", "p1", "wrong", paths=["wrong", "right"], level=10),
        row("ssr-m3", "p2", "right", paths=["right", "right"], level=9),
        row("ssr-m3", "p3", "right", paths=["right", "right"]),
        row("ssr-m3+none", "p1", "wrong", paths=["wrong", "wrong"]),
        row("ssr-m3+none", "p2", "right", paths=["wrong", "right"]),
    ]
    (runs,), _ = arrange(rows)
    figures = selection_figures(runs)
    assert [(r.method, r.selection, r.num_runs) for r in figures.rows] == [
        ("ssr-m3", CHOSEN, 2),
        ("ssr-m3+none", "none", 2),
    ]
    assert [r.any_right.value for r in figures.rows if r.any_right] == [1.0, 0.5]
    assert [r.vote_right.value for r in figures.rows if r.vote_right] == [0.5, 0.5]
    assert [(p.value, p.num_any_right, p.num_vote_right) for p in figures.parts] == [
        ("9", 1, 1),
        ("10", 1, 0),
    ]
