"""Every text a model is sent, apart from the strategies' own sentences. Pure.

On a path worked examples come first, and then the problem, so that everything before the advice
is one shared prefix for all paths and for verification. For selection the problem comes after
the pool, so that everything before it is one prefix for all problems.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from ssr_local.core.records import Strategy

PROGRAM_INSTRUCTION = (
    "Write a Python function solution() that returns the answer. Reply with the code only."
)


CONCLUSION = "So the final answer is \\boxed{"
"""What a path goes on with when its budget is nearly used up."""


CONTENT_FREE = ("N/A", "[MASK]", "")
"""Problems that say nothing: the typical ones of a pool that names none."""


_TYPESET = re.compile(
    r"\\[A-Za-z(\[]"  # a command of LaTeX, or what opens a formula
    # $x + 1$, but not $5 and $6
    r"|\$(?!\s)(?:[^$A-Za-z\\]|(?<![A-Za-z])[A-Za-z](?![A-Za-z]))+(?<!\s)\$(?!\d)"
)


class Question(Struct, frozen=True):
    """What the target is asked after a drafted step, and the words it may reply with."""

    text: str
    words: tuple[str, ...]


DIGIT = ("digit", "rate")
QUESTIONS: dict[tuple[str, str], Question] = {
    DIGIT: Question(
        "Rate the last step: is it correct, and does it lead to the solution?"
        " Reply with one digit from 0 (wrong) to 9 (certainly right).",
        tuple(str(digit) for digit in range(10)),
    ),
}
"""(kind, wording) -> the question; both stand in the keys of ``StepReading.probes``."""


def is_typeset(problem: str) -> bool:
    """Whether a problem has formulas in LaTeX, as contest problems do and school's do not."""
    return _TYPESET.search(problem) is not None


def path_request(problem: str, advice: str, instruction: str) -> str:
    """What a path is asked: the problem, the strategy's advice as a hint, the instruction."""
    hint = f"Hint: {advice}\n\n" if advice else ""
    return f"{problem}\n\n{hint}{instruction}"


def selection_request(
    problem: str, letters: Sequence[str], strategies: Sequence[Strategy], count: int
) -> str:
    """What the target is asked to choose from: ``strategies`` shown under ``letters``.

    ``count`` of 1 asks for one letter (its log-probabilities are read), more for a list.
    What stands before the problem is the same for every problem and count.
    """
    listed = "\n".join(
        f"{letter}. {strategy.advice}" for letter, strategy in zip(letters, strategies, strict=True)
    )
    if count == 1:
        question = "Which one strategy is most promising? Reply with its letter only."
    else:
        question = (
            f"Which {count} strategies are most promising?"
            f" Reply with {count} letters only, the best first."
        )
    return (
        f"Here are strategies for solving problems:\n\n{listed}\n\n"
        f"Problem: {problem}\n\nDo not solve this yet. {question}"
    )


def defuse(text: str, special_texts: Sequence[str]) -> str:
    """The text with a space inside whatever would be read as a control token.

    So a problem that contains ``<|im_end|>`` cannot end the user's turn.
    """
    for special in special_texts:
        if len(special) > 1 and special in text:
            text = text.replace(special, f"{special[0]} {special[1:]}")
    return text
