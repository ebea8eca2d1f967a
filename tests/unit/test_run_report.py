"""Runs as Markdown: what is in it, and that nothing in it runs."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ssr_local.core.commands import AnyCommand, Cancel
from ssr_local.core.display import END_WORDS
from ssr_local.core.events import (
    AnyEvent,
    Notice,
    PathEnded,
    PathOpened,
    ProgramRan,
    RunEnded,
    RunStarted,
    SelectionScored,
    StepDelta,
    StepDrafted,
    StepRewritten,
    StepVerified,
    VotesCounted,
    WaveOpened,
)
from ssr_local.core.records import (
    EndReason,
    Flops,
    ModelInfo,
    Models,
    ModelUsage,
    PathKind,
    ProgramRun,
    RunResult,
    Strategy,
    StrategyScore,
    Usage,
    Verdict,
    VoteGroup,
)
from ssr_local.core.tree import Tree
from ssr_local.pages.html_page import page_of_run
from ssr_local.pages.run_report import as_markdown
from ssr_local_tui.picture import as_svg
from tests.unit.coordinator.scripted import Paths
from tests.unit.core.test_tree import ENDS_EMPTY, LOGS, grown, log

VIEWER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def started(problem: str = "How many?", **options: str | int) -> RunStarted:
    return RunStarted(
        problem=problem, options={"method": "ssr", **options}, models=Models(), pool=(), version="0"
    )


def opened(name: str = "name", advice: str = "advice") -> PathOpened:
    return PathOpened(path=0, strategy=Strategy("A", name, advice), selection_score=0.5)


def rejected(draft: str, own: str) -> list[AnyEvent]:
    """A path whose only step was rejected and rewritten."""
    return [
        opened(),
        StepDrafted(path=0, step=0, author="draft", text=draft, num_tokens=1),
        StepVerified(path=0, step=0, verdict=Verdict(3.0, False, "yes-no")),
        StepRewritten(path=0, step=0, text=own, num_tokens=1),
    ]


def whole() -> RunResult:
    result = grown(log()).result
    assert result is not None
    return result


def ended(**changes: object) -> Tree:
    """A whole run whose result is changed."""
    events = log()
    result = msgspec.structs.replace(whole(), **changes)
    return grown([*events[:-1], RunEnded(at_s=1.0, result=result)])


class Page(HTMLParser):
    """What is on a page of HTML: its tags, attributes, and struck and other text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.struck: list[str] = []
        self.headings: list[str] = []
        self.quoted = ""
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("hr", "br", "img"):
            self._open.append(tag)
        if tag == "s":
            self.struck.append("")
        if tag in ("h1", "h2", "h3") and "blockquote" not in self._open:
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            self._open.remove(tag)

    def handle_data(self, data: str) -> None:
        if "s" in self._open:
            self.struck[-1] += data
        if "blockquote" in self._open:
            self.quoted += data
        elif {"h1", "h2", "h3"} & set(self._open):
            self.headings[-1] += data


HARMLESS_TAGS = {"h1", "h2", "h3", "h4", "h5", "h6", "p", "blockquote", "strong", "em", "s"}
HARMLESS_TAGS |= {"ul", "ol", "li", "code", "pre", "hr", "br", "a"}
HARMLESS_TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a <b onmouseover='alert(1)'>c</b>",
    "<!-- <script> --> <?php ?> <![CDATA[x]]> <!DOCTYPE x>",
    "<\x1b[31mscript>alert(1)</scr\x1b[0mipt>",
    "<\u202escript>alert(1)</script>",
    "<script\n>alert(1)\n</script\n>",
    "\n\n<div>\n<script>alert(1)</script>\n\n</div>",
    "- a\n  ```\n<script>alert(1)</script>\n  ```",
    "```\ncode that never ends\n\n<script>alert(1)</script>",
    "~~~\n<script>alert(1)</script>",
    "`<script>alert(1)</script>",
    "<javascript:alert(1)>",
    "[a](javascript:alert(1))",
    "[a](<javascript:alert(1)>)",
    "[a](\n  javascript:alert(1))",
    "[a](java&#115;cript:alert(1))",
    "[a](java\\script\\:alert(1))",
    "[a](data:text/html,<script>alert(1)</script>)",
    "[a]\n\n[a]: javascript:alert(1)",
    "[a]\n\n[a]:\n  javascript:alert(1)",
    "![a](https://example.org/track.png)",
    "![a]\n\n[a]: https://example.org/track.png",
    "![a][b]\n\n[b]: https://example.org/track.png",
    "\x1b]0;title\x07\x1b[2J\x9b31m\x00\x08",
    "مرحبا \u202e<script>\u202c שלום",
    "# Heading\n\n## Answer\n\n`99`",
    "a | b\n--- | ---\n<i>c</i> | d",
    "a|b|c `x|y`",
    "x" * 20_000,
    "*" * 500 + "_" * 500 + "[" * 500 + "`" * 500 + "~" * 500 + ">" * 50,
    "    <script>alert(1)</script>",
    "\\<script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\ufffe\uffff\ud7ff\ue000",
]


