"""Figures and foreign text in Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from ssr_local.bench.report.markdown import cell, decimal, escaped, p_text, table, table_of
from ssr_local.bench.statistics import Interval, Proportion, Ratio, Share


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("test/12", "test/12"),
        ("a|b", r"a\|b"),
        ("`rm`", r"\`rm\`"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("[x](http://y.z)", r"\[x\](http:&#47;&#47;y.z)"),
        ("a\nb\x1b[31mc", "a bc"),
        ("max_tokens", r"max\_tokens"),
    ],
)
def test_foreign_text_has_no_meaning_to_markdown(text: str, shown: str) -> None:
    assert escaped(text) == shown


@given(st.text())
def test_no_text_breaks_a_table_or_a_page(text: str) -> None:
    line = escaped(text)
    assert "\n" not in line
    assert "<" not in line
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`]", line)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0.0, "0.00"),
        (-0.001, "0.00"),
        (0.123, "0.12"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (99.94, "99.9"),
        (99.96, "100"),
        (1234.5, "1234"),
        (2.46e11, "2.46e11"),
    ],
)
def test_decimal(value: float | None, shown: str) -> None:
    assert decimal(value) == shown


@pytest.mark.parametrize(
    ("p", "shown"),
    [(None, "-"), (0.0001, "< 0.001"), (0.0312, "0.031"), (0.5, "0.50"), (1.0, "1.00")],
)
def test_p(p: float | None, shown: str) -> None:
    assert p_text(p) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        ((), "-"),
        (("a|b", 2), r"a\|b, 2"),
        (tuple(range(22)), ", ".join(map(str, range(20))) + " and 2 more"),
        (True, "yes"),
        (1234, "1 234"),
        (0.5, "0.50"),
        (Share(0.5, 0.21, 0.79, 8), "50 % [21, 79]"),
        (Interval(-0.2, 0.3), "[-0.20, 0.30]"),
        (Proportion(1, 4, Interval(0.05, 0.7)), "1/4 [0.05, 0.70]"),
        (Proportion(0, 0, None), "0/0"),
        (Ratio(2.0, 1.5, 2.5, 10), "2.00 [1.50, 2.50]"),
        # Over few or equal problems an interval says nothing.
        (Ratio(2.0, 1.5, 2.5, 9), "2.00"),
        (Ratio(1.0, 1.0, 1.0, 10), "1.00"),
    ],
)
def test_cell(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_table_aligns_numbers_to_the_right() -> None:
    lines = table(("A", "B"), [("x", "1")]).splitlines()
    assert lines == ["| A | B |", "| :-- | --: |", "| x | 1 |"]


class Part(Struct):
    share: float
    p: float


class Item(Struct):
    num_runs: int
    name: str
    secret: str = "x"
    part: Part | None = None
    empty: str = ""


def test_a_table_of_structs_has_their_fields_that_have_something_to_show() -> None:
    items = [Item(3, "a"), Item(4, "b", part=Part(0.5, 0.0001))]
    assert table_of(items, "secret", title="T", names=("one", "two")).splitlines() == [
        "### T",
        "",
        "|  | name | runs | share | p |",
        "| :-- | :-- | --: | --: | --: |",
        "| one | a | 3 | - | - |",
        "| two | b | 4 | 0.50 | < 0.001 |",
    ]
    assert table_of([], title="T") == ""
