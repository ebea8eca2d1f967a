from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ssr_local.answers import comparer
from ssr_local.answers.compare import EQUIVALENT, compare
from ssr_local.answers.comparer import Comparer
from ssr_local.core.errors import HelperError
from ssr_local.core.records import Comparison
from ssr_local.mathtext.forms import normalise
from ssr_local.mathtext.text import extract_answer, last_number
from ssr_local.mathtext.values import exact_value
from ssr_local.process.helper import Helper

LIMIT_S = 30.0
"""Far more than any of it takes, far less than it takes where it is not bounded."""
TOUCHED = Path(tempfile.gettempdir(), f"ssr-local-was-here-{os.getpid()}")
HOSTILE = [
    "9^{9^{9^9}}",
    "9^9^9^9",
    "(9^9)^{(9^9)}",
    "10000000!",
    "((1000!)!)!",
    r"\binom{1000000000}{500000000}",
    "{" * 10_000 + "1" + "}" * 10_000,
    "(" * 10_000 + "1" + ")" * 10_000,
    "__import__('os')",
    f"__import__('os').system('touch {TOUCHED}')",
    r"\operatorname{eye}(100000)",
    "x^{1000000}",
    r"\sum_{n=1}^{10^{40}}\frac{1}{n^n}",
    "\x00\ud800",
]
HEAVY = [
    "(x+y+z+w)^{60}+1",
    "1" * 5000,
    "x+" * 190 + "x",
    "(" * 39 + "x+1" + ")" * 39,
    r"\frac{1}{" * 30 + "3" + "}" * 30,
    "sqrt(" * 30 + "2" + ")" * 30,
]


@pytest.fixture(scope="module")
def helper() -> Iterator[Helper]:
    with Helper() as one:
        yield one


# extraction


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\left\{1, 2\right\}}", r"\left\{1, 2\right\}"),
        (r"\boxed{\{1}", r"\{1"),
        (r"\fbox{7}", "7"),
        (r"\boxed 5", "5"),
        (r"\boxed 5.", "5"),
        (r"$\boxed -12$ done", "-12"),
        (r"\boxed{1} and \boxed 2", "2"),
        (r"\boxed 2 and \boxed{1}", "1"),
        (r"\boxed {8}", "8"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{x = \boxed{5}}", r"x = \boxed{5}"),
        (r"\boxed{3} and then \boxed{4", "3"),
        (r"\boxed{\frac{1}{2} so \boxed{3}", "3"),
        (r"\boxed{4", None),
        (r"\boxed{}", None),
        (r"put it in \boxed{...} please", None),
        (r"use the \boxed notation", None),
        (r"\boxed{6} as in \boxed{}", "6"),
        (r"} } \boxed{9} }", "9"),
        (r"\boxedx{5}", None),
        (r"<think>\boxed{1}</think> \boxed{2}", "2"),
        (r"<think>\boxed{1}</think> so that is it", "1"),
        (r"\boxed{1}</think>\boxed{2}</think> none", "2"),
        ("the answer is 42.", None),
        ("#### 42", None),
        ("", None),
    ],
)
def test_the_last_complete_box_is_the_answer(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("blah\n#### 42", "42"),
        ("#### 1\nwait\n#### 1,234 ", "1,234"),
        ("The answer is: **42**.", "42"),
        ("The final answer is 3.5.", "3.5"),
        ("The answer is 5. Wait, the answer is 6.", "6"),
        ("So the final answer is $\\frac{1}{2}$. I hope it is correct.", r"\frac{1}{2}"),
        (r"The answer is \(x = 4\), as said.", "x = 4"),
        ("The answer is $18 in total", "$18 in total"),
        ("**Final Answer**: 7 apples", "7 apples"),
        ("**Final Answer:** 7", "7"),
        ("Answer: B", "B"),
        ("the correct answer is (C)", "(C)"),
        ("The final answer to the problem is\n\n12", "12"),
        ("The answer is 42 because 6 times 7 is 42.", "42"),
        ("the answer is 1 </think> the answer is 2", "2"),
        (r"\boxed{3} but the answer is 4", "3"),
        ("nothing to see", None),
        ("The answer is", None),
    ],
)
def test_at_the_end_a_stated_answer_counts(text: str, answer: str | None) -> None:
    assert extract_answer(text, at_end=True) == answer


