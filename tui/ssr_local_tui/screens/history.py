"""What was done before: search it, open a run again, take its problem up once more."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList

from ssr_local.core.display import one_line
from ssr_local.core.errors import HistoryError
from ssr_local.history.store import CANCELLED, FAILED, GOING, INTERRUPTED, Entry, History
from ssr_local.pages.results import result_of
from ssr_local.tutoring.checking import CheckResult
from ssr_local_tui.runs import steps_to_continue
from ssr_local_tui.screens.history_dialog import HistoryDialog

_MOST = 200
_UNFINISHED = (CANCELLED, FAILED, INTERRUPTED)

What = Literal["open", "again", "continue"]


class Revisit(NamedTuple):
    """An entry, what is to be done with it, and what that takes.

    ``steps`` are those a check was about, or those after which a run goes on; ``log`` has the
    events of a run that is to be opened.
    """

    entry: Entry
    what: What
    steps: tuple[str, ...] = ()
    log: Path | None = None


class HistoryScreen(HistoryDialog[Revisit]):
    """Gives an entry and what is to be done with it."""

    DEFAULT_CSS = """
    HistoryScreen OptionList { margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "again", "Take up again", id="history-again"),
        Binding("f6", "continue", "Continue", id="history-continue"),
    ]
    HEADING = "History"
    HINT = "Enter opens, F5 takes the problem up again, F6 continues"
    BUTTONS: ClassVar[dict[str, str]] = {
        "open": "Open",
        "again": "Take up again",
        "continue": "Continue",
        "leave": "Close",
    }

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[Entry] = []
        self._searching = False
        self._wanted: What | None = None

    def content(self) -> ComposeResult:
        yield Input(placeholder="words to search for", id="words", compact=True)
        yield from super().content()

    def on_mount(self) -> None:
        self._look()

    @on(Input.Changed)
    def _look(self) -> None:
        """List what the words find, without words the newest."""
        words = self.query_one("#words", Input).value.strip()

        def find(history: History) -> list[Entry]:
            return history.search(words, _MOST) if words else history.entries(_MOST)

        self._searching, self._wanted = True, None
        self.ask(find, partial(self._show, words), partial(self._list, []))

    def _show(self, words: str, found: list[Entry]) -> None:
        self._list(found)
        self.say("" if found else "Nothing is found." if words else "Nothing was saved yet.")
        if self._wanted is not None:
            self._take(self._wanted)

    def _list(self, found: list[Entry]) -> None:
        self._entries, self._searching = found, False
        self.list_rows(map(title_of, found))

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def action_open(self) -> None:
        """Show a run again, or a check in the tutor."""
        self._take("open")

    def action_again(self) -> None:
        """Take the problem up again."""
        self._take("again")

    def action_continue(self) -> None:
        """Go on after the steps that an unfinished run, or one's own solution, had got to."""
        self._take("continue")

    def _take(self, what: What) -> None:
        if self._searching:
            self._wanted = what  # with the first of what will be found
        if self.is_waiting or self.marked is None:
            return
        entry = self._entries[self.marked]
        if what == "continue" and entry.kind == "run" and entry.status not in _UNFINISHED:
            self.say(
                "Another program still works on this run."
                if entry.status == GOING
                else "This run has ended. F5 takes its problem up again."
            )
            return
        self.ask(partial(self._revisit, entry, what), self.dismiss)

    def _revisit(self, entry: Entry, what: What, history: History) -> Revisit:
        if what == "again" or entry.kind == "hint":
            return Revisit(entry, what)
        if entry.kind == "check":
            return Revisit(entry, what, steps=steps_of(history.entry(entry.id)))
        events = list(history.events(entry.id))
        if not events:
            raise HistoryError(entry.error or "Nothing has happened in this run.")
        if what == "continue":
            return Revisit(entry, what, steps=steps_to_continue(events))
        return Revisit(entry, what, log=self.host.runs.log_of(events))


def steps_of(entry: Entry) -> tuple[str, ...]:
    """The steps of a check as they were written; none when it has no result."""
    result = result_of(entry)
    return tuple(step.text for step in result.steps) if isinstance(result, CheckResult) else ()


def title_of(entry: Entry) -> str:
    """An entry in one line."""
    when = datetime.fromisoformat(entry.started).astimezone().strftime("%Y-%m-%d %H:%M")
    answer = f" → {one_line(entry.answer, 20)}" if entry.answer else ""
    return f"{when}  {entry.kind:5}  {entry.status}  {one_line(entry.problem, 60)}{answer}"
