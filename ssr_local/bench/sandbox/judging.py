"""The two locked-down processes in which a problem in HumanEval form is judged.

The *candidate* holds the model's function and answers calls. The *judge* runs the test
against a stand-in that passes each call on; arguments and results travel as plain data. What
the model wrote can therefore do nothing to the verdict but give right answers: it may exit,
replace builtins, return an object that equals everything, or write to every descriptor it
finds, all of that in a process that nobody asks for a verdict.

What follows from it: arguments are handed over by value, so that changing them in place does
not reach the test, and a result that is no plain data equals nothing on the other side (one
can still go through its items).

Both run in a fresh interpreter with the standard library alone.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import json
import os
import symtable
import sys
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

OUT_OF_MEMORY = 77
"""The exit code of a process that has not even the memory to say so."""

_MAX_FRAME_BYTES = 16_000_000
_MAX_TEXT_CHARS = 500
_NAME = "solution"
_TEST = "<test>"
_COLLECTIONS = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}
_EXACT = {"Fraction": "fractions", "Decimal": "decimal"}


class Unsuitable(BaseException):
    """The test itself cannot be run; nothing is known about the code.

    Like ``Gone`` nothing that a test's ``except Exception`` catches.
    """


class Gone(BaseException):
    """The candidate is not there any more, or does not keep to the protocol."""


class Foreign:
    """What stands for a result that is no plain data: equal to nothing but itself."""

    def __init__(self, name: str, items: list[Any] | None) -> None:
        self._name = name
        self._items = items

    def __repr__(self) -> str:
        return f"<{self._name}>"

    def __iter__(self) -> Iterator[Any]:
        if self._items is None:
            raise TypeError(f"{self._name!r} object is not iterable")
        return iter(self._items)


def candidate(lock: Callable[[], None]) -> None:
    """Load the function and answer calls, until nobody calls any more."""
    calls, answers = _private_pipes()
    message = _locked(lock)
    _send(answers, _frame(message))
    if message:
        return
    try:
        with contextlib.suppress(Gone, BrokenPipeError):
            job = _receive(calls)
            reply, function = _loaded(job)
            _send(answers, _frame(reply))
            while function is not None:
                _send(answers, _answer(function, _receive(calls)))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def judge(lock: Callable[[], None], calls: int, answers: int) -> None:
    """Say whether both processes are locked, take the job, say the verdict.

    A line of JSON each: ``{}`` or ``{"open": why}``; ``code``, ``problem``, ``test`` and
    ``entry_point``; ``outcome``, ``name`` and ``text``.
    """
    jobs, verdicts = _private_pipes()
    message = _locked(lock)
    try:
        message = message or _receive(answers)
    except Gone:
        message = {"open": "it ended before it was locked down"}
    os.write(verdicts, json.dumps(message).encode() + b"\n")
    if message:
        return
    with open(jobs, "rb") as lines:  # noqa: PTH123 - a descriptor
        job = json.loads(lines.readline())
    os.write(verdicts, json.dumps(_verdict(job, _Remote(calls, answers))).encode() + b"\n")


def load(code: str, problem: str, entry_point: str) -> Callable[..., Any]:
    """The function ``entry_point`` that a model's answer defines.

    ``code`` is a module, to which the imports and helpers of ``problem`` are given, or only
    the body of the function that ``problem`` ends with. Raises whatever the code raises.
    """
    program = compile(_program(code, problem, entry_point), f"<{_NAME}>", "exec", dont_inherit=True)
    module = types.ModuleType(_NAME)
    sys.modules[_NAME] = module  # where dataclasses look
    exec(_prelude(problem, entry_point), module.__dict__)  # noqa: S102
    exec(program, module.__dict__)  # noqa: S102
    function = getattr(module, entry_point, None)
    if not callable(function):
        raise NameError(f"the code does not define {entry_point}")
    return function  # type: ignore[no-any-return]


def encode(value: object, *, strict: bool = False) -> Any:
    """Plain data as JSON has it; subclasses become what they are made from.

    Anything else becomes ``Foreign``, with ``strict`` it raises ``Unsuitable``.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return {"int": hex(value)}  # decimal digits are limited by Python itself
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, range):
        return {"range": [hex(n) for n in (value.start, value.stop, value.step)]}
    if isinstance(value, dict):
        return {"dict": [_encode_all(pair, strict) for pair in value.items()]}
    for name, kind in _COLLECTIONS.items():
        if isinstance(value, kind):
            return {name: _encode_all(value, strict)}
    name = type(value).__name__
    if _EXACT.get(name) == type(value).__module__:
        return {"exact": [name, str(value)]}
    if strict:
        raise Unsuitable(f"it hands over a {name}, which is no plain data")
    return {"foreign": [name, _encode_all(value, False) if isinstance(value, Iterable) else None]}