PROGRAM = "def f(x):\n    return x + 1"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12 + 35 = 47", "47"),
        ("So she pays\n3 * 1.5 = 4.5 dollars.", "4.5"),
        ("we get\n\\[ 3 \\times 14 = 42 \\]", "42"),
        ("12 + 35 = 47\nThat is all.", None),
        ("f(x) = 2x", None),
        ("total = 3 + 4", None),
    ],
)
def test_the_number_that_an_equation_at_the_end_gives(text: str, number: str | None) -> None:
    assert last_number(text) == number


@pytest.mark.parametrize(
    ("text", "at_end", "answer"),
    [
        (f"Here:\n```python\n{PROGRAM}\n```\nDone.", False, PROGRAM),
        (f"```\nfirst\n```\n```python\n{PROGRAM}\n```", False, PROGRAM),
        (f"~~~~\n```\n{PROGRAM}\n~~~~\n", False, f"```\n{PROGRAM}"),
        (f"```\nold\n```\n```python\n{PROGRAM}", False, "old"),
        (f"```\nold\n```\n```python\n{PROGRAM}", True, PROGRAM),
        (f"```python\n{PROGRAM}\n```\n```\n\n```", False, PROGRAM),
        ("- so:\n  ```\n  a\n    b\n  ```", False, "a\n  b"),
        (f"<think>```\nx\n```</think>\n```\n{PROGRAM}\n```", False, PROGRAM),
        (f"<think>\n```\n{PROGRAM}\n```\n</think> that is it", False, PROGRAM),
        (PROGRAM, True, PROGRAM),
        (PROGRAM, False, None),
        ("I cannot write that.", True, None),
        (r"\boxed{5}", True, None),
    ],
)
def test_the_last_code_block_is_the_answer(text: str, at_end: bool, answer: str | None) -> None:
    assert extract_answer(text, kind="code", at_end=at_end) == answer


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{" * 150_000,
        "\\boxed{" * 70_000 + "1" + "}" * 70_000,
        "{" * 500_000 + "}" * 500_000,
        "\\boxed{" + "{" * 10_000 + "5" + "}" * 10_000 + "}" + " " * 900_000,
        "the answer is " * 70_000,
        "answer" * 170_000,
        "*" * 1_000_000,
        "\n" * 1_000_000,
        "####" * 250_000,
        "```\n" * 250_000,
        "`" * 1_000_000,
        "\\" * 1_000_000,
        "$" * 1_000_000,
        "the answer is: $" + " " * 1_000_000,
    ],
    ids=lambda text: repr(text[:12]),
)
@pytest.mark.parametrize("kind", ["boxed", "code"])
def test_extraction_takes_linear_time(text: str, kind: str) -> None:
    began = time.perf_counter()
    extract_answer(text, kind=kind, at_end=True)  # type: ignore[arg-type]
    normalise(text)
    normalise(text[:2000])
    assert time.perf_counter() - began < LIMIT_S


@given(st.text(alphabet="\\boxed{}5 $#`\n*answeri:.", max_size=60))
def test_extraction_never_fails_and_never_returns_blanks(text: str) -> None:
    for kind in ("boxed", "code"):
        for at_end in (False, True):
            answer = extract_answer(text, kind=kind, at_end=at_end)
            assert answer is None or answer.strip()


@given(st.recursive(st.sampled_from(["1", "x", r"\{", r"\}"]), lambda s: s.map("{{{0}}}".format)))
def test_any_balanced_contents_come_back(contents: str) -> None:
    assert extract_answer(rf"first \boxed{{0}}, then \boxed{{{contents}}} ok") == contents


