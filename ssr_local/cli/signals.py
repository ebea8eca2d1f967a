"""What Ctrl+C and SIGTERM do while a run goes on."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ssr_local.api import Solver
from ssr_local.cli import EXIT_INTERRUPTED, EXIT_TERMINATED


class Stop:
    """Which signal asked the run to stop, if any."""

    def __init__(self) -> None:
        self.number: int | None = None

    @property
    def exit_code(self) -> int:
        return EXIT_TERMINATED if self.number == signal.SIGTERM else EXIT_INTERRUPTED


@contextmanager
def stopping(solver: Solver, remark: Callable[[str], None]) -> Iterator[Stop]:
    """Once: stop the run and keep what there is. Twice, or before it runs: end at once."""
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.number is not None or solver.worker_pid is None:
            solver.kill()
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            sys.exit(EXIT_TERMINATED)
        stop.number = number
        remark("Stopping; once more ends at once.")
        # In a thread, because the one interrupted here may hold the lock that this takes.
        threading.Thread(target=solver.cancel, daemon=True).start()

    numbers = [signal.SIGINT]
    if hasattr(signal, "SIGTERM"):
        numbers.append(signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)
