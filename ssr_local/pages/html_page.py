"""A run, or any entry of the history, as one HTML page that loads nothing.

Nothing of a model's or a user's text is taken for markup of the page, and the page's own
policy forbids scripts and anything from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ssr_local.core.display import END_WORDS, RULE_WORDS, one_line
from ssr_local.core.events import AnyEvent
from ssr_local.core.tree import Tree
from ssr_local.core.views import PathView, StepState, StepView
from ssr_local.history.store import Entry
from ssr_local.pages.formulas import formatted, mathml, plain
from ssr_local.pages.results import agreement, circumstances, result_of, tree_of
from ssr_local.pages.run_report import figures, standing, step_words, strategies
from ssr_local.tutoring.checking import CheckResult
from ssr_local.tutoring.hints import Hint
from ssr_local.tutoring.wording import in_words

_LOOKS: dict[StepState, str] = {"accepted": "good", "rewriting": "bad", "rewritten": "new"}
"""The class of a step on the page; what nobody has judged has none."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; }
details { border-left: 3px solid #8884; padding-left: 1rem; margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
.step { margin: .75rem 0; } .said { color: GrayText; font-size: .85rem; }
.good { border-left: 3px solid #2a8a3e; padding-left: .6rem; }
.bad { border-left: 3px solid #c0392b; padding-left: .6rem; }
.new { border-left: 3px solid #b7791f; padding-left: .6rem; }
del { color: GrayText; } .answer { font-size: 1.2rem; font-weight: 700; }
math { font-size: 1.05em; }
menclose { border: 1px solid; padding: .1em .3em; }
"""


def page_of(entry: Entry, events: Iterable[AnyEvent] = ()) -> str:
    """The entry as one HTML page; a run's from its ``events``. Raises ``HistoryError``."""
    title = f"{entry.kind.capitalize()} {entry.id}"
    return _document(title, entry.problem, _entry(entry, events))


def page_of_run(tree: Tree, title: str = "Reasoning run") -> str:
    """A run as one HTML page, whatever there is of it."""
    return _document(title, tree.problem, _run(tree))


def _document(title: str, problem: str, parts: Iterable[str]) -> str:
    whole_title = plain(f"{title}: {one_line(problem, 80)}")
    body = "\n".join((f"<h1>{plain(title)}</h1>", *parts))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{whole_title}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _entry(entry: Entry, events: Iterable[AnyEvent]) -> Iterator[str]:
    yield f'<p class="said">{plain(circumstances(entry))}</p>'
    if entry.error:
        yield f"<p>{plain(one_line(entry.error))}</p>"
    if entry.kind == "run":
        yield from _run(tree_of(entry, events), entry.status)
        return
    yield f"<section>{formatted(entry.problem)}</section>"
    result = result_of(entry)
    if isinstance(result, CheckResult):
        yield from _check(result)
    elif isinstance(result, Hint):
        yield f"<h2>Hint of level {result.level}</h2>{formatted(result.text)}"


# A run ---------------------------------------------------------------------------------


def _run(tree: Tree, status: str = "") -> Iterator[str]:
    yield f"<section>{formatted(tree.problem)}</section>"
    yield formatted(standing(tree, status), formulas=False)
    result = tree.result
    if result is not None and result.answer is not None:
        yield f'<p class="answer">Answer: {_answer(result.answer)}</p>'
    elif result is not None and result.best_path is not None:
        yield f"<p>Path {result.best_path + 1} got furthest.</p>"
    yield from _votes(tree)
    if tree.given:
        yield "<details open><summary>Prefix steps, written by neither model</summary>"
        yield from (f'<div class="step">{formatted(text)}</div>' for text in tree.given)
        yield "</details>"
    for wave, paths in tree.by_wave():
        if wave is not None:
            yield f"<h2>{plain(one_line(wave.title))}</h2>"
            words = f"{one_line(wave.text)}. {RULE_WORDS[wave.rule]}"
            yield f'<p class="said">{plain(words)}</p>'
        for path in paths:
            yield from _path(path)
    more = formatted("\n\n".join((*strategies(tree), figures(tree))), formulas=False)
    yield f"<details><summary>Strategies and figures</summary>{more}</details>"


def _votes(tree: Tree) -> Iterator[str]:
    if not tree.groups:
        return
    yield "<h2>Votes</h2><ul>"
    for group in tree.groups:
        paths = ", ".join(str(path + 1) for path in group.paths)
        answer = _answer(group.answer)
        yield f"<li>{answer} from paths {paths}{' (winner)' if group.winner else ''}</li>"
    yield "</ul>"


def _answer(answer: str) -> str:
    """A formula where it has signs of one, else the words."""
    answer = answer.strip("$ ")
    is_formula = re.search(r"[\\^_=+]", answer) and not re.search(r"\w\s+[A-Za-z]{2,}", answer)
    return mathml(answer) if is_formula else plain(answer)


def _path(path: PathView) -> Iterator[str]:
    end = "has not ended" if path.end_reason is None else END_WORDS[path.end_reason]
    answer = "" if path.answer is None else f" {one_line(path.answer)}"
    title = f"Path {path.index + 1}, {one_line(path.strategy.name)}: {end}{answer}"
    yield f"<details open><summary>{plain(title)}</summary>"
    for number, step in enumerate(path.steps, 1):
        yield from _step(number, step)
    yield "</details>"


def _step(number: int, step: StepView) -> Iterator[str]:
    words = plain(one_line(f"{number}. {step_words(step)}"))
    yield f'<div class="step {_LOOKS.get(step.state, "")}"><div class="said">{words}</div>'
    yield formatted(step.text)
    if step.rejected is not None:
        yield "<details><summary>What the draft had written</summary>"
        yield f"<del>{plain(step.rejected)}</del></details>"
    yield "</div>"


# A check -------------------------------------------------------------------------------


def _check(result: CheckResult) -> Iterator[str]:
    yield "<h2>Steps</h2>"
    for number, step in enumerate(result.steps, 1):
        looks = ("good" if step.accepted else "bad") if step.is_judged else ""
        yield f'<div class="step {looks}">'
        yield f'<div class="said">{plain(f"{number}. {in_words(step)}")}</div>'
        yield f"{formatted(step.text)}</div>"
    yield from (f"<p>{plain(one_line(notice))}</p>" for notice in result.notices)
    if result.answer is None:
        yield "<p>The solution states no answer.</p>"
    else:
        yield f'<p class="answer">Answer: {_answer(result.answer)}</p>'
    if result.vote is not None:
        yield f"<p>The models come to {_answer(result.vote)}{agreement(result)}.</p>"
    if result.correction:
        yield "<details><summary>How the first wrong step could go</summary>"
        yield f"{formatted(result.correction)}</details>"
