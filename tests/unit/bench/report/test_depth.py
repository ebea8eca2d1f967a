"""What of depth the figures of 0.1.0 leave open: bins, and the paths that do not count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.bench.records import Outcome
from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.depth import bounds, depth
from tests.unit.bench.report.made_rows import ACCEPTED, DRAFT_ALONE, path, result, row


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


def test_paths_stopped_from_outside_or_before_a_verdict_are_left_out() -> None:
    found = result(
        [
            path([ACCEPTED], end="early_exit"),
            path([], index=1),
            path([DRAFT_ALONE], index=2, end="token_budget"),
            path([ACCEPTED], index=3),
        ]
    )
    outcomes: list[Outcome] = ["missing", "missing", "missing", "right"]
    # In a run with one judged step, a path without any is nobody's own.
    other = result([path([ACCEPTED]), path([DRAFT_ALONE], index=1, end="token_budget")])
    rows = [
        row("ssr-m4", "p1", found=found, paths=outcomes),
        row("ssr-m4", "p2", found=other, paths=["right", "missing"]),
    ]
    (runs,), _ = arrange(rows)
    figures = depth(runs)
    assert [one.num_paths for one in figures.verified] == [2]
    assert figures.target_alone == figures.draft_alone == ()
