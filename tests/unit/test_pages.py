"""Pages of the history: everything is on them, and nothing on them is obeyed or loaded."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.events import AnyEvent, RunStarted, StepDelta, StepDrafted, StepVerified
from ssr_local.core.records import Models
from ssr_local.history.store import Entry
from ssr_local.pages.formulas import formatted, mathml
from ssr_local.pages.html_page import page_of, page_of_run
from ssr_local.pages.markdown import markdown_of
from ssr_local.tutoring.checking import CheckedStep, CheckResult
from ssr_local.tutoring.hints import Hint
from tests.unit.core.test_tree import grown
from tests.unit.test_run_report import HOSTILE as OF_REPORTS
from tests.unit.test_run_report import Page, check_page, poisoned

FORBIDDEN = ("script", "img", "iframe", "object", "embed", "link", "a", "form", "svg", "base")


def is_harmless(page: str) -> bool:
    made = Page(page)
    names = {name for name, _ in made.attributes}
    bad_names = {n for n in names if n in ("href", "src", "style") or n.startswith("on")}
    return not made.tags & set(FORBIDDEN) and not bad_names


def entry(kind: str, result: msgspec.Struct | None, **more: object) -> Entry:
    values: dict[str, object] = {
        "id": 7,
        "kind": kind,
        "started": "2026-11-25T12:00:00.000+00:00",
        "ended": None,
        "status": "answered",
        "problem": "Find $x^2$ for x = 3.",
        "answer": "9",
        "pair": "demo",
        "method": "ssr",
        "result": None if result is None else msgspec.json.encode(result).decode(),
    }
    return msgspec.convert(values | more, Entry)


CUT = entry("run", None, status="interrupted", answer=None)


def test_a_run_is_on_its_page_with_its_tree(run: list[AnyEvent]) -> None:
    result = run[-1].result  # type: ignore[union-attr]
    page = page_of(entry("run", result, answer="18"), run)
    assert page.count("<details open>") == 3
    for words in ("Answer: 18", "Path 1, algebraic simplification: answer 18", "(winner)"):
        assert words in page
    assert "<del>Dividing the second equation by 2 gives h + 2c = 84." in page
    assert "<math" in page
    assert 'class="step new"' in page
    assert 'class="step bad"' not in page  # each has been rewritten
    assert "<th>strategy</th>" in page
    assert "drafted steps accepted" in page  # what it cost
    assert "<td>target</td>" in page
    assert "default-src 'none'" in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert is_harmless(page)


def test_a_run_is_a_report_in_markdown(run: list[AnyEvent]) -> None:
    result = run[-1].result  # type: ignore[union-attr]
    text = markdown_of(entry("run", result, answer="18"), run)
    assert text.startswith("# run 7\n\n2026-11-25 12:00 UTC, answered (demo, ssr)\n\n")
    assert "**Step 3**, by the target: rewritten" in text


def test_an_interrupted_run_shows_what_there_was(run: list[AnyEvent]) -> None:
    def until(is_last: Callable[[AnyEvent], bool]) -> list[AnyEvent]:
        return run[: next(i for i, event in enumerate(run) if is_last(event)) + 1]

    drafted = until(lambda event: isinstance(event, StepDrafted))
    for made in (page_of(CUT, drafted), markdown_of(CUT, drafted)):
        assert "Let h be the number of hens" in made
        assert "interrupted" in made
        assert "waiting for its verdict" in made
    # The style sheet names the classes too: what nobody has judged is neither good nor bad.
    assert 'class="step good"' not in page_of(CUT, drafted)
    judged = until(lambda event: isinstance(event, StepVerified))
    assert 'class="step good"' in page_of(CUT, judged)
    rejected = until(lambda e: isinstance(e, StepVerified) and not e.verdict.accepted)
    page = page_of(CUT, [event for event in rejected if not isinstance(event, StepDelta)])
    assert 'class="step bad"' in page
    assert "rejected, its rewrite being written" in page


def test_given_steps_are_on_the_page() -> None:
    started = RunStarted(
        problem="x", options={}, models=Models(), pool=(), version="0", given=("Let $h$ be it.",)
    )
    assert "Prefix steps, written by neither model" in page_of(CUT, [started])
    assert "> Let $h$ be it." in markdown_of(CUT, [started])


def test_a_run_that_failed_says_why() -> None:
    failed = entry("run", None, status="failed", answer=None, error="The <b>engine</b> failed.")
    assert "<strong>This run failed.</strong>" in page_of(failed)
    assert "**This run failed.**" in markdown_of(failed)
    assert "The &lt;b&gt;engine" in page_of(failed)
    assert "The < b>engine< /b> failed." in markdown_of(failed)


def a_check(**changes: object) -> CheckResult:
    values: dict[str, object] = {
        "problem": "x",
        "steps": (),
        "first_bad": None,
        "correction": "",
        "answer": None,
        "answer_accepted": None,
        "vote": "4",
        "verifier": "likelihood",
        "threshold": 7.0,
    }
    return CheckResult(**(values | changes))  # type: ignore[arg-type]


def test_checks_and_hints() -> None:
    steps = (
        CheckedStep(text="$2+2=4$", accepted=True, score=8.0, algebra="holds"),
        CheckedStep(
            text="2+2=5", accepted=False, score=None, algebra="does not hold", reason="4 is not 5."
        ),
        CheckedStep(text="So it is.", accepted=True, score=None, algebra="undecided"),
    )
    result = a_check(
        steps=steps, first_bad=1, correction="It is 4.", answer="5", answer_accepted=False
    )
    page, text = page_of(entry("check", result)), markdown_of(entry("check", result))
    for made in (page, text):
        assert "4 is not 5." in made
        assert "wrong by algebra" in made
        assert "its equations hold (8.0 of 9)" in made
        assert "not judged: no number or equation" in made
    assert page.count('class="step good"') == page.count('class="step bad"') == 1
    assert "It is 4." in page
    hint = Hint(problem="x", level=2, text="Compare **both** sides.")
    assert "<strong>both</strong>" in page_of(entry("hint", hint))
    assert "> Compare **both** sides." in markdown_of(entry("hint", hint))


def test_a_check_without_an_answer_and_with_a_notice() -> None:
    result = a_check(notices=("Nobody has <b>measured</b> this pair.",))
    page, text = page_of(entry("check", result)), markdown_of(entry("check", result))
    for made in (page, text):
        assert "The solution states no answer." in made
        assert "compare the two" not in made
    assert "The models come to 4." in page
    assert "The models come to `4`." in text
    assert "&lt;b&gt;measured" in page
    assert "< b>measured" in text


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1)) ![y](http://evil/x.png) <http://evil>",
    r"$\href{javascript:alert(1)}{x}$",
    r"$\text{<img src=x onerror=alert(1)>}$",
    r"$\text{</math><script>alert(1)</script>}$",
    r"\(\style{color:red}{x}\) \boxed{<b>}",
    "[a]: http://evil\n\n[a]",
    "`<script>` ```\n<script>\n```",
    "$" * 999,
    "\\(" * 500,
    "$" + "{" * 1500 + "$",
    "&#xE000;3&#xE001; &#60;script&#62; $x$",
]


@pytest.mark.parametrize("text", [*HOSTILE, *OF_REPORTS], ids=range(len(HOSTILE + OF_REPORTS)))
def test_nothing_hostile_of_a_check_is_obeyed(text: str) -> None:
    step = CheckedStep(text=text, accepted=False, score=1.0, algebra="undecided", reason=text)
    texts = dict.fromkeys(("problem", "correction", "answer", "vote", "verifier"), text)
    result = a_check(steps=(step,), first_bad=0, notices=(text,), **texts)
    hint = Hint(problem=text, level=1, text=text)
    for kind, one in (("check", result), ("hint", hint)):
        made = entry(kind, one, problem=text, error=text, pair=text, method=text)
        assert is_harmless(page_of(made))
        check_page(markdown_of(made))


@pytest.mark.parametrize("text", [*HOSTILE, *OF_REPORTS], ids=range(len(HOSTILE + OF_REPORTS)))
def test_nothing_hostile_of_a_run_is_obeyed(text: str) -> None:
    made = entry("run", None, problem=text, error=text)
    assert is_harmless(page_of(made, poisoned(text)))
    assert is_harmless(page_of(made, poisoned(text)[:-1]))
    assert is_harmless(page_of_run(grown(poisoned(text))))


@given(st.text(alphabet="ab<>&\"'$\\{}()[]!`*_^ \n=:/", max_size=80))
def test_nothing_made_up_is_obeyed(text: str) -> None:
    assert is_harmless(formatted(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`$x$`", "<code>$x$</code>"),
        ("```\\(x\\)\nf$(y)$\n```", "<pre><code>f$(y)$\n</code></pre>"),
        ("    $x$", "<pre><code>$x$"),
        ("&#xE000;0&#xE001; **$x$**", "<strong><math"),
    ],
)
def test_code_stays_as_it_was_written(text: str, shown: str) -> None:
    assert shown in formatted(text)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (r"\frac{1}{2}", "<mfrac>"),
        (r"\sqrt{x}", "<msqrt>"),
        ("a < b", "&lt;"),
        (r"\boxed{18}", 'notation="box"'),
        (r"\frac{1}{", "<code>"),
        ("x" * 3000, "<code>"),
    ],
)
def test_formulas_are_drawn_or_stand_as_written(source: str, part: str) -> None:
    assert part in mathml(source)
