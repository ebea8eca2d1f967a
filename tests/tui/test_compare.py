"""What two paths are said to disagree on, and how their steps stand beside each other."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.records import Strategy
from ssr_local.core.views import PathView, StepView
from ssr_local_tui.compare import aligned, disagreement, summary


def path(*steps: str, answer: str | None = None, index: int = 0) -> PathView:
    view = PathView(index, Strategy("A", "name", "advice"), None)
    view.steps = [StepView("draft", text, "accepted") for text in steps]
    view.answer = answer
    view.end_reason = None if answer is None else "answered"
    return view


def both(text: str) -> tuple[PathView, PathView]:
    """The paths of a line such as "2 * 3 = 6; 6 - 1 = 5 -> 5 | 8 - 3 = 5 -> 5"."""
    first, second = (
        path(*filter(None, steps.strip().split("; ")), answer=answer.strip() or None, index=index)
        for index, side in enumerate(text.split("|"))
        for steps, _, answer in [side.partition("->")]
    )
    return first, second


@pytest.mark.parametrize(
    "text",
    [
        "2 + 3 = 5 -> 5 | 2 + 3 = 5 -> 5",
        "2 * 3 = 6; 6 - 1 = 5 -> 5 | 8 - 3 = 5 -> 5",
        "= 17; = 5 -> 5 | = 23; = 5 -> 5.0",
        r"= 0.5 -> 0.5 | = 1/2 -> \frac{1}{2}",
        r"= 50% -> 50\% | = 0.5 -> 0.5",
        r"= 1{,}000 -> 1,000 | = 1000 -> \$1000",
        "So yes. -> Yes | So it is. -> yes.",
    ],
)
def test_equal_answers_are_no_disagreement(text: str) -> None:
    assert disagreement(*both(text)) is None
    assert summary(*both(text)).startswith("Both paths come to the answer ")


# Where they part, and the last result before it that both come to.
PART: list[tuple[str, tuple[int | None, int | None], str | None]] = [
    ("48 / 2 = 24; 48 + 24 = 72 -> 72 | 48 / 2 = 24; 48 + 24 = 62 -> 62", (1, 1), "24"),
    # A slip that nothing common follows from, though a later result is common.
    (
        "2 * 7 = 12; 2 + 3 = 5; 12 + 5 = 17 -> 17 | 2 * 7 = 14; 2 + 3 = 5; 14 + 5 = 19 -> 19",
        (0, 0),
        None,
    ),
    # Two routes to a common result, and then a slip.
    (
        "20 - 8 = 12; 12 + 28 = 40; 40 * 2 = 80 -> 80"
        " | 30 - 2 = 28; 28 + 12 = 40; 40 * 2 = 90 -> 90",
        (2, 2),
        "40",
    ),
    # A slip before a common result in the same step.
    (
        "2 * 7 = 12. 2 + 3 = 5; 12 + 5 = 17 -> 17 | 2 * 7 = 14. 2 + 3 = 5; 14 + 5 = 19 -> 19",
        (0, 0),
        None,
    ),
    # A common result that is come to again by way of a slip.
    (
        "b = 5; 6 * 3 = 19; 19 - 14 = 5 -> 19 | b = 5; 6 * 3 = 18; 18 - 13 = 5 -> 18",
        (1, 1),
        "5",
    ),
    # Steps one of them skips.
    (
        "3 * 4 = 12; 12 + 3 = 15; 15 + 5 = 20; 20 * 2 = 44 -> 44"
        " | 3 * 4 + 8 = 20; 20 * 2 = 40 -> 40",
        (3, 1),
        "20",
    ),
    # The same steps in another order.
    (
        "2 * 6 = 12; 4 * 5 = 20; 12 + 20 = 32 -> 32 | 4 * 5 = 20; 2 * 6 = 12; 20 + 12 = 33 -> 33",
        (2, 2),
        "20",
    ),
    # The same sum rather than the first number.
    (r"Let n = 99.; So $12 \times 4 = 48$. -> 48 | So 4 * 12 = 46. -> 46", (1, 0), None),
    # Only the choice of the answer, also where it is in words.
    ("a = 7; b = 8; It must be a. -> 7 | a = 7; b = 8; It must be b. -> 8", (0, 1), None),
    ("So it is true. -> Yes | Look.; So it is false. -> No", (0, 1), None),
    # One states the other's answer on the way.
    ("= 10; 10 + 5 = 15 -> 15 | = 10 -> 10", (1, None), "10"),
    # Rounding is no difference, the sign is.
    (
        r"10 / 3 = \frac{10}{3}; 7 * 2 = 14 -> 14 | 10 / 3 = 3.33; 7 * 2 = 15 -> 15",
        (1, 1),
        "10/3",
    ),
    ("3 - 8 = -5 -> -5 | 3 - 8 = 5 -> 5", (0, 0), None),
    # Two that have no answer yet contradict each other.
    ("9 * 9 = 81 | 9 * 9 = 72", (0, 0), None),
]


@pytest.mark.parametrize(("text", "steps", "agreed"), PART)
def test_where_they_part(
    text: str, steps: tuple[int | None, int | None], agreed: str | None
) -> None:
    first, second = both(text)
    found = disagreement(first, second)
    assert found is not None
    assert (found.first_step, found.second_step) == steps
    common = re.match(r"Both come to (\S+);", found.explanation)
    assert (common and common[1]) == agreed
    assert summary(first, second) == found.explanation
    back = disagreement(second, first)  # it does not matter which path comes first
    assert back is not None
    assert (back.second_step, back.first_step) == steps


@pytest.mark.parametrize(
    "text",
    [
        "2 + 3 = 5; 5 * 2 = 10 | 2 + 3 = 5",  # not that far yet
        "2 + 3 = 5; 5 * 2 = 10 -> 10 | 2 + 3 = 5",
        "= 5 |",
        "|",
        "So. -> 2x + x | So. -> 3x",  # equal, but not for us to say
    ],
)
def test_what_nobody_can_call_a_contradiction(text: str) -> None:
    assert disagreement(*both(text)) is None
    assert "contradicts the other path" in summary(*both(text))


def test_the_explanation_names_sum_result_path_and_step_or_that_one_has_none() -> None:
    assert summary(*both(r"= 6; $12 \times 4 = 48$ -> 48 | = 6; 12 × 4 = 46 -> 46")) == (
        "Both come to 6;"
        " then path 1 has 12 × 4 = 48 in step 2 and path 2 has 12 × 4 = 46 in step 2."
    )
    assert summary(*both("= 10; 10 + 5 = 15 -> 15 | = 10 -> 10")) == (
        "Both come to 10; then path 1 has 10 + 5 = 15 in step 2,"
        " which path 2, answering 10, never states."
    )


def test_a_rejected_draft_is_not_what_the_path_says() -> None:
    first = path("2 + 3 = 5", answer="5")
    second = path("2 + 3 = 6", answer="6")
    second.steps[0].rejected = "2 + 3 = 5"
    found = disagreement(first, second)
    assert found is not None
    assert (found.first_step, found.second_step) == (0, 0)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("|", []),
        ("a |", [(0, None)]),
        ("a; b | c", [(0, 0), (1, None)]),
        ("= 5; = 6 | = 5; = 6", [(0, 0), (1, 1)]),
        ("x; = 5 | = 5", [(0, None), (1, 0)]),
        ("= 5; x; y; = 6 | = 5; z; = 6; w", [(0, 0), (1, 1), (2, None), (3, 2), (None, 3)]),
        ("= 5; x; = 6 | y; = 5; = 6", [(None, 0), (0, 1), (1, None), (2, 2)]),
        # In another order only one of the two can stand beside its like.
        ("= 5; = 6 | = 6; = 5", [(0, None), (1, 0), (None, 1)]),
        # One step that does what the other path does in two.
        ("= 5 and = 6; = 7 | = 5; = 6; = 7", [(0, 0), (None, 1), (1, 2)]),
    ],
)
def test_rows_side_by_side(text: str, rows: list[tuple[int | None, int | None]]) -> None:
    assert aligned(*both(text)) == rows


PIECES = ["= 5", "= 6", "2 + 3 = 5", "is 7.", r"\boxed{8}", r"\frac{1}{0}", "-", "=", "9,999", "%"]
STEPS = st.lists(
    st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=6).map(" ".join)),
    max_size=6,
)
HOSTILE = "\x1b[31m\u202eYes " + "A" * 5000
ANSWERS = st.one_of(st.none(), st.sampled_from(["5", "6", "Yes", "-1", r"\frac{1}{2}", HOSTILE]))


@given(STEPS, STEPS, ANSWERS, ANSWERS)
def test_any_two_paths_can_be_compared(
    one: Sequence[str], other: Sequence[str], answer: str | None, other_answer: str | None
) -> None:
    first, second = path(*one, answer=answer), path(*other, answer=other_answer, index=1)
    rows = aligned(first, second)
    assert [left for left, _ in rows if left is not None] == list(range(len(one)))
    assert [right for _, right in rows if right is not None] == list(range(len(other)))
    assert (None, None) not in rows
    found, back = disagreement(first, second), disagreement(second, first)
    assert (found is None) == (back is None)
    for step, steps in ((found.first_step, one), (found.second_step, other)) if found else ():
        assert step is None or 0 <= step < len(steps)
    assert disagreement(first, first) is None
    said = summary(first, second)
    assert said.isprintable()
    assert len(said) < 300


@pytest.mark.parametrize(
    "text",
    [
        "9" * 100_000,
        "= -" * 30_000,
        r"\boxed{" * 12_000,
        ("is 5 " + "a" * 75) * 1_000,
        ("1+" * 100 + "1 = 5 ") * 200,
        "x = 1 " * 12_000,
    ],
    ids=lambda text: f"{text[:8]!r}",
)
def test_long_text_takes_linear_time(text: str) -> None:
    started = time.process_time()
    disagreement(path(text), path(text + " = 3"))
    assert time.process_time() - started < 5