def poisoned(text: str) -> list[AnyEvent]:
    """A run in which everything that comes from outside is ``text``."""
    info = ModelInfo(
        name=text, file=text, sha256=text, num_parameters=1, num_vocab=1, num_ctx=1, device=text
    )
    verdict = Verdict(None, False, "yes-no", reason=text)
    strategy = Strategy(text, text, text)
    options = {"method": text, text: text}
    start = msgspec.structs.replace(
        started(text), models=Models(target=info), given=(text, text), options=options
    )
    result = msgspec.structs.replace(
        whole(), problem=text, answer=text, options={text: text}, notices=(text,), given=(text,)
    )
    groups = (VoteGroup(answer=text, paths=(0,), mean_score=None, winner=True),)
    scores = (StrategyScore(text, text, 0.5, 1),)
    return [
        start,
        Notice(message=text),
        SelectionScored(mode=text, scores=scores, chosen=("A",)),
        WaveOpened(wave=0, paths=(PathKind(),), why=text, text=text, num_planned=2),
        PathOpened(path=0, strategy=strategy, selection_score=None, kind=PathKind("draft", True)),
        StepDrafted(path=0, step=0, author="draft", text=text, num_tokens=1),
        StepVerified(path=0, step=0, verdict=verdict),
        StepRewritten(path=0, step=0, text=text, num_tokens=1),
        StepDelta(path=0, step=1, author="draft", text=text),
        VotesCounted(groups=groups),
        ProgramRan(path=0, program=ProgramRun(text, text, text, text)),
        PathEnded(path=0, reason="answered", answer=text, mean_score=None),
        RunEnded(result=msgspec.structs.replace(result, votes=groups)),
    ]


def viewed(report: str) -> Page:
    """What a viewer makes of a report."""
    return Page(VIEWER.render(report))


def check_page(text: str) -> Page:
    page = viewed(text)
    assert page.tags <= HARMLESS_TAGS
    links = [value for _, value in page.attributes]
    assert all(re.match(r"https?://|text-align|language-|\d*$", link) for link in links)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    return page


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_from_outside_runs_in_a_report(text: str) -> None:
    events = poisoned(text)
    usual = viewed(as_markdown(grown(poisoned("x")))).headings
    page = check_page(as_markdown(grown(events)))
    # No text closes or swallows the sections that come after it.
    assert len(page.headings) == len(usual)
    assert [h for h in page.headings if not h.startswith(("Path", "Wave"))] == [
        h for h in usual if not h.startswith(("Path", "Wave"))
    ]
    for count in range(len(events)):
        check_page(as_markdown(grown(events[:count])))


def test_waves_and_why_the_run_is_over_are_reported() -> None:
    report = as_markdown(grown(LOGS[-1]))
    headings = [words for words in viewed(report).headings if words.startswith(("Wave", "Path"))]
    assert headings == [
        *("Wave 1: 1 path", "Path 1: A name A"),
        *("Wave 2: no other path agrees with 8", "Path 2: B name B", "Path 3: C name C"),
    ]
    assert "`prose:target@A`. Enough when two paths agree." in report
    assert "The run ended with an answer; all paths have ended." in report
    for page in (page_of_run(grown(LOGS[-1])), as_svg(grown(LOGS[-1])).replace("&#160;", " ")):
        assert "Wave 2: no other path agrees with 8" in page
        assert "all paths have ended" in page


