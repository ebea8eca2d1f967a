"""Does an equation hold, given those before it? Runs in the helper process only.

An equation between numbers holds or does not. One with unknowns is refuted in four ways
only, each of which leaves no doubt: its sides differ by the same number whatever the
unknowns are; it is meant as a rewriting and its sides differ somewhere; the value of its
one unknown is known from all of the equations before it, and contradicts it; or it is of
several unknowns and an equation before it with only signs changed, or a multiple of its
left side with another right side. How many equations stand before it is the caller's bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sympy

from ssr_local.answers.equivalence import (
    FAILURES,
    UnfitError,
    equivalent_expressions,
    read_expression,
)
from ssr_local.answers.questions import EquationQuestion, EquationVerdict, Pair

MAX_DEGREE = 4
_POINTS = tuple(sympy.Rational(*p) for p in ((1, 1), (2, 1), (-1, 1), (3, 1), (1, 2)))
_UNDECIDED = EquationVerdict("undecided")


def holds(question: EquationQuestion) -> EquationVerdict:
    """Whether the equation holds: "equal", "different" with a reason, or "undecided"."""
    try:
        first, second = _sides(question.equation)
        finding = _found(question, first, second)
        unit = dict.fromkeys(first.free_symbols | second.free_symbols, sympy.I)
        unit = {symbol: value for symbol, value in unit.items() if symbol.name == "i"}
        if unit and finding.verdict != "equal":
            other = _found(question, first.subs(unit), second.subs(unit))
            return finding if other.verdict == "different" else other
        return finding
    except (UnfitError, *FAILURES):
        return _UNDECIDED


def _found(question: EquationQuestion, first: Any, second: Any) -> EquationVerdict:
    symbols = first.free_symbols | second.free_symbols
    if not symbols:
        verdict = equivalent_expressions(first, second)
        if verdict == "different" and _may_round(question.equation, first, second):
            return _UNDECIDED
        values = f"{_value(first)} is not {_value(second)}"
        return EquationVerdict(verdict, values if verdict == "different" else "")
    difference = _plain(first - second)
    if difference == 0:
        return EquationVerdict("equal")
    if difference.is_number:
        return EquationVerdict("different", "the sides differ, whatever the letters stand for")
    if question.rewrites:
        return _counterexample(first, second, symbols)
    premises = [_plain(a - b) for a, b in _readable(question.premises)]
    premises = [one for one in premises if one.free_symbols and not one.is_number]
    if len(symbols) == 1:
        return _against_values(question, difference, premises, next(iter(symbols)))
    return _against_signs(difference, premises)


def _sides(equation: Pair) -> tuple[Any, Any]:
    sides = [read_expression(text) for text in (equation.first, equation.second)]
    if not all(isinstance(side, sympy.Expr) for side in sides):
        raise UnfitError
    # The parser calls a letter real in one text and not in another.
    named = {symbol: sympy.Symbol(symbol.name) for side in sides for symbol in side.free_symbols}
    first, second = (side.doit().xreplace(named) for side in sides)
    return first, second


def _readable(premises: Sequence[Pair]) -> Iterable[tuple[Any, Any]]:
    for premise in premises:
        try:
            yield _sides(premise)
        except (UnfitError, *FAILURES):
            continue


def _plain(expression: Any) -> Any:
    """Over one denominator, which is left out: it is not zero where the equation means a thing."""
    top, under = sympy.fraction(sympy.together(expression))
    return sympy.expand(top) if under.free_symbols else sympy.expand(expression)


def _counterexample(first: Any, second: Any, symbols: set[Any]) -> EquationVerdict:
    for point in _POINTS:
        place = dict.fromkeys(symbols, point)
        left, right = first.subs(place), second.subs(place)
        if not all(side.is_number and side.is_finite for side in (left, right)):
            continue
        if equivalent_expressions(left, right) == "different":
            where = ", ".join(f"{symbol} = {point}" for symbol in sorted(symbols, key=str))
            sides = f"one side is {_value(left)}, the other {_value(right)}"
            return EquationVerdict("different", f"for {where} {sides}")
    return _UNDECIDED


def _against_values(
    question: EquationQuestion, difference: Any, premises: list[Any], symbol: Any
) -> EquationVerdict:
    """What the equations in this one unknown say of it, against this equation."""
    about = [one for one in premises if one.free_symbols == {symbol}]
    reason, agreed = "", False
    asked = (question.equation, *question.premises)
    has_decimals = any("." in one.first + one.second for one in asked)
    own = _roots(difference, symbol) if has_decimals else []
    for premise in about:
        roots = _roots(premise, symbol)
        if roots is None:
            return _UNDECIDED
        fits = [_vanishes(difference, symbol, root) for root in roots]
        if any(fit is None for fit in fits):
            return _UNDECIDED
        if any(fits):
            agreed = True
        elif own is None or any(_near(a, b) for a in own for b in roots):
            return _UNDECIDED
        elif roots and not reason:
            known = " or ".join(f"{symbol} = {_value(root)}" for root in roots)
            reason = f"{known} by what stands before it"
    if agreed or not reason:
        return EquationVerdict("equal" if agreed and not reason else "undecided")
    return EquationVerdict("different", reason)


def _may_round(equation: Pair, first: Any, second: Any) -> bool:
    """Whether one side is the other in so many decimals: 9 pi = 28.27."""
    if first.is_Rational and second.is_Rational:
        return False
    gap = abs((first - second).evalf(20))
    for text in (equation.first, equation.second):
        if match := re.fullmatch(r"-?\d+(?:\.(\d+))?", text):
            return bool(gap < sympy.Rational(1, 10 ** len(match[1] or "")))
    return "." in equation.first + equation.second and _near(first, second)


def _near(first: Any, second: Any) -> bool:
    a, b = first.evalf(20), second.evalf(20)
    return bool(abs(a - b) * 50 <= max(abs(a), abs(b)))


def _roots(polynomial: Any, symbol: Any) -> list[Any] | None:
    """The real solutions; None when they are not all to be had exactly."""
    if not polynomial.is_polynomial(symbol):
        return None
    poly = sympy.Poly(polynomial, symbol)
    if poly.degree() > MAX_DEGREE:
        return None
    found = sympy.roots(poly)
    if sum(found.values()) != poly.degree():
        return None
    return [root for root in found if sympy.im(root.evalf(20)) == 0]


def _vanishes(expression: Any, symbol: Any, value: Any) -> bool | None:
    left = expression.subs(symbol, value)
    if not left.is_number or not left.is_finite:
        return None
    verdict = equivalent_expressions(left, sympy.Integer(0))
    return None if verdict == "undecided" else verdict == "equal"


def _against_signs(difference: Any, premises: list[Any]) -> EquationVerdict:
    """An equation of several unknowns against one like it: the same, or surely not."""
    mine, my_constant = _coefficients(difference)
    found, seen = [], set()
    for premise in premises:
        theirs, constant = _coefficients(premise)
        if not mine or theirs.keys() != mine.keys():
            continue
        unit = theirs[min(theirs, key=str)]
        scaled = (
            frozenset((key, sympy.nsimplify(theirs[key] / unit)) for key in theirs),
            sympy.nsimplify(constant / unit),
        )
        if scaled in seen:
            continue  # the same equation, written again
        seen.add(scaled)
        ratios = {sympy.nsimplify(mine[key] / theirs[key]) for key in mine}
        if len(ratios) == 1:
            ratio = ratios.pop()
            if sympy.expand(my_constant - ratio * constant) == 0:
                return EquationVerdict("equal")
            # x + y = 40 now, and x + y = 60 in ten years
            says = "" if ratio == 1 else "an equation above says otherwise of the same letters"
            found.append(says)
            continue
        if constant and my_constant:
            ratios.add(sympy.nsimplify(my_constant / constant))
        if len({abs(ratio) for ratio in ratios}) == 1 and bool(constant) == bool(my_constant):
            found.append("it is an equation above with a sign changed")
    # x + y = 0 and x - y = 0: what is like two of them may come from both.
    return EquationVerdict("different", found[0]) if len(found) == 1 and found[0] else _UNDECIDED


def _coefficients(expression: Any) -> tuple[dict[Any, Any], Any]:
    """Of every monomial, and the constant; nothing where it is no polynomial of numbers."""
    symbols = sorted(expression.free_symbols, key=str)
    if not symbols or not expression.is_polynomial(*symbols):
        return {}, sympy.Integer(0)
    poly = sympy.Poly(expression, *symbols)
    names = tuple(map(str, symbols))
    terms = {(names, powers): value for powers, value in poly.terms() if any(powers)}
    if not all(value.is_number for value in terms.values()):
        return {}, sympy.Integer(0)
    return terms, poly.coeff_monomial(1)


def _value(expression: Any) -> str:
    """A number as a person would write it."""
    number = sympy.nsimplify(expression) if expression.is_Rational else expression
    if number.is_Rational and number.q < 1000:
        return str(number)
    return f"{float(expression.evalf(15)):.6g}" if expression.is_real else str(expression)[:40]
