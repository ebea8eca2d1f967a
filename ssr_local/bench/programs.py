"""Whether a program that a model wrote passes the test of its problem.

Python never runs either of them: Monty interprets both, in worker processes without files or
network and with limits of time, memory and recursion. Program and test have a session each, and
the test's calls are passed on as plain data, so that the program can do nothing to the outcome
but give right answers. Arguments go by value: changing them in place does not reach the test.
"""

from __future__ import annotations

import builtins
import re
import sys
import textwrap
import time
from typing import Any, Literal

from ssr_local.bench.records import Problem
from ssr_local.bench.statistics import bench_library

ProgramOutcome = Literal["right", "wrong", "not run", "undecided"]
"""A program's part of ``records.Outcome``."""

CALL_LIMIT_S = 4.0
PROGRAM_LIMIT_S = 10.0
_MEMORY_BYTES = 128 << 20
_MAX_RECURSION = 1000  # CPython's own
_MAX_CALLS = 100_000

LIBRARY = "pydantic_monty"
_CALL = "call_the_program_"

_MISSING_MODULE = re.compile(r"No module named '(\w+)")
_MISSING_NAME = re.compile(r"name '(\w+)' is not defined")
_MISSING_METHOD = re.compile(r"(?:type object )?'(\w+)'(?: object)? has no attribute '(\w+)'")
_MISSING_MEMBER = re.compile(r"module '(\w+)' has no attribute|cannot import name .* from '(\w+)'")


def run_program(problem: Problem, code: str) -> ProgramOutcome:
    """Judge ``code`` as the answer to a problem in HumanEval form.

    ``code`` is a whole module or only the body of the function that the problem ends with;
    imports and helpers of the problem are there in both cases. "undecided": the test itself is
    broken. Raises ``UsageError`` without Monty.
    """
    library = bench_library(LIBRARY)
    with library.Monty(max_processes=2, request_timeout=2 * PROGRAM_LIMIT_S) as pool:
        limits = {
            "max_feed_duration_secs": CALL_LIMIT_S,
            "max_memory": _MEMORY_BYTES,
            "max_recursion_depth": _MAX_RECURSION,
            "max_suspensions": _MAX_CALLS,
        }
        policy = {"sleep": "zero"}
        with (
            pool.checkout(limits=limits, os_policy=policy) as own,
            pool.checkout(limits=limits, os_policy=policy) as tests,
        ):
            program = _Program(library, own, problem)
            try:
                program.load(code)
            except library.MontyError as error:
                return "not run" if _is_unsupported(_inner(error)) else "wrong"
            return _tested(library, tests, problem, program)


class _Program:
    """The model's function, to be called from the test."""

    def __init__(self, library: Any, session: Any, problem: Problem) -> None:
        self._library, self._session, self._problem = library, session, problem
        self._deadline = time.monotonic() + PROGRAM_LIMIT_S
        self.num_calls = 0
        self.failure: ProgramOutcome | None = None
        """What no test can mend, whatever it catches."""

    def load(self, code: str) -> None:
        name = self._problem.entry_point
        if re.search(rf"^(?:(?:async )?def +{name}\b|{name} *[:=]|from .*\b{name}\b)", code, re.M):
            _prepare(self._library, self._session, self._problem)
            _feed(self._session, code)
        else:
            _feed(self._session, f"{self._problem.problem.rstrip()}\n{_as_body(code)}")

    def __call__(self, *args: object, **named: object) -> Any:
        self.num_calls += 1
        if self.failure or time.monotonic() > self._deadline:
            self.failure = self.failure or "wrong"
            raise TimeoutError("the program is not asked any more")
        source = f"{self._problem.entry_point}(*args_, **named_)"
        try:
            return _feed(self._session, source, inputs={"args_": list(args), "named_": named})
        except self._library.MontyError as error:
            inner = _inner(error)
            if _is_unsupported(inner):
                self.failure = "not run"
            elif isinstance(inner, TimeoutError | MemoryError):
                self.failure = "wrong"
            raise inner from error


def _tested(library: Any, session: Any, problem: Problem, program: _Program) -> ProgramOutcome:
    name, calls = problem.entry_point, {_CALL: program}
    stand_in = f"def {name}(*args, **named):\n    return {_CALL}(*args, **named)\n"
    try:
        _prepare(library, session, problem)
        _feed(session, stand_in)
        _feed(session, problem.test or "", external_lookup=calls)
        _feed(session, f"check({name})", external_lookup=calls)
    except library.MontyError as error:
        if program.failure:
            return program.failure
        if _is_unsupported(_inner(error)):
            return "not run"
        return "wrong" if program.num_calls else "undecided"
    return program.failure or "right"


def _prepare(library: Any, session: Any, problem: Problem) -> None:
    """What the problem's text defines besides the function that is asked for."""
    for source in (f"{problem.problem.rstrip()}\n    pass\n", problem.problem):
        try:
            _feed(session, source)
        except library.MontySyntaxError:
            continue
        break
    _feed(session, f"{problem.entry_point} = None")


def _feed(session: Any, source: str, **more: Any) -> Any:
    """Run a piece of source; what it prints goes nowhere."""
    return session.feed_run(source, print_callback=lambda *_: None, **more)


def _as_body(code: str) -> str:
    """``code`` indented as a function's body: as it came, without its first indentation, or
    without any."""
    lines = [line for line in code.splitlines() if line.strip()]
    if not lines or lines[0][0].isspace():
        return code
    if any(not line[0].isspace() for line in lines[1:]):
        return textwrap.indent(code, "    ")
    return f"    {code}"


def _inner(error: Any) -> Exception:
    """The exception as the program raised it.

    A worker that is gone is a ``SystemError``; what is no ``Exception`` would end this process.
    """
    if type(error).__name__ == "MontyCrashedError":
        return SystemError(str(error))
    found = error.exception()
    return found if isinstance(found, Exception) else RuntimeError(str(error))


def _is_unsupported(error: Exception) -> bool:
    """Whether CPython has what the interpreter misses."""
    text = str(error)
    if isinstance(error, SystemError):
        return True  # the interpreter itself has crashed
    if isinstance(error, NotImplementedError):
        return "monty" in text or "cannot suspend" in text
    if isinstance(error, TypeError) and "not yet supported" in text:
        return True  # no message of CPython's says "yet"
    if found := _MISSING_MODULE.search(text) or _MISSING_MEMBER.search(text):
        return next(filter(None, found.groups())) in sys.stdlib_module_names
    if found := _MISSING_METHOD.search(text):
        return hasattr(getattr(builtins, found[1], None), found[2])
    found = _MISSING_NAME.search(text) if isinstance(error, NameError) else None
    return found is not None and hasattr(builtins, found[1])
