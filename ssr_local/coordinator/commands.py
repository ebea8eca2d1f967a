"""The source of a running run's commands."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from ssr_local.core.commands import AnyCommand, Cancel


class Mailbox:
    """Commands for the run that is worked on, filled by one thread and read by another."""

    def __init__(self) -> None:
        self._commands: queue.SimpleQueue[AnyCommand] = queue.SimpleQueue()
        self._stop = threading.Event()

    def put(self, command: AnyCommand) -> None:
        """Leave a command; a ``Cancel`` also stops the engines between two calls."""
        if isinstance(command, Cancel):
            self._stop.set()
        self._commands.put(command)

    def should_stop(self) -> bool:
        """Whether work must stop now."""
        return self._stop.is_set()

    def poll(self) -> Sequence[AnyCommand]:
        """What has come since the last look; does not wait."""
        commands: list[AnyCommand] = []
        while not self._commands.empty():
            commands.append(self._commands.get())
        return commands

    def wait(self) -> Sequence[AnyCommand]:
        """The next commands; waits for them. Used while paused."""
        return [self._commands.get(), *self.poll()]

    def clear(self) -> None:
        """Forget what was meant for a run that is over."""
        self.poll()
        self._stop.clear()
