"""An entry of the history as a page: one HTML file that loads nothing, or Markdown.

Formulas become MathML, which browsers draw themselves; what cannot be converted stands as it
was written. Nothing of a model's or a user's text is taken for markup of the page, and the
page's own policy forbids scripts and anything from outside.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import msgspec

from ssr_local.display import END_WORDS, clean, one_line
from ssr_local.events import AnyEvent, PathEnded, PathOpened, StepDrafted, StepRewritten
from ssr_local.history.store import Entry, unreadable
from ssr_local.records import ReasoningPath, RunResult, Step
from ssr_local.tutoring.checking import CheckResult
from ssr_local.tutoring.hints import Hint
from ssr_local.tutoring.wording import score_in_words

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_MAX_FORMULA_CHARS = 2000
_FORMULA = re.compile(
    r"\$\$(?P<display>.+?)\$\$|\\\[(?P<bracket>.+?)\\\]|\\\((?P<inline>.+?)\\\)"
    r"|(?<![\\$\w])\$(?=\S)(?P<dollar>[^$\n]{1,300}?)(?<=\S)\$(?![\d\w])",
    re.DOTALL,
)
_BOX = re.compile(r"\\boxed\{(?:[^{}]|\{[^{}]*\})*\}")
_BOXED_FORMULA = re.compile(f"(?P<box>{_BOX.pattern})|{_FORMULA.pattern}", re.DOTALL)
_MARK = "\ue000{}\ue001"
_MARKED = re.compile("\ue000(\\d+)\ue001")
_TAGS = frozenset(
    (
        *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot"),
        *("msup", "msub", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd"),
        *("mstyle", "mfenced", "menclose", "mpadded", "mphantom"),
    )
)
_ATTRIBUTES = frozenset(("display", "notation", "mathvariant", "stretchy", "linethickness"))
_AGREES = {True: "the same", False: "something else", None: "compare the two"}
_MATHML = "http://www.w3.org/1998/Math/MathML"

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; }
details { border-left: 3px solid #8884; padding-left: 1rem; margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
.step { margin: .75rem 0; } .said { color: GrayText; font-size: .85rem; }
.good { border-left: 3px solid #2a8a3e; padding-left: .6rem; }
.bad { border-left: 3px solid #c0392b; padding-left: .6rem; }
del { color: GrayText; } .answer { font-size: 1.2rem; font-weight: 700; }
math { font-size: 1.05em; }
menclose { border: 1px solid; padding: .1em .3em; }
"""