def _encode_all(values: Iterable[object], strict: bool) -> list[Any]:
    return [encode(value, strict=strict) for value in values]


def decode(data: Any) -> Any:
    """What ``encode`` was given. Any error there is when ``data`` is something else."""
    if not isinstance(data, dict):
        return data
    ((kind, body),) = data.items()
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind](map(decode, body))
    if kind == "exact":
        return getattr(importlib.import_module(_EXACT[body[0]]), body[0])(body[1])
    if kind == "foreign":
        return Foreign(body[0], None if body[1] is None else [decode(item) for item in body[1]])
    readers: dict[str, Callable[[], Any]] = {
        "int": lambda: int(body, 16),
        "float": lambda: float.fromhex(body),
        "complex": lambda: complex(*map(float.fromhex, body)),
        "bytes": lambda: bytes.fromhex(body),
        "range": lambda: range(*(int(n, 16) for n in body)),
        "dict": lambda: {decode(key): decode(value) for key, value in body},
    }
    return readers[kind]()


class _Remote:
    """The candidate's function, seen from the judge."""

    def __init__(self, calls: int, answers: int) -> None:
        self._calls = calls
        self._answers = answers
        self.num_calls = 0
        self.failure: BaseException | None = None

    def load(self, job: dict[str, str]) -> None:
        self._exchange({name: job[name] for name in ("code", "problem", "entry_point")})

    def __call__(self, *args: object, **kwargs: object) -> Any:
        self.num_calls += 1
        try:
            call = [
                _encode_all(args, True),
                [[k, encode(v, strict=True)] for k, v in kwargs.items()],
            ]
            return self._exchange({"call": call})
        except (Unsuitable, Gone) as failure:
            self.failure = failure  # whatever the test makes of it
            raise

    def _exchange(self, message: dict[str, Any]) -> Any:
        try:
            _send(self._calls, _frame(message))
        except OSError as error:
            raise Gone from error
        reply = _receive(self._answers)
        try:
            raised = _rebuilt(*reply["raised"]) if "raised" in reply else None
            value = decode(reply.get("value"))
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            raise Gone from error
        if raised is not None:
            raise raised
        return value


def _verdict(job: dict[str, str], remote: _Remote) -> dict[str, str]:
    try:
        _run_test(job, remote)
        if remote.failure is not None:
            raise remote.failure
    except Gone:
        return {"outcome": "gone", "name": "", "text": ""}
    except Exception as error:  # noqa: BLE001 - whatever it is, the code is to blame
        name, text = _described(error)
        if name == AssertionError.__name__:
            text = _failed_line(error, job["test"]) or text
        return {"outcome": "wrong", "name": name, "text": text}
    except BaseException as error:  # noqa: BLE001 - and here it is not
        return {"outcome": "undecided", "name": "", "text": _described(error)[1]}
    return {"outcome": "right", "name": "", "text": ""}


def _run_test(job: dict[str, str], remote: _Remote) -> None:
    """Come back if the code passes the test."""
    names: dict[str, Any] = {"__name__": "test"}
    try:
        test = compile(job["test"], _TEST, "exec", dont_inherit=True)
        exec(_prelude(job["problem"], job["entry_point"]), names)  # noqa: S102
    except Exception as error:
        raise Unsuitable(": ".join(_described(error))) from error
    remote.load(job)
    names[job["entry_point"]] = remote
    try:
        exec(test, names)  # noqa: S102
    except Exception as error:
        if remote.num_calls:
            raise
        raise Unsuitable(": ".join(_described(error))) from error
    if not callable(names.get("check")):
        raise Unsuitable("it does not define check")
    names["check"](remote)