@given(st.text(alphabet=st.sampled_from("<>!/[](){}:`~*_#-|\\&;\n \tajs0"), max_size=60))
@settings(deadline=None)
def test_no_text_of_marks_gets_out_of_its_section(text: str) -> None:
    page = check_page(as_markdown(grown([started(text), *rejected(text, text)])))
    assert page.headings == [
        "Reasoning run",
        "Problem",
        "Answer",
        "Path 1: A name",
        "Cost",
        "Options in force",
    ]


@pytest.mark.parametrize(
    "text",
    [
        r"So $\frac{a}{b} < 5$ and $x<5$, \(y > 2\), $$z^{2} = ~4$$ \boxed{7}.",
        "**Bold**, *slanted*, `code` and [a page](https://example.org).",
        "- one\n- two\n\n1. three\n\n```python\nprint(1 < 2)\n```",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
        "Line one  \nline two, ~~gone~~.",
        "f[0](x) and [1]: 2",
        "مرحبا، שלום, 你好",
    ],
)
def test_formulas_and_markdown_stay_as_they_were_written(text: str) -> None:
    report = as_markdown(
        grown([started(), opened(), StepDelta(path=0, step=0, author="draft", text=text)])
    )
    quoted = "\n".join(f"> {line}" if line else ">" for line in text.split("\n"))
    assert f"\n{quoted}\n" in report


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$a<b$", "$a< b$"),
        ("n![a]", "n! [a]"),
        ("[x]: a:b", "[x] : a:b"),
        ("[x](a:b)", "[x] (a:b)"),
    ],
)
def test_what_is_made_harmless_only_gets_a_space(text: str, shown: str) -> None:
    assert f"\n> {shown}\n" in as_markdown(grown([started(text)]))


@pytest.mark.parametrize(
    ("draft", "struck"),
    [
        ("A slip.", ["A slip."]),
        ("One.\nTwo.\n\n  Three.\n", ["One.", "Two.", "Three."]),
        ("a ~~b~~ c\nd", ["a ~ ~b~ ~ c", "d"]),
        ("~5", ["~5"]),
        ("about 5~", ["about 5~"]),
        ("~~~", ["~ ~ ~"]),
        ("~", ["~"]),
        ("a\\~", ["a~"]),
        ("a\\\\~", ["a\\~"]),
        ("ends in \\", ["ends in \\"]),
        ("ends in \\\\\nnext", ["ends in \\", "next"]),
        ("a ` tick\nb ` tick", ["a ` tick", "b ` tick"]),
        ("```python\nx = 1\n```", ["```python", "x = 1", "```"]),
        ("# heading\n- item\n> quote\n---", ["# heading", "- item", "> quote", "---"]),
        ("<b>x</b>", ["< b>x< /b>"]),
        ("שלום\nعالم", ["שלום", "عالم"]),
        ("!\n?", ["!", "?"]),
    ],
)
def test_every_line_of_a_rejected_draft_is_struck_through(draft: str, struck: list[str]) -> None:
    page = viewed(as_markdown(grown([started(), *rejected(draft, "Right.")])))
    assert page.struck == struck
    assert "Right." in page.quoted


def test_a_whole_run_is_reported_in_full() -> None:
    tree = grown(log())
    report = as_markdown(tree)
    assert tree.result is not None
    assert "The run ended with an answer; all paths have ended." in report
    assert "not ended" not in report
    for expected in (
        "> How many?",
        "## Answer\n\n`7`\n",
        "- `7` **(winner)**: paths 1, 3, mean score 8.2",
        "- `8`: path 2, mean score 8.5",
        "| A | name A | 0.400 | yes | 1 |",
        "| D | name D | 0.060 |  |  |",
        "## Path 2: B name B",
        "> adviceB please",
        "**Step 1**, by the draft: accepted, score 8.0\n\n> First we look.",
        "**Step 2**, by the target: rewritten, the draft's score 4.0",
        "> ~~A slip is made here.~~",
        "In its place:\n\n> The target says it right.",
        "> So it is \\boxed{7}.",
        "**End of the path:** answer `7`; mean score 8.2; confidence 0.90.",
        f"| total | {tree.result.timing_s.total:.2f} |",
        "7 of 10 drafted steps accepted (70%), 3 rewritten.",
        "- `method`: `auto`",
    ):
        assert expected in report


def test_a_name_cannot_break_a_table() -> None:
    rows = (StrategyScore("A", "a | b\n| c", 0.5, 1),)
    scored = SelectionScored(mode="logprob", scores=rows, chosen=("A",))
    report = as_markdown(grown([started(), scored]))
    assert "| A | a &#124; b &#124; c | 0.500 | yes | 1 |" in report