def page_of(entry: Entry, events: Iterable[AnyEvent] = ()) -> str:
    """The entry as one HTML page; an interrupted run's from its ``events``."""
    title = f"{entry.kind} {entry.id}: {one_line(entry.problem, 80)}"
    body = "\n".join(_body(entry, events))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{_plain(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def markdown_of(entry: Entry, events: Iterable[AnyEvent] = ()) -> str:
    """The entry as Markdown; what was written is quoted as it stands."""
    lines = [f"# {entry.kind} {entry.id}", "", _when(entry), "", *_quoted(entry.problem)]
    result = result_of(entry)
    if isinstance(result, CheckResult):
        for number, step in enumerate(result.steps, 1):
            verdict = "accepted" if step.accepted else "not accepted"
            score = score_in_words(step.score)
            lines += ["", f"## Step {number}: {verdict} ({score}, algebra: {step.algebra})", ""]
            lines += _quoted(step.text)
            lines += ["", _harmless(one_line(step.reason))] if step.reason else []
        if result.answer is not None:
            lines += ["", f"Answer: {one_line(result.answer)}"]
        if result.vote is not None:
            said = f"The models come to {one_line(result.vote)}"
            lines += ["", f"{said}: {_AGREES[result.answer_accepted]}."]
        if result.correction:
            lines += ["", "The first wrong step could go like this:", ""]
            lines += _quoted(result.correction)
    elif isinstance(result, Hint):
        lines += ["", f"## Hint of level {result.level}", "", *_quoted(result.text)]
    else:
        paths = result.paths if result is not None else _paths(events)
        if entry.answer is not None:
            lines += ["", f"Answer: {one_line(entry.answer)}"]
        for path in paths:
            lines += ["", f"## {_path_title(path)}"]
            for number, one in enumerate(path.steps, 1):
                lines += ["", f"### Step {number}: {_step_words(one)}", "", *_quoted(one.text)]
                if isinstance(one.draft_text, str):
                    lines += ["", "The draft had written:", "", *_quoted(one.draft_text)]
    return "\n".join(lines) + "\n"


def result_of(entry: Entry) -> RunResult | CheckResult | Hint | None:
    """What an entry came to; None where it came to nothing. Raises ``HistoryError``."""
    kinds: dict[str, type[RunResult] | type[CheckResult] | type[Hint]] = {
        "run": RunResult,
        "check": CheckResult,
        "hint": Hint,
    }
    if entry.result is None:
        return None
    try:
        return msgspec.json.decode(entry.result, type=kinds[entry.kind])
    except msgspec.DecodeError as error:
        raise unreadable(entry.id, error) from error


# HTML ----------------------------------------------------------------------------------


def _body(entry: Entry, events: Iterable[AnyEvent]) -> Iterator[str]:
    yield f"<h1>{_plain(entry.kind.capitalize())} {entry.id}</h1>"
    yield f'<p class="said">{_plain(_when(entry))}</p>'
    yield f"<section>{formatted(entry.problem)}</section>"
    if entry.error:
        yield f"<p>{_plain(one_line(entry.error))}</p>"
    result = result_of(entry)
    if isinstance(result, CheckResult):
        yield from _check(result)
    elif isinstance(result, Hint):
        yield f"<h2>Hint of level {result.level}</h2>{formatted(result.text)}"
    else:
        if entry.answer is not None:
            yield f'<p class="answer">Answer: {_answer(entry.answer)}</p>'
        if isinstance(result, RunResult):
            yield from _votes(result)
        for path in result.paths if result is not None else _paths(events):
            yield from _path(path)


def _votes(result: RunResult) -> Iterator[str]:
    if not result.votes:
        return
    yield "<h2>Votes</h2><ul>"
    for group in result.votes:
        paths = ", ".join(str(path + 1) for path in group.paths)
        answer = _answer(group.answer)
        yield f"<li>{answer} from paths {paths}{' (winner)' if group.winner else ''}</li>"
    yield "</ul>"


def _answer(answer: str) -> str:
    """A formula where it has signs of one, else the words."""
    answer = answer.strip("$ ")
    is_formula = re.search(r"[\\^_=+]", answer) and not re.search(r"\w\s+[A-Za-z]{2,}", answer)
    return mathml(answer) if is_formula else _plain(answer)


def _path(path: ReasoningPath) -> Iterator[str]:
    yield f"<details open><summary>{_plain(_path_title(path))}</summary>"
    for number, step in enumerate(path.steps, 1):
        kind = "bad" if step.accepted is False else "good"
        words = _plain(f"{number}. {_step_words(step)}")
        yield f'<div class="step {kind}"><div class="said">{words}</div>'
        yield formatted(step.text)
        if isinstance(step.draft_text, str):
            yield "<details><summary>What the draft had written</summary>"
            yield f"<del>{_plain(step.draft_text)}</del></details>"
        yield "</div>"
    yield "</details>"


def _check(result: CheckResult) -> Iterator[str]:
    yield "<h2>Steps</h2>"
    for number, step in enumerate(result.steps, 1):
        score = score_in_words(step.score)
        words = f"{number}. {'accepted' if step.accepted else 'not accepted'}, {score}"
        yield f'<div class="step {"good" if step.accepted else "bad"}">'
        yield f'<div class="said">{_plain(f"{words}, algebra: {step.algebra}")}</div>'
        yield formatted(step.text)
        if step.reason:
            yield f"<p>{_plain(one_line(step.reason))}</p>"
        yield "</div>"
    if result.answer is not None:
        yield f'<p class="answer">Answer: {_answer(result.answer)}</p>'
    if result.vote is not None:
        agrees = _AGREES[result.answer_accepted]
        yield f"<p>The models come to {_answer(result.vote)}: {agrees}.</p>"
    if result.correction:
        yield "<details><summary>How the first wrong step could go</summary>"
        yield f"{formatted(result.correction)}</details>"


def formatted(text: str) -> str:
    """A text's Markdown and formulas as HTML; of its own HTML, links and pictures nothing."""
    formulas: list[str] = []

    def keep(match: re.Match[str]) -> str:
        names = ("display", "bracket", "inline", "dollar")
        source = next(match[name] for name in names if match[name] is not None)
        block = match["display"] is not None or match["bracket"] is not None
        formulas.append(mathml(source, block=block))
        return _MARK.format(len(formulas) - 1)

    def box(match: re.Match[str]) -> str:
        formulas.append(mathml(match.group().replace("$", "")))
        return _MARK.format(len(formulas) - 1)

    text = clean(text).replace("\ue000", "").replace("\ue001", "")
    marked = _BOXED_FORMULA.sub(lambda match: (box if match["box"] else keep)(match), text)
    made: str = _markdown().render(marked)
    return _MARKED.sub(lambda match: formulas[int(match[1])], made)


def mathml(source: str, *, block: bool = False) -> str:
    """A LaTeX formula as MathML; as code where it cannot be had safely."""
    plain = f"<code>{_plain(source)}</code>"
    if len(source) > _MAX_FORMULA_CHARS:
        return plain
    from latex2mathml.converter import convert

    ready = source.replace("<", r" \lt ").replace(">", r" \gt ")
    try:
        root = ElementTree.fromstring(convert(ready, display="block" if block else "inline"))  # noqa: S314
    except (RecursionError, Exception):  # noqa: BLE001 - any text may come here
        return plain
    for node in root.iter():
        if not isinstance(node.tag, str) or node.tag.removeprefix(f"{{{_MATHML}}}") not in _TAGS:
            return plain
        node.tag = node.tag.removeprefix(f"{{{_MATHML}}}")
        for name in [name for name in node.attrib if name not in _ATTRIBUTES]:
            del node.attrib[name]
    return ElementTree.tostring(root, encoding="unicode")


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False, "breaks": True})
    return made.disable(["image", "link", "autolink", "html_block", "html_inline", "reference"])


