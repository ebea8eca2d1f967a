"""A helper process that can be killed: for work on text that nobody vouches for.

The child runs functions of this package by name, one at a time, within limits of time and
memory. The parent sends requests and reads replies as length-prefixed msgpack frames over
two private pipes. Nothing a function prints can reach them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import os
import queue
import re
import subprocess
import sys
import threading
import time
import typing
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any, Literal

import msgspec

from ssr_local.core.errors import HelperError
from ssr_local.process.channel import (
    die_with_parent,
    private_pipes,
    read_frame,
    start_child,
    write_frame,
)

MEMORY_LIMIT_BYTES = 1 << 30
START_LIMIT_S = 60.0
"""How long a child may take to start and to import one module, on a slow, busy machine."""

_NAME = re.compile(r"ssr_local(?:\.[a-z][a-z0-9_]*)+:[a-z][a-z0-9_]*")
_CPU_MARGIN_S = 10
# How often a waiting call looks whether it is to stop.
_STOP_POLL_S = 0.1
_REAP_LIMIT_S = 5.0


class HelperTimeout(HelperError):  # noqa: N818
    """The function took longer than it was given; its process was killed."""


class HelperDied(HelperError):  # noqa: N818
    """The process ended while it was working: out of memory, a crash, a kill."""


class HelperRaised(HelperError):  # noqa: N818
    """The function raised; the process lives on."""


class _Request(msgspec.Struct, frozen=True):
    """``argument`` is None when the module is only to be imported."""

    name: str
    argument: bytes | None
    timeout_s: float


class _Reply(msgspec.Struct, frozen=True):
    """``value`` is the encoded result, or the error in words when ``kind`` is ``raised``."""

    kind: Literal["loaded", "result", "raised"]
    value: bytes = b""


_decode_request = msgspec.msgpack.Decoder(_Request)
_decode_reply = msgspec.msgpack.Decoder(_Reply)


class Helper:
    """Runs functions of this package in a child process that can be killed.

    The child starts with the first call, and again with the next call after it was killed
    or died. Calls from several threads take turns. Use it as a context manager, or call
    ``close()``; a helper that is forgotten takes its child with it.
    """

    def __init__(self, memory_limit_bytes: int | None = MEMORY_LIMIT_BYTES) -> None:
        self._memory_limit_bytes = memory_limit_bytes
        self._turn = threading.Lock()
        self._child: _Child | None = None
        self._closed = False

    def call(
        self,
        name: str,
        argument: Any,
        *,
        timeout_s: float,
        type: Any = Any,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Any:
        """What the function ``name`` ("ssr_local.module:function") returns for ``argument``.

        The argument arrives as the type the function's only parameter is annotated with;
        the result is checked against ``type``. ``timeout_s`` covers the function itself:
        starting the child and importing the module have ``START_LIMIT_S`` of their own.
        Once ``should_stop`` says so the call ends as if the time were over.

        Raises ``HelperTimeout``, ``HelperDied``, ``HelperRaised``, and ``HelperError`` when
        the child cannot be started or the helper is closed. ``ValueError`` for a name
        outside this package.
        """
        payload = msgspec.msgpack.encode(argument)
        with self._turn:
            child = self._ready_child(name)
            reply = self._exchange(
                child, _Request(name, payload, timeout_s), timeout_s, should_stop
            )
        return msgspec.msgpack.decode(reply.value, type=type)

    def warm(self, name: str) -> None:
        """Start the child and import the function's module, in the background.

        A failure shows itself in the call that needs the function.
        """
        _check_name(name)

        def load() -> None:
            with contextlib.suppress(HelperError), self._turn:
                self._ready_child(name)

        threading.Thread(target=load, name="ssr-helper-warm", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        child = self._child
        return child.pid if child and child.alive else None

    def close(self) -> None:
        """Kill the child. A call under way in another thread raises ``HelperDied``."""
        self._closed = True
        while not self._turn.acquire(timeout=0.05):
            if child := self._child:
                child.kill()
        try:
            self._discard()
        finally:
            self._turn.release()

    def __enter__(self) -> Helper:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ready_child(self, name: str) -> _Child:
        _check_name(name)
        if self._closed:
            raise HelperError("The helper process is closed.")
        child = self._child
        if child is None or not child.alive:
            self._discard()
            self._child = child = _Child(self._memory_limit_bytes)
            child.finalizer = weakref.finalize(self, child.kill)
            child.start()
        module = name.partition(":")[0]
        if module not in child.loaded:
            self._exchange(child, _Request(name, None, START_LIMIT_S), START_LIMIT_S)
            child.loaded.add(module)
        return child

    def _exchange(
        self,
        child: _Child,
        request: _Request,
        timeout_s: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> _Reply:
        try:
            reply = child.exchange(msgspec.msgpack.encode(request), timeout_s, should_stop)
        except BaseException:
            # Also on Ctrl+C: the reply still to come must not answer the next request.
            self._discard()
            raise
        if reply.kind == "raised":
            raise HelperRaised(f"{request.name} failed.", reply.value.decode("utf-8", "replace"))
        return reply

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.finalizer is not None:
            child.finalizer()


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a function of ssr_local: {name!r}")


class _Child:
    """One process and the thread that owns it.

    The thread starts the process, reads its replies and reaps it. Linux ties "die with your
    parent" to the thread that forked, so that thread has to live as long as the child.
    """

    def __init__(self, memory_limit_bytes: int | None) -> None:
        self.loaded: set[str] = set()
        self.finalizer: Callable[[], object] | None = None
        self._memory_limit_bytes = memory_limit_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._started: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ended = threading.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and not self._ended.is_set()

    def start(self) -> None:
        """Start the process; raises ``HelperError`` when the system refuses."""
        threading.Thread(target=self._own, name="ssr-helper", daemon=True).start()
        error = self._started.get()
        if error is not None:
            raise HelperError(
                "The helper process cannot be started.",
                f"{sys.executable or 'Python'}: {error}.",
                "Free memory or processes, then try again.",
            ) from error

    def exchange(self, frame: bytes, timeout_s: float, should_stop: Callable[[], bool]) -> _Reply:
        """Send one request and wait for its reply."""
        deadline = time.monotonic() + timeout_s
        self._send(frame, timeout_s)
        reply = self._wait(deadline, should_stop)
        if reply is None:
            if time.monotonic() >= deadline:
                raise HelperTimeout(f"Stopped after {timeout_s:g} s.")
            raise HelperDied("The helper process died.", self._last_words())
        return _decode_reply.decode(reply)

    def _wait(self, deadline: float, should_stop: Callable[[], bool]) -> bytes | None:
        while (left := deadline - time.monotonic()) > 0 and not should_stop():
            with contextlib.suppress(queue.Empty):
                return self._replies.get(timeout=min(left, _STOP_POLL_S))
        raise HelperTimeout("Stopped: the time was over, or the run was.")

    def kill(self) -> None:
        """End the process and wait until it is gone."""
        if self._process is None:
            return
        with contextlib.suppress(OSError):
            self._process.kill()
        self._ended.wait(_REAP_LIMIT_S)

    def _send(self, frame: bytes, timeout_s: float) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise HelperDied("The helper process died.")
        # A child that does not read would block us as soon as the pipe is full.
        watchdog = threading.Timer(timeout_s, process.kill)
        watchdog.daemon = True
        if len(frame) > 4096:
            watchdog.start()
        try:
            write_frame(process.stdin, frame)
        except (OSError, ValueError):
            return  # the reader sees the end of the child and says why
        finally:
            watchdog.cancel()

    def _own(self) -> None:
        try:
            self._process = process = start_child(
                "ssr_local.process.helper",
                f"{self._memory_limit_bytes}, {os.getpid()}",
                subprocess.DEVNULL,
            )
        except OSError as error:
            self._ended.set()
            self._started.put(error)
            return
        self._started.put(None)
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            while (frame := read_frame(process.stdout)) is not None:
                self._replies.put(frame)
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.stdout.close()
            self._ended.set()
            self._replies.put(None)

    def _last_words(self) -> str:
        code = self._process.returncode if self._process else None
        if code is None:
            return ""
        return f"Killed by signal {-code}." if code < 0 else f"It ended with exit code {code}."


def main(memory_limit_bytes: int | None, parent_pid: int) -> None:
    """The child's life: read a request, do it, answer, until the parent is gone."""
    requests, replies = private_pipes(keep_stderr=False)
    _limit_resources(memory_limit_bytes)
    die_with_parent(parent_pid)
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_watch_parent, args=(requests, inbox), daemon=True).start()
    while True:
        reply = _answer(_decode_request.decode(inbox.get()))
        write_frame(replies, msgspec.msgpack.encode(reply))


