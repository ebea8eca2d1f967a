"""Work in a thread that nobody waits for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from textual.app import App


def in_background(app: App[Any], work: Callable[[], Callable[[], None]]) -> None:
    """Do ``work`` in a thread, and what it returns in the app's own.

    Textual's workers are waited for when the app ends; a connection that hangs would keep it.
    ``work`` must not raise. When the app has ended meanwhile nothing more is done.
    """

    def run() -> None:
        done = work()
        if app.is_running:
            with contextlib.suppress(RuntimeError):  # it ends just now
                app.call_from_thread(app.call_later, done)

    threading.Thread(target=run, name="background", daemon=True).start()
