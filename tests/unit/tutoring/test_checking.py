"""A worked solution is judged step by step, on the demonstration's models."""

from __future__ import annotations

from typing import Any

import pytest

from ssr_local import Interrupted, ProblemError, SolveOptions, Solver, SSRError, UsageError
from ssr_local.method.verification import VERIFIERS
from ssr_local.tutoring.checking import (
    STUDENT_VERIFIER,
    CheckedStep,
    CheckResult,
    answer_of,
    check,
    steps_of,
)
from ssr_local.tutoring.wording import in_words

PROBLEM = "A farm has hens and cows. Together they have 30 heads and 84 legs. How many hens?"
GOOD = [
    "Let h be the number of hens and c the number of cows.",
    "Heads give h + c = 30, and legs give 2h + 4c = 84.",
    "Dividing the second equation by 2 gives h + 2c = 42.",
    "Subtracting the first equation leaves c = 12, so h = 18.",
]
BAD = "Dividing the second equation by 2 gives h + 2c = 84."


def test_a_good_solution_is_accepted(solver: Solver) -> None:
    seen: list[tuple[int, CheckedStep]] = []
    result = check(PROBLEM, GOOD, solver=solver, on_step=lambda n, step: seen.append((n, step)))
    assert result.first_bad is None
    assert all(step.accepted for step in result.steps)
    assert [n for n, _ in seen] == [0, 1, 2, 3]
    assert tuple(step for _, step in seen) == result.steps
    assert (result.answer, result.answer_accepted, result.vote) == ("18", True, "18")
    assert result.correction == ""


def test_the_first_bad_step_has_a_reason_and_a_correction(solver: Solver) -> None:
    told: list[CheckResult] = []
    steps = [*GOOD[:2], BAD]
    result = check(PROBLEM, steps, solver=solver, with_vote=False, on_judged=told.append)
    assert len(told) == len({repr(one) for one in told}) == 4  # once each time it grows
    assert result.first_bad == 2
    bad = result.steps[2]
    assert (bad.accepted, bad.algebra) == (False, "does not hold")
    assert bad.reason.startswith("h + 2c = 84 does not hold: an equation above says otherwise")
    assert "It does not follow" in bad.reason  # the target's sentence
    assert result.correction == GOOD[2]
    assert (result.vote, result.answer_accepted) == (None, None)


def test_algebra_wins_both_ways(solver: Solver) -> None:
    # The model finds every step it does not know good, and the bad draft bad.
    steps = ["It is 12 * 4 = 46.", "It is 12 * 4 = 48.", "So it goes."]
    result = check("Twelve fours?", steps, solver=solver, with_vote=False)
    assert [step.accepted for step in result.steps] == [False, True, True]
    assert result.steps[0].model_accepted
    strict: dict[str, Any] = {"options": SolveOptions(threshold=9.0), "verifier": "likelihood"}
    result = check("Twelve fours?", steps, solver=solver, with_vote=False, **strict)
    assert [step.model_accepted for step in result.steps] == [False, False, False]
    assert [step.accepted for step in result.steps] == [False, True, False]


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_every_verifier_can_judge_a_persons_steps(verifier: str, solver: Solver) -> None:
    result = check(PROBLEM, GOOD, solver=solver, verifier=verifier, with_vote=False)
    assert result.verifier == verifier or result.notices
    read = [step for step in result.steps if verifier != STUDENT_VERIFIER or "2" in step.text]
    assert len(read) >= 3
    assert all(step.score is not None for step in read)


def test_the_vote_is_stopped_at_its_next_event_and_the_solver_is_free_again(
    solver: Solver,
) -> None:
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) >= 30

    with pytest.raises(Interrupted):
        check(PROBLEM, GOOD, solver=solver, should_stop=should_stop)
    assert len(asked) == 30
    assert check(PROBLEM, GOOD, solver=solver, with_vote=False).is_good


def test_what_there_is_is_told_before_it_is_judged_and_before_it_is_explained(
    solver: Solver,
) -> None:
    told: list[CheckResult] = []
    steps = [*GOOD, "2 + 2 = 5"]
    stops: dict[str, Any] = {"should_stop": lambda: len(told) == 2, "on_judged": told.append}
    with pytest.raises(Interrupted):
        check(PROBLEM, steps, solver=solver, **stops)
    unjudged, judged = told
    assert [step.text for step in unjudged.steps] == steps
    assert not any(step.is_judged for step in unjudged.steps)
    assert judged.first_bad == 4
    assert judged.correction == ""


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([1], "Step 1 is no text"),
        (None, "no text and no list"),
        ([], "There are no steps"),
        (["a", " "], "Step 2 is empty"),
        (["a"] * 201, "201 steps"),
    ],
)
def test_what_is_no_steps_is_named(steps: Any, words: str, solver: Solver) -> None:
    with pytest.raises(SSRError, match=words):
        check(PROBLEM, steps, solver=solver)


def test_an_unknown_verifier_is_named(solver: Solver) -> None:
    with pytest.raises(UsageError, match="verifier"):
        check(PROBLEM, GOOD, solver=solver, verifier="nobody")


def test_a_step_is_usually_judged_by_its_numbers_alone(solver: Solver) -> None:
    result = check(PROBLEM, ["So it goes.", "It has 18 hens."], solver=solver, with_vote=False)
    assert result.verifier == STUDENT_VERIFIER
    assert not result.notices
    prose, number = result.steps
    assert (prose.score, prose.accepted, prose.is_judged) == (None, True, False)
    assert in_words(prose).startswith("not judged: no number or equation")
    assert number.score is not None
    assert number.score < 9.0
    assert number.is_judged


def test_steps_of_a_text() -> None:
    text = "one\r\n\r\n two \n\n\n\nthree\nstill three\n"
    assert steps_of(text) == ["one", "two", "three\nstill three"]
    with pytest.raises(ProblemError, match="201 steps"):
        steps_of("x\n\n" * 201)


@pytest.mark.parametrize(
    ("steps", "answer"),
    [
        (["So it is \\boxed{7}."], "7"),
        (["The answer is 12."], "12"),
        (["3 + 4 = 7 apples."], "7"),
        (["48 / 2 = 24. Check: 24 * 2 = 48."], "24"),
        (["x = 2 or x = 3"], "2, 3"),
        (["50/250 = 20%"], "20%"),
        (["We do not know."], None),
    ],
)
def test_the_answer_a_solution_states(steps: list[str], answer: str | None) -> None:
    assert answer_of(steps) == answer
