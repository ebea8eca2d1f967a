"""Runs a program that a model wrote as its answer to a problem, and says what it gives.

The answer is what ``solution`` returns, or the last function that can be called without
arguments; else the last line printed; else the last expression or assignment. Nothing of the
program reaches this process but text and numbers (``program_pool``).
"""

from __future__ import annotations

import time

from msgspec import Struct

from ssr_local.answers import program_pool
from ssr_local.answers.program_source import sources, uncalled
from ssr_local.answers.program_text import parse, read_program
from ssr_local.answers.program_value import ProgramResult, result_of, result_of_line
from ssr_local.core.errors import UsageError
from ssr_local.core.records import ProgramRun

__all__ = ["Limits", "ProgramResult", "run_program", "run_written_program"]

_MAX_PRINTED = 4000
_LEAST_S = 0.05
_NOTHING = "it returns nothing and prints nothing"


class Limits(Struct, frozen=True):
    """What a program may take altogether."""

    seconds: float = 2.0
    memory_bytes: int = 64 << 20


class _Printed:
    """The end of what a program prints."""

    def __init__(self) -> None:
        self._text = ""

    def __call__(self, text: str) -> None:
        self._text = (self._text + text)[-_MAX_PRINTED:]

    def last_line(self) -> str | None:
        lines = [line for line in self._text.split("\n") if line.strip() not in ("", "None")]
        return lines[-1] if lines else None


def run_written_program(text: str) -> ProgramRun:
    """Run the program that a model's text holds."""
    code = read_program(text)
    if code is None:
        return ProgramRun(failure="it holds no program")
    result = run_program(code)
    return ProgramRun(code, result.value, result.shown, result.failure)


def run_program(code: str, limits: Limits = Limits()) -> ProgramResult:  # noqa: B008 - frozen
    """What a program says, as ``read_program`` gave it.

    Never raises for what the program does or is: ``failure`` then says it in words. Takes
    ``limits.seconds`` at most, beside starting a worker for the first program.
    """
    tree = parse(code)
    if tree is None:
        return ProgramResult(failure="it is not Python")
    deadline = time.monotonic() + limits.seconds
    first: ProgramResult | None = None
    try:
        for source in sources(tree):
            left = deadline - time.monotonic()
            if first and left < _LEAST_S:
                break
            result = _run(source, left, limits.memory_bytes)
            if result.value is not None:
                return result
            if first is None and result.failure == _NOTHING:
                result = ProgramResult(failure=uncalled(tree) or _NOTHING)
            first = first or result
    except UsageError as error:
        return ProgramResult(failure=f"programs are not available here: {error.what}")
    except (RecursionError, ValueError) as error:  # of ast, which cannot write some trees
        return first or ProgramResult(failure=f"it cannot be run here: {error}")
    return first or ProgramResult(failure=_NOTHING)


def _run(source: str, seconds: float, memory_bytes: int) -> ProgramResult:
    library, printed = program_pool.library(), _Printed()
    try:
        with program_pool.session(seconds=seconds, memory_bytes=memory_bytes) as session:
            returned, last = program_pool.feed(session, source, printed)
    except library.MontyError as error:
        return ProgramResult(failure=_reason(program_pool.raised(error)))
    except (ValueError, RecursionError):
        return ProgramResult(failure="its value is too large")
    if returned is not None:
        return result_of(returned)
    if (line := printed.last_line()) is not None:
        return result_of_line(line)
    if last is not None:
        return result_of(last)
    return ProgramResult(failure=_NOTHING)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it takes too long"
    if isinstance(error, MemoryError):
        return "it takes too much memory"
    if isinstance(error, RecursionError):
        return "it calls itself too often"
    if module := program_pool.missing_module(error):
        return f"it cannot run here: there is no module {module}"
    if isinstance(error, NameError) and "'input'" in str(error):
        return "it asks for input"
    what = " ".join(f"{type(error).__name__}: {error}".split())[:200].rstrip(": ")
    if program_pool.is_unsupported(error):
        return f"it cannot run here: {what}"
    return f"it fails: {what}"
