"""Work in a thread that nobody waits for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from textual.app import App

from ssr_local.core.errors import SSRError
from ssr_local_tui.feed import unexpected

_T = TypeVar("_T")


class Background:
    """Does work in threads; when the app has ended meanwhile nothing more is done.

    Textual's workers are waited for when the app ends; a connection that hangs would keep it.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app

    def __call__(
        self,
        work: Callable[[], _T],
        then: Callable[[_T], object],
        failed: Callable[[SSRError], object],
    ) -> None:
        """Do ``work`` in a thread; the app's own goes on with what that gave, or how it failed."""

        def run() -> None:
            outcome: Callable[[], object]
            try:
                outcome = partial(then, work())
            except SSRError as error:
                outcome = partial(failed, error)
            except Exception as error:  # noqa: BLE001 - it would end the thread unseen
                outcome = partial(failed, unexpected(error))
            if self._app.is_running:
                with contextlib.suppress(RuntimeError):  # it ends just now
                    self._app.call_from_thread(self._app.call_later, outcome)

        threading.Thread(target=run, name="background", daemon=True).start()
