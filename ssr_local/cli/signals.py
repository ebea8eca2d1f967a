"""Ctrl+C and SIGTERM while models work: once stops and keeps what there is, twice ends at once."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from ssr_local.api import Solver
    from ssr_local.core.events import AnyEvent

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class Stop:
    """Which signal asked the work to stop, if any."""

    def __init__(self, solver: Solver, say: Callable[[str], None]) -> None:
        self._solver, self._say = solver, say
        self.number: int | None = None

    @property
    def exit_code(self) -> int:
        return EXIT_TERMINATED if self.number == signal.SIGTERM else EXIT_INTERRUPTED

    def asked(self) -> bool:
        """Whether one did."""
        return self.number is not None

    def watch(self, events: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
        """Pass a run's events on; a signal from before the first one is not lost."""
        for position, event in enumerate(events):
            if position == 0 and self.number is not None:
                self._solver.cancel()
            yield event

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """What a signal does."""
        if self.number is not None or self._solver.worker_pid is None:
            self._solver.kill()
            end_at_once(number)
        self.number = number
        # In a thread, because the one interrupted here may hold a lock that these take.
        threading.Thread(target=self._cancel, daemon=True).start()

    def _cancel(self) -> None:
        with contextlib.suppress(OSError):
            self._say("Stopping; once more ends at once.")
        self._solver.cancel()


@contextmanager
def stopping(solver: Solver, say: Callable[[str], None]) -> Iterator[Stop]:
    """Once: cancel the solver's run. Twice, or before there is a worker: end at once."""
    stop = Stop(solver, say)
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def end_at_once(number: int, _frame: FrameType | None = None) -> NoReturn:
    """End the program with the exit code of a signal."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(EXIT_TERMINATED)