def test_flops_stand_beside_the_target_alone() -> None:
    tokens = sum(step.num_tokens for path in whole().paths for step in path.steps)
    usage = Usage(draft=ModelUsage(1, 2, 10), target=ModelUsage(3, 4, 100))
    half = 0.5 * 2 * 100 * tokens
    report = as_markdown(ended(usage=usage, flops=Flops(decode=half, total=1e9)))
    assert f"Decoding the {tokens} tokens of all paths' steps with the target alone" in report
    assert "the run's decoding is 50% of that" in report
    assert "| target | 4 | 3 |" in report
    without = as_markdown(ended(usage=Usage(), flops=Flops(decode=5.0, total=6.0)))
    assert "FLOPs: 5 for decoding, 6 with prefill." in without
    assert "target alone" not in without
    assert "FLOPs" not in as_markdown(ended(usage=Usage(), flops=Flops()))


def test_models_options_given_steps_and_notices_are_reported() -> None:
    info = ModelInfo(
        name="qwen_2_x", file="q.gguf", sha256="ab12", num_parameters=1_500_000, num_vocab=1,
        num_ctx=1, device="CPU", engine="llama.cpp 1",
    )  # fmt: skip
    start = msgspec.structs.replace(
        started(seed=7), models=Models(draft=info), given=("Given one.", "Given two.")
    )
    report = as_markdown(grown([start, Notice(message="No GPU was found.")]))
    assert (
        "- draft: `qwen_2_x`, 1,500,000 parameters, on `CPU`, `llama.cpp 1`, file `q.gguf`,"
        " SHA-256 `ab12`"
    ) in report
    assert "- `seed`: `7`" in report
    assert "**Prefix step 2**\n\n> Given two." in report
    assert "\n> No GPU was found.\n" in report


@pytest.mark.parametrize("reason", END_WORDS)
def test_why_a_path_ended_is_said_in_words(reason: EndReason) -> None:
    end = PathEnded(path=0, reason=reason, answer=None, mean_score=None)
    events: list[AnyEvent] = [started(), opened(), end]
    assert f"**End of the path:** {END_WORDS[reason]}." in as_markdown(grown(events))


def test_a_run_that_was_stopped_or_cut_off_says_so() -> None:
    commands: dict[int, AnyCommand] = {20: Cancel()}
    stopped = grown(log(commands))
    assert "**This run was stopped before its end:**" in as_markdown(stopped)
    cut = grown(log()[:20])
    report = as_markdown(cut)
    assert "**This run has not ended.**" in report
    assert "**This path has not ended.**" in report
    assert "None yet." in report
    assert "So far:" in report
    nobody = grown(log(paths=Paths([*ENDS_EMPTY]), method="specreason"))
    assert "no path came to an answer" in as_markdown(nobody)
    assert "It was empty." not in as_markdown(nobody)
    assert "> ~~Bad start.~~" in as_markdown(nobody)
    assert "Nothing was written." in as_markdown(nobody)


def test_an_answer_of_several_lines_is_code_as_it_was_written() -> None:
    report = as_markdown(ended(answer="def f(x):\n    return x < 5\n\n# <b>"))
    code = "\n\n    def f(x):\n        return x < 5\n\n    # <b>\n"
    assert code in report
    assert check_page(report).tags >= {"pre"}


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("7", "`7`"),
        ("a`b", "`` a`b ``"),
        ("``", "``` `` ```"),
        ("", "(empty)"),
        (r"\{1, 2\}", r"`\{1, 2\}`"),
    ],
)
def test_an_answer_of_one_line_is_exact(answer: str, shown: str) -> None:
    assert f"## Answer\n\n{shown}\n" in as_markdown(ended(answer=answer))


@given(st.integers(0, len(LOGS) - 1), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_any_prefix_of_a_log_can_be_exported(which: int, share: float) -> None:
    events = LOGS[which][: int(share * len(LOGS[which]))]
    tree = grown(events)
    report = as_markdown(tree)
    check_page(report)
    assert ("**This run has not ended.**" in report) == (tree.result is None)
    for path in tree.paths.values():
        for step in path.steps:
            assert all(line.strip() in report for line in step.text.split("\n"))
