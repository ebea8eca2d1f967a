"""Two paths side by side, and where they part."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Select, Static

from ssr_local.core.tree import Tree
from ssr_local.core.views import PathView
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

    HEADING = "Two paths"
    HINT = r"\[ and ] choose others, Escape closes"

    def __init__(self, tree: Tree, first: int | None) -> None:
        super().__init__()
        self._tree = tree
        left = first if first in tree.paths else next(iter(tree.paths))
        self._chosen = [left, _most_unlike(tree, left)]
        self._source = False
        self._drawn: tuple[object, ...] = ()

    def content(self) -> ComposeResult:
        with Horizontal(id="choice"):
            paths = self._paths()
            for side, chosen in enumerate(self._chosen):
                name = f"path-{side}"
                yield Select(paths, value=chosen, allow_blank=False, id=name, compact=True)
        yield Static("", id="said", markup=False)
        with VerticalScroll(id="scroll"):
            yield Static(id="rows")

    def on_mount(self) -> None:
        self.query_one("#scroll").focus()
        self.set_interval(_REDRAW_S, self._draw)
        self._draw()

    @on(Select.Changed)
    def _other(self, event: Select.Changed) -> None:
        side = int((event.select.id or "path-0")[-1])
        if isinstance(event.value, int):
            self._chosen[side] = event.value
            self._draw()

    def action_next(self, side: int) -> None:
        """Another path on one side."""
        paths = list(self._tree.paths)
        now = paths.index(self._chosen[side])
        self._offer()
        self.query_one(f"#path-{side}", Select).value = paths[(now + 1) % len(paths)]

    def action_source(self) -> None:
        """Formulas as they were written, or as plain signs."""
        self._source = not self._source
        self._draw()

    def _paths(self) -> list[tuple[Text, int]]:
        return [(Text(looks.path_name(path)), index) for index, path in self._tree.paths.items()]

    def _offer(self) -> None:
        """All paths can be chosen, also those that were opened meanwhile."""
        for side, chosen in enumerate(self._chosen):
            select: Select[int] = self.query_one(f"#path-{side}", Select)
            with self.prevent(Select.Changed):
                select.set_options(self._paths())
                select.value = chosen

    def _draw(self) -> None:
        to_draw = (self._tree.revision, self._source, *self._chosen)
        if self._drawn == to_draw:
            return
        if self._drawn[:1] != to_draw[:1]:
            self._offer()
        self._drawn = to_draw
        first, second = (self._tree.paths[index] for index in self._chosen)
        found, said = None, "This is one path. Choose another."
        if first is not second:
            found, said = disagreement(first, second), summary(first, second)
        self.query_one("#said", Static).update(said)
        self.query_one("#rows", Static).update(rows_of(first, second, found, source=self._source))


def rows_of(
    first: PathView, second: PathView, found: Disagreement | None, *, source: bool
) -> RenderableType:
    """The steps of both paths in two columns, marked where they part."""
    table: Any = Table(expand=True, show_lines=True, box=None, padding=(0, 1, 1, 1))
    for path in (first, second):
        table.add_column(Text(looks.path_name(path), style="bold"), ratio=1, overflow="fold")
    parted = (found.first_step, found.second_step) if found else (None, None)
    for left, right in aligned(first, second):
        table.add_row(
            _cell(first, left, parted[0], source), _cell(second, right, parted[1], source)
        )
    for_both = ((looks.path_end(one) or "goes on", one.answer) for one in (first, second))
    table.add_row(*(Text(end, style="bold" if answer else "dim") for end, answer in for_both))
    return table  # type: ignore[no-any-return]


def _cell(path: PathView, index: int | None, parted: int | None, source: bool) -> RenderableType:
    if index is None or index >= len(path.steps):
        return Text()
    step = path.steps[index]
    score = step.verdict.score if step.verdict else None
    judged = "" if score is None else f"  {looks.score_text(score)}"
    title = Text.assemble(
        (f"{looks.SIGNS[step.state]} {index + 1}  {step.author}{judged}", "dim"),
        (f"  {_PARTED}" if index == parted else "", "bold reverse"),
    )
    return Group(title, formatted(step.text, source))


def _most_unlike(tree: Tree, left: int) -> int:
    """A path with another answer where there is one, else the next."""
    others = [path for index, path in tree.paths.items() if index != left]
    mine = tree.paths[left].answer
    unlike = [path for path in others if path.answer is not None and path.answer != mine]
    return (unlike or others or [tree.paths[left]])[0].index
