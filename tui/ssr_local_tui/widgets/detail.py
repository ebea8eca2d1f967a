"""Everything there is to say of the line the tree's cursor is on."""

from __future__ import annotations

import math
import re
from typing import Any

from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from ssr_local.core.display import END_WORDS, RULE_WORDS, clean, one_line
from ssr_local.core.records import Verdict, VoteGroup, confidence
from ssr_local.core.tree import Tree
from ssr_local.core.views import PathView, StepView
from ssr_local_tui import looks
from ssr_local_tui.latex import readable
from ssr_local_tui.widgets.items import Item

# Rendering Markdown of a megabyte would hold the app up.
_MAX_SHOWN_CHARS = 40_000
_BAR_CELLS = 20
_TIMES = re.compile(r"(?<=[\w)\]}])\*(?=[\w(\[{\\.-])")
_DUNDER = re.compile(r"__(?=\w)|(?<=\w)__")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


class DetailPane(VerticalScroll):
    """One step, path, vote or strategy in full; ``source`` shows LaTeX as it was written."""

    DEFAULT_CSS = """
    DetailPane { padding: 0 1; background: $surface; }
    DetailPane > Static { width: 100%; height: auto; }
    """

    class Touched(Message):
        """The user reads here."""

    _shown: tuple[Item, bool] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="detail")

    def show(self, tree: Tree, item: Item, *, source: bool) -> None:
        """Show an item of the tree as it is now; of a step being written, its end."""
        body = self.query_one("#detail", Static)
        at_end = self.scroll_offset.y >= self.max_scroll_y
        body.update(detail_of(tree, item, source=source))
        shown = (item, _is_growing(tree, item))
        if shown != self._shown:
            self.scroll_home(animate=False)
        elif at_end and shown[1]:
            self.scroll_end(animate=False)
        self._shown = shown

    def on_focus(self) -> None:
        self.post_message(self.Touched())

    on_mouse_scroll_up = on_mouse_scroll_down = on_focus


def _is_growing(tree: Tree, item: Item) -> bool:
    """Whether its text is the last thing there, and gets longer; after a rewrite is a verdict."""
    step = item.step_in(tree) if item.kind == "step" else None
    return step is not None and step.is_open and step.verdict is None


def detail_of(tree: Tree, item: Item, *, source: bool) -> RenderableType:
    """What the pane shows of an item; one that is gone shows the problem."""
    path, step, index = item.path_in(tree), item.step_in(tree), item.index
    if step is not None:
        # Code is shown as it was written; it is no Markdown.
        return _step(step, item.step, source or (path is not None and path.is_program))
    if item.kind == "path" and path is not None:
        return _path(path, source)
    if item.kind == "wave" and index in tree.waves:
        wave = tree.waves[index]
        lines = (clean(wave.text), RULE_WORDS[wave.rule])
        return Group(_title(one_line(wave.title)), *map(Text, lines))
    if item.kind == "strategy":
        return _strategy(tree, index)
    if item.kind == "vote" and index < len(tree.groups):
        return _vote(tree.groups[index], source)
    if item.kind == "votes":
        return Group(*(_vote(group, source) for group in tree.groups), *_stopped(tree))
    if item.kind == "notice" and index < len(tree.notices):
        return Text(clean(tree.notices[index]))
    if item.kind == "notices":
        return Text("\n\n".join(clean(notice) for notice in tree.notices))
    if item.kind == "pruned":
        return Text("Strategies of the pool that no path follows. A path can be added on one.")
    return _problem(tree, source)


def text_of(tree: Tree, item: Item) -> str:
    """What is copied of an item: the text as it was written."""
    path, step = item.path_in(tree), item.step_in(tree)
    if step is not None:
        return ((step.rejected if item.kind == "rejected" else step.text) or "").strip()
    if item.kind == "wave" and item.index in tree.waves:
        return tree.waves[item.index].text
    if item.kind == "path" and path is not None:
        return "".join(step.text for step in path.steps).strip()
    if item.kind == "vote" and item.index < len(tree.groups):
        return tree.groups[item.index].answer
    if item.kind == "votes" and tree.winner is not None:
        return tree.winner.answer
    if item.kind == "notice" and item.index < len(tree.notices):
        return tree.notices[item.index]
    return tree.problem


def formatted(text: str, source: bool) -> RenderableType:
    """Model text as Markdown, its formulas in plain signs unless ``source``."""
    shown = clean(_cut(text)).strip()
    if source:
        return Text(shown)
    # Two blanks in front of a line's end keep the line breaks that models write.
    lines = _plain_signs(readable(shown)).splitlines()
    return Markdown("  \n".join(lines), hyperlinks=False)


def _plain_signs(text: str) -> str:
    """The text with signs escaped that are meant as they stand, not as Markdown or HTML."""
    for pattern in (_TIMES, _DUNDER, _TAG):
        text = pattern.sub(lambda match: "".join(f"\\{sign}" for sign in match[0]), text)
    return text


def _cut(text: str) -> str:
    left = len(text) - _MAX_SHOWN_CHARS
    return text if left <= 0 else f"{text[:_MAX_SHOWN_CHARS]}\n\n… {left} more characters"


def _title(text: str) -> Text:
    return Text(text, style="bold")


