"""What was done before: search it, open a run again, take its problem up once more."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from ssr_local import SSRError
from ssr_local.display import clean, one_line
from ssr_local.history.store import INTERRUPTED, Entry, History
from ssr_local.pages.results import result_of
from ssr_local.tutoring.checking import CheckResult
from ssr_local_tui.screens.dialog import Dialog

_MOST = 200
_UNFINISHED = ("cancelled", "failed", INTERRUPTED)


class Wish(NamedTuple):
    """An entry and what is to be done with it; ``steps`` are those that a check was about."""

    entry: Entry
    what: Literal["open", "again", "continue"]
    steps: str = ""


class HistoryScreen(Dialog[Wish]):
    """Gives an entry and what is to be done with it."""

    DEFAULT_CSS = """
    HistoryScreen {
        #box { height: 90%; }
        OptionList { height: 1fr; margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "again", "Take up again", id="history-again"),
        Binding("f6", "continue", "Continue", id="history-continue"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[str, Entry] = {}
        self._history: History | None = None

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

    def on_unmount(self) -> None:
        if self._history is not None:
            self._history.close()

    @on(Input.Changed)
    def _look(self) -> None:
        """List what the words find, without words the newest."""
        words = self.query_one("#words", Input).value
        shown = self.query_one(OptionList)
        try:
            if self._history is None:
                self._history = History()
            history = self._history
            found = history.search(words, _MOST) if words.strip() else history.entries(_MOST)
        except SSRError as error:
            self._say(str(error))
            return
        self._entries = {str(entry.id): entry for entry in found}
        shown.clear_options()
        shown.add_options(Option(title_of(entry), id=str(entry.id)) for entry in found)
        if found:
            shown.highlighted = 0
        self._say("" if found else "Nothing is found." if words else "Nothing was saved yet.")

    def _say(self, text: str) -> None:
        self.query_one("#said", Static).update(clean(text))

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

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.action_leave()

    def _leave(self, what: Literal["open", "again", "continue"]) -> None:
        shown = self.query_one(OptionList)
        if shown.highlighted is None:
            return
        entry = self._entries[shown.get_option_at_index(shown.highlighted).id or ""]
        if what == "continue" and entry.kind == "run" and entry.status not in _UNFINISHED:
            self._say("This run came to its end. F5 takes its problem up again.")
            return
        steps = ""
        if entry.kind == "check" and self._history is not None:
            try:
                steps = steps_text(self._history.entry(entry.id))
            except SSRError as error:
                self._say(str(error))
                return
        self.dismiss(Wish(entry, what, steps))


def steps_text(entry: Entry) -> str:
    """The steps of a check as they were written; "" when it came to nothing."""
    result = result_of(entry)
    if not isinstance(result, CheckResult):
        return ""
    return "\n\n".join(step.text for step in result.steps)


def title_of(entry: Entry) -> str:
    """An entry in one line."""
    when = datetime.fromisoformat(entry.started).astimezone().strftime("%Y-%m-%d %H:%M")
    answer = f" → {one_line(entry.answer, 20)}" if entry.answer else ""
    return f"{when}  {entry.kind:5}  {entry.status}  {one_line(entry.problem, 60)}{answer}"
