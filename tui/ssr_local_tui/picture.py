"""The whole tree of a run as one SVG picture. Formulas are shown in plain signs."""

from __future__ import annotations

import io
import re

from rich.console import Console
from rich.text import Text
from rich.tree import Tree as Branch

from ssr_local.core.display import END_WORDS, clean, one_line
from ssr_local.core.records import StrategyScore, VoteGroup
from ssr_local.core.tree import Tree
from ssr_local.core.views import PathView, StepView
from ssr_local_tui.latex import readable

_FONTS = re.compile(r"@font-face\s*\{[^}]*\}")
_NUM_FONTS = 2
_WIDTH = 100
_NO_XML = re.compile("[\ufffe\uffff]")

_STYLES = {
    "accepted": "green",
    "rewritten": "cyan",
    "unverified": "default",
    "writing": "yellow",
    "waiting": "yellow",
    "rewriting": "yellow",
}


def as_svg(tree: Tree) -> str:
    """The run as a picture, whatever there is of it."""
    console = Console(
        record=True,
        width=_WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
    )
    console.print(_root(tree))
    svg = console.export_svg(title="ssr-local")
    # Whoever opens the picture must not fetch fonts from the web for it.
    return _FONTS.sub("", svg, count=_NUM_FONTS)


def _shown(text: str) -> str:
    return _NO_XML.sub("", clean(readable(clean(text)))).strip()


def _line(text: str) -> str:
    return one_line(_shown(text))


def _text(text: str, style: str = "default") -> Text:
    return Text(text, style=style, overflow="fold")


def _root(tree: Tree) -> Branch:
    root = Branch(_text(_shown(tree.problem) or "(problem not known)", "bold"), guide_style="dim")
    for number, step in enumerate(tree.given, 1):
        root.add(_text(f"prefix step {number}  {_shown(step)}"))
    if tree.scores:
        root.add(_text("strategies: " + ", ".join(map(_strategy, tree.scores)), "dim"))
    for wave, paths in tree.by_wave():
        branch = root if wave is None else root.add(_text(_line(wave.title), "bold"))
        for path in paths:
            _add_path(branch, path)
    for group in tree.groups:
        root.add(_text(_vote(group)))
    root.add(_end(tree))
    return root


def _strategy(row: StrategyScore) -> str:
    score = "" if row.score is None else f" {row.score:.2f}"
    mark = "*" if row.times_chosen else ""
    return f"{mark}{_line(row.letter)} {_line(row.name)}{score}"


def _add_path(root: Branch, path: PathView) -> None:
    strategy = path.strategy
    name = f"path {path.index + 1}  {_line(strategy.letter)} {_line(strategy.name)}".rstrip()
    branch = root.add(_text(name, "bold blue"))
    for number, step in enumerate(path.steps, 1):
        branch.add(_step(number, step))
    if path.end_reason is None:
        branch.add(_text("not ended", "yellow"))
        return
    answer = "" if path.answer is None else f": {_answer(path.answer)}"
    style = "yellow" if path.answer is None else "green"
    branch.add(_text(f"end: {END_WORDS[path.end_reason]}{answer}", style))


def _step(number: int, step: StepView) -> Text:
    score = ""
    if step.verdict is not None:
        value = step.verdict.score
        score = " no score" if value is None else f" {value:.1f}"
    whole = _text("")
    whole.append(f"{number} {step.author}, {step.state}{score}", _STYLES[step.state])
    if step.rejected is not None:
        whole.append("\n" + (_shown(step.rejected) or "(empty)"), "strike dim red")
    return whole.append("\n" + (_shown(step.text) or "(nothing written)"))


def _vote(group: VoteGroup) -> str:
    paths = ", ".join(str(path + 1) for path in group.paths)
    mark = "*" if group.winner else " "
    return f"{mark} vote {_answer(group.answer)}  (paths {paths})"


def _end(tree: Tree) -> Text:
    result = tree.result
    if result is None:
        return _text(f"not ended: as of {tree.at_s:.1f} s", "bold yellow")
    why = f"  ({_line(tree.stopped)})" if tree.stopped else ""
    if result.answer is not None:
        return _text(f"answer: {_answer(result.answer)}{why}", "bold green")
    stopped = result.status == "cancelled"
    return _text("stopped before its end" if stopped else f"no answer{why}", "bold yellow")


def _answer(text: str) -> str:
    """An answer is a formula without maths marks; code, of several lines, is none."""
    if "\n" in text.strip():
        return "\n" + _shown(text)
    return _line(f"${text}$") if "\\" in text and "$" not in text else _line(text)
