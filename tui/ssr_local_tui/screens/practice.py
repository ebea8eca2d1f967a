"""Problems that went wrong once, the one that is due first on top."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from ssr_local import SSRError
from ssr_local.display import clean, one_line
from ssr_local.history.practice import Due, Practice
from ssr_local.history.store import History
from ssr_local_tui.screens.dialog import Dialog


class PracticeScreen(Dialog[str]):
    """Gives the problem that is to be tried again."""

    DEFAULT_CSS = """
    PracticeScreen {
        #box { height: 90%; }
        OptionList { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete", "drop", "Take out", id="practice-drop"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._problems: list[Due] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = "Practice"
            box.border_subtitle = "Enter takes it to the tutor, Delete out of practice"
            yield OptionList(id="problems", markup=False)
            yield Static("", classes="help", id="said", markup=False)
            with Horizontal(classes="row"):
                yield Button("Try it", variant="primary", id="try", compact=True)
                yield Button("Take out", id="drop", compact=True)
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        self._list()
        self.query_one(OptionList).focus()

    def _list(self) -> None:
        shown = self.query_one(OptionList)
        place = shown.highlighted or 0
        try:
            with History() as history:
                self._problems = Practice(history).problems()
        except SSRError as error:
            self._say(str(error))
            return
        shown.clear_options()
        shown.add_options(Option(title_of(one)) for one in self._problems)
        num_due = sum(one.is_due for one in self._problems)
        if self._problems:
            shown.highlighted = min(place, len(self._problems) - 1)
            self._say(f"{num_due} of {len(self._problems)} due. What you find with F2 counts.")
        else:
            self._say("Nothing is in practice: it fills with problems that had a wrong step.")

    def _say(self, text: str) -> None:
        self.query_one("#said", Static).update(clean(text))

    def _chosen(self) -> Due | None:
        place = self.query_one(OptionList).highlighted
        return None if place is None else self._problems[place]

    @on(OptionList.OptionSelected)
    @on(Button.Pressed, "#try")
    def _try(self) -> None:
        if (chosen := self._chosen()) is not None:
            self.dismiss(chosen.problem)

    @on(Button.Pressed, "#drop")
    def action_drop(self) -> None:
        """Take the problem out of practice."""
        chosen = self._chosen()
        if chosen is None:
            return
        try:
            with History() as history:
                Practice(history).drop(chosen.number)
        except SSRError as error:
            self._say(str(error))
            return
        self._list()

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.action_leave()


def title_of(one: Due) -> str:
    """A problem in one line: when it is due, how often it was solved."""
    when = "due now" if one.is_due else one.due[:10]
    return f"{when:10}  {one.num_reviews:>2} ×  {one_line(one.problem, 52)}"
