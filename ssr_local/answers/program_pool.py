"""Monty, the interpreter that runs programs which models write, started once and kept.

It interprets a subset of Python in worker processes of its own, without files, network or
environment and with limits of time, memory and recursion. Python never runs such a program.
"""

from __future__ import annotations

import atexit
import builtins
import re
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ssr_local.core.errors import UsageError

_LIBRARY = "pydantic_monty"
_GRACE_S = 0.25
"""How long after its limit a worker that does not look at the clock is killed."""
_MAX_WORKERS = 8  # started when needed; a thread of the bench holds two at once
_MAX_RECURSION = 1000  # CPython's own

_MISSING_MODULE = re.compile(r"No module named '([\w.]+)")
_MISSING_NAME = re.compile(r"name '(\w+)' is not defined")
_MISSING_METHOD = re.compile(r"(?:type object )?'(\w+)'(?: object)? has no attribute '(\w+)'")
_MISSING_MEMBER = re.compile(r"module '(\w+)' has no attribute|cannot import name .* from '(\w+)'")

_lock = threading.Lock()
_pool: Any = None


def can_run_programs() -> bool:
    """Whether Monty is installed: it has no build for some computers."""
    return find_spec(_LIBRARY) is not None


def library() -> Any:
    """The module ``pydantic_monty``. Raises ``UsageError`` where it is missing."""
    try:
        return import_module(_LIBRARY)
    except ImportError as error:
        raise UsageError(
            "Programs that models write cannot be run here: pydantic-monty is not installed.",
            "It has builds for Linux, macOS and Windows on x86-64, and for Linux and macOS on ARM.",
            "Where it has one: pip install pydantic-monty",
        ) from error


def session(
    *, seconds: float, memory_bytes: int, max_calls: int = 1
) -> AbstractContextManager[Any]:
    """A fresh interpreter from the pool, to be used in ``with``.

    ``seconds`` are for each piece of source that it is fed; ``max_calls`` counts its calls of
    functions of ours. Other sessions, in any thread, know nothing of it. Raises ``UsageError``.
    """
    checked_out: AbstractContextManager[Any] = _started().checkout(
        limits={
            "max_feed_duration_secs": max(seconds - _GRACE_S, seconds / 2),
            "max_memory": memory_bytes,
            "max_recursion_depth": _MAX_RECURSION,
            "max_suspensions": max_calls,
        },
        os_policy={"sleep": "zero"},
    )
    return checked_out


def feed(
    session: Any, source: str, on_print: Callable[[str], object] | None = None, **more: Any
) -> Any:
    """Run a piece of source; without ``on_print``, what it prints goes nowhere.

    Returns the value of its last expression. Raises the library's ``MontyError``, and
    ``ValueError`` or ``RecursionError`` for a value too large or too deep to take over.
    """

    def printed(_stream: str, text: str) -> None:
        if on_print:
            on_print(text)

    return session.feed_run(source, print_callback=printed, **more)


def raised(error: Any) -> Exception:
    """A ``MontyError`` as the exception that the program raised.

    A worker killed for its time is a ``TimeoutError``, one that is gone a ``SystemError``; what
    is no ``Exception`` would end this process.
    """
    if type(error).__name__ == "MontyCrashedError":
        if error.timed_out:
            return TimeoutError(str(error))
        return SystemError(str(error))
    found = error.exception()
    return found if isinstance(found, Exception) else RuntimeError(str(error))


def missing_module(error: Exception) -> str | None:
    """The module that an import did not find, whether or not Python has it."""
    found = _MISSING_MODULE.search(str(error))
    return found[1].partition(".")[0] if found else None


def is_unsupported(error: Exception) -> bool:
    """Whether CPython has what the interpreter misses."""
    text = str(error)
    if isinstance(error, SystemError):
        return True  # the interpreter itself has crashed
    if isinstance(error, NotImplementedError):
        return "monty" in text or "cannot suspend" in text or text.startswith("Wildcard imports")
    if isinstance(error, TypeError) and "not yet supported" in text:
        return True  # no message of CPython's says "yet"
    if module := missing_module(error):
        return module in sys.stdlib_module_names
    if found := _MISSING_MEMBER.search(text):
        return next(filter(None, found.groups())) in sys.stdlib_module_names
    if found := _MISSING_METHOD.search(text):
        return hasattr(getattr(builtins, found[1], None), found[2])
    found = _MISSING_NAME.search(text) if isinstance(error, NameError) else None
    return found is not None and hasattr(builtins, found[1])


def close() -> None:
    """End the pool's workers; the next session starts new ones."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.__exit__(None, None, None)


def _started() -> Any:
    global _pool
    with _lock:
        if _pool is None:
            try:
                pool = library().Monty(
                    max_processes=_MAX_WORKERS, feed_duration_limit_grace=_GRACE_S
                )
                _pool = pool.__enter__()
            except (OSError, RuntimeError) as error:
                raise UsageError(
                    "Programs that models write cannot be run here: their interpreter does not"
                    " start.",
                    str(error),
                    "Install it again: pip install --force-reinstall pydantic-monty",
                ) from error
            atexit.register(close)
        return _pool
