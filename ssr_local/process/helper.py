"""A helper process that can be killed: for work on text that nobody vouches for.

The child runs functions of this package by name, one at a time, within limits of time and
memory. Nothing a function prints can reach the pipes that requests and replies go through.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import os
import queue
import re
import sys
import threading
import time
import typing
from collections.abc import Callable
from typing import IO, Any

import msgspec

from ssr_local.core.errors import HelperError, SSRError
from ssr_local.process.channel import listen, private_pipes, write_frame
from ssr_local.process.child import ChildProcess
from ssr_local.process.crash import Crash
from ssr_local.process.failed import Failed
from ssr_local.process.priority import give_way

MEMORY_LIMIT_BYTES = 1 << 30
START_LIMIT_S = 60.0
"""How long a child may take to start and to import one module, on a slow, busy machine."""

_NAME = re.compile(r"ssr_local(?:\.[a-z][a-z0-9_]*)+:[a-z][a-z0-9_]*")
_CPU_MARGIN_S = 10


class HelperTimeout(HelperError):  # noqa: N818
    """The function took longer than it was allowed; its process was killed."""


class HelperDied(HelperError):  # noqa: N818
    """The process ended while it was working: out of memory, a crash, a kill."""

    crash = Crash(None)


class HelperRaised(HelperError):  # noqa: N818
    """The function raised; the process lives on. ``error`` is what it raised, if ours."""

    error: SSRError | None = None


class _Request(msgspec.Struct, frozen=True):
    """``argument`` is None when the module is only to be imported."""

    name: str
    argument: bytes | None
    timeout_s: float


class _Reply(msgspec.Struct, frozen=True):
    """An encoded result, or why there is none: in words, and as our own error if it is one."""

    value: bytes = b""
    raised: str = ""
    failed: Failed | None = None


_decode_request = msgspec.msgpack.Decoder(_Request).decode
_reply_decoder = msgspec.msgpack.Decoder(_Reply)


class Helper(contextlib.AbstractContextManager["Helper"]):
    """Runs functions of this package in a child process that can be killed.

    The child starts with the first call, and again with the next call after it was killed
    or died. Calls from several threads take turns. ``log`` takes what the child writes to
    standard error; ``gives_way`` says that every other process comes first. Use it as a context
    manager, or call ``close()``; a helper that is forgotten takes its child with it.
    """

    def __init__(
        self,
        memory_limit_bytes: int | None = MEMORY_LIMIT_BYTES,
        log: IO[bytes] | None = None,
        *,
        gives_way: bool = False,
    ) -> None:
        self._arguments = f"{memory_limit_bytes}, {gives_way}"
        self._log = log
        self._turn = threading.Lock()
        self._child: ChildProcess[_Reply] | None = None
        self._modules: set[str] = set()
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
            child = self._ready_child(name, should_stop)
            reply = self._exchange(child, _Request(name, payload, timeout_s), should_stop)
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready_child(
        self, name: str, should_stop: Callable[[], bool] = lambda: False
    ) -> ChildProcess[_Reply]:
        _check_name(name)
        if self._closed:
            raise HelperError("The helper process is closed.")
        child = self._child
        if child is None or not child.alive:
            self._discard()
            self._child = child = self._started()
        module = name.partition(":")[0]
        if module not in self._modules:
            self._exchange(child, _Request(name, None, START_LIMIT_S), should_stop)
            self._modules.add(module)
        return child

    def _started(self) -> ChildProcess[_Reply]:
        self._modules.clear()
        try:
            return ChildProcess(__name__, self._arguments, _reply_decoder, self._log)
        except OSError as error:
            raise HelperError(
                "The helper process cannot be started.",
                f"{sys.executable or 'Python'}: {error}.",
                "Free memory or processes, then try again.",
            ) from error

    def _exchange(
        self,
        child: ChildProcess[_Reply],
        request: _Request,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> _Reply:
        try:
            reply = child.ask(request, request.timeout_s, should_stop)
            if reply is None:
                crash = child.crash()
                died = HelperDied("The helper process died.", crash.reason)
                died.crash = crash
                raise died
        except BaseException as error:
            # Also on Ctrl+C: the reply still to come must not answer the next request.
            self._discard()
            if isinstance(error, TimeoutError):
                words = f"Stopped after {request.timeout_s:g} s, or because the run was over."
                raise HelperTimeout(words) from None
            raise
        if reply.raised:
            raised = HelperRaised(f"{request.name} failed.", reply.raised)
            raised.error = reply.failed.error() if reply.failed else None
            raise raised
        return reply

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a function of ssr_local: {name!r}")


# In the child ------------------------------------------------------------------


def main(memory_limit_bytes: int | None, gives_way: bool) -> None:
    """The child's life: read a request, do it, answer, until the parent is gone."""
    if gives_way:
        give_way()
    requests, replies = private_pipes()
    if memory_limit_bytes is not None:
        _limit("RLIMIT_AS", memory_limit_bytes, memory_limit_bytes)
    _limit("RLIMIT_CORE", 0, 0)
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    listen(requests, inbox.put)
    while True:
        write_frame(replies, msgspec.msgpack.encode(_answer(_decode_request(inbox.get()))))


def _answer(request: _Request) -> _Reply:
    try:
        function, kind = _find(request.name)
        if request.argument is None:
            return _Reply()
        # A backstop for a child whose parent can no longer kill it: never reached otherwise.
        cpu_s = time.process_time() + request.timeout_s * (os.cpu_count() or 1)
        _limit("RLIMIT_CPU", math.ceil(cpu_s) + _CPU_MARGIN_S)
        result = function(msgspec.msgpack.decode(request.argument, type=kind))
        return _Reply(msgspec.msgpack.encode(result))
    except MemoryError:
        os._exit(1)  # whatever half-built state is left behind goes with the process
    except Exception as error:  # noqa: BLE001  whatever it is, the parent has to be told
        failed = Failed.of(error) if isinstance(error, SSRError) else None
        return _Reply(raised=f"{type(error).__name__}: {error}"[:2000], failed=failed)


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


def _limit(name: str, soft: int, hard: int | None = None) -> None:
    """Set a limit of this process, the hard one too where given, on systems that have it.

    Windows has none: there the parent's time limit is all there is. macOS knows RLIMIT_AS
    and refuses to set it.
    """
    with contextlib.suppress(ImportError, AttributeError, ValueError, OSError):
        import resource

        number = getattr(resource, name)
        kept = resource.getrlimit(number)[1]
        resource.setrlimit(number, (soft, kept if hard is None else hard))
