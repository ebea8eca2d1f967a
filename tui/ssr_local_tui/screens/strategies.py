"""Which strategy one more path is to follow."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ssr_local.core.display import one_line
from ssr_local.core.tree import Tree
from ssr_local_tui.screens.dialog import Dialog

_NO_ADVICE = "M"


class StrategyScreen(Dialog[str]):
    """Gives the letter of the strategy that was chosen."""

    HEADING = "One more path"
    HINT = "Enter opens it, Escape does not"

    def __init__(self, tree: Tree) -> None:
        super().__init__()
        scores = {row.letter: row.score for row in tree.scores}
        followed = {path.strategy.letter for path in tree.paths.values()}
        ranked = sorted(tree.pool, key=lambda one: -(scores.get(one.letter) or 0.0))
        self._rows = [
            (
                one.letter,
                one_line(one.name),
                one_line(one.advice),
                scores.get(one.letter),
                one.letter in followed,
            )
            for one in ranked
            if one.letter != _NO_ADVICE
        ]
        self._rows.append((_NO_ADVICE, "no strategy", "The problem without advice.", None, False))

    def content(self) -> ComposeResult:
        yield OptionList(
            *(Option(_row(*row), id=f"letter-{row[0]}") for row in self._rows), id="pool"
        )

    def on_mount(self) -> None:
        pool = self.query_one(OptionList)
        first = next((n for n, row in enumerate(self._rows) if not row[-1]), 0)
        pool.highlighted = first
        pool.focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss((event.option_id or "").removeprefix("letter-"))


def _row(letter: str, name: str, advice: str, score: float | None, followed: bool) -> Text:
    marks = [] if score is None else [f"{score:.2f}"]
    marks += ["followed already"] if followed else []
    more = f"  ({', '.join(marks)})" if marks else ""
    return Text.assemble((f"{letter} {name}", "bold"), more, "\n  ", (advice, "dim"))
