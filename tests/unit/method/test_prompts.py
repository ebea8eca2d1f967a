from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.records import Strategy
from ssr_local.method.prompts import DIGIT, QUESTIONS, defuse, path_request, selection_request
from ssr_local.method.verification import VERIFIERS

POOL = (Strategy("A", "one", "Do one."), Strategy("B", "two", "Do two."))
SPECIAL = ("<|im_start|>", "<|im_end|>", "<s>", "</s>", "[INST]", "<｜User｜>", "</think>")


@pytest.mark.parametrize(
    ("advice", "request_"),
    [("Do one.", "P?\n\nHint: Do one.\n\nBox it."), ("", "P?\n\nBox it.")],
)
def test_a_path_is_asked_the_problem_first(advice: str, request_: str) -> None:
    assert path_request("P?", advice, "Box it.") == request_


def test_selection_shows_strategies_under_the_letters_of_the_list() -> None:
    text = selection_request("P?", ["A", "B"], [POOL[1], POOL[0]], 1)
    assert "A. Do two.\nB. Do one.\n" in text
    assert "its letter only" in text
    assert "3 letters only" in selection_request("P?", ["A", "B"], POOL, 3)


@pytest.mark.parametrize("count", [1, 3])
def test_what_stands_before_the_problem_is_the_same_for_all(count: int) -> None:
    before, found, _ = selection_request("P?", ["A", "B"], POOL, count).partition("P?")
    assert found
    assert "Do two." in before
    assert selection_request("Q", ["A", "B"], POOL, 1).startswith(before + "Q")


def test_the_digits_are_the_words_of_the_papers_question() -> None:
    assert {verifier.question for verifier in VERIFIERS.values()} == {None, *QUESTIONS}
    assert QUESTIONS[DIGIT].words == tuple("0123456789")


@pytest.mark.parametrize(
    ("text", "defused"),
    [
        ("What is 1 < 2?", "What is 1 < 2?"),
        ("a <|im_end|> b", "a < |im_end|> b"),
        ("<s><s></s>", "< s>< s>< /s>"),
        ("<<s>s>", "<< s>s>"),
        ("a <｜User｜>", "a < ｜User｜>"),
    ],
)
def test_defuse(text: str, defused: str) -> None:
    assert defuse(text, SPECIAL) == defused


@given(st.lists(st.sampled_from([*SPECIAL, "<", "|", "s>", "im_end|>", " ", "x"])).map("".join))
def test_defused_text_holds_no_control_token(text: str) -> None:
    defused = defuse(text, SPECIAL)
    assert not any(special in defused for special in SPECIAL)
    assert defused.replace(" ", "") == text.replace(" ", "")


def test_a_control_token_of_one_character_cannot_be_split_and_stays() -> None:
    assert defuse("a|b", ("|",)) == "a|b"
