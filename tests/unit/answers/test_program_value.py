"""What values and printed lines say: exactly, shortly, and not at all where there is no answer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ssr_local.answers.compare import compare
from ssr_local.answers.program_value import result_of, result_of_line


@pytest.mark.parametrize(
    ("value", "written", "shown"),
    [
        (5, "5", "5"),
        (5.0, "5", "5.0"),
        (-0.0, "0", "-0.0"),
        (0.1 + 0.2, "0.3", "0.30000000000000004"),
        (1.1 * 1.1, "1.21", "1.2100000000000002"),
        (1 / 3, "0.333333333333", "0.3333333333333333"),
        (1000000000000.5, "1000000000000.5", "1000000000000.5"),
        (1e-05, "0.00001", "1e-05"),
        (1e20, "100000000000000000000", "1e+20"),
        (10**30 + 1, "1000000000000000000000000000001", "1000000000000000000000000000001"),
        (Decimal("0.30"), "0.3", "0.30"),
        (Decimal(1) / 3, "0.333333333333", "0.3333333333333333333333333333"),
        (True, "True", "True"),
        ((1, 2.0), "(1, 2)", "(1, 2.0)"),
        ([1, 2], "1, 2", "[1, 2]"),
        ([5], "5", "[5]"),
        ([(1, 2), (3, 4)], "(1, 2), (3, 4)", "[(1, 2), (3, 4)]"),
        ({3, 20, 1}, "1, 3, 20", None),
        ({"answer": 5}, "5", "{'answer': 5}"),
        ({"a": 1, "b": 2.0}, "a: 1, b: 2", "{'a': 1, 'b': 2.0}"),
        (complex(1, -2), "1 - 2i", "(1-2j)"),
        ("Alice", "Alice", "Alice"),
        ("2*sqrt(3)", "2*sqrt(3)", "2*sqrt(3)"),
        ((30, "dollars"), "(30, dollars)", "(30, 'dollars')"),
    ],
)
def test_values(value: object, written: str, shown: str | None) -> None:
    result = result_of(value)
    assert (result.value, result.failure) == (written, "")
    assert shown in (None, result.shown)


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("5", "5"),
        ("5.00", "5"),
        ("-3", "-3"),
        ("$1,234.50", "1234.5"),
        ("-$3.50", "-3.5"),
        ("3/4", "3/4"),
        ("50%", "50%"),
        ("5 apples", "5"),
        ("The answer is 5", "5"),
        ("The answer is 5.", "5"),
        ("Total cost: $20.00 for all", "20"),
        ("The sum of 3 and 4 is 7", "7"),
        ("7 is the sum", "7"),
        ("Ways: 12 (out of 20)", "12"),
        ("The probability is 1/3 of all", "1/3"),
        ("They need 12 eggs", "12"),
        ("x = 5", "5"),
        ("y = 2x + 1", "2x + 1"),
        ("It starts at: 5:30", "5:30"),
        ("2 3", "2, 3"),
        ("The roots are 2 and 3", "2, 3"),
        ("(1, 2)", "(1, 2)"),
        ("[Fraction(1, 2), 3]", "1/2, 3"),
        ("Result: [2, 3.0]", "2, 3"),
        ("Monday", "Monday"),
        ("The winner is Alice", "Alice"),
        ("0.30000000000000004", "0.3"),
        ("x + 1", "x + 1"),
    ],
)
def test_printed_lines(line: str, written: str) -> None:
    assert result_of_line(line).value == written


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "None"),
        (float("nan"), "not a number"),
        (float("-inf"), "not a number"),
        (Decimal("NaN"), "not a number"),
        ("nan", "not a number"),
        ("", "empty"),
        ([], "empty"),
        ({}, "empty"),
        ("None", "None"),
        ([1, None], "None"),
        ("<function 'f' at 0xc>", "function"),
        (b"5", "bytes"),
        (int, "type"),
        (10**500, "longer"),
        ("x" * 500, "longer"),
        (list(range(500)), "longer"),
        ([10**5000], "longer"),
        ([[[[[[[[[[1]]]]]]]]]], "lists"),
        (1e308, ""),
    ],
)
def test_what_is_no_answer_says_why(value: Any, reason: str) -> None:
    result = result_of(value)
    assert reason in result.failure
    assert (result.value is None) == bool(reason)


@given(st.decimals(-(10**9), 10**9, places=3))
@example(Decimal("0.1"))
def test_a_float_is_the_decimal_that_it_was_written_as(number: Decimal) -> None:
    written = result_of(float(number)).value
    assert written is not None
    assert Decimal(written) == number


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**4))
def test_printed_and_returned_numbers_are_the_same_answer(numerator: int, divisor: int) -> None:
    value = numerator / divisor
    returned, printed = result_of(value).value, result_of_line(f"The answer is {value}").value
    assert returned is not None
    assert printed == returned
    assert compare(returned, printed, helper=None) == "equal"


@given(st.text(max_size=600))
def test_no_line_is_too_odd(line: str) -> None:
    result = result_of_line(line)
    assert (result.value is None) == bool(result.failure)
