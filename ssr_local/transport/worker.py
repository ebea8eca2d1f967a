"""The process the engines live in, and the parent's handle on it.

A failed assertion inside ggml aborts its process and an out-of-memory kill gives no
warning, so models are loaded in a child. What it writes to standard error, llama.cpp's log
included, goes to a file whose last lines become part of ``EngineCrashed``.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from ssr_local.core.commands import AnyCommand, Cancel
from ssr_local.core.errors import EngineCrashed, SSRError, UsageError
from ssr_local.core.events import AnyEvent, Event
from ssr_local.engine.loading import start_backend
from ssr_local.process.channel import listen, private_pipes, read_frame, write_frame
from ssr_local.process.child import ChildProcess
from ssr_local.process.failed import Failed
from ssr_local.process.log_tail import new_log
from ssr_local.transport.base import Outcome, RequestEvents
from ssr_local.transport.requests import AnyRequest
from ssr_local.transport.session import Session
from ssr_local.transport.setup import Setup

CANCEL_GRACE_S = 10.0
"""How long a cancelled child may take to end its work before it is killed."""


class Finished(Event, frozen=True, kw_only=True, tag=True):
    """The request is done, or has ended with an error; the child waits for the next one."""

    failed: Failed | None = None


_Reply = AnyEvent | Outcome | Finished
_reply_decoder: msgspec.msgpack.Decoder[_Reply] = msgspec.msgpack.Decoder(_Reply)


class Worker:
    """The transport to a child process, which starts with the first request.

    A child that died is replaced at the next request. Any thread may ``tell`` and ``kill``.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._child: ChildProcess[_Reply] | None = None
        self._writing = threading.Lock()
        self._busy = False
        self._cancelled_at: float | None = None
        self._log: IO[bytes] | None = None
        self.log_path: Path | None = None

    @property
    def pid(self) -> int | None:
        child = self._child
        return child.pid if child and child.alive else None

    def handle(self, request: AnyRequest) -> RequestEvents:
        if self._busy:  # the one before was never looked at
            self._drain()
        with self._writing:  # a Cancel told meanwhile waits, and reaches this request
            self._cancelled_at = None
            try:
                child = self._ready_child()
                child.send(request)
            except UnicodeEncodeError as error:  # bytes from a command line that are no UTF-8
                raise UsageError(
                    "An option is not valid text.", error.reason, "Use UTF-8."
                ) from error
            self._busy = True
        return self._events(child)

    def tell(self, command: AnyCommand) -> None:
        with self._writing:
            child = self._child
            if not self._busy or child is None:
                return
            if isinstance(command, Cancel) and self._cancelled_at is None:
                self._cancelled_at = time.monotonic()
            child.send(command)

    def kill(self) -> None:
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        child, self._child = self._child, None
        self._busy = False
        if child is not None:
            child.close()
        if self._log is not None:
            self._log.close()

    def _ready_child(self) -> ChildProcess[_Reply]:
        if self._child is not None and self._child.alive:
            return self._child
        self.close()
        self._log, self.log_path = new_log("worker")
        try:
            child = ChildProcess(__name__, "", _reply_decoder, self._log)
        except OSError as error:
            raise EngineCrashed(
                "The worker process could not be started.", str(error), "Check free memory."
            ) from error
        child.send(self._setup)
        self._child = child
        return child

    def _events(self, child: ChildProcess[_Reply]) -> RequestEvents:
        try:
            while not isinstance(reply := self._reply(child), Finished):
                yield reply
            if reply.failed is not None:
                raise reply.failed.error()
        finally:
            if self._busy:
                self._drain()

    def _reply(self, child: ChildProcess[_Reply]) -> _Reply:
        """The next message. Raises ``EngineCrashed`` for a child that died or hangs."""
        why = ""
        try:
            reply = child.receive(should_stop=self._is_overdue)
        except TimeoutError:
            reply, why = None, "It did not answer when it was told to stop, and was killed."
            child.kill()
        if reply is None:
            crash = child.crash()
            self.close()
            raise crash.error(
                "The worker process that runs the models has ended.",
                f"Try again; its whole log is in {self.log_path}.",
                why,
            )
        if isinstance(reply, Finished):
            self._busy = False
        return reply

    def _is_overdue(self) -> bool:
        since = self._cancelled_at
        return since is not None and time.monotonic() - since > CANCEL_GRACE_S

    def _drain(self) -> None:
        """Nobody listens any more: cancel, and leave the child ready for the next request."""
        if sys.is_finalizing():  # there is none, and no thread reads the child any more
            self.kill()
            return
        self.tell(Cancel())
        try:
            while self._child is not None and self._busy:
                self._reply(self._child)
        except EngineCrashed:
            pass


# In the child ------------------------------------------------------------------

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyRequest | AnyCommand).decode
_decode_setup = msgspec.msgpack.Decoder(Setup).decode


def main() -> None:
    """The child's life: prepare once, then work on request after request."""
    requests, replies = private_pipes()
    frame = read_frame(requests)
    if frame is None:
        return
    setup = _decode_setup(frame)
    session = Session(setup)
    inbox: queue.SimpleQueue[RequestEvents] = queue.SimpleQueue()

    def handle(frame: bytes) -> None:
        message = _decode(frame)
        if isinstance(message, AnyRequest):
            inbox.put(session.handle(message))
        else:
            session.tell(message)

    listen(requests, handle)
    if setup.backend == "native":
        start_backend(sys.stderr)
    while True:
        try:
            for reply in _replies(inbox.get()):
                write_frame(replies, _encode(reply))
        except BrokenPipeError:
            os._exit(0)


def _replies(events: RequestEvents) -> Iterator[_Reply]:
    failed = None
    try:
        yield from events
    except SSRError as error:
        failed = Failed.of(error)
    yield Finished(failed=failed)
