"""Figures and foreign text in Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.bench.report.shares import Share
from ssr_local.bench.report.tables import (
    decimal,
    escaped,
    p_text,
    percent_ratio,
    ratio_text,
    share_text,
    table,
)
from ssr_local.bench.statistics import Ratio


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


def test_an_interval_over_few_or_equal_problems_is_not_shown() -> None:
    assert ratio_text(Ratio(2.0, 1.5, 2.5, 10)) == "2.00 [1.50, 2.50]"
    assert ratio_text(Ratio(2.0, 1.5, 2.5, 9)) == "2.00"
    assert percent_ratio(Ratio(1.0, 1.0, 1.0, 10)) == "100 %"
    assert ratio_text(None) == share_text(None) == "-"
    assert share_text(Share(0.5, 0.21, 0.79, 8)) == "50 % [21, 79]"


def test_table_aligns_numbers_to_the_right() -> None:
    lines = table(("A", "B"), [("x", "1")]).splitlines()
    assert lines == ["| A | B |", "| :-- | --: |", "| x | 1 |"]
