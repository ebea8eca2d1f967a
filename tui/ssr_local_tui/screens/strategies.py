"""Which strategy one more path is to follow."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ssr_local.core.display import one_line
from ssr_local.core.records import UNKNOWN_LETTER, Strategy
from ssr_local.core.tree import Tree
from ssr_local_tui.screens.dialog import Dialog


class StrategyScreen(Dialog[str]):
    """Gives the letter of the strategy that was chosen."""

    HEADING = "One more path"
    HINT = "Enter opens it, Escape does not"

    def __init__(self, tree: Tree) -> None:
        super().__init__()
        scores = {row.letter: row.score for row in tree.scores}
        self._followed = {path.strategy.letter for path in tree.paths.values()} - {UNKNOWN_LETTER}
        ranked = sorted(tree.pool, key=lambda one: -(scores.get(one.letter) or 0.0))
        self._rows = {one.letter: self._row(one, scores.get(one.letter)) for one in ranked}
        self._rows.pop(UNKNOWN_LETTER, None)  # comes last
        nothing = Strategy(UNKNOWN_LETTER, "no strategy", "The problem without advice.")
        self._rows[UNKNOWN_LETTER] = self._row(nothing, None)

    def content(self) -> ComposeResult:
        rows = (Option(row, id=f"letter-{letter}") for letter, row in self._rows.items())
        yield OptionList(*rows, id="pool")

    def on_mount(self) -> None:
        pool = self.query_one(OptionList)
        pool.highlighted = next(
            (n for n, letter in enumerate(self._rows) if letter not in self._followed), 0
        )
        pool.focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss((event.option_id or "").removeprefix("letter-"))

    def _row(self, one: Strategy, score: float | None) -> Text:
        marks = [] if score is None else [f"{score:.2f}"]
        marks += ["followed already"] if one.letter in self._followed else []
        more = f"  ({', '.join(marks)})" if marks else ""
        name = f"{one_line(one.letter)} {one_line(one.name)}"
        return Text.assemble((name, "bold"), more, "\n  ", (one_line(one.advice), "dim"))