def _watch_parent(requests: IO[bytes], inbox: queue.SimpleQueue[bytes]) -> None:
    # A thread of its own, so that the end of the parent is seen in the middle of a call.
    while (frame := read_frame(requests)) is not None:
        inbox.put(frame)
    os._exit(0)


def _answer(request: _Request) -> _Reply:
    try:
        function, kind = _find(request.name)
        if request.argument is None:
            return _Reply("loaded")
        _limit_cpu(request.timeout_s)
        result = function(msgspec.msgpack.decode(request.argument, type=kind))
        return _Reply("result", msgspec.msgpack.encode(result))
    except MemoryError:
        os._exit(1)  # whatever half-built state is left behind goes with the process
    except Exception as error:  # noqa: BLE001  whatever it is, the parent has to be told
        return _Reply("raised", f"{type(error).__name__}: {error}"[:2000].encode())


@functools.cache
def _find(name: str) -> tuple[Callable[[Any], Any], Any]:
    """The function called ``name`` and the type of its parameter."""
    _check_name(name)
    module_name, _, function_name = name.partition(":")
    function = getattr(importlib.import_module(module_name), function_name)
    if getattr(function, "__module__", None) != module_name:
        raise ValueError(f"not defined in {module_name}: {function_name}")
    hints = typing.get_type_hints(function)
    hints.pop("return", None)
    return function, next(iter(hints.values()), Any)


def _limit_resources(memory_limit_bytes: int | None) -> None:
    try:
        import resource
    except ImportError:
        return  # Windows: the parent's time limit is all there is
    for limit, size in (("RLIMIT_AS", memory_limit_bytes), ("RLIMIT_CORE", 0)):
        # macOS knows RLIMIT_AS and refuses to set it.
        if size is None:
            continue
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, limit), (size, size))


def _limit_cpu(timeout_s: float) -> None:
    """A backstop for a child whose parent can no longer kill it: never reached otherwise."""
    try:
        import resource
    except ImportError:
        return
    limit = math.ceil(time.process_time() + timeout_s * (os.cpu_count() or 1)) + _CPU_MARGIN_S
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))
