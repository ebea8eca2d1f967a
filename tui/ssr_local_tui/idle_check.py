"""Completes the self-check of the engine in use while nobody uses the app. No widgets."""

from __future__ import annotations

import time
from collections.abc import Callable

from ssr_local import SSRError
from ssr_local.core.display import one_line
from ssr_local_tui.host import Host

IDLE_S = 180.0
"""How long there must have been no run, no work of the tutor's and no key."""


class IdleCheck:
    """``state`` is what goes on, "" nothing.

    ``changed`` hears of another state, and ``say`` what follows from a check that failed.
    """

    def __init__(
        self, host: Host, changed: Callable[[], object], say: Callable[[str], object]
    ) -> None:
        self._host, self._changed, self._say = host, changed, say
        self._used_s = time.monotonic()
        self._is_at_work = False
        self.state = ""

    def used(self) -> None:
        """Somebody is there."""
        self._used_s = time.monotonic()

    def look(self, *, is_going: bool) -> None:
        """Begin if it is time; to be called now and then. ``is_going`` says that a run does."""
        runs = self._host.runs
        if is_going or runs.is_busy:
            self.used()
        elif not self._is_at_work and time.monotonic() - self._used_s >= IDLE_S:
            self._is_at_work = True
            self._host.in_background(runs.unproven_engine, self._found, self._failed)

    def _found(self, engine: str) -> None:
        if not engine:
            self._done("")
            return
        self.state = f"checking {engine}"
        self._changed()
        self._host.in_background(self._host.runs.prove_engine, self._done, self._failed)

    def _done(self, said: str) -> None:
        self._is_at_work = False
        self.used()
        if self.state:
            self.state = ""
            self._changed()
        if said:
            self._say(said)

    def _failed(self, error: SSRError) -> None:
        self._done(one_line(str(error)))
