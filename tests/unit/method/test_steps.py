from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.method.steps import (
    StepSplitter,
    is_looping,
    is_repeated,
    is_thinking,
    path_end,
    split_steps,
)

_TEXT = st.lists(
    st.sampled_from(["a", "b c", "\n", "\n", "\n\n", " ", "\t", "\r\n", "\u00a0", "é", "\x1c", "$"])
).map("".join)


def fed(pieces: list[str]) -> list[str]:
    """The steps a splitter finds when text arrives in these pieces."""
    steps: list[str] = []
    splitter = StepSplitter()
    queue = list(pieces)
    while queue:
        length = splitter.push(queue.pop(0))
        if length is not None:
            steps.append(splitter.text[:length])
            queue.insert(0, splitter.text[length:])
            splitter = StepSplitter()
    if splitter.text.strip():
        steps.append(splitter.text)
    elif steps:
        steps[-1] += splitter.text
    return steps


@given(_TEXT, st.data())
def test_steps_do_not_depend_on_the_pieces(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    edges = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in pairwise(edges)]
    assert fed(pieces) == split_steps(text)
    assert fed(list(text)) == split_steps(text)


@given(_TEXT)
def test_steps_joined_are_the_text_and_none_is_empty(text: str) -> None:
    steps = split_steps(text)
    assert "".join(steps) == (text if text.strip() else "")
    assert all(step.strip() for step in steps)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", []),
        (" \n\n \n", []),
        ("one", ["one"]),
        ("one\ntwo", ["one\ntwo"]),
        ("one\n\ntwo", ["one\n\n", "two"]),
        ("one\n \t\ntwo", ["one\n \t\n", "two"]),
        ("one  \r\n\r\ntwo", ["one  \r\n\r\n", "two"]),
        ("\n\n\none\n\ntwo", ["\n\n\none\n\n", "two"]),
        ("one\n\n\n\ntwo", ["one\n\n", "\n\ntwo"]),
        ("one\n\n \n", ["one\n\n \n"]),
        ("<think>\n\nhm\n\n</think>\n\nso", ["<think>\n\n", "hm\n\n", "</think>\n\n", "so"]),
    ],
)
def test_where_a_step_ends(text: str, steps: list[str]) -> None:
    assert split_steps(text) == steps


def test_a_long_step_is_not_scanned_again_and_again() -> None:
    splitter = StepSplitter()
    for _ in range(50_000):
        assert splitter.push("x") is None
    assert splitter.push("\n\n") == 50_002


@pytest.mark.parametrize(
    ("text", "thinking"),
    [
        ("", False),
        ("<think>\nhm", True),
        ("<think>hm</think>", False),
        ("hm</think>", False),
        ("<think>a</think><think>b", True),
    ],
)
def test_is_thinking(text: str, thinking: bool) -> None:
    assert is_thinking(text) is thinking


@pytest.mark.parametrize(
    ("step", "earlier", "repeated"),
    [
        ("a  b\n\n", ["x\n\n", " a b"], True),
        ("a b", [], False),
        ("a b", ["a c", "ab"], False),
        ("a b", ["A B"], False),
    ],
)
def test_is_repeated(step: str, earlier: list[str], repeated: bool) -> None:
    assert is_repeated(step, earlier) is repeated


@pytest.mark.parametrize(
    ("step", "looping"),
    [
        ("So x = 1 " + " = \\frac{10}{10a}" * 4, True),
        ("So x = 1 " + " = \\frac{10}{10a}" * 3, False),
        ("So x = 1 " + " = \\frac{10}{10a}" * 9 + " = 4", False),
        ("again and again and again and again and again and again and again and again", True),
        ("one third is 0." + "3" * 30, False),
        ("A table\n" + "-" * 80, False),
        ("3 + 3 + 3 + 3 + 3 + 3 + 3 = 21", False),
        ("", False),
    ],
)
def test_is_looping(step: str, looping: bool) -> None:
    assert is_looping(step) is looping


@given(st.text("ab1 ", min_size=9, max_size=149), st.text("xyz", max_size=20))
def test_any_stretch_four_times_is_a_loop(stretch: str, before: str) -> None:
    assert is_looping(before + f"{stretch}." * 4) is any(map(str.isalnum, stretch))


_WEIGHTY_FIRST: list[tuple[str, dict[str, Any]]] = [
    ("answered", {"answered": True}),
    ("end_of_generation", {"step_end": "end_of_generation"}),
    ("context_full", {"step_end": "context_full"}),
    ("empty_step", {"step": " \n"}),
    ("repetition", {"step": "again", "earlier": ["again"]}),
    ("repetition", {"step": "and again, " * 20}),
    ("token_budget", {"num_tokens": 10}),
    ("step_budget", {"max_steps": 1}),
]
_GOES_ON: dict[str, Any] = {
    "step": "new",
    "earlier": ["old"],
    "step_end": "blank_line",
    "answered": False,
    "num_tokens": 9,
    "max_tokens": 10,
    "max_steps": 3,
}


@pytest.mark.parametrize("stronger", range(len(_WEIGHTY_FIRST)))
def test_what_ends_a_path_and_which_reason_is_the_one_recorded(stronger: int) -> None:
    reason, case = _WEIGHTY_FIRST[stronger]
    assert path_end(**(_GOES_ON | case)) == reason
    for _, weaker in _WEIGHTY_FIRST[stronger + 1 :]:
        assert path_end(**(_GOES_ON | weaker | case)) == reason


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({}, None),
        ({"step_end": "token_limit"}, None),  # cut at its own limit
        # A step that found no room at all is not called empty.
        ({"step": "", "step_end": "context_full"}, "context_full"),
        ({"step": "", "step_end": "kv_cache_full"}, "kv_cache_full"),
    ],
)
def test_how_a_step_ended_and_its_path(case: dict[str, Any], reason: str | None) -> None:
    assert path_end(**(_GOES_ON | case)) == reason
