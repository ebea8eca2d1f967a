"""A child process, seen from its parent: how it is started, told, heard and ended."""

from __future__ import annotations

import contextlib
import math
import queue
import subprocess
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import IO, Generic, TypeVar

import msgspec

from ssr_local.core.errors import UsageError
from ssr_local.process.channel import MAX_FRAME_BYTES, read_frame, start_child, write_frame
from ssr_local.process.crash import Crash
from ssr_local.process.log_tail import log_tail

_POLL_S = 0.1
_SEND_LIMIT_S = 60.0
_PIPE_BYTES = 4096
# A process whose pipe has ended is about to end; then it may take a while to free its memory.
_EXIT_LIMIT_S = 5.0

_Reply = TypeVar("_Reply")


class ChildProcess(Generic[_Reply]):
    """One process that runs ``module.main(arguments)`` and exchanges msgpack messages with us.

    A thread starts it, reads what it says and reaps it: Linux ties "die with your parent" to
    the thread that forked, so that one has to live as long as the child. What it writes to
    standard error goes to ``log``. One that is forgotten is killed. Raises ``OSError`` when
    it cannot be started.
    """

    def __init__(
        self,
        module: str,
        arguments: str,
        decoder: msgspec.msgpack.Decoder[_Reply],
        log: IO[bytes] | None = None,
    ) -> None:
        self._decoder = decoder
        self._log = log
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()
        start = partial(start_child, module, arguments, log)
        self._owner = threading.Thread(
            target=_own, args=(start, started, self._replies), name="ssr-child", daemon=True
        )
        self._owner.start()
        process = started.get()
        if isinstance(process, OSError):
            raise process
        self._process = process
        self._kill = weakref.finalize(self, process.kill)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can still be spoken to."""
        return self._kill.alive and self._owner.is_alive() and self._process.poll() is None

    def send(self, message: object, limit_s: float = _SEND_LIMIT_S) -> None:
        """Send a message; one that does not read it in time is killed.

        Nothing is raised when it is gone: ``receive`` says so. Raises ``UsageError`` for a
        message that is larger than the child accepts.
        """
        frame = msgspec.msgpack.encode(message)
        if len(frame) > MAX_FRAME_BYTES:
            raise UsageError(
                f"The request has {len(frame) >> 20} MB.",
                f"At most {MAX_FRAME_BYTES >> 20} MB are accepted.",
                "Shorten its texts.",
            )
        assert self._process.stdin is not None
        watchdog = threading.Timer(limit_s, self.kill)
        watchdog.daemon = True
        if len(frame) > _PIPE_BYTES:  # a smaller one fits into the pipe, read or not
            watchdog.start()
        try:
            write_frame(self._process.stdin, frame)
        except (OSError, ValueError):
            pass
        finally:
            watchdog.cancel()

    def receive(
        self, limit_s: float = math.inf, should_stop: Callable[[], bool] = lambda: False
    ) -> _Reply | None:
        """The next message; None when the process has ended or what it says is none.

        Raises ``TimeoutError`` when there is none in time, or once ``should_stop`` says so.
        """
        deadline = time.monotonic() + limit_s
        while True:
            left = deadline - time.monotonic()
            is_over = left <= 0 or should_stop()
            try:
                frame = self._replies.get(timeout=0 if is_over else min(left, _POLL_S))
            except queue.Empty:
                if is_over:
                    raise TimeoutError from None
                continue
            if frame is None:
                self._replies.put(None)  # whoever asks again hears the same
                return None
            try:
                return self._decoder.decode(frame)
            except msgspec.DecodeError:
                return None

    def ask(
        self, message: object, limit_s: float, should_stop: Callable[[], bool] = lambda: False
    ) -> _Reply | None:
        """Send one message and ``receive`` one, within the time for both."""
        deadline = time.monotonic() + limit_s
        self.send(message, limit_s)
        reply = self.receive(deadline - time.monotonic(), should_stop)
        if reply is None and time.monotonic() >= deadline:
            raise TimeoutError
        return reply

    def kill(self) -> None:
        """End it at once; does not wait, and any thread may call it."""
        self._kill()

    def close(self) -> None:
        """End it, and wait until it is gone."""
        self.kill()
        self._owner.join(_EXIT_LIMIT_S)

    def crash(self) -> Crash:
        """How it ended; one that has not is killed after a moment."""
        self._owner.join(_EXIT_LIMIT_S)
        self.close()
        return Crash(self._process.returncode, log_tail(self._log) if self._log else ())


def _own(
    start: Callable[[], subprocess.Popen[bytes]],
    started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError],
    replies: queue.SimpleQueue[bytes | None],
) -> None:
    try:
        process = start()
    except OSError as error:
        started.put(error)
        return
    started.put(process)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        while (frame := read_frame(process.stdout)) is not None:
            replies.put(frame)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_EXIT_LIMIT_S)
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        replies.put(None)
