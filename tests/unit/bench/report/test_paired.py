"""Newcombe's paired interval, against published values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.bench.report.paired import paired_difference

CELLS = st.integers(0, 40)


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        # Newcombe 1998, method 10: a table with one empty cell, and ones without differing pairs.
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((36, 14, 0, 0), 0.1528, 0.4167),
        ((30, 0, 0, 0), -0.1135, 0.1135),
        # Altman et al. 2000, Statistics with Confidence, table 6.2: a positive correlation.
        ((14, 5, 0, 22), 0.011, 0.226),
        # Fagerland et al. 2014, airway hyper-responsiveness (Bentur et al. 2009).
        ((1, 1, 7, 12), -0.507, -0.026),
    ],
)
def test_published_intervals(cells: tuple[int, int, int, int], low: float, high: float) -> None:
    found = paired_difference(*cells)
    assert found is not None
    assert (found.low, found.high) == (
        pytest.approx(low, abs=6e-4),
        pytest.approx(high, abs=6e-4),
    )


def test_of_nothing_there_is_none() -> None:
    assert paired_difference(0, 0, 0, 0) is None


@given(CELLS, CELLS, CELLS, CELLS)
def test_it_holds_the_difference_and_changes_sides_with_the_methods(
    both: int, first: int, second: int, neither: int
) -> None:
    found = paired_difference(both, first, second, neither)
    swapped = paired_difference(both, second, first, neither)
    if found is None or swapped is None:
        assert both + first + second + neither == 0
        return
    difference = (first - second) / (both + first + second + neither)
    assert -1 - 1e-9 <= found.low <= difference <= found.high <= 1 + 1e-9
    assert (swapped.low, swapped.high) == (pytest.approx(-found.high), pytest.approx(-found.low))