# normal forms


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (r"\$18", "18"),
        ("$18", "18"),
        ("-$18.50", "-18.50"),
        ("$18$", "18"),
        ("€5", "5"),
        ("18 dollars", "18"),
        (r"18\text{ apples}", "18"),
        (r"5 \text{ m}", "5"),
        (r"5\ \mathrm{m/s}", "5"),
        ("5 cm^2", "5"),
        ("60 miles per hour", "60"),
        (r"25\pi\text{ square units}", r"25\pi"),
        (r"20\%", "20"),
        ("20 percent", "20"),
        ("1,000", "1000"),
        (r"10\,000", "10000"),
        ("1{,}000", "1000"),
        ("5+1,000", "5+1000"),
        ("(1,234)", "(1, 234)"),
        ("1, 234", "1, 234"),
        (r"5^\circ", "5"),
        ("20°C", "20"),
        (r"\dfrac{3}{4}", r"\frac{3}{4}"),
        (r"\frac34", r"\frac{3}{4}"),
        (r"\frac3{4}", r"\frac{3}{4}"),
        (r"\frac{3}4", r"\frac{3}{4}"),
        (r"\left( 1 , 2 \right)", "(1, 2)"),
        (r"\(\frac{1}{2}\)", r"\frac{1}{2}"),
        (r"\[ 5 \]", "5"),
        ("$x=\\frac{1}{2}$.", r"\frac{1}{2}"),
        ("x = 5", "5"),
        ("x_1 = 5 cm", "5"),
        ("y = 2x + 3", "y=2x+3"),
        ("x = y", "x=y"),
        ("**42**", "42"),
        (r"\boxed{42}", "42"),
        ("(A)", "A"),
        ("A) Amy finished second", "A"),
        ("(B) The red book", "B"),
        ("(A) 12", "(A) 12"),
        (r"\text{(A)}", "A"),
        ("Option B", "B"),
        ("Yes.", "yes"),
        ("TRUE!", "true"),
        ("five", "5"),
        ("Paris.", "Paris"),
        ("5!", "5!"),
        ("2ab", "2ab"),
        ("5 m", "5 m"),
        ("5 or 6", "5 or 6"),
        ("{1,2}", r"\{1, 2\}"),
        ("2**3", "2^3"),
        ("2 pi", r"2\pi"),
        ("−5", "-5"),
        ("The answer is 42.", "42"),
        ("", ""),
        ("...", "..."),
        ("for x in y:\n    f(x)  \n", "for x in y:\n    f(x)"),
    ],
)
def test_normal_forms(answer: str, text: str) -> None:
    assert normalise(answer) == text
    assert normalise(text) == text


@given(st.text(alphabet="0123456789.,/$%{}()[]\\^=xA abcfrt-+*!\n", max_size=30))
@example("$5 cm**")
@example(r"\text{\$5 \text{ cm}}")
def test_normalising_never_fails_and_keeps_something(answer: str) -> None:
    text = normalise(answer)
    assert bool(text) == bool(answer.strip())


# exact values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3/4", Fraction(3, 4)),
        (r"-\frac{3}{4}", Fraction(-3, 4)),
        (r"1\frac{1}{2}", Fraction(3, 2)),
        ("-1 1/2", Fraction(-3, 2)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("1.5e3", Fraction(1500)),
        (r"1.5\times10^{-3}", Fraction(3, 2000)),
        (r"0.\overline{3}", Fraction(1, 3)),
        (r"0.1\overline{6}", Fraction(1, 6)),
        ("-2^2", Fraction(-4)),
        ("2^{-1}", Fraction(1, 2)),
        ("(1+2)*3-4/2", Fraction(7)),
        ("5 million", Fraction(5_000_000)),
        ("7" * 900, Fraction(int("7" * 900))),
        ("1 000", None),
        ("1/0", None),
        ("0^{-1}", None),
        ("2(3)", None),
        ("x", None),
        ("", None),
        ("9^9^9", None),
        ("2^{100000}", None),
        ("1e99999", None),
        ("2^{1/2}", None),
        ("(" * 400 + "1" + ")" * 400, None),
        ("-" * 900 + "1", Fraction(1)),
    ],
)
def test_exact_values(text: str, value: Fraction | None) -> None:
    assert exact_value(text) == value


@given(st.fractions(max_denominator=10**6), st.integers(0, 6))
def test_a_fraction_is_read_in_all_its_forms(value: Fraction, form: int) -> None:
    top, bottom = value.numerator, value.denominator
    text = [
        f"{top}/{bottom}",
        rf"\dfrac{{{top}}}{{{bottom}}}",
        rf"${'-' if top < 0 else ''}\frac{{{abs(top)}}}{{{bottom}}}$ ",
        f"x = {top}/{bottom}",
        rf"{3 * top} / {3 * bottom} \text{{ apples}}",
        f"({top})/({bottom}).",
        rf"\boxed{{{top}\div{bottom}}}",
    ][form]
    assert exact_value(normalise(text)) == value
    assert compare(text, f"{top}/{bottom}", helper=None) == "equal"
    assert compare(text, f"{top + 1}/{bottom}", helper=None) == "different"


