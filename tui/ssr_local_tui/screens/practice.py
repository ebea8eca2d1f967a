"""Problems that went wrong once, the one that is due first on top."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import OptionList

from ssr_local.core.display import one_line
from ssr_local.history.practice import Due, Practice
from ssr_local.history.store import History
from ssr_local_tui.screens.history_dialog import HistoryDialog


class PracticeScreen(HistoryDialog[str]):
    """Gives the problem that is to be tried again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete", "drop", "Take out", id="practice-drop"),
    ]
    HEADING = "Practice"
    HINT = "Enter takes it to the tutor, Delete out of practice"
    BUTTONS: ClassVar[dict[str, str]] = {"try": "Try it", "drop": "Take out", "leave": "Close"}

    def __init__(self) -> None:
        super().__init__()
        self._problems: list[Due] = []

    def on_mount(self) -> None:
        self.ask(_problems, self._show)
        self.query_one(OptionList).focus()

    def _show(self, problems: list[Due]) -> None:
        self._problems = problems
        self.list_rows(map(title_of, problems), self.marked or 0)
        num_due = sum(one.is_due for one in problems)
        self.say(
            f"{num_due} of {len(problems)} due. What you find with F2 counts."
            if problems
            else "Nothing is in practice: it fills with problems that had a wrong step."
        )

    @on(OptionList.OptionSelected)
    def action_try(self) -> None:
        """Take the problem to the tutor."""
        if self.marked is not None and not self.is_waiting:
            self.dismiss(self._problems[self.marked].problem)

    def action_drop(self) -> None:
        """Take the problem out of practice."""
        if self.marked is None or self.is_waiting:
            return
        chosen = self._problems[self.marked]

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
