"""Which numbers a text states, and which of them are results."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ssr_local.mathtext.numbers import numbers_in


def results(text: str) -> list[str]:
    return [str(number.values[0]) for number in numbers_in(text) if number.is_result]


def stated(text: str) -> list[str]:
    return [str(number.values[0]) for number in numbers_in(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"$12 \times 4 = 48$ clips.", ["48"]),
        (r"x = -5", ["-5"]),
        (r"x = −5", ["-5"]),
        (r"The sum is -5.", ["-5"]),
        (r"= \frac{3}{4}", ["3/4"]),
        (r"\boxed{-\frac{1}{2}}", ["-1/2"]),
        (r"\boxed{1\frac{1}{2}}", ["3/2"]),
        (r"\boxed{x = 7}", ["7"]),
        (r"\boxed{\$18.50}", ["37/2"]),
        ("= 3/4 of it", ["3/4"]),
        ("= $1,234.50 a year", ["2469/2"]),
        (r"= 1{,}000", ["1000"]),
        ("= 5 million dollars", ["5000000"]),
        (r"= 50\%", ["50"]),
        ("= **12**", ["12"]),
        ("= 12 (apples)", ["12"]),
        ("= 12 - the number of apples", ["12"]),
        (r"= 90^\circ", ["90"]),
        ("= 5 m", ["5"]),
        (r"\(2 + 3 = 5\)", ["5"]),
        (r"x \approx 3.14", ["157/50"]),
        ("5 * 2 = 10 = 20/2", ["10", "10"]),
        ("The total is 45 apples.", ["45"]),
        ("Now there are **45** apples.\n", ["45"]),
        ("共有=12个", ["12"]),
        ("x = ٣", ["3"]),
        # What is part of something larger, or no statement of a result.
        ("x = 5y", []),
        ("x = 5 x", []),
        ("x = 3 + 4", []),
        (r"x = 3 \cdot y", []),
        (r"x = 5\sqrt{2}", []),
        (r"x = 2^{10}", []),
        ("x = 12 - y", []),
        ("a == 5, b <= 3, c != 4, d >= 2", []),
        ("There are 3 more apples.", []),
        ("There is 45 in the first of many long and winding rows.", []),
        ("1/0 = 1/0", []),
        ("= " + "9" * 200, []),
    ],
)
def test_what_counts_as_a_result(text: str, expected: list[str]) -> None:
    assert results(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. First, 2 apples", ["2"]),
        ("**Step 2:** 7 left", ["7"]),
        ("By equation 3 we have 8", ["8"]),
        ("x_1 and x^2 and x2 and 3x", ["3"]),
        ("10-5", ["10", "5"]),
        ("(-5, 5)", ["-5", "5"]),
        (".5 and 0.25", ["1/2", "1/4"]),
        ("1 1/2 cups", ["3/2"]),
        (r"\frac12", ["1/2"]),
        ("1,000 and 1,00", ["1000", "1", "0"]),
    ],
)
def test_what_counts_as_a_number(text: str, expected: list[str]) -> None:
    assert stated(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"12 \times 4 = 48", "4*12 = 48"),
        ("$3 + 4 = 7$", r"\(4 + 3 = 7\)"),
        (r"48 \div 2 = 24", "48 ÷ 2 = 24"),
    ],
)
def test_the_same_sum_is_known_again(one: str, other: str) -> None:
    first, second = (list(numbers_in(text))[-1].made_from for text in (one, other))
    assert first == second != ()


@pytest.mark.parametrize(
    ("one", "other"), [("10 - 4 = 6", "4 - 10 = 6"), ("2 + 3 * 4 = 1", "2 * 3 + 4 = 1")]
)
def test_another_sum_is_not(one: str, other: str) -> None:
    assert list(numbers_in(one))[-1].made_from != list(numbers_in(other))[-1].made_from


@pytest.mark.parametrize("text", ["2x + 3 - 4 = 7", "x = 7", "5 = 5"])
def test_what_is_no_sum(text: str) -> None:
    assert list(numbers_in(text))[-1].made_from == ()


def test_percentages_have_two_values() -> None:
    (number,) = numbers_in("25%")
    assert number.values == (Fraction(25), Fraction(1, 4))
