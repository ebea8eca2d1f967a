from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.bench.statistics import (
    Ratio,
    clustered,
    mcnemar,
    paired_difference,
    proportion,
    share,
    wilson,
)
from ssr_local.core.errors import UsageError


# Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
@pytest.mark.parametrize(
    ("right", "num", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(right: int, num: int, low: float, high: float) -> None:
    found = wilson(right, num)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_a_proportion_of_nothing_has_no_share() -> None:
    assert proportion(0, 0).share is proportion(0, 0).interval is None
    assert proportion(1, 4).share == 0.25
    assert proportion(1, 4).interval == wilson(1, 4)


# Exact binomial p: 2 * (1 + 10) / 2^10; 2 / 2^5; even splits; nothing to tell apart.
@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(9, 1, 22 / 1024), (1, 9, 22 / 1024), (0, 5, 1 / 16), (4, 4, 1.0), (0, 0, 1.0), (0, 1, 1.0)],
)
def test_mcnemar(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == pytest.approx(p)


def ratio(tops: Sequence[float], bottoms: Sequence[float]) -> Ratio | None:
    """One pair a problem."""
    pairs = zip(tops, bottoms, strict=True)
    return clustered((str(number), *pair) for number, pair in enumerate(pairs))


def test_problems_without_a_denominator_are_left_out() -> None:
    assert ratio([1.0, 0.0], [1.0, 0.0]) == Ratio(1.0, 1.0, 1.0, 1)
    assert ratio([1.0, 2.0], [0.0, 0.0]) is None
    assert ratio([], []) is None


def test_clustered_draws_problems_and_not_their_parts() -> None:
    found = clustered([*[("a", 1, 1)] * 50, *[("b", 0, 1)] * 50, ("c", 0, 0)])
    assert found == Ratio(0.5, 0.0, 1.0, 2)


@given(st.floats(0, 1), st.integers(1, 50))
def test_an_interval_holds_its_share(value: float, num: int) -> None:
    found = share(value, num)
    assert found is not None
    assert 0 <= found.low <= value <= found.high <= 1
    assert share(value, 0) is None


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
def test_paired_differences_as_published(
    cells: tuple[int, int, int, int], low: float, high: float
) -> None:
    found = paired_difference(*cells)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-4)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(UsageError, match=r"needs scipy") as caught:
        wilson(1, 2)
    assert "pip install 'ssr-local[bench]'" in caught.value.next_step
