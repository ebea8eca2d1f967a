"""The reasoning tree: problem, paths with their steps, strategies left aside, votes.

Labels are made when a line is drawn, from the state as it is then; a change only marks
lines. So what a change costs does not grow with the tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Tree as TreeWidget
from textual.widgets.tree import TreeNode

from ssr_local.core.display import one_line
from ssr_local.core.tree import Node, Tree
from ssr_local.core.views import PathView, StepView
from ssr_local_tui import looks
from ssr_local_tui.widgets.items import NOTICES, PROBLEM, PRUNED, VOTES, Item

_Line = TreeNode[Item]


# What leads the eye elsewhere than what is being written.
_MOVES = frozenset(
    (
        *("up", "down", "left", "right", "pageup", "pagedown", "home", "end"),
        *("shift+up", "shift+down", "shift+left", "shift+right", "enter", "space"),
    )
)


def _order(item: Item) -> tuple[int, int]:
    return ("wave", "path", "notices", "pruned", "votes").index(item.kind), item.index


def _depth(line: _Line) -> int:
    return 0 if line.parent is None else 1 + _depth(line.parent)


class RunTree(TreeWidget[Item]):
    """Shows a ``Tree``; ``sync`` follows its changes."""

    class Touched(Message):
        """The user moves about in the tree."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"run-tree--{name}" for name in ("good", "bad", "busy", "dim", "strong", "draft", "target")
    }
    DEFAULT_CSS = """
    RunTree {
        background: $surface;
        padding: 0 1;
        overflow-x: hidden;
        scrollbar-gutter: stable;
        & > .run-tree--good { color: $text-success; }
        & > .run-tree--bad { color: $text-error; }
        & > .run-tree--busy { color: $text-accent; }
        & > .run-tree--dim { color: $foreground 60%; }
        & > .run-tree--strong { text-style: bold; }
        & > .run-tree--draft { color: $text-secondary; }
        & > .run-tree--target { color: $text-primary; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "close_node", "Close", show=False, id="tree-close"),
        Binding("right", "open_node", "Open", show=False, id="tree-open"),
    ]

    def __init__(self, state: Tree, *, id: str | None = None) -> None:
        super().__init__("", data=PROBLEM, id=id)
        self.state = state
        self._lines: dict[Item, _Line] = {PROBLEM: self.root}
        self.show_root = True
        self.guide_depth = 2
        self.auto_expand = False
        self.root.expand()

    @property
    def selected_item(self) -> Item:
        """What the cursor is on."""
        node = self.cursor_node
        return PROBLEM if node is None or node.data is None else node.data

    def show_run(self, state: Tree) -> None:
        """Show another run."""
        self.state = state
        self.clear()
        self._lines = {PROBLEM: self.root}
        self.root.data = PROBLEM
        self.root.expand()
        self.sync(self._whole())

    def sync(self, changed: Iterable[Node]) -> None:
        """Draw again what has changed."""
        item = self.selected_item
        kinds = {node.kind for node in changed}
        for number in self.state.shown_waves if "waves" in kinds else ():
            if (wave := Item("wave", number)) not in self._lines:
                self._add(self.root, wave, is_open=True)
        for node in sorted(changed):
            if node.kind == "path" or node.kind == "step":
                self._sync_path(node.path, node.step)
        if "strategies" in kinds:
            chosen = {path.strategy.letter for path in self.state.paths.values()}
            ranked = enumerate(self.state.ranked_strategies)
            pruned = [Item("strategy", n) for n, row in ranked if row.letter not in chosen]
            self._sync_group(PRUNED, pruned, is_open=False)
        if "votes" in kinds:
            votes = [Item("vote", n) for n in range(len(self.state.groups))]
            self._sync_group(VOTES, votes, is_open=True)
        if "notices" in kinds:
            notices = [Item("notice", n) for n in range(len(self.state.notices))]
            self._sync_group(NOTICES, notices, is_open=False)
        if "run" in kinds:
            self.root.refresh()
        if self.cursor_line >= 0 and self._lines.get(item) is not self.cursor_node:
            self._stay_near(item)

    def _stay_near(self, item: Item) -> None:
        """The cursor's line is gone or moved: back to it, or to what it belonged to."""
        path = item.path_in(self.state)
        last = len(path.steps) - 1 if path is not None else -1
        near = [item]
        if item.kind in ("step", "rejected"):
            near += [Item("step", item.index, min(item.step, last)), Item("path", item.index)]
        elif item.kind == "vote":
            near.append(VOTES)
        elif item.kind == "strategy":
            near.append(PRUNED)
        any(self.reveal(one) for one in (*near, PROBLEM))

    def reveal(self, item: Item) -> bool:
        """Put the cursor on an item; whether it is there."""
        line = self._lines.get(item)
        if line is None:
            return False
        above = line.parent
        while above is not None:
            if not above.is_expanded:
                above.expand()
            above = above.parent
        _ = self.last_line  # a line just added is placed only once the tree is built
        self.move_cursor(line)
        return True

    def on_resize(self) -> None:
        """What takes room from the tree, as the answer's line does, hides no cursor."""
        self.call_after_refresh(self.show_cursor)

    def show_cursor(self) -> None:
        """Scroll to the cursor's line, where it has left the view."""
        if self.cursor_line >= 0:
            self.scroll_to_line(self.cursor_line, animate=False)

    # Keeping lines in step with the state ------------------------------------

    def _whole(self) -> set[Node]:
        nodes = {Node("run"), Node("strategies"), Node("waves"), Node("votes"), Node("notices")}
        for path in self.state.paths.values():
            nodes.add(Node("path", path.index))
            nodes |= {Node("step", path.index, step) for step in range(len(path.steps))}
        return nodes

    def _sync_path(self, index: int, step: int) -> None:
        path = self.state.paths.get(index)
        if path is None:
            return
        item = Item("path", index)
        line = self._lines.get(item)
        if line is None:
            above = self._lines.get(Item("wave", path.wave), self.root)
            line = self._add(above, item, is_open=True)
        while len(line.children) > len(path.steps):
            self._remove(line.children[-1])
        for number in range(len(line.children), len(path.steps)):
            step_item = Item("step", index, number)
            self._lines[step_item] = line.add("", data=step_item, allow_expand=False)
        if 0 <= step < len(path.steps):
            self._sync_step(line.children[step], path.steps[step], index, step)
        line.refresh()

    def _sync_step(self, line: _Line, step: StepView, index: int, number: int) -> None:
        shown = bool(line.children)
        if (step.rejected is not None) != shown:
            if shown:
                self._remove(line.children[0])
                line.allow_expand = False
            else:
                line.allow_expand = True
                item = Item("rejected", index, number)
                self._lines[item] = line.add_leaf("", data=item)
                line.expand()
        for child in line.children:
            child.refresh()
        line.refresh()

    def _sync_group(self, group: Item, items: list[Item], *, is_open: bool) -> None:
        line = self._lines.get(group)
        if not items:
            if line is not None:
                self._remove(line)
            return
        if line is None:
            line = self._add(self.root, group, is_open=is_open)
        if [child.data for child in line.children] != items:
            for child in list(line.children):
                self._remove(child)
            for item in items:
                self._lines[item] = line.add_leaf("", data=item)
        for child in line.children:
            child.refresh()
        line.refresh()

    def _add(self, above: _Line, item: Item, *, is_open: bool) -> _Line:
        """A new line among waves and paths, in their order, and groups, which come after them."""
        children = [one.data for one in above.children if one.data is not None]
        before = sum(_order(one) < _order(item) for one in children)
        line = self._lines[item] = above.add("", data=item, expand=is_open, before=before)
        return line

    def _remove(self, line: _Line) -> None:
        for child in list(line.children):
            self._remove(child)
        if line.data is not None:
            self._lines.pop(line.data, None)
        line.remove()

    # Labels --------------------------------------------------------------------

    def get_label_width(self, node: _Line) -> int:
        """Labels are cut to fit, so no line is wider than the widget."""
        return 1

    def render_label(self, node: _Line, base_style: Style, style: Style) -> Text:
        item = node.data or PROBLEM
        has_icon = node.allow_expand and item.kind != "step"  # a step's sign says it already
        used = _depth(node) * self.guide_depth + (2 if has_icon else 0)
        width = max(8, self.scrollable_content_region.width - used)
        label = self._label(item, node, width)
        if node is self.cursor_node:
            label.stylize(style)  # colours of ours could vanish on the cursor's
        else:
            label.stylize_before(style)
        if not has_icon:
            return label
        icon = self.ICON_NODE_EXPANDED if node.is_expanded else self.ICON_NODE
        return Text.assemble((icon, base_style + Style(meta={"toggle": True})), label)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"run-tree--{name}", partial=True)

    def _label(self, item: Item, node: _Line, width: int) -> Text:
        state = self.state
        if item.kind == "problem":
            text = looks.shown_text(state.problem) or "No problem yet"
            return Text(looks.head(text, width), self._style("strong"))
        if item.kind == "wave":
            words = one_line(state.waves[item.index].title)
            return Text(looks.head(words, width), self._style("strong"))
        if item.kind == "path":
            return self._path_label(state.paths[item.index], width)
        if item.kind == "step" or item.kind == "rejected":
            step = state.paths[item.index].steps[item.step]
            if item.kind == "step":
                return self._step_label(step, item.step + 1, width)
            return self._rejected_label(step, width)
        if item.kind == "pruned":
            num = len(node.children)
            word = "not chosen" if state.scores else "in the pool"
            return Text(looks.head(f"{num} strategies {word}", width), self._style("dim"))
        if item.kind == "strategy":
            return Text(looks.head(self._strategy(item.index), width), self._style("dim"))
        if item.kind == "votes":
            why = looks.head(f": {one_line(state.stopped)}", width - 5) if state.stopped else ""
            return Text.assemble(("Votes", self._style("strong")), (why, self._style("dim")))
        if item.kind == "vote":
            return self._vote_label(item.index, width)
        if item.kind == "notices":
            word = "note" if len(state.notices) == 1 else "notes"
            return Text(f"{len(state.notices)} {word}", self._style("dim"))
        return Text(looks.head(one_line(state.notices[item.index]), width), self._style("dim"))

    def _path_label(self, path: PathView, width: int) -> Text:
        score = f" {path.selection_score:.2f}" if path.selection_score is not None else ""
        style = "good" if path.answer is not None else "bad"
        end = looks.path_end(path) and f" {looks.path_end(path)}"
        end = looks.head(end, max(12, width // 2))
        shown = looks.head(looks.path_name(path) + score, max(8, width - len(end)))
        return Text.assemble((shown, self._style("strong")), (end, self._style(style)))

    def _step_label(self, step: StepView, number: int, width: int) -> Text:
        sign = looks.SIGNS[step.state]
        style = {"accepted": "good", "rewritten": "target", "unverified": "dim"}.get(
            step.state, "busy"
        )
        author = step.author[0]
        score = step.verdict.score if step.verdict else None
        judged = f" {looks.score_text(score)}" if step.verdict else ""
        if width < 40 and step.verdict:
            judged = "   – " if score is None else f" {score:3.1f}"
        lead = Text.assemble(
            (f"{sign} {number:>2} ", self._style(style)),
            (author, self._style(step.author)),
            (judged, self._style("good" if step.state == "accepted" else "bad")),
            " ",
        )
        room = width - lead.cell_len
        if step.is_open:
            lead.append(looks.tail(looks.shown_text(step.text[-looks.LONGEST_LABEL :]), room))
        else:
            lead.append(looks.head(looks.shown_text(step.text), room))
        return lead

    def _rejected_label(self, step: StepView, width: int) -> Text:
        text = looks.shown_text(step.rejected or "")
        label = Text("✗ draft ", self._style("bad"))
        return label.append(looks.head(text, width - 8), self._style("dim") + Style(strike=True))

    def _strategy(self, index: int) -> str:
        row = self.state.ranked_strategies[index]
        score = "" if row.score is None else f" {row.score:.2f}"
        return f"{one_line(row.letter)} {one_line(row.name)}{score}"

    def _vote_label(self, index: int, width: int) -> Text:
        group = self.state.groups[index]
        paths = ", ".join(str(path + 1) for path in group.paths)
        score = "" if group.mean_score is None else f", mean score {group.mean_score:.1f}"
        word = "path" if len(group.paths) == 1 else "paths"
        cost = f"  ({word} {paths}{score})"
        sign = "★ " if group.winner else "  "
        answer = looks.head(looks.shown_text(group.answer), max(8, width - len(cost) - 2))
        style = self._style("good") + Style(bold=True) if group.winner else Style()
        return Text.assemble((sign + answer, style), (cost, self._style("dim")))

    # Keys and mouse -----------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        if event.key in _MOVES:
            self.post_message(self.Touched())

    def on_mouse_down(self) -> None:
        self.post_message(self.Touched())

    on_mouse_scroll_up = on_mouse_scroll_down = on_mouse_down

    def action_close_node(self) -> None:
        """Close what the cursor is on, or go to what it belongs to."""
        self.post_message(self.Touched())
        node = self.cursor_node
        if node is None:
            return
        if node.allow_expand and node.is_expanded:
            node.collapse()
        elif node.parent is not None:
            self.move_cursor(node.parent)

    def action_open_node(self) -> None:
        """Open what the cursor is on, or go into it."""
        self.post_message(self.Touched())
        node = self.cursor_node
        if node is None or not node.allow_expand:
            return
        if not node.is_expanded:
            node.expand()
        elif node.children:
            self.move_cursor(node.children[0])