# comparison

MATRIX = r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"
COMPARED: list[tuple[str, str, Comparison]] = [
    ("1/2", "0.5", "equal"),
    (r"\$18", "18 dollars", "equal"),
    (r"50\%", "50", "equal"),
    (r"50\%", "0.5", "equal"),
    (r"50\%", "0.6", "different"),
    ("0.5", "50", "different"),
    ("0.3333", "1/3", "different"),
    ("1/2^{98}", "1/2^{99}", "different"),
    (r"\frac{\pi}{2^{98}}", r"\frac{\pi}{2^{99}}", "different"),
    (r"\{1, \frac{1}{2^{98}}\}", r"\{1, \frac{1}{2^{99}}\}", "different"),
    (r"\sqrt{2}", "1.41421356", "different"),
    (r"2\pi", "6.283185307", "different"),
    (r"\sqrt{8}", r"2\sqrt{2}", "equal"),
    (r"\frac{1}{\sqrt2}", r"\frac{\sqrt{2}}{2}", "equal"),
    (r"\sqrt{3}", "sqrt(3)", "equal"),
    ("2^{0.5}", r"\sqrt{2}", "equal"),
    ("(x+1)^2", "x^2+2x+1", "equal"),
    ("x+1", "x+y", "different"),
    (r"\sqrt{1+sqrt(4)}", "sqrt((1+1)+1)", "equal"),
    ("x^2y^2", "y^2x^2", "equal"),
    ("xy", "yx", "equal"),
    ("e^{-x^2}", "exp(-x^2)", "equal"),
    ("2x+1", "2t+1", "undecided"),
    (r"\sqrt{x^2}", "x", "undecided"),
    ("3+4i", "4i+3", "equal"),
    ("i^2+x", "x-1", "equal"),
    ("3!", "6", "equal"),
    (r"\binom{5}{2}", "10", "equal"),
    (r"\infty", "5", "different"),
    (r"\frac{1}{0}", "5", "undecided"),
    ("(1,2)", "(2,1)", "different"),
    ("(0.5,1)", "(1/2,1)", "equal"),
    ("(1,2)", "(1,2,3)", "different"),
    ("(1,2)", "[1,2)", "different"),
    ("[1,2)", "[1,3)", "different"),
    ("{1,2}", "{2,1}", "equal"),
    ("{1,2}", "{1,3}", "different"),
    ("1, 2", "2, 1", "equal"),
    ("(1,2)", "1, 2", "equal"),
    ("(2,1)", "1, 2", "undecided"),
    ("(1,2)", "{1,2}", "undecided"),
    ("(2,1)", "y=2, x=1", "undecided"),
    ("1, 2", "x=1, y=2", "undecided"),
    ("x=1, y=2", "x=2, y=1", "different"),
    ("x=1 or x=2", "1, 2", "equal"),
    ("5 or 6", "6, 5", "equal"),
    (r"\pm 3", "3, -3", "equal"),
    (r"\pm 3", "3", "different"),
    (r"(1,2]\cup[3,4)", r"[3,4)\cup(1,2]", "equal"),
    ("x>3", "3<x", "equal"),
    ("x>3", "x<3", "different"),
    ("x>3", r"x\geq3", "different"),
    ("x>3", r"(3,\infty)", "equal"),
    ("y=2x+3", "2x+3", "equal"),
    ("y=2x+3", "2x-y+3=0", "equal"),
    ("y=2x+3", "y=2x+4", "different"),
    ("x=1, y=2", "y=2, x=1", "equal"),
    (MATRIX, MATRIX.replace("pmatrix", "bmatrix"), "equal"),
    (MATRIX, MATRIX.replace("4", "5"), "different"),
    ("5 cm", "5", "equal"),
    ("3 hours", "3 minutes", "undecided"),
    ("5 cm", "5 centimeters", "equal"),
    ("$5", "5 dollars", "equal"),
    ("5 m", "5", "undecided"),
    ("5 km", "5000 m", "undecided"),
    ("60 minutes", "61 minutes", "different"),
    (r"\sin(30^\circ)", "1/2", "undecided"),
    (r"\log 5", r"\ln 5", "undecided"),
    ("1 000", "0", "undecided"),
    ("12:30", "0.4", "undecided"),
    ("Yes", "No", "different"),
    ("yes", "5", "different"),
    ("yes", "True", "undecided"),
    ("A", "42", "undecided"),
    ("A", "yes", "undecided"),
    ("Paris", "London", "different"),
    ("New York", "new york", "equal"),
    ("no solution", "5", "undecided"),
    ("Alice and Bob", "Bob and Alice", "undecided"),
    ("Monday", "Mon", "undecided"),
    ("", "5", "undecided"),
    ("", " ", "undecided"),
    ("9^{9^{9^9}}", "9^{9^{9^9}}", "equal"),
]


