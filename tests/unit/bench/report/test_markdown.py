"""Figures and foreign text in Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from ssr_local.bench.report.markdown import cell, escaped, table_of
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
        (("a|b", 2), r"a\|b, 2"),
        (-0.001, "0.00"),
        (9.996, "10.0"),
        (1234.5, "1234"),
        (2.46e11, "2.46e11"),
        (tuple(range(22)), ", ".join(map(str, range(20))) + " and 2 more"),
        (Share(0.5, 0.21, 0.79, 8), "50 % [21, 79]"),
        (Proportion(1, 4, Interval(0.05, 0.7)), "1/4 [0.05, 0.70]"),
        (Ratio(2.0, 1.5, 2.5, 10), "2.00 [1.50, 2.50]"),
        # Over few or equal problems an interval says nothing.
        (Ratio(2.0, 1.5, 2.5, 9), "2.00"),
        (Ratio(1.0, 1.0, 1.0, 10), "1.00"),
    ],
)
def test_cell(value: object, shown: str) -> None:
    assert cell(value) == shown


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
    assert table_of(items, "secret", title="T").splitlines() == [
        "### T",
        "",
        "| name | runs | share | p |",
        "| :-- | --: | --: | --: |",
        "| a | 3 | - | - |",
        "| b | 4 | 0.50 | < 0.001 |",
    ]
    assert table_of([], title="T") == ""
