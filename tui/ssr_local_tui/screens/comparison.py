"""Two paths side by side, and where they part."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Select, Static

from ssr_local.core.display import END_WORDS, one_line
from ssr_local.core.tree import PathView, Tree
from ssr_local_tui import looks
from ssr_local_tui.compare import Disagreement, aligned, disagreement, summary
from ssr_local_tui.screens.dialog import Dialog
from ssr_local_tui.widgets.detail import formatted

_PARTED = "◀ here they part"
_REDRAW_S = 1.0


class ComparisonScreen(Dialog[None]):
    """Compares two of the tree's paths; follows them while they grow."""

    DEFAULT_CSS = """
    ComparisonScreen {
        #box { width: 100%; height: 100%; }
        #choice { height: auto; }
        #choice Select { width: 1fr; }
        #said { height: auto; margin: 1 0; text-style: bold; }
        VerticalScroll { height: 1fr; }
        #rows { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v,q", "leave", "Close", id="comparison-close"),
        Binding("right_square_bracket", "next(1)", "Next right path", id="comparison-next"),
        Binding("left_square_bracket", "next(0)", "Next left path", id="comparison-next-left"),
        Binding("l", "source", "LaTeX", id="comparison-source"),
    ]

    def __init__(self, tree: Tree, first: int | None) -> None:
        super().__init__()
        self._tree = tree
        paths = list(tree.paths)
        left = first if first in tree.paths else paths[0]
        right = _most_unlike(tree, left)
        self._chosen = [left, right]
        self._source = False
        self._revision = -1
        self._offered = list(tree.paths)

    def compose(self) -> ComposeResult:
        options = [(Text(_name(path)), index) for index, path in self._tree.paths.items()]
        with Vertical(id="box") as box:
            box.border_title = "Two paths"
            box.border_subtitle = r"\[ and ] choose others, Escape closes"
            with Horizontal(id="choice"):
                for place in (0, 1):
                    yield Select(
                        options,
                        value=self._chosen[place],
                        allow_blank=False,
                        id=f"path-{place}",
                        compact=True,
                    )
            yield Static("", id="said", markup=False)
            with VerticalScroll(id="scroll"):
                yield Static(id="rows")

    def on_mount(self) -> None:
        self.query_one("#scroll").focus()
        self.set_interval(_REDRAW_S, self._draw)
        self._draw()

    @on(Select.Changed)
    def _other(self, event: Select.Changed) -> None:
        place = int((event.select.id or "path-0")[-1])
        if isinstance(event.value, int) and event.value != self._chosen[place]:
            self._chosen[place] = event.value
            self._revision = -1
            self._draw()

    def action_next(self, place: int) -> None:
        """Another path on one side."""
        paths = self._offered
        now = paths.index(self._chosen[place])
        self.query_one(f"#path-{place}", Select).value = paths[(now + 1) % len(paths)]

    def action_source(self) -> None:
        """Formulas as they were written, or as plain signs."""
        self._source = not self._source
        self._revision = -1
        self._draw()

    def _offer(self) -> None:
        """A path was opened meanwhile: it can be chosen too."""
        self._offered = list(self._tree.paths)
        options = [(Text(_name(path)), index) for index, path in self._tree.paths.items()]
        for place, chosen in enumerate(self._chosen):
            select: Select[int] = self.query_one(f"#path-{place}", Select)
            with self.prevent(Select.Changed):
                select.set_options(options)
                select.value = chosen

    def _draw(self) -> None:
        if self._revision == self._tree.revision:
            return
        self._revision = self._tree.revision
        if self._offered != list(self._tree.paths):
            self._offer()
        first, second = (self._tree.paths[index] for index in self._chosen)
        if first is second:
            self.query_one("#said", Static).update("This is one path. Choose another.")
        else:
            self.query_one("#said", Static).update(summary(first, second))
        found = None if first is second else disagreement(first, second)
        self.query_one("#rows", Static).update(rows_of(first, second, found, source=self._source))


def rows_of(
    first: PathView, second: PathView, found: Disagreement | None, *, source: bool
) -> RenderableType:
    """The steps of both paths in two columns, marked where they part."""
    table: Any = Table(expand=True, show_lines=True, box=None, padding=(0, 1, 1, 1))
    for path in (first, second):
        table.add_column(Text(_name(path), style="bold"), ratio=1, overflow="fold")
    parted = (found.first_step, found.second_step) if found else (None, None)
    for row in aligned(first, second):
        table.add_row(
            *(
                _cell(path, step, parted[place] is not None and step == parted[place], source)
                for place, (path, step) in enumerate(zip((first, second), row, strict=True))
            )
        )
    table.add_row(_end(first), _end(second))
    return table  # type: ignore[no-any-return]


def _cell(path: PathView, place: int | None, parts: bool, source: bool) -> RenderableType:
    if place is None or place >= len(path.steps):
        return Text()
    step = path.steps[place]
    score = step.verdict.score if step.verdict else None
    judged = "" if score is None else f"  {looks.score_text(score)}"
    title = Text.assemble(
        (f"{looks.SIGNS[step.state]} {place + 1}  {step.author}{judged}", "dim"),
        (f"  {_PARTED}" if parts else "", "bold reverse"),
    )
    return Group(title, formatted(step.text, source))


def _end(path: PathView) -> Text:
    if path.end_reason is None:
        return Text("goes on", style="dim")
    if path.answer is not None:
        return Text(f"→ {looks.shown_text(path.answer)}", style="bold")
    return Text(f"→ {END_WORDS[path.end_reason]}", style="dim")


def _name(path: PathView) -> str:
    return f"{path.index + 1} {one_line(path.strategy.letter)} {one_line(path.strategy.name, 40)}"


def _most_unlike(tree: Tree, left: int) -> int:
    """A path with another answer where there is one, else the next."""
    others = [path for index, path in tree.paths.items() if index != left]
    mine = tree.paths[left].answer
    unlike = [path for path in others if path.answer is not None and path.answer != mine]
    return (unlike or others or [tree.paths[left]])[0].index
