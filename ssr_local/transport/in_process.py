"""A session in this process: for tests and notebooks, and inside the worker."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from ssr_local.core.commands import AnyCommand, Cancel
from ssr_local.transport.base import RequestEvents
from ssr_local.transport.requests import AnyRequest
from ssr_local.transport.session import Session
from ssr_local.transport.setup import Loader, Setup


class InProcess:
    """The transport without a process: a crash inside the engine ends this one.

    ``loader`` loads the models instead of the setup's back end.
    """

    pid = None

    def __init__(self, setup: Setup, loader: Loader | None = None) -> None:
        self._mailbox = Mailbox()
        self._session = Session(setup, should_stop=self._mailbox.should_stop, loader=loader)

    def handle(self, request: AnyRequest) -> RequestEvents:
        self._mailbox.clear()  # a cancel that came too late belongs to the last request
        return self._session.handle(request, self._mailbox)

    def tell(self, command: AnyCommand) -> None:
        self._mailbox.put(command)

    def kill(self) -> None:
        self.tell(Cancel())

    def close(self) -> None:
        self._session.close()


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
        commands: list[AnyCommand] = []
        while not self._commands.empty():
            commands.append(self._commands.get())
        return commands

    def wait(self) -> Sequence[AnyCommand]:
        return [self._commands.get(), *self.poll()]

    def clear(self) -> None:
        """Forget what was meant for a run that is over."""
        self.poll()
        self._stop.clear()
