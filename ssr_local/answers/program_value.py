"""What a program's value or printed line says as the answer to a problem. Pure."""

from __future__ import annotations

import ast
import math
import re
from decimal import Decimal
from typing import Any

from msgspec import Struct

MAX_CHARS = 400
"""A longer value is no answer; ``compare`` would not look at it."""

_SIGNIFICANT = 12
"""Digits that a float is rounded to when it shows more than it can know."""
_CERTAIN = 15
_EXACT_INTEGERS = 2.0**53
_MAX_DEPTH = 8

_NUMBER = (
    r"[-+]?(?:\d+:\d\d(?!\d)|\.\d+|(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?"
    r"(?: ?/ ?\d+)?)%?"
)
_NUMBER_IN_LINE = re.compile(rf"(?<![\w.])(-?)[$€£]?({_NUMBER})(?!\w)")
_QUANTITY = re.compile(rf"(-?)[$€£]?({_NUMBER})(?: ?(?:[A-Za-z][A-Za-z./²³ ]*|[$€£]))?")
_NUMBERS = re.compile(rf"{_NUMBER}(?:(?:, ?| and | )+{_NUMBER})+")
_CUE = re.compile(r".*(?:\b(?:is|are|was|were|equals|be)\b|=|(?<!\d):|:(?!\d))(?=.*\w)", re.DOTALL)
_WORD = re.compile(
    r"(?<![A-Za-z])(?!(?:sqrt|pi|sin|cos|tan|log|ln|exp|frac|cdot|infinity)\b)[A-Za-z]{2,}"
)
_FRACTION = re.compile(r"Fraction\((-?\d+), (\d+)\)")
_NOT_A_VALUE = re.compile(r"<.* at 0x[0-9a-f]+>|<(?:class|coroutine|function|generator) .*>")
_NOT_A_NUMBER = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)


class ProgramResult(Struct, frozen=True):
    """What a program says.

    ``value`` is the answer as mathematics, "3/4" or "(1, 2)", and None for a program that has
    none; ``shown`` is the same as the program has it, all digits; ``failure`` says in words why
    there is no value.
    """

    value: str | None = None
    shown: str = ""
    failure: str = ""


class _NoAnswer(Exception):  # noqa: N818 - what a value turns out to be, not an error
    """A value that cannot be an answer; the reason in words."""


def result_of(value: object) -> ProgramResult:
    """A value that the program's function returned, or that it ends with."""
    try:
        if isinstance(value, str):
            return result_of_line(value)
        written, shown = _written(value), _shown(value)
        _check_length(max(written, shown, key=len))
    except _NoAnswer as reason:
        return ProgramResult(failure=str(reason))
    except (ValueError, RecursionError):
        return ProgramResult(failure=f"its value is longer than {MAX_CHARS} characters")
    return ProgramResult(written, shown)


def result_of_line(line: str) -> ProgramResult:
    """A line that the program printed, or a text that it returned."""
    shown = line.strip()
    try:
        _check_length(shown)
        written = _from_line(shown.strip("\"'").replace("−", "-").rstrip(". "))
        if not written:
            raise _NoAnswer("its value is an empty text")
        _check_length(written)
    except _NoAnswer as reason:
        return ProgramResult(failure=str(reason))
    return ProgramResult(written, shown)


def _check_length(text: str) -> None:
    if len(text) > MAX_CHARS:
        raise _NoAnswer(f"its value is longer than {MAX_CHARS} characters")


def _from_line(line: str) -> str:
    if _NOT_A_VALUE.fullmatch(line):
        raise _NoAnswer("its value is a function or an object, not an answer")
    if plain := _plain(line):
        return plain
    cue = _CUE.match(line)
    tail = line[cue.end() :].strip() if cue else line
    if cue and (plain := _plain(tail)):
        return plain
    numbers = [sign + number for sign, number in _NUMBER_IN_LINE.findall(tail)]
    if not numbers or not _WORD.search(tail):
        return tail
    return _number(numbers[0 if cue else -1])


def _plain(text: str) -> str | None:
    """The answer in a text which is nothing but a value; None for sentences and formulas."""
    if _NOT_A_NUMBER.fullmatch(text):
        raise _NoAnswer(f"its value is not a number ({text.lower()})")
    if text in ("None", ""):
        raise _NoAnswer("its value is None" if text else "its value is an empty text")
    if found := _QUANTITY.fullmatch(text):
        return _number(found[1] + found[2])
    if _NUMBERS.fullmatch(text):
        return ", ".join(_number(number) for number in re.findall(_NUMBER, text))
    if text[:1] in "([{" and text[-1:] in ")]}":
        try:
            return _written(ast.literal_eval(_FRACTION.sub(r"'\1/\2'", text)))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return None
    return None


