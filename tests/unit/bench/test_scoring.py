from __future__ import annotations

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.bench.records import Outcome, Problem
from ssr_local.bench.scoring import Scorer, choice_of, is_choice, option_of
from ssr_local.core.errors import UsageError
from tests.unit.bench.report.made_rows import path, result

OPTIONS = "Who won?\nOptions:\n(A) Amy finished second\n(B) Dan finished second\n(C) The red car"


def value(answer: str) -> Problem:
    return Problem(id="p/1", problem="What is it?", answer=answer)


def choice(answer: str) -> Problem:
    return Problem(id="p/1", problem=OPTIONS, answer=answer)


@pytest.mark.parametrize(
    ("reference", "answer", "outcome"),
    [
        ("42", "42", "right"),
        ("42", "41", "wrong"),
        ("025", "25", "right"),
        (r"\frac{1}{3}", "0.3333", "wrong"),
        (r"15\%", "0.15", "right"),
        ("(3, 5)", "(5, 3)", "wrong"),
        (r"\frac{1}{2}, 3", r"3, \frac{1}{2}", "right"),
        ("3 hours", "3 minutes", "undecided"),
        ("7", "9^{9^{9^9}}", "undecided"),
        ("7", None, "missing"),
    ],
)
def test_outcomes_of_values(
    reference: str, answer: str | None, outcome: Outcome, scorer: Scorer
) -> None:
    assert scorer.outcome(value(reference), answer) == outcome


NAMES_ONE = [
    *(("A", "A"), ("(A)", "A"), ("A.", "A"), ("a", "A"), ("(b)", "B"), ("c)", "C"), ("[H]", "H")),
    *(("Option A", "A"), ("option (C)", "C"), ("Choice B.", "B"), ("The letter is D", "D")),
    *((r"\text{A}", "A"), (r"\textbf{(B)}", "B"), (r"\mathrm{C}", "C"), (r"\boxed{D}", "D")),
    *(("$A$", "A"), ("**A**", "A"), ("`B`", "B"), (r"\text{(A) }", "A"), ("“C”", "C")),
    ("A) Amy finished second", "A"),
    (r"\text{(A) Amy finished second}", "A"),
    ("B - Dan finished second", "B"),
    ("Amy finished second (A)", "A"),
    ("Answer: B", "B"),
    ("The answer is (C).", "C"),
    ("C is correct", "C"),
    *(("yes", "yes"), ("Yes.", "yes"), ("YES!", "yes"), ("**No**", "no"), (r"\text{No}", "no")),
    ("No, he does not lie", "no"),
    ("no — Crista lies", "no"),
    ("Yes Crista tells the truth", "yes"),
    ("The answer is no", "no"),
    ("No, no one lies", "no"),
]
NAMES_NONE = [
    *("A or B", "(A) and (C)", "A, B", "A/B", "A B", "AB", "(A)(B)", "A) or (b)", "both (A) and B"),
    *("A. B. C.", "(A) is wrong, so (B)", "(B), not (A)", "A) B is first", "Option A or option B"),
    *("not A", "Not (A)", "neither (A)", "Everything except (A)", "A is not the answer"),
    *("It isn't (C)", "A cat", "A cat is first", "A-frame", "I", "J", "(K)", "K)", "1", "", "  "),
    *("Yes and no", "Yes or No", "Yes/No", "No, yes", "yes, no", "Yes - no", "No doubt, yes"),
    *(
        "No one lies",
        "Not yes",
        "None",
        "Notable",
        "Yesterday",
        "yes-man",
        "no-one",
        "maybe",
        "true",
        "False",
    ),
    *("Amy finished second", "The", "answer", "Answer is", "A " * 600),
]


@pytest.mark.parametrize(("text", "named"), NAMES_ONE)
def test_one_option_is_named(text: str, named: str) -> None:
    assert choice_of(text) == named


@pytest.mark.parametrize("text", NAMES_NONE, ids=lambda text: text[:30])
def test_two_options_or_none_are_no_choice(text: str) -> None:
    assert choice_of(text) is None


@given(
    one=st.sampled_from("ABCDEFGH"),
    other=st.sampled_from("ABCDEFGH"),
    form=st.sampled_from(["{}", "({})", "{}.", "{})", "option {}", "**{}**", r"\text{{{}}}"]),
    between=st.sampled_from([" or ", " and ", ", ", "/", " ", "; maybe ", " (not ", "\n"]),
    lead=st.sampled_from(["", "The answer is ", "Answer: ", "Either "]),
)
def test_whoever_names_two_options_has_chosen_none(
    one: str, other: str, form: str, between: str, lead: str
) -> None:
    named = choice_of(lead + form.format(one) + between + form.format(other))
    assert named is None or one == other == named


