"""Hints say as much as their level, on the demonstration's models."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ssr_local import Interrupted, Solver, UsageError
from ssr_local.core.events import RunEnded
from ssr_local.core.records import Step
from ssr_local.tutoring.hints import hint
from tests.unit.tutoring.test_checking import BAD
from tests.unit.tutoring.test_checking import GOOD as STEPS

PROBLEM = "On a hill live hens and cows. Together they have 30 heads and 84 legs. How many hens?"


def says(monkeypatch: pytest.MonkeyPatch, *replies: str) -> list[str]:
    """Let the target reply with these in turn; returns what it was asked."""
    asked: list[str] = []

    def reply(self: Solver, problem: str, question: str, **more: Any) -> str:
        asked.append(question)
        return replies[min(len(asked), len(replies)) - 1]

    monkeypatch.setattr(Solver, "reply", reply)
    return asked


def test_every_level_says_more(solver: Solver) -> None:
    first, second, third, fourth = (hint(PROBLEM, (), n, solver=solver) for n in (1, 2, 3, 4))
    assert first.strategy == "algebraic simplification"
    assert first.text.startswith("Try this: ")
    assert not any(sign.isdigit() for sign in first.text + second.text)
    assert second.text == "It does not follow from what stands before it."  # the scripted reply
    assert third.text == STEPS[0]
    assert r"\boxed{18}" in fourth.text
    assert not any(one.withheld for one in (first, second, third, fourth))


def test_a_hint_goes_on_from_the_last_good_step(solver: Solver) -> None:
    given = hint(PROBLEM, STEPS[:2], 3, solver=solver)
    assert (given.text, given.after) == (STEPS[2], 2)
    given = hint(PROBLEM, [*STEPS[:2], BAD, "So c = 54."], 3, solver=solver)
    assert (given.text, given.after) == (STEPS[2], 2)
    given = hint(PROBLEM, STEPS[:2], 4, solver=solver)
    assert given.text.startswith("Dividing the second equation")


def test_the_answer_is_no_next_step(solver: Solver) -> None:
    given = hint(PROBLEM, STEPS, 3, solver=solver)
    assert given.withheld
    assert "18" not in given.text
    assert "level 4" in given.text


@pytest.mark.parametrize(
    ("level", "leak"),
    [
        (1, "There are 18 hens."),
        (2, "You get eighteen."),
        (1, "Then 42 is left."),
        (2, "Multiply 30 by 2 first."),  # not even the problem's own
        (2, "Forty-two is half of it."),
    ],
)
def test_what_gives_numbers_away_is_asked_again_and_then_withheld(
    level: int, leak: str, solver: Solver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = says(monkeypatch, leak, "Compare the legs with the heads.")
    good = hint(PROBLEM, STEPS[:2], level, solver=solver)
    assert len(asked) == 2
    assert leak not in good.text
    assert good.text.endswith("Compare the legs with the heads.")
    says(monkeypatch, leak)
    held = hint(PROBLEM, STEPS[:2], level, solver=solver)
    assert leak not in held.text
    assert held.withheld is (level == 2)


def test_an_answer_in_words_is_kept_back_too(
    solver: Solver, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(text="Cancelling leaves $x + 2$.", author="target")
    solved = solver.solve(PROBLEM, paths=1)
    path = msgspec.structs.replace(solved.paths[0], steps=(step, step), answer="x+2")
    run = msgspec.structs.replace(solved, paths=(path,))
    monkeypatch.setattr(Solver, "stream", lambda *_, **__: (RunEnded(result=one) for one in [run]))
    assert hint("Simplify it.", (), 3, solver=solver).withheld
    says(monkeypatch, "It leaves x + 2 in the end.", "It fits.")
    assert hint("Simplify it.", (), 1, solver=solver).text.endswith("It fits.")


def test_a_hint_that_was_stopped_is_none(solver: Solver) -> None:
    with pytest.raises(Interrupted):
        hint(PROBLEM, (), 1, solver=solver, should_stop=lambda: True)


@pytest.mark.parametrize("level", [0, 5, -1])
def test_other_levels_are_refused(level: int, solver: Solver) -> None:
    with pytest.raises(UsageError, match="Levels are 1, 2, 3 and 4"):
        hint(PROBLEM, (), level, solver=solver)
