from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.display import clean, human_bytes, one_line, printable, quoted

HOSTILE = st.text(
    st.sampled_from("\x1b\x9b\x9d\x90\x9c\x07\\[]P0;mJ \n\r\t\u202e\u2028\ud800ab")
    | st.characters(),
    max_size=200,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é ع 数 🙂", "plain é ع 数 🙂"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("a\r\nb\rc\x0bd\u2028e", "a\nb\nc\nd\ne"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d0;title\x9cafter", "after"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x1b]0;never ends\nnext", "\nnext"),
        ("\x1b]52;c;AAAA\x1b[31mred", "red"),
        ("\x1bcreset", "reset"),
        ("\x1b(Bset", "set"),
        ("ends\x1b", "ends"),
        ("\x1b\x1b[31m[31m", "[31m"),
        # A mangled quotation mark is no reason to lose what follows it.
        ("â\x80\x9dword", "âword"),
        ("nul\x00 bell\x07 delete\x7f", "nul bell delete"),
        ("a\u202eb\u2066c\u200fd\u061ce\u00adf", "abcdef"),
        ("half \ud800 pair", "half  pair"),
        ("می\u200cخواهم 👩\u200d🔬", "می\u200cخواهم 👩\u200d🔬"),
        ("\x1b[?1049h\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b[38:2::1:2:3mtrue colour", "true colour"),
        ("\x1b]52;c;cm0gLXJm\x07copied", "copied"),
        ("\x1b_Gkitty\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\text", "text"),
        ("שלום עולם 日本語 e\u0301 क्षि 🇩🇪 ∫₀¹ x²", "שלום עולם 日本語 e\u0301 क्षि 🇩🇪 ∫₀¹ x²"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(HOSTILE)
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    shown = clean(text)
    assert all(
        c in "\n\t\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        for c in shown
    )
    assert clean(shown) == shown
    shown.encode("utf-8")


@given(HOSTILE, st.integers(0, 100))
def test_one_line_is_one_line_of_its_length(text: str, limit: int) -> None:
    shown = one_line(text, limit)
    assert len(shown.splitlines()) <= 1
    assert shown == shown.strip()
    assert not limit or len(shown) <= limit
    assert one_line(shown, limit) == shown


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("  a \n b\t\u2003c ", 0, "a b c"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("", 5, ""),
    ],
)
def test_one_line(text: str, limit: int, shown: str) -> None:
    assert one_line(text, limit) == shown


@pytest.mark.parametrize(
    "piece", ["\x1b]", "\x9d", "\x1b[", "\x9b0", "\x1b ", "\x9d0\x1b", "\x1bP ;"]
)
def test_time_grows_with_the_length_alone(piece: str) -> None:
    started = time.perf_counter()
    clean(piece * 200_000)
    clean(piece + "0" * 200_000)
    assert time.perf_counter() - started < 30


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (491400064, "491 MB"), (1_608_720_832, "1.6 GB")],
)
def test_human_bytes(size: int, shown: str) -> None:
    assert human_bytes(size) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\x1b[2J'\udcff", '"a\\x1b[2J\'\\udcff"'),
        ("x" * 60, f"'{'x' * 60}'"),
        ("x" * 61, f"'{'x' * 60}...'"),
        (7, "7"),
        (True, "True"),
        (None, "None"),
        (2**64 - 1, "18446744073709551615"),
        (2**64, "an integer of more than 64 bits"),
        pytest.param(-(1 << 40_000), "an integer of more than 64 bits", id="40000 bits"),
        ({"a": 1}, "a table"),
        ([1 << 40_000], "a list"),
    ],
)
def test_quoted(value: object, shown: str) -> None:
    assert quoted(value) == shown


@given(st.text())
def test_printable_keeps_the_length(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)