def _number(text: str) -> str:
    """A number as it is written in a line, in its shortest form."""
    body = re.sub(r"[, ](?=\d)| (?=/)", "", text).lstrip("+")
    if any(mark in body for mark in ":/"):
        return body
    percent = "%" if body.endswith("%") else ""
    return _decimal(Decimal(body.rstrip("%"))) + percent


def _decimal(number: Decimal) -> str:
    """Shortest form, and without the noise of binary arithmetic (0.30000000000000004)."""
    if not number.is_finite():
        raise _NoAnswer(f"its value is not a number ({str(number).lower()})")
    if abs(number.adjusted()) > MAX_CHARS:
        raise _NoAnswer(f"its value is longer than {MAX_CHARS} characters")
    has_noise = len(number.as_tuple().digits) > _CERTAIN and number != number.to_integral_value()
    if has_noise:
        number = Decimal(f"{number:.{_SIGNIFICANT}g}")
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _written(value: Any, depth: int = 0) -> str:
    """A value as mathematics. Raises ``_NoAnswer``."""
    if depth > _MAX_DEPTH:
        raise _NoAnswer("its value is a list in lists, not an answer")
    if value is None:
        raise _NoAnswer("its value is None")
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, float):
        if value.is_integer() and abs(value) <= _EXACT_INTEGERS:
            return str(int(value))
        return _decimal(Decimal(repr(value)))
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, str):
        return _from_line(value.strip()) if depth == 0 else value.strip()
    if isinstance(value, complex):
        return _complex(value)
    if (fraction := as_fraction(value)) is not None:
        numerator, denominator = fraction
        return str(numerator) if denominator == 1 else f"{numerator}/{denominator}"
    if isinstance(value, dict):
        return _dictionary(value, depth)
    if isinstance(value, tuple | list | set | frozenset):
        return _collection(value, depth)
    raise _NoAnswer(f"its value is of type {_type_name(value)}, not an answer")


def _collection(value: Any, depth: int) -> str:
    if not value:
        raise _NoAnswer("its value is empty")
    if len(value) > MAX_CHARS:
        raise _NoAnswer(f"its value is longer than {MAX_CHARS} characters")
    parts = [_written(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        parts.sort(key=lambda part: (len(part), part))
    if len(parts) == 1:
        return parts[0]
    listed = ", ".join(parts)
    if isinstance(value, tuple):
        return f"({listed})"
    return f"[{listed}]" if depth else listed


def _dictionary(value: dict[Any, Any], depth: int) -> str:
    if not value:
        raise _NoAnswer("its value is empty")
    if len(value) == 1:
        return _written(next(iter(value.values())), depth)
    return ", ".join(f"{key}: {_written(item, depth + 1)}" for key, item in value.items())


def _complex(value: complex) -> str:
    if value.imag == 0:
        return _written(value.real)
    size = _written(abs(value.imag))
    imaginary = "i" if size == "1" else f"{size}i"
    if value.real == 0:
        return imaginary if value.imag > 0 else f"-{imaginary}"
    return f"{_written(value.real)} {'+' if value.imag > 0 else '-'} {imaginary}"


def as_fraction(value: Any) -> tuple[int, int] | None:
    """Numerator and denominator of the interpreter's Fraction (``program_fraction``)."""
    attributes = getattr(value, "attributes", None)
    if getattr(value, "name", "") != "Fraction" or not isinstance(attributes, dict):
        return None
    match attributes.get("numerator"), attributes.get("denominator"):
        case int(numerator), int(denominator) if denominator > 0:
            divisor = math.gcd(numerator, denominator)
            return numerator // divisor, denominator // divisor
    return None


def _shown(value: Any) -> str:
    """A value as Python prints it, fractions as "3/4"."""
    if as_fraction(value) is not None:
        return _written(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_shown(key)}: {_shown(item)}' for key, item in value.items())}}}"
    if isinstance(value, tuple | list):
        listed = ", ".join(map(_shown, value))
        if isinstance(value, list):
            return f"[{listed}]"
        return f"({listed},)" if len(value) == 1 else f"({listed})"
    return repr(value)


def _type_name(value: object) -> str:
    return str(getattr(value, "name", type(value).__name__))