@given(st.text(max_size=80))
def test_any_text_names_an_option_or_none(text: str) -> None:
    assert choice_of(text) in (None, "yes", "no", *"ABCDEFGH")


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Amy finished second", "A"),
        (r"\text{Dan finished second.}", "B"),
        ("red car", "C"),
        ("finished second", None),
        ("Amy finished second, Dan finished second", None),
        ("", None),
    ],
)
def test_an_options_own_words_name_it(text: str, letter: str | None) -> None:
    assert option_of(text, OPTIONS) == letter
    assert letter is None or option_of(text, f"{OPTIONS}\n(D) {text}") is None  # shared by two


@pytest.mark.parametrize(
    ("reference", "is_one"),
    [("A", True), ("(H)", True), ("Yes", True), ("no", True)]
    + [(text, False) for text in ("a", "e", "I", "AB", "12", "x", "true", "Yes and no", "")],
)
def test_what_counts_as_a_reference_to_an_option(reference: str, is_one: bool) -> None:
    assert is_choice(reference) is is_one


@pytest.mark.parametrize(
    ("reference", "answer", "outcome"),
    [
        ("A", "(A) Amy finished second", "right"),
        ("A", "Amy finished second", "right"),
        ("A", "B) Dan finished second", "wrong"),
        ("A", "Dan finished second", "wrong"),
        ("A", "A or B", "undecided"),
        ("A", "Amy", "undecided"),
        ("No", "No, he does not lie", "right"),
        ("No", "Yes.", "wrong"),
        ("Yes", "**No**", "wrong"),
        ("Yes", "A", "undecided"),
        ("Yes", "Yes or no", "undecided"),
    ],
)
def test_outcomes_of_choices(
    reference: str, answer: str | None, outcome: Outcome, scorer: Scorer
) -> None:
    assert scorer.outcome(choice(reference), answer) == outcome


def test_a_letter_is_an_option_only_where_the_reference_is_one(scorer: Scorer) -> None:
    assert scorer.outcome(value("a"), "(A) b") != "right"
    assert scorer.outcome(value("2"), "(B) 2") != "right"


def test_a_run_and_its_paths_are_judged(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    outcome = Scorer.outcome

    def counted(self: Scorer, problem: Problem, answer: str | None) -> Outcome:
        asked.append(answer)
        return outcome(self, problem, answer)

    monkeypatch.setattr(Scorer, "outcome", counted)
    answers = ("0.5", "1/2", None, "2", "1/2", None)
    paths = [path(index=n, answer=answer) for n, answer in enumerate(answers)]
    assert scorer.judge(value("0.50"), result(paths, answer="1/2")) == (
        "right",
        ("right", "right", "missing", "wrong", "right", "missing"),
    )
    assert sorted(map(str, asked)) == ["0.5", "1/2", "2", "None"]


CODE = Problem(
    id="HumanEval/x",
    problem='def double(n):\n    """Twice n."""\n',
    answer="",
    entry_point="double",
    test="def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n",
)


def test_code_runs_only_where_that_is_allowed(scorer: Scorer) -> None:
    for call in (
        lambda: scorer.outcome(CODE, "    return 2 * n"),
        lambda: scorer.outcome(CODE, None),
        lambda: scorer.check([value("1"), CODE]),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert "running code that a model wrote" in caught.value.what
        assert "without files or network" in caught.value.why
        assert "--allow-code" in caught.value.next_step
    scorer.check([value("1")])


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("def double(n):\n    return 2 * n", "right"),
        ("    return 2 * n", "right"),
        ("def double(n):\n    return n ** 2", "wrong"),
        ("import statistics\ndef double(n):\n    return 2 * n", "not run"),
        (None, "missing"),
    ],
)
def test_code_is_judged_by_its_test(code: str | None, outcome: Outcome) -> None:
    with Scorer(allow_code=True) as scorer:
        scorer.check([CODE])
        assert scorer.outcome(CODE, code) == outcome


def test_code_needs_its_interpreter_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    with (
        Scorer(allow_code=True) as scorer,
        pytest.raises(UsageError, match="pydantic-monty is not installed"),
    ):
        scorer.check([CODE])


def test_a_closed_scorer_leaves_no_process() -> None:
    with Scorer() as scorer:
        assert scorer.outcome(value("x+1"), "1+x") == "right"
        pid = scorer._helper.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
