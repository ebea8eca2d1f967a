from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.records import Strategy
from ssr_local.method import selection

POOL = tuple(Strategy(letter, f"name {letter}", f"Do {letter}.") for letter in "ABCDEFGHIJKL")
THREE = POOL[:3]


def letters(strategies: tuple[Strategy, ...]) -> str:
    return "".join(strategy.letter for strategy in strategies)


@pytest.mark.parametrize(
    ("permutations", "orders"),
    [
        (1, ["ABC"]),
        (2, ["ABC", "CAB"]),
        (3, ["ABC", "BCA", "CAB"]),
        (9, ["ABC", "BCA", "CAB"]),
        (0, ["ABC"]),
    ],
)
def test_orders(permutations: int, orders: list[str]) -> None:
    assert [letters(order) for order in selection.orders(THREE, permutations)] == orders


def test_one_order_gives_the_softmax_over_the_letters() -> None:
    rows = [[math.log(0.2), math.log(0.1), math.log(0.1)]]
    scores = selection.probabilities(THREE, [THREE], rows)
    assert scores == pytest.approx({"A": 0.5, "B": 0.25, "C": 0.25})


def test_what_a_letter_gets_for_nothing_is_subtracted() -> None:
    """A model that always likes the first letter is left with what the problem adds."""
    nothing = [math.log(0.8), math.log(0.1), math.log(0.1)]
    problem = [math.log(0.8), math.log(0.05), math.log(0.15)]
    rows = [selection.calibrated(problem, selection.mean_of([nothing, nothing]))]
    scores = selection.probabilities(THREE, [THREE], rows)
    assert scores == pytest.approx({"A": 1 / 3, "B": 1 / 6, "C": 1 / 2})


@pytest.mark.parametrize("baseline", [(), (0.0, -math.inf, 0.0), (0.0, math.nan, 0.0)])
def test_without_a_usable_baseline_letters_stay_as_they_are(baseline: tuple[float, ...]) -> None:
    assert selection.calibrated([-1.0, -2.0, -3.0], baseline) == (-1.0, -2.0, -3.0)


def test_orders_are_averaged_by_strategy_not_by_position() -> None:
    """A model that always likes the first letter prefers no strategy."""
    shown = selection.orders(THREE, 3)
    prefers_first = [math.log(0.8), math.log(0.1), math.log(0.1)]
    scores = selection.probabilities(THREE, shown, [prefers_first] * 3)
    assert scores == pytest.approx(dict.fromkeys("ABC", 1 / 3))


@pytest.mark.parametrize(
    "row", [[math.nan, 0.0, 0.0], [0.0, math.nan, -1.0], [-math.inf] * 3, [math.inf, 0.0, 0.0]]
)
def test_probabilities_that_cannot_be_read(row: list[float]) -> None:
    good = [0.0, -1.0, -2.0]
    assert selection.probabilities(THREE, [THREE, THREE], [good, row]) is None


def test_letters_without_any_probability_score_zero() -> None:
    scores = selection.probabilities(THREE, [THREE], [[-math.inf, 0.0, -math.inf]])
    assert scores == {"A": 0.0, "B": 1.0, "C": 0.0}


@pytest.mark.parametrize(("count", "chosen"), [(1, "B"), (2, "BA"), (3, "BAC"), (5, "BACMM")])
def test_best_pads_and_breaks_ties_by_letter(count: int, chosen: str) -> None:
    assert "".join(selection.best({"C": 0.2, "A": 0.2, "B": 0.6}, count)) == chosen


@pytest.mark.parametrize(
    ("text", "count", "chosen"),
    [
        ("A, C, F", 3, "ACF"),
        ("A, C and F", 3, "ACF"),
        ("**C**\n**A**", 2, "CA"),
        ("1. C. 2. A.", 2, "CA"),
        ("ACF", 3, "ACF"),
        ("(C)", 1, "C"),
        ("C, C, A", 3, "CAM"),
        ("M, C", 3, "CMM"),
        ("A B C D E", 3, "ABC"),
        ("Algebra is best", 2, "MM"),
        ("I would take a look at C", 2, "CM"),
        ("A good choice is B and then I", 3, "BIM"),
        ("I is best, then A", 2, "IA"),
        ("Z", 2, "MM"),
        ("", 2, "MM"),
        ("ABZ", 2, "MM"),
        ("a, c", 2, "MM"),
    ],
)
def test_parse_letters(text: str, count: int, chosen: str) -> None:
    assert "".join(selection.parse_letters(text, POOL, count)) == chosen


@given(st.text(), st.integers(1, 12))
def test_parse_letters_always_gives_as_many_as_asked(text: str, count: int) -> None:
    chosen = selection.parse_letters(text, POOL, count)
    assert len(chosen) == count
    real = [letter for letter in chosen if letter != "M"]
    assert len(set(real)) == len(real)


@given(st.integers(1, 14), st.integers(0, 2**32))
def test_at_random_is_repeatable_and_without_replacement(count: int, seed: int) -> None:
    chosen = selection.at_random(POOL, count, seed)
    assert chosen == selection.at_random(POOL, count, seed)
    assert sorted(chosen[:12]) == sorted(set(chosen[:12]))
    assert chosen[12:] == ("M",) * (count - 12 if count > 12 else 0)


def test_first_and_none() -> None:
    assert selection.first(THREE, 5) == ("A", "B", "C", "M", "M")
    assert selection.first((), 2) == ("M", "M")


def test_score_table_lists_the_whole_pool_best_first() -> None:
    table = selection.score_table(THREE, ("C", "A", "M", "M"), {"A": 0.2, "B": 0.1, "C": 0.7})
    assert [(row.letter, row.score, row.times_chosen) for row in table] == [
        ("C", 0.7, 1),
        ("A", 0.2, 1),
        ("B", 0.1, 0),
        ("M", None, 2),
    ]
    assert table[0].name == "name C"


def test_score_table_without_scores_keeps_the_pools_order() -> None:
    table = selection.score_table(THREE, ("C",), None)
    assert [(row.letter, row.score, row.times_chosen) for row in table] == [
        ("A", None, 0),
        ("B", None, 0),
        ("C", None, 1),
    ]