def _failed_line(error: BaseException, test: str) -> str:
    """The line of the test that raised, if it was the test."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == _TEST else 0
        trace = trace.tb_next
    return test.split("\n")[line - 1].strip()[:_MAX_TEXT_CHARS] if line else ""


def _described(error: BaseException) -> tuple[str, str]:
    """Name and text of an exception, however hard it makes that."""
    with contextlib.suppress(Exception):
        name, text = getattr(error, "told", None) or (type(error).__name__, str(error))
        return f"{name}"[:_MAX_TEXT_CHARS], f"{text}"[:_MAX_TEXT_CHARS]
    return "Exception", ""


def _rebuilt(name: str, text: str) -> Exception:
    """The exception that the candidate described, as the test may want to catch it."""
    kind = getattr(builtins, name, None)
    error: Exception = RuntimeError(text)
    # In the middle of the test's own loops StopIteration would pass for their end.
    if isinstance(kind, type) and issubclass(kind, Exception) and kind is not StopIteration:
        with contextlib.suppress(TypeError):
            error = kind(text)
    error.told = (name, text)  # type: ignore[attr-defined]
    return error


def _loaded(job: dict[str, str]) -> tuple[dict[str, Any], Callable[..., Any] | None]:
    try:
        return {}, load(job["code"], job["problem"], job["entry_point"])
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001 - also SystemExit
        return {"raised": _described(error)}, None


def _answer(function: Callable[..., Any], message: dict[str, Any]) -> bytes:
    try:
        args, kwargs = message["call"]
        result = function(*map(decode, args), **{name: decode(value) for name, value in kwargs})
        return _frame({"value": encode(result)})
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001 - also SystemExit
        return _frame({"raised": _described(error)})


def _prelude(problem: str, entry_point: str) -> types.CodeType:
    """What the problem's text defines besides the function that is asked for."""
    tree = _parsed(problem) or _parsed(problem + "\n    pass\n") or ast.Module([], [])
    tree.body = [node for node in tree.body if getattr(node, "name", None) != entry_point]
    return compile(tree, "<problem>", "exec", dont_inherit=True)


def _program(code: str, problem: str, entry_point: str) -> str:
    try:
        table = symtable.symtable(code, _NAME, "exec")
        compile(code, f"<{_NAME}>", "exec", dont_inherit=True)
    except SyntaxError:
        head = problem if problem.endswith("\n") else problem + "\n"
        num_before = _num_statements(_parsed(head), entry_point)
        # As it came, without its first indentation, without any.
        for body in (code, "    " + code, textwrap.indent(code, "    ")):
            if _num_statements(_parsed(head + body), entry_point) > num_before:
                return head + body
        if code.strip("\n")[:1].isspace():  # a body: its first line is not what is wrong with it
            compile(head + code, f"<{_NAME}>", "exec", dont_inherit=True)
        raise
    if any(name.get_name() == entry_point and _is_bound(name) for name in table.get_symbols()):
        return code
    raise NameError(f"the code does not define {entry_point}")


def _is_bound(name: symtable.Symbol) -> bool:
    return name.is_assigned() or name.is_imported()


def _num_statements(tree: ast.Module | None, function: str) -> int:
    nodes = tree.body if tree else []
    sizes = [len(n.body) for n in nodes if isinstance(n, ast.FunctionDef) and n.name == function]
    return sizes[-1] if sizes else 0


def _parsed(source: str) -> ast.Module | None:
    try:
        compile(source, "<problem>", "exec", dont_inherit=True)  # a tree may still be no program
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None


def _private_pipes() -> tuple[int, int]:
    """This process's ends, moved out of the way of everything that reads and prints."""
    ends = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    return ends


def _locked(lock: Callable[[], None]) -> dict[str, Any]:
    try:
        lock()
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing foreign may run then
        return {"open": f"{error}"}
    return {}


def _frame(message: dict[str, Any]) -> bytes:
    frame = json.dumps(message).encode()
    if len(frame) > _MAX_FRAME_BYTES:
        raise ValueError("too long to be handed over")
    return len(frame).to_bytes(4, "big") + frame


def _send(pipe: int, frame: bytes) -> None:
    left = memoryview(frame)
    while left:
        left = left[os.write(pipe, left) :]


def _receive(pipe: int) -> dict[str, Any]:
    size = int.from_bytes(_read(pipe, 4), "big")
    if size > _MAX_FRAME_BYTES:
        raise Gone
    try:
        message = json.loads(_read(pipe, size))
    except (ValueError, RecursionError) as error:
        raise Gone from error
    if not isinstance(message, dict):
        raise Gone
    return message


def _read(pipe: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = os.read(pipe, size - len(data))
        if not piece:
            raise Gone
        data += piece
    return bytes(data)
