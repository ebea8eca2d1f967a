"""What the dialogs that list something of the history have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from textual.app import ComposeResult
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ssr_local import SSRError
from ssr_local.core.display import clean
from ssr_local.history.store import History
from ssr_local_tui.screens.dialog import Dialog, when_on_top

_R = TypeVar("_R")
_T = TypeVar("_T")


class HistoryDialog(Dialog[_R]):
    """A list of what the history holds, a line below it that says something, and buttons.

    The history's file is used in threads alone: another program may hold it for seconds.
    """

    DEFAULT_CSS = """
    HistoryDialog {
        #box { height: 90%; }
        OptionList { height: 1fr; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._request = 0
        self.is_waiting = False

    def content(self) -> ComposeResult:
        yield OptionList(id="rows", markup=False)
        yield Static("", classes="help", id="said", markup=False)

    @property
    def marked(self) -> int | None:
        """The index of the row that is marked, None where there is none."""
        return self.query_one(OptionList).highlighted

    def list_rows(self, titles: Iterable[str], marked: int = 0) -> None:
        """Show other rows, one of them marked, the last where there are fewer."""
        rows = self.query_one(OptionList)
        rows.clear_options()
        rows.add_options(map(Option, titles))
        rows.highlighted = min(marked, rows.option_count - 1) if rows.option_count else None

    def say(self, text: str) -> None:
        """Put something into the line below the list."""
        self.query_one("#said", Static).update(clean(text))

    def ask(
        self,
        work: Callable[[History], _T],
        then: Callable[[_T], object],
        failed: Callable[[], object] = lambda: None,
    ) -> None:
        """Do something with the history, and ``then`` with what that gave.

        When something else was asked for meanwhile, what it gave is dropped. ``failed`` is
        called when it could not be done, which is said in any case.
        """
        self._request += 1
        self.is_waiting = True
        self.say("Looking ...")
        request, app = self._request, self.app  # a screen that is left knows no app any more

        def run() -> Callable[[], object]:
            with History() as history:
                if history.notice:  # whoever has gone on meanwhile must hear of it, too
                    notice = clean(history.notice)
                    app.notify(notice, severity="warning", timeout=30, markup=False)
                return partial(then, work(history))

        def fail(error: SSRError) -> None:
            self.say(str(error))
            failed()

        self.host.in_background(
            run,
            partial(self._answered, request),
            lambda error: self._answered(request, partial(fail, error)),
        )

    def _answered(self, request: int, outcome: Callable[[], object]) -> None:
        if self.is_attached:
            when_on_top(self, partial(self._show_answer, request, outcome))

    def _show_answer(self, request: int, outcome: Callable[[], object]) -> None:
        if request == self._request:
            self.is_waiting = False
            outcome()