def _plain(text: str) -> str:
    return html.escape(clean(text))


# What both have in common --------------------------------------------------------------


def _paths(events: Iterable[AnyEvent]) -> list[ReasoningPath]:
    """What an interrupted run had come to: its paths with the steps that stood."""
    paths: dict[int, ReasoningPath] = {}
    for event in events:
        if isinstance(event, PathOpened):
            strategy = event.strategy
            paths[event.path] = ReasoningPath(
                index=event.path,
                strategy=strategy.letter,
                strategy_name=strategy.name,
                selection_score=event.selection_score,
            )
        elif isinstance(event, StepDrafted | StepRewritten) and event.path in paths:
            path = paths[event.path]
            author = event.author if isinstance(event, StepDrafted) else "target"
            steps = (*path.steps[: event.step], Step(text=event.text, author=author))
            paths[event.path] = msgspec.structs.replace(path, steps=steps)
        elif isinstance(event, PathEnded) and event.path in paths:
            paths[event.path] = msgspec.structs.replace(
                paths[event.path], end_reason=event.reason, answer=event.answer
            )
    return list(paths.values())


def _when(entry: Entry) -> str:
    how = ", ".join(one for one in (entry.pair, entry.method) if one)
    return one_line(f"{entry.started[:16].replace('T', ' ')} UTC, {entry.status} ({how})")


def _path_title(path: ReasoningPath) -> str:
    end = "" if path.end_reason is None else f": {END_WORDS[path.end_reason]}"
    answer = "" if path.answer is None else f" {one_line(path.answer)}"
    return f"Path {path.index + 1}, {one_line(path.strategy_name)}{end}{answer}"


def _step_words(step: Step) -> str:
    if step.accepted is False:
        return "rewritten by the target"
    score = "" if step.score is None else f", score {step.score:.1f} of 9"
    return f"by the {step.author}{score}"


def _quoted(text: str) -> list[str]:
    return [f"> {_harmless(line)}".rstrip() for line in clean(text).strip().splitlines()]


def _harmless(line: str) -> str:
    """A line that loads and links to nothing in whatever shows the Markdown."""
    return line.replace("<", "&lt;").replace("](", "]\\(").replace("]:", "]\\:")
