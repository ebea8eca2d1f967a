"""Problems that went wrong once, the one that is due first on top."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from ssr_local.core.display import one_line
from ssr_local.history.practice import Due, Practice
from ssr_local.history.store import History
from ssr_local_tui.screens.kept import KeptDialog


class PracticeScreen(KeptDialog[str]):
    """Gives the problem that is to be tried again."""

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
        self.ask(_problems, self._show)
        self.query_one(OptionList).focus()

    def _show(self, problems: list[Due]) -> None:
        self._problems = problems
        shown = self.query_one(OptionList)
        place = shown.highlighted or 0
        shown.clear_options()
        shown.add_options(Option(title_of(one)) for one in problems)
        num_due = sum(one.is_due for one in problems)
        if problems:
            shown.highlighted = min(place, len(problems) - 1)
            self.say(f"{num_due} of {len(problems)} due. What you find with F2 counts.")
        else:
            self.say("Nothing is in practice: it fills with problems that had a wrong step.")

    def _chosen(self) -> Due | None:
        place = self.query_one(OptionList).highlighted
        return None if place is None else self._problems[place]

    @on(OptionList.OptionSelected)
    @on(Button.Pressed, "#try")
    def _try(self) -> None:
        if (chosen := self._chosen()) is not None and not self.is_waiting:
            self.dismiss(chosen.problem)

    @on(Button.Pressed, "#drop")
    def action_drop(self) -> None:
        """Take the problem out of practice."""
        chosen = self._chosen()
        if chosen is None or self.is_waiting:
            return

        def drop(history: History) -> list[Due]:
            if any(one.number == chosen.number for one in _problems(history)):
                Practice(history).drop(chosen.number)
            return _problems(history)

        self.ask(drop, self._show)


def _problems(history: History) -> list[Due]:
    return Practice(history).problems()


def title_of(one: Due) -> str:
    """A problem in one line: when it is due, how often it was solved."""
    when = "due now" if one.is_due else one.due[:10]
    return f"{when:10}  {one.num_reviews:>2} ×  {one_line(one.problem, 52)}"
