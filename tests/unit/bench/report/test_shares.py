"""Shares over problems, and what their intervals hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.bench.report.shares import accuracy, clustered, share
from tests.unit.bench.report.made_rows import outcomes


@given(st.floats(0, 1), st.integers(1, 50))
def test_an_interval_holds_its_share(value: float, num: int) -> None:
    found = share(value, num)
    assert found is not None
    assert 0 <= found.low <= value <= found.high <= 1


def test_no_trials_have_no_share() -> None:
    assert share(0.0, 0) is None
    assert accuracy([]) is None


def test_problems_weigh_the_same_however_often_they_were_tried() -> None:
    rows = [*outcomes("target", "+-")]
    rows += [one for repeat in (1, 2, 3) for one in outcomes("target", "+", repeat=repeat)]
    found = accuracy(rows)
    assert found is not None
    assert (found.value, found.num) == (0.5, 2)


def test_clustered_draws_problems_and_not_their_parts() -> None:
    found = clustered({"a": [(1.0, 1.0)] * 50, "b": [(0.0, 1.0)] * 50})
    assert found is not None
    assert (found.value, found.low, found.high, found.num) == (0.5, 0.0, 1.0, 2)


@pytest.mark.parametrize("pairs", [{}, {"a": []}, {"a": [(1.0, 0.0)]}])
def test_nothing_to_divide_by(pairs: dict[str, list[tuple[float, float]]]) -> None:
    assert clustered(pairs) is None
