"""What the dialogs that list something of the history have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from textual import on
from textual.widgets import Button, Static

from ssr_local import SSRError
from ssr_local.core.display import clean
from ssr_local.history.store import History
from ssr_local_tui.background import in_background
from ssr_local_tui.feed import unexpected
from ssr_local_tui.screens.dialog import Dialog, when_on_top

_R = TypeVar("_R")
_T = TypeVar("_T")


class KeptDialog(Dialog[_R]):
    """A list of what the history holds, a line below it that says something, and buttons.

    The history's file is used in threads alone: another program may hold it for seconds.
    """

    DEFAULT_CSS = """
    KeptDialog {
        #box { height: 90%; }
        OptionList { height: 1fr; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._request = 0
        self.is_waiting = False

    def ask(
        self,
        work: Callable[[History], _T],
        then: Callable[[_T], None],
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Do something with the history, and ``then`` with what that gave.

        When something else was asked for meanwhile, what it gave is dropped. ``failed`` is
        called when it could not be done, which is said in any case.
        """
        self._request += 1
        self.is_waiting = True
        self.say("Looking ...")
        request = self._request

        def run() -> Callable[[], None]:
            notice = ""
            try:
                with History() as history:
                    notice = history.notice
                    outcome = partial(then, work(history))
            except SSRError as error:
                outcome = partial(self._failed, error, failed)
            except Exception as error:  # noqa: BLE001 - it would end the thread unseen
                outcome = partial(self._failed, unexpected(error), failed)
            return partial(self._answered, request, notice, outcome)

        in_background(self.app, run)

    def _failed(self, error: SSRError, failed: Callable[[], None]) -> None:
        self.say(str(error))
        failed()

    def _answered(self, request: int, notice: str, outcome: Callable[[], None]) -> None:
        if notice:  # whoever has gone on meanwhile must hear of it, too
            self.app.notify(clean(notice), severity="warning", timeout=30, markup=False)
        if self.is_attached:
            when_on_top(self, partial(self._show_answer, request, outcome))

    def _show_answer(self, request: int, outcome: Callable[[], None]) -> None:
        if request == self._request:
            self.is_waiting = False
            outcome()

    def say(self, text: str) -> None:
        """Put something into the line below the list."""
        self.query_one("#said", Static).update(clean(text))

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.action_leave()