@pytest.mark.parametrize(("a", "b", "verdict"), COMPARED)
def test_comparisons(a: str, b: str, verdict: Comparison, helper: Helper) -> None:
    assert compare(a, b, helper=helper, timeout_s=20) == verdict
    assert compare(b, a, helper=helper, timeout_s=20) == verdict


@pytest.mark.parametrize("hostile", HOSTILE + HEAVY, ids=lambda text: repr(text[:24]))
@pytest.mark.parametrize("other", ["1", "x"])
def test_hostile_answers_are_undecided_in_time(hostile: str, other: str, helper: Helper) -> None:
    helper.call(EQUIVALENT, {"first": "1", "second": "1"}, timeout_s=20)
    began = time.perf_counter()
    verdict = compare(hostile, other, helper=helper, timeout_s=0.5)
    assert time.perf_counter() - began < LIMIT_S
    assert verdict == "undecided" or (hostile in HEAVY and verdict == "different")
    assert not TOUCHED.exists()
    assert compare(hostile, hostile, helper=helper) == "equal"
    assert compare(other, hostile, helper=None) == compare(hostile, other, helper=None)


def test_without_a_helper_only_arithmetic_and_words_are_settled() -> None:
    assert compare("1/2", "0.5", helper=None) == "equal"
    assert compare("Yes", "No", helper=None) == "different"
    assert compare(r"\sqrt{8}", r"2\sqrt{2}", helper=None) == "undecided"


def test_a_helper_that_cannot_start_is_not_taken_for_undecided() -> None:
    helper = Helper()
    helper.close()
    with pytest.raises(HelperError):
        compare(r"\sqrt{8}", r"2\sqrt{2}", helper=helper)


POOL = sorted({answer for a, b, _ in COMPARED for answer in (a, b)})


@settings(max_examples=60)
@given(a=st.sampled_from(POOL), b=st.sampled_from(POOL))
def test_the_order_of_the_two_does_not_matter(a: str, b: str, helper: Helper) -> None:
    first = compare(a, b, helper=helper, timeout_s=20)
    assert first == compare(b, a, helper=helper, timeout_s=20)
    if a == b:
        assert first == "equal"


# the comparisons of one run

SLOW = (r"\int_0^1 \frac{\ln(1+x)}{1+x^2}dx", r"\frac{\pi}{8}\ln 2")


def test_each_pair_is_compared_once_in_either_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def compare(a: str, b: str, **_: object) -> Comparison:
        asked.append((a, b))
        return "different"

    monkeypatch.setattr(comparer, "compare", compare)
    compared = Comparer(None)
    assert {compared("1", "2"), compared("2", "1"), compared("1", "2")} == {"different"}
    assert asked == [("1", "2")]


def test_once_stopped_nothing_slow_is_begun_and_nothing_half_known_remembered() -> None:
    stopped = True
    with Helper() as helper:
        compared = Comparer(helper, lambda: stopped)
        assert compared("x+1", "1+x") == "undecided"
        assert compared("1/2", "0.5") == "equal"
        assert helper.pid is None
        stopped = False
        assert compared("x+1", "1+x") == "equal"


def test_a_comparison_under_way_ends_with_the_run(helper: Helper) -> None:
    assert Comparer(helper)("x+1", "1+x") == "equal"  # the algebra is loaded now
    started = time.perf_counter()
    compared = Comparer(helper, lambda: time.perf_counter() > started + 0.3)
    assert compared(*SLOW) == "undecided"
    assert time.perf_counter() - started < 4  # and not the five seconds of a comparison
