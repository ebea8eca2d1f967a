"""What two paths are said to disagree on, and how their steps stand beside each other."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local.core.records import Strategy
from ssr_local.core.tree import PathView, StepView
from ssr_local_tui.compare import aligned, disagreement, summary


def path(*steps: str, answer: str | None = None, index: int = 0) -> PathView:
    view = PathView(index, Strategy("A", "name", "advice"), None)
    view.steps = [StepView("draft", text, "accepted") for text in steps]
    view.answer = answer
    view.end_reason = None if answer is None else "answered"
    return view


AGREE: list[tuple[str, PathView, PathView]] = [
    ("the same", path("2 + 3 = 5", answer="5"), path("2 + 3 = 5", answer="5")),
    ("another way", path("2 * 3 = 6", "6 - 1 = 5", answer="5"), path("8 - 3 = 5", answer="5")),
    ("other values", path("= 17", "= 5", answer="5"), path("= 23", "= 5", answer="5.0")),
    ("half", path("= 0.5", answer="0.5"), path("= 1/2", answer=r"\frac{1}{2}")),
    ("percent", path("= 50%", answer=r"50\%"), path("= 0.5", answer="0.5")),
    ("thousands", path(r"= 1{,}000", answer="1,000"), path("= 1000", answer=r"\$1000")),
    ("words", path("So yes.", answer="Yes"), path("So it is.", answer="yes.")),
]


@pytest.mark.parametrize(("first", "second"), [row[1:] for row in AGREE], ids=[r[0] for r in AGREE])
def test_equal_answers_are_no_disagreement(first: PathView, second: PathView) -> None:
    assert disagreement(first, second) is None
    assert summary(first, second).startswith("Both paths come to the answer ")


PART: list[
    tuple[str, PathView, PathView, tuple[int | None, int | None], tuple[int, int] | None]
] = [
    (
        "at the last step",
        path("48 / 2 = 24", "48 + 24 = 72", answer="72"),
        path("48 / 2 = 24", "48 + 24 = 62", answer="62"),
        (1, 1),
        (0, 0),
    ),
    (
        "a slip that nothing common follows from, though a later result is common",
        path("2 * 7 = 12", "2 + 3 = 5", "12 + 5 = 17", answer="17"),
        path("2 * 7 = 14", "2 + 3 = 5", "14 + 5 = 19", answer="19"),
        (0, 0),
        None,
    ),
    (
        "two routes to a common result, and then a slip",
        path("20 - 8 = 12", "12 + 28 = 40", "40 * 2 = 80", answer="80"),
        path("30 - 2 = 28", "28 + 12 = 40", "40 * 2 = 90", answer="90"),
        (2, 2),
        (1, 1),
    ),
    (
        "a slip before a common result in the same step",
        path("2 * 7 = 12. 2 + 3 = 5", "12 + 5 = 17", answer="17"),
        path("2 * 7 = 14. 2 + 3 = 5", "14 + 5 = 19", answer="19"),
        (0, 0),
        None,
    ),
    (
        "a common result that is come to again by way of a slip",
        path("b = 5", "6 * 3 = 19", "19 - 14 = 5", answer="19"),
        path("b = 5", "6 * 3 = 18", "18 - 13 = 5", answer="18"),
        (1, 1),
        (0, 0),
    ),
    (
        "steps one of them skips",
        path("3 * 4 = 12", "12 + 3 = 15", "15 + 5 = 20", "20 * 2 = 44", answer="44"),
        path("3 * 4 + 8 = 20", "20 * 2 = 40", answer="40"),
        (3, 1),
        (2, 0),
    ),
    (
        "the same steps in another order",
        path("2 * 6 = 12", "4 * 5 = 20", "12 + 20 = 32", answer="32"),
        path("4 * 5 = 20", "2 * 6 = 12", "20 + 12 = 33", answer="33"),
        (2, 2),
        (1, 0),
    ),
    (
        "the same sum rather than the first number",
        path("Let n = 99.", r"So $12 \times 4 = 48$.", answer="48"),
        path("It follows that 4 * 12 = 46.", answer="46"),
        (1, 0),
        None,
    ),
    (
        "only the choice of the answer",
        path("a = 7", "b = 8", "It must be a.", answer="7"),
        path("a = 7", "b = 8", "It must be b.", answer="8"),
        (0, 1),
        None,
    ),
    (
        "answers in words",
        path("So it is true.", answer="Yes"),
        path("Look.", "So it is false.", answer="No"),
        (0, 1),
        None,
    ),
    (
        "one states the other's answer on the way",
        path("= 10", "10 + 5 = 15", answer="15"),
        path("= 10", answer="10"),
        (1, None),
        (0, 0),
    ),
    (
        "rounding is no difference",
        path(r"10 / 3 = \frac{10}{3}", "7 * 2 = 14", answer="14"),
        path("10 / 3 = 3.33", "7 * 2 = 15", answer="15"),
        (1, 1),
        (0, 0),
    ),
    (
        "the sign is a difference",
        path("3 - 8 = -5", answer="-5"),
        path("3 - 8 = 5", answer="5"),
        (0, 0),
        None,
    ),
    (
        "two that have no answer yet contradict each other",
        path("9 * 9 = 81"),
        path("9 * 9 = 72"),
        (0, 0),
        None,
    ),
]


@pytest.mark.parametrize(
    ("first", "second", "steps", "agreed"), [row[1:] for row in PART], ids=[row[0] for row in PART]
)
def test_where_they_part(
    first: PathView,
    second: PathView,
    steps: tuple[int | None, int | None],
    agreed: tuple[int, int] | None,
) -> None:
    second.index = 1
    found = disagreement(first, second)
    assert found is not None
    assert (found.first_step, found.second_step) == steps
    assert found.agreed == agreed
    assert found.explanation.endswith(".")
    assert "\n" not in found.explanation
    assert summary(first, second) == found.explanation
    back = disagreement(second, first)  # it does not matter which path comes first
    assert back is not None
    assert (back.second_step, back.first_step) == steps


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (path("2 + 3 = 5", "5 * 2 = 10"), path("2 + 3 = 5")),  # not that far yet
        (path("2 + 3 = 5", "5 * 2 = 10", answer="10"), path("2 + 3 = 5")),
        (path("= 5"), path()),
        (path(), path()),
        (path("Nothing but words."), path("Others.")),
        (path("So.", answer="2x + x"), path("So.", answer="3x")),  # equal, but not for us to say
    ],
)
def test_what_nobody_can_call_a_contradiction(first: PathView, second: PathView) -> None:
    assert disagreement(first, second) is None
    assert "contradicts the other path" in summary(first, second)


def test_the_explanation_names_sum_result_path_and_step_or_that_one_has_none() -> None:
    found = disagreement(
        path("3 + 3 = 6", r"$12 \times 4 = 48$", answer="48"),
        path("3 + 3 = 6", "12 × 4 = 46", answer="46", index=2),
    )
    assert found is not None
    assert found.explanation == (
        "Both come to 6;"
        " then path 1 has 12 × 4 = 48 in step 2 and path 3 has 12 × 4 = 46 in step 2."
    )
    first = path("= 10", "10 + 5 = 15", answer="15")
    found = disagreement(first, path("= 10", answer="10", index=1))
    assert found is not None
    assert found.explanation == (
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
    ("first", "second", "rows"),
    [
        (path(), path(), []),
        (path("a"), path(), [(0, None)]),
        (path("a", "b"), path("c"), [(0, 0), (1, None)]),
        (path("= 5", "= 6"), path("= 5", "= 6"), [(0, 0), (1, 1)]),
        (path("x", "= 5"), path("= 5"), [(0, None), (1, 0)]),
        (
            path("= 5", "x", "y", "= 6"),
            path("= 5", "z", "= 6", "w"),
            [(0, 0), (1, 1), (2, None), (3, 2), (None, 3)],
        ),
        (
            path("= 5", "x", "= 6"),
            path("y", "= 5", "= 6"),
            [(None, 0), (0, 1), (1, None), (2, 2)],
        ),
        # In another order only one of the two can stand beside its like.
        (path("= 5", "= 6"), path("= 6", "= 5"), [(0, None), (1, 0), (None, 1)]),
        # One step that does what the other path does in two.
        (path("= 5 and = 6", "= 7"), path("= 5", "= 6", "= 7"), [(0, 0), (None, 1), (1, 2)]),
    ],
)
def test_rows_side_by_side(
    first: PathView, second: PathView, rows: list[tuple[int | None, int | None]]
) -> None:
    assert aligned(first, second) == rows


PIECES = ["= 5", "= 6", "2 + 3 = 5", "is 7.", r"\boxed{8}", r"\frac{1}{0}", "-", "=", "9,999", "%"]
STEPS = st.lists(
    st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=6).map(" ".join)),
    max_size=6,
)
HOSTILE = "\x1b[31m\u202eYes " + "A" * 5000
ANSWERS = st.one_of(st.none(), st.sampled_from(["5", "6", "Yes", "-1", r"\frac{1}{2}", HOSTILE]))


@given(STEPS, STEPS, ANSWERS, ANSWERS)
@settings(deadline=None)
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
        "=" * 100_000,
        "= -" * 30_000,
        "1,000" + ",000" * 12_000,
        r"\boxed{" * 12_000,
        "is 5 " + "a" * 100_000,
        ("is 5 " + "a" * 75) * 1_000,
        ("1+" * 100 + "1 = 5 ") * 200,
        "x = 1 " * 12_000,
        " " * 100_000,
    ],
    ids=lambda text: f"{text[:8]!r}",
)
def test_long_text_takes_linear_time(text: str) -> None:
    started = time.process_time()
    disagreement(path(text), path(text + " = 3"))
    assert time.process_time() - started < 5
