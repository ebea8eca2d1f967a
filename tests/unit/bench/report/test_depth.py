"""Depth: bins, acceptance by position, lengths of steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.depth import Depth, bounds, depth
from tests.unit.bench.report.made_rows import (
    ACCEPTED,
    ALONE,
    DRAFT_ALONE,
    REWRITE,
    path,
    result,
    row,
)


def _depth(rows: list[Row]) -> Depth:
    (runs,), _ = arrange(rows)
    return depth(runs)


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ([], ()),
        ([3, 3, 3], ((3, 3),)),
        ([1, 2, 3, 4, 5], ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5))),
        ([1] * 8 + [2, 3, 4, 5], ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5))),
        (list(range(1, 11)), ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))),
    ],
)
def test_bins_hold_about_equally_many(
    counts: list[int], found: tuple[tuple[int, int], ...]
) -> None:
    assert bounds(counts) == found


@given(st.lists(st.integers(1, 60)))
def test_every_count_is_in_exactly_one_bin(counts: list[int]) -> None:
    found = bounds(counts)
    assert len(found) <= 5
    for count in counts:
        assert sum(low <= count <= high for low, high in found) == 1


def test_bins_say_how_many_paths_are_right_and_how_many_drafts_accepted() -> None:
    found = result(
        [path([ACCEPTED, REWRITE]), path([ACCEPTED] * 2, index=1), path([ACCEPTED] * 4, index=2)]
    )
    alone = result([path([ALONE] * 3)])
    rows = [
        row("ssr-m3", "p1", "right", found=found, paths=["right", "wrong", "missing"]),
        row("target", "p1", "right", found=alone),
    ]
    figures = _depth(rows)
    assert [(b.low, b.num_paths) for b in figures.verified] == [(2, 2), (4, 1)]
    assert [b.right.value for b in figures.verified if b.right] == [0.5, 0.0]
    assert [b.acceptance.value for b in figures.verified if b.acceptance] == [0.75, 1.0]
    assert [(b.low, b.num_paths, b.acceptance) for b in figures.target_alone] == [(3, 1, None)]


def test_stopped_and_empty_paths_are_left_out() -> None:
    found = result(
        [path([ACCEPTED], end="early_exit"), path([], index=1), path([ACCEPTED], index=2)]
    )
    figures = _depth([row("ssr-m3", "p1", found=found, paths=["missing", "missing", "right"])])
    assert [b.num_paths for b in figures.verified] == [1]
    assert figures.target_alone == figures.draft_alone == ()


def test_target_and_draft_paths_stand_apart() -> None:
    rows = [
        row("target", "p1", "right", found=result([path([ALONE] * 3)])),
        row("draft", "p1", "wrong", found=result([path([DRAFT_ALONE] * 3)])),
        row("draft", "p2", "wrong", found=result([path([DRAFT_ALONE] * 5)])),
    ]
    figures = _depth(rows)
    assert [(b.low, b.right.value) for b in figures.target_alone if b.right] == [(3, 1.0)]
    assert [(b.low, b.right.value) for b in figures.draft_alone if b.right] == [
        (3, 0.0),
        (5, 0.0),
    ]


def test_a_drafted_path_cut_off_before_a_verdict_is_nobodys_own() -> None:
    found = result([path([ACCEPTED]), path([DRAFT_ALONE], index=1, end="token_budget")])
    figures = _depth([row("ssr-m2", "p1", found=found, paths=["right", "missing"])])
    assert [b.num_paths for b in figures.verified] == [1]
    assert figures.draft_alone == ()


def test_early_exits_count_for_acceptance_and_not_for_right_paths() -> None:
    found = result([path([ACCEPTED, REWRITE])])
    rows = [
        row("ssr-m3", "p1", "wrong", found=found),
        row("ssr-m3-fast1", "p1", "right", found=result([path([ACCEPTED, ACCEPTED])])),
        row("ssr-m3-fast2+tau=5", "p1", "right", found=found),
    ]
    (only,) = _depth(rows).verified
    assert (only.num_paths, only.num_to_the_end) == (3, 1)
    assert only.right is not None
    assert only.right.value == 0.0
    assert only.acceptance is not None
    assert only.acceptance.value == pytest.approx(4 / 6)


def test_failed_rows_have_no_depth() -> None:
    assert _depth([row("ssr-m3", "p1", "failed")]) == Depth(
        verified=(), target_alone=(), draft_alone=()
    )
