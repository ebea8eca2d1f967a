"""What was done before: search it, open a run again, take its problem up once more."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from ssr_local.core.display import one_line
from ssr_local.core.errors import HistoryError
from ssr_local.history.store import CANCELLED, FAILED, GOING, INTERRUPTED, Entry, History
from ssr_local.pages.results import result_of
from ssr_local.tutoring.checking import CheckResult
from ssr_local_tui.host import host_of
from ssr_local_tui.runs import steps_to_continue
from ssr_local_tui.screens.kept import KeptDialog

_MOST = 200
_UNFINISHED = (CANCELLED, FAILED, INTERRUPTED)

What = Literal["open", "again", "continue"]


class Wish(NamedTuple):
    """An entry, what is to be done with it, and what that takes.

    ``steps`` are those a check was about, or those behind which a run goes on; ``log`` has the
    events of a run that is to be opened.
    """

    entry: Entry
    what: What
    steps: tuple[str, ...] = ()
    log: Path | None = None


class HistoryScreen(KeptDialog[Wish]):
    """Gives an entry and what is to be done with it."""

    DEFAULT_CSS = """
    HistoryScreen OptionList { margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "again", "Take up again", id="history-again"),
        Binding("f6", "continue", "Continue", id="history-continue"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[Entry] = []
        self._searching = False
        self._wanted: What | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = "History"
            box.border_subtitle = "Enter opens, F5 takes the problem up again, F6 continues"
            yield Input(placeholder="words to search for", id="words", compact=True)
            yield OptionList(id="entries", markup=False)
            yield Static("", classes="help", id="said", markup=False)
            with Horizontal(classes="row"):
                yield Button("Open", variant="primary", id="open", compact=True)
                yield Button("Take up again", id="again", compact=True)
                yield Button("Continue", id="continue", compact=True)
                yield Button("Close", id="close", compact=True)

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
            self._leave(self._wanted)

    def _list(self, found: list[Entry]) -> None:
        self._entries, self._searching = found, False
        shown = self.query_one(OptionList)
        shown.clear_options()
        shown.add_options(Option(title_of(entry)) for entry in found)
        if found:
            shown.highlighted = 0

    @on(Input.Submitted)
    @on(Button.Pressed, "#open")
    def _open(self) -> None:
        self._leave("open")

    @on(OptionList.OptionSelected)
    def _chosen(self) -> None:
        self._leave("open")

    @on(Button.Pressed, "#again")
    def action_again(self) -> None:
        """Take the problem up again."""
        self._leave("again")

    @on(Button.Pressed, "#continue")
    def action_continue(self) -> None:
        """Go on behind the steps that an unfinished run, or one's own solution, had come to."""
        self._leave("continue")

    def _leave(self, what: What) -> None:
        if self._searching:
            self._wanted = what  # with the first of what will be found
        if self.is_waiting:
            return
        place = self.query_one(OptionList).highlighted
        if place is None:
            return
        entry = self._entries[place]
        if what == "continue" and entry.kind == "run" and entry.status not in _UNFINISHED:
            self.say(
                "Another program still works on this run."
                if entry.status == GOING
                else "This run came to its end. F5 takes its problem up again."
            )
            return
        self.ask(partial(self._wish, entry, what), self._leave_with)

    def _leave_with(self, wish: Wish) -> None:
        self.dismiss(wish)

    def _wish(self, entry: Entry, what: What, history: History) -> Wish:
        if what == "again" or entry.kind == "hint":
            return Wish(entry, what)
        if entry.kind == "check":
            return Wish(entry, what, steps=steps_of(history.entry(entry.id)))
        events = list(history.events(entry.id))
        if not events:
            raise HistoryError(entry.error or "Nothing has happened in this run.")
        if what == "continue":
            return Wish(entry, what, steps=steps_to_continue(events))
        return Wish(entry, what, log=host_of(self).runs.log_of(events))


def steps_of(entry: Entry) -> tuple[str, ...]:
    """The steps of a check as they were written; none when it came to nothing."""
    result = result_of(entry)
    return tuple(step.text for step in result.steps) if isinstance(result, CheckResult) else ()


def title_of(entry: Entry) -> str:
    """An entry in one line."""
    when = datetime.fromisoformat(entry.started).astimezone().strftime("%Y-%m-%d %H:%M")
    answer = f" → {one_line(entry.answer, 20)}" if entry.answer else ""
    return f"{when}  {entry.kind:5}  {entry.status}  {one_line(entry.problem, 60)}{answer}"
