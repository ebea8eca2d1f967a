from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.display import clean, one_line

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


@pytest.mark.parametrize("piece", ["\x1b]", "\x9d", "\x1b[", "\x9b0", "\x1b ", "\x9d0\x1b", "\x1bP ;"])
def test_time_grows_with_the_length_alone(piece: str) -> None:
    started = time.perf_counter()
    clean(piece * 200_000)
    clean(piece + "0" * 200_000)
    assert time.perf_counter() - started < 5
