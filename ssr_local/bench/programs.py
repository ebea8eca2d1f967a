"""Whether a program that a model wrote passes the test of its problem.

Python never runs either of them: Monty interprets both (``answers.program_pool``). Program and
test have a session each, and the test's calls are passed on as plain data, so that the program
can do nothing to the outcome but give right answers. Arguments go by value: changing them in
place does not reach the test.
"""

from __future__ import annotations

import re
import textwrap
import time
from contextlib import AbstractContextManager
from typing import Any, Literal

from ssr_local.answers.program_pool import feed, is_unsupported, library, raised, session
from ssr_local.bench.records import Problem

ProgramOutcome = Literal["right", "wrong", "not run", "undecided"]
"""A program's part of ``records.Outcome``."""

CALL_LIMIT_S = 4.0
PROGRAM_LIMIT_S = 10.0
_MEMORY_BYTES = 128 << 20
_MAX_CALLS = 100_000

_CALL = "call_the_program_"


def run_program(problem: Problem, code: str) -> ProgramOutcome:
    """Judge ``code`` as the answer to a problem in HumanEval form.

    ``code`` is a whole module or only the body of the function that the problem ends with;
    imports and helpers of the problem are there in both cases. "undecided": the test itself is
    broken. Raises ``UsageError`` without Monty.
    """
    with _session() as own, _session() as tests:
        program = _Program(own, problem)
        try:
            program.load(code)
        except library().MontyError as error:
            return "not run" if is_unsupported(raised(error)) else "wrong"
        return _tested(tests, problem, program)


def _session() -> AbstractContextManager[Any]:
    return session(seconds=CALL_LIMIT_S, memory_bytes=_MEMORY_BYTES, max_calls=_MAX_CALLS)


class _Program:
    """The model's function, to be called from the test."""

    def __init__(self, session: Any, problem: Problem) -> None:
        self._session, self._problem = session, problem
        self._deadline = time.monotonic() + PROGRAM_LIMIT_S
        self.num_calls = 0
        self.failure: ProgramOutcome | None = None
        """What no test can mend, whatever it catches."""

    def load(self, code: str) -> None:
        name = self._problem.entry_point
        if re.search(rf"^(?:(?:async )?def +{name}\b|{name} *[:=]|from .*\b{name}\b)", code, re.M):
            _prepare(self._session, self._problem)
            feed(self._session, code)
        else:
            feed(self._session, f"{self._problem.problem.rstrip()}\n{_as_body(code)}")

    def __call__(self, *args: object, **named: object) -> Any:
        self.num_calls += 1
        if self.failure or time.monotonic() > self._deadline:
            self.failure = self.failure or "wrong"
            raise TimeoutError("the program is not asked any more")
        source = f"{self._problem.entry_point}(*args_, **named_)"
        try:
            return feed(self._session, source, inputs={"args_": list(args), "named_": named})
        except library().MontyError as error:
            found = raised(error)
            if is_unsupported(found):
                self.failure = "not run"
            elif isinstance(found, TimeoutError | MemoryError):
                self.failure = "wrong"
            raise found from error


def _tested(session: Any, problem: Problem, program: _Program) -> ProgramOutcome:
    name, calls = problem.entry_point, {_CALL: program}
    stand_in = f"def {name}(*args, **named):\n    return {_CALL}(*args, **named)\n"
    try:
        _prepare(session, problem)
        feed(session, stand_in)
        feed(session, problem.test or "", external_lookup=calls)
        feed(session, f"check({name})", external_lookup=calls)
    except library().MontyError as error:
        if program.failure:
            return program.failure
        if is_unsupported(raised(error)):
            return "not run"
        return "wrong" if program.num_calls else "undecided"
    return program.failure or "right"


def _prepare(session: Any, problem: Problem) -> None:
    """What the problem's text defines besides the function that is asked for."""
    for source in (f"{problem.problem.rstrip()}\n    pass\n", problem.problem):
        try:
            feed(session, source)
        except library().MontySyntaxError:
            continue
        break
    feed(session, f"{problem.entry_point} = None")


def _as_body(code: str) -> str:
    """``code`` indented as a function's body: as it came, without its first indentation, or
    without any."""
    lines = [line for line in code.splitlines() if line.strip()]
    if not lines or lines[0][0].isspace():
        return code
    if any(not line[0].isspace() for line in lines[1:]):
        return textwrap.indent(code, "    ")
    return f"    {code}"
