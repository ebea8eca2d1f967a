r"""The exact rational value of an answer that is plain arithmetic.

Integers, decimals, fractions, mixed numbers, powers, scientific notation, recurring
decimals (``0.\overline{3}``), "5 million": everything is a ``Fraction``, so two answers
are equal or different with certainty. Sizes are bounded before anything is computed.
"""

from __future__ import annotations

import re
from fractions import Fraction

MAX_CHARS = 1000
MAX_DEPTH = 40
MAX_BITS = 8192
"""Of a numerator or denominator: about 2,500 decimal digits."""

SCALES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<recurring>(?P<fixed>\d*\.\d*)\\overline\{(?P<period>\d{1,200})\})"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,4}(?![\d.]))?)"
    r"|(?P<times>\*|\\times|\\cdot)"
    r"|(?P<over>/|\\div)"
    r"|(?P<frac>\\frac)"
    rf"|(?P<scale>(?:{'|'.join(SCALES)})(?![A-Za-z]))"
    r"|(?P<mark>[-+^(){}])"
)


class _NotPlainError(Exception):
    """The text is not arithmetic, or too much of it."""


def exact_value(text: str) -> Fraction | None:
    """The value of a normalised answer, None when it is not plain arithmetic or too large."""
    if len(text) > MAX_CHARS:
        return None
    try:
        return _Reader(_tokens(text)).whole()
    except (_NotPlainError, ZeroDivisionError):
        return None


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) pairs; raises ``_NotPlainError`` at the first thing that is no token."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _NotPlainError
        position = match.end()
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append((match.group() if kind == "mark" else kind, match.group()))
    return tokens


class _Reader:
    """Recursive descent over the tokens, one method a level of precedence."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    def whole(self) -> Fraction:
        value = self._sum()
        if self._position != len(self._tokens):
            raise _NotPlainError
        return value

    def _sum(self) -> Fraction:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _NotPlainError
        value = self._product()
        while (sign := self._take("+", "-")) is not None:
            term = self._product()
            value = _bounded(value + term if sign == "+" else value - term)
        self._depth -= 1
        return value

    def _product(self) -> Fraction:
        value = self._signed()
        while (operator := self._take("times", "over")) is not None:
            factor = self._signed()
            value = _bounded(value * factor if operator == "times" else value / factor)
        return value

    def _signed(self) -> Fraction:
        sign = 1
        while (mark := self._take("+", "-")) is not None:
            sign = -sign if mark == "-" else sign
        return sign * self._power()

    def _power(self) -> Fraction:
        base = self._mixed()
        if self._take("^") is None:
            return base
        exponent = self._exponent()
        if exponent.denominator != 1 or self._peek() == "^":
            raise _NotPlainError
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent.numerator) * bits > MAX_BITS:
            raise _NotPlainError
        return base**exponent.numerator

    def _exponent(self) -> Fraction:
        if self._peek() in ("{", "("):
            return self._atom()
        return self._signed() if self._peek() == "-" else self._atom()

    def _mixed(self) -> Fraction:
        r"""An atom, followed by a fraction (``1\frac{1}{2}``, ``1 1/2``) or a scale word."""
        is_integer = self._peek() == "number" and self._tokens[self._position][1].isdigit()
        value = self._atom()
        if is_integer and self._peek() == "frac":
            value += self._proper(self._atom())
        elif is_integer and self._peek() == "number":
            top = self._integer()
            if self._take("over") is None:
                raise _NotPlainError
            value += self._proper(top / self._integer())
        while self._peek() == "scale":
            word = self._tokens[self._position][1]
            self._position += 1
            value *= SCALES[word]
        return _bounded(value)

    def _proper(self, part: Fraction) -> Fraction:
        if not 0 < part < 1:
            raise _NotPlainError
        return part

    def _integer(self) -> Fraction:
        if self._peek() != "number" or not self._tokens[self._position][1].isdigit():
            raise _NotPlainError
        return self._atom()

    def _atom(self) -> Fraction:
        kind = self._peek()
        if kind is None:
            raise _NotPlainError
        text = self._tokens[self._position][1]
        self._position += 1
        if kind == "number":
            return _number(text)
        if kind == "recurring":
            return _recurring(text)
        if kind == "frac":
            top = self._braced()
            return _bounded(top / self._braced())
        if kind in ("(", "{"):
            value = self._sum()
            if self._take(")" if kind == "(" else "}") is None:
                raise _NotPlainError
            return value
        raise _NotPlainError

    def _braced(self) -> Fraction:
        if self._peek() != "{":
            raise _NotPlainError
        return self._atom()

    def _peek(self) -> str | None:
        return self._tokens[self._position][0] if self._position < len(self._tokens) else None

    def _take(self, *kinds: str) -> str | None:
        kind = self._peek()
        if kind not in kinds:
            return None
        self._position += 1
        return kind


def _number(text: str) -> Fraction:
    mantissa, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent)) * 4 > MAX_BITS:
        raise _NotPlainError
    return _bounded(Fraction(mantissa.rstrip(".")) * Fraction(10) ** int(exponent or 0))


def _recurring(text: str) -> Fraction:
    fixed, _, period = text.rstrip("}").partition("\\overline{")
    whole, _, digits = fixed.partition(".")
    tail = Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(digits))
    return _bounded(Fraction(f"{whole or '0'}.{digits or '0'}") + tail)


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise _NotPlainError
    return value