def _problem(tree: Tree, source: bool) -> RenderableType:
    if not tree.problem:
        return Text("Type a problem below and press Enter.")
    parts: list[RenderableType] = [_title("Problem"), formatted(tree.problem, source)]
    if tree.given:
        parts += [Text(), _title("Prefix steps"), formatted("".join(tree.given), source)]
    winner = tree.winner
    if winner is not None:
        word = "Answer" if tree.result is not None else "Answer so far"
        parts += [Text(), _title(word), Text(looks.shown_text(winner.answer), style="bold")]
    return Group(*parts)


def _stopped(tree: Tree) -> list[RenderableType]:
    return [Text(f"The run is over: {one_line(tree.stopped)}.")] if tree.stopped else []


def _path(path: PathView, source: bool) -> RenderableType:
    strategy = path.strategy
    parts: list[RenderableType] = [
        _title(
            f"Path {path.index + 1}, strategy {one_line(strategy.letter)}:"
            f" {one_line(strategy.name)}"
        ),
        Text(clean(strategy.advice), style="italic"),
    ]
    if path.end_reason is not None:
        answer = "" if path.answer is None else f": {looks.shown_text(path.answer)}"
        parts.append(Text(f"Ended, {END_WORDS[path.end_reason]}{answer}"))
    if path.program is not None:
        parts.append(Text(clean(path.program.words[:_MAX_SHOWN_CHARS])))
    if path.refuted:
        parts.append(Text(f"Algebra refutes: {one_line(path.refuted)}"))
    if path.mean_score is not None:
        parts.append(Text(f"Mean score of its steps {path.mean_score:.1f} of 9"))
    if path.confidence is not None:
        parts.append(Text(f"Confidence {path.confidence:.2f}, the mean probability of its tokens"))
    text = "".join(step.text for step in path.steps)
    parts += [Text(), Text(clean(_cut(text))) if path.is_program else formatted(text, source)]
    return Group(*parts)


def _step(step: StepView, index: int, source: bool) -> RenderableType:
    end = step.text[-_MAX_SHOWN_CHARS:]  # of a step that is being written, it is what grows
    parts: list[RenderableType] = [
        _title(looks.step_title(step, index + 1)),
        Text(clean(end if source else readable(end)))
        if step.is_open
        else formatted(step.text, source),
    ]
    if step.rejected is not None:
        rejected = clean(step.rejected[:_MAX_SHOWN_CHARS]).strip()
        rejected = rejected if source else readable(rejected)
        parts += [Text(), _title("What the draft had written"), Text(rejected, style="strike dim")]
    verdict = step.verdict
    if verdict is not None:
        parts += [Text(), _title("Verdict"), Text(_verdict(verdict))]
        if verdict.log_probs:
            parts.append(_chart(verdict.log_probs))
    parts += [Text(), Text(_who(step), style="dim")]
    return Group(*parts)


def _who(step: StepView) -> str:
    who = f"Written by the {step.author}"
    tokens = f", {step.num_tokens} tokens" if step.num_tokens else ""
    if (sure := confidence([(step.log_prob, step.num_tokens)])) is not None:
        tokens += f" of a mean probability of {sure:.2f}"
    if not step.elapsed_s:
        return f"{who}{tokens}"
    rate = step.num_tokens / step.elapsed_s
    speed = f" ({rate:.0f} tokens/s, beside the other paths)" if step.num_tokens else ""
    return f"{who}{tokens} in {step.elapsed_s:.1f} s{speed}"


def _verdict(verdict: Verdict) -> str:
    word = "kept" if verdict.accepted else "rejected"
    score = "no score" if verdict.score is None else f"score {verdict.score:.1f} of 9"
    lines = [f"{word}, {score}, verifier {one_line(verdict.verifier)}"]
    if verdict.raw is not None:
        lines.append(f"raw value {verdict.raw:.3f}")
    if verdict.mean_log_prob is not None:
        lines.append(f"the target finds its words {verdict.mean_log_prob:.2f} nats a token likely")
    if verdict.reason:
        lines.append(one_line(verdict.reason))
    return "\n".join(lines)


def _chart(log_probs: tuple[tuple[str, float], ...]) -> RenderableType:
    """Probabilities of the words the verifier read, as bars."""
    table: Any = Table.grid(padding=(0, 1))
    for name, log_prob in log_probs:
        share = math.exp(min(0.0, log_prob))
        table.add_row(
            Text(one_line(name, 12)),
            Text(looks.bar(share, _BAR_CELLS)),
            Text(f"{share:6.1%}"),
            Text(f"{log_prob:.2f}", style="dim"),
        )
    return Group(Text("word, probability, nats", style="dim"), table)


def _strategy(tree: Tree, index: int) -> RenderableType:
    if not 0 <= index < len(tree.ranked_strategies):
        return Text()
    row = tree.ranked_strategies[index]
    advice = next((one.advice for one in tree.pool if one.letter == row.letter), "")
    parts = [_title(f"Strategy {one_line(row.letter)}: {one_line(row.name)}"), Text(clean(advice))]
    if row.score is not None:
        parts.append(Text(f"The target gave it a probability of {row.score:.3f}."))
    return Group(*parts)


def _vote(group: VoteGroup, source: bool) -> RenderableType:
    paths = ", ".join(str(path + 1) for path in group.paths)
    word = "Winning answer" if group.winner else "Answer"
    score = "" if group.mean_score is None else f", mean score {group.mean_score:.1f} of 9"
    answer = clean(group.answer) if source else looks.shown_text(group.answer)
    return Group(
        _title(word),
        Text(answer, style="bold"),
        Text(f"from paths {paths}{score}{group.refuted_words}"),
        Text(),
    )
