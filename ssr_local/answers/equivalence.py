"""Are two answers equal as mathematics? Runs in the helper process only.

Text becomes an expression through the LaTeX grammar alone, never through ``sympify`` or
``parse_expr``. Two tests follow: an exact one of ours, then the parser's own ``verify`` in
both directions where ours cannot tell. ``verify`` alone is not enough: it rounds, so that
1/2^98 equals 1/2^99, it depends on the order, and its failures look like "different".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify
from sympy.core.relational import Relational

from ssr_local.answers.questions import Pair
from ssr_local.core.records import Comparison

MAX_POWER_BITS = 20_000
MAX_SYMBOLIC_POWER = 60
MAX_FACTORIAL = 500
MAX_NODES = 2_000

FAILURES = (
    ArithmeticError,
    AttributeError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    sympy.PolynomialError,
)
"""What the algebra raises on expressions that it cannot work with."""
_FUNCTION = re.compile(
    r"(?<![A-Za-z\\])(arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|log|ln|exp)(?![A-Za-z])"
)
_ROOT = re.compile(r"\\?(?<![A-Za-z])sqrt\s?\(")
_ASSIGNED = re.compile(r"([A-Za-z])\s?=")
_BARE_LOG = re.compile(r"\\log(?![A-Za-z_]|\s*_)")
_POINTS = tuple(sympy.Rational(*p) for p in ((0, 1), (1, 3), (-7, 5), (11, 4), (-23, 2), (41, 1)))

logging.getLogger("math_verify").setLevel(logging.CRITICAL)


class UnfitError(Exception):
    """The text cannot be read, or working it out would take too much."""


def equivalent(pair: Pair) -> Comparison:
    """The verdict on two answers; "undecided" whenever there is doubt."""
    try:
        first, second = read_expression(pair.first), read_expression(pair.second)
    except UnfitError:
        return "undecided"
    same = _same(first, second)
    if same:
        return "equal"
    if same is False and not (_symbols(first) or _symbols(second)):
        return _different(pair)
    verdicts = {_verified(first, second), _verified(second, first)}
    if same is None:
        sure = verdicts == {True} and not _order_is_lost(pair)
        return "equal" if sure else "undecided"
    return _different(pair) if verdicts == {False} else "undecided"


def equivalent_expressions(first: Any, second: Any) -> Comparison:
    """The verdict on two expressions by the exact test alone."""
    same = _same(first, second)
    if same is None:
        return "undecided"
    return "equal" if same else "different"


def _order_is_lost(pair: Pair) -> bool:
    """A pair against a set, or "x=1, y=2" against "1, 2": which is which cannot be seen.

    ``verify`` accepts these; in a vote they would make (1, 2) and (2, 1) one group.
    """
    texts = (pair.first, pair.second)
    if any(text.startswith("(") for text in texts) and any(
        text.startswith(r"\{") for text in texts
    ):
        return True
    named = [len(set(_ASSIGNED.findall(text))) > 1 for text in texts]
    return named[0] != named[1]


def _different(pair: Pair) -> Comparison:
    """A logarithm without a base is read in more than one way."""
    logs = [bool(_BARE_LOG.search(text)) for text in (pair.first, pair.second)]
    return "undecided" if any(logs) else "different"


def read_expression(text: str) -> Any:
    """The expression a text stands for; raises ``UnfitError``."""
    latex = _FUNCTION.sub(r"\\\1 ", _with_root_braces(text))
    config = LatexExtractionConfig(
        normalization_config=NormalizationConfig(
            basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none"
        )
    )
    found = parse(
        f"${latex}$",
        extraction_config=[config],
        fallback_mode="no_fallback",
        parsing_timeout=None,
    )
    if not found:
        raise UnfitError
    expression = found[0]
    _check_size(expression)
    return _standard(expression)


def _with_root_braces(text: str) -> str:
    """``sqrt(...)`` with the braces LaTeX wants."""
    while match := _ROOT.search(text):
        depth, end = 1, match.end()
        while end < len(text) and depth:
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        if depth:
            raise UnfitError
        text = f"{text[: match.start()]}\\sqrt{{{text[match.end() : end - 1]}}}{text[end:]}"
    return text


def _check_size(expression: Any) -> None:
    """Nothing has been worked out yet: the parser builds powers and factorials unevaluated."""
    for number, node in enumerate(sympy.preorder_traversal(expression)):
        if number > MAX_NODES:
            raise UnfitError
        if isinstance(node, sympy.Pow) and not _is_small_power(node):
            raise UnfitError
        if isinstance(node, sympy.factorial):
            argument = node.args[0]
            if argument.is_Integer and argument > MAX_FACTORIAL:
                raise UnfitError
            if not argument.is_Integer and not argument.free_symbols:
                raise UnfitError


def _is_small_power(power: Any) -> bool:
    base, exponent = power.args
    if _numeric_powers(exponent):
        return False
    if exponent.free_symbols or not exponent.is_number:
        return True
    size = abs(exponent.evalf(10))
    if not size.is_number or size.has(sympy.nan, sympy.oo, sympy.zoo):
        return False
    if base.free_symbols:
        return bool(size <= MAX_SYMBOLIC_POWER)
    magnitude = abs(base.evalf(10)) if not base.has(sympy.factorial) else sympy.Integer(10) ** 100
    if not magnitude.is_number or magnitude.has(sympy.nan, sympy.zoo):
        return False
    bits = sympy.log(magnitude + 2, 2).evalf(10)
    return bool(size * bits <= MAX_POWER_BITS)


def _numeric_powers(exponent: Any) -> bool:
    """Whether a power stands in an exponent whose own exponent is no root or inverse."""
    return any(
        not (power.exp.is_Rational and abs(power.exp) <= 2) for power in exponent.atoms(sympy.Pow)
    )


def _standard(expression: Any) -> Any:
    """Decimals as exact fractions, and the letters that stand for constants."""
    if not isinstance(expression, (sympy.Basic, sympy.MatrixBase)):
        raise UnfitError
    numbers = {number: sympy.Rational(str(number)) for number in expression.atoms(sympy.Float)}
    symbols = {
        symbol: sympy.E
        for symbol in expression.free_symbols
        if isinstance(symbol, sympy.Symbol) and symbol.name in ("e", "E")
    }
    return expression.xreplace({**numbers, **symbols})


def _verified(first: Any, second: Any) -> bool | None:
    try:
        return bool(
            verify(
                first,
                second,
                timeout_seconds=None,
                raise_on_error=True,
                allow_set_relation_comp=True,
            )
        )
    except FAILURES:
        return None


def _same(a: Any, b: Any) -> bool | None:
    """Exactly equal, exactly different, or None when this test cannot tell."""
    try:
        if isinstance(a, Relational) or isinstance(b, Relational):
            return _same_relation(a, b)
        if isinstance(a, sympy.MatrixBase) and isinstance(b, sympy.MatrixBase):
            if a.shape != b.shape:
                return False
            return _all(_same(x, y) for x, y in zip(a.flat(), b.flat(), strict=True))
        if isinstance(a, (sympy.Set, sympy.Tuple)) or isinstance(b, (sympy.Set, sympy.Tuple)):
            return _same_collection(a, b)
        if isinstance(a, sympy.Expr) and isinstance(b, sympy.Expr):
            return _same_value(a, b)
    except FAILURES:
        pass
    return None


def _same_collection(a: Any, b: Any) -> bool | None:
    if isinstance(a, sympy.Interval) and isinstance(b, sympy.Interval):
        if (a.left_open, a.right_open) != (b.left_open, b.right_open):
            return False
        return _all((_same(a.start, b.start), _same(a.end, b.end)))
    rows, columns = _row(a), _row(b)
    if rows is not None and columns is not None:
        if len(rows) != len(columns):
            return False
        return _all(_same(x, y) for x, y in zip(rows, columns, strict=True))
    left, right = _members(a), _members(b)
    if left is not None and right is not None:
        members = _all(
            [*(_is_in(x, right) for x in left), *(_is_in(y, left) for y in right)],
        )
        # A pair and a set of the same two numbers: only their order can differ.
        return members if rows is None and columns is None else (members and None)
    if isinstance(a, sympy.Set) and isinstance(b, sympy.Set):
        empty: bool | None = sympy.SymmetricDifference(a.doit(), b.doit()).is_empty
        return empty
    return None


def _row(value: Any) -> tuple[Any, ...] | None:
    """The entries of a tuple; (1, 2) reads as an open interval and may be either."""
    if isinstance(value, sympy.Interval) and value.is_open:
        return (value.start, value.end)
    return value.args if isinstance(value, sympy.Tuple) else None


def _members(value: Any) -> tuple[Any, ...] | None:
    """The members of a finite collection; a value alone is a collection of one."""
    if isinstance(value, sympy.FiniteSet):
        return tuple(value.args)
    return (value,) if isinstance(value, sympy.Expr) else _row(value)


def _is_in(value: Any, members: Iterable[Any]) -> bool | None:
    unsure = False
    for member in members:
        same = _same(value, member)
        if same:
            return True
        unsure = unsure or same is None
    return None if unsure else False


def _same_relation(a: Any, b: Any) -> bool | None:
    if not (isinstance(a, Relational) and isinstance(b, Relational)):
        equation, other = (a, b) if isinstance(a, Relational) else (b, a)
        if isinstance(equation, sympy.Eq) and isinstance(other, sympy.Expr):
            # "y = 2x" and "2x": whether the name matters is for verify to say.
            return False if _same(equation.rhs, other) is False else None
        return None
    a, b = _upwards(a), _upwards(b)
    if isinstance(a, sympy.Eq) != isinstance(b, sympy.Eq):
        return False
    f, g = _with_plain_symbols(a.lhs - a.rhs, b.lhs - b.rhs)
    ratio = sympy.simplify(f.doit() / g.doit())
    if ratio.is_number and ratio.is_finite and ratio != 0:
        return type(a) is type(b) and (isinstance(a, sympy.Eq) or bool(ratio > 0))
    symbols = f.free_symbols | g.free_symbols
    if symbols and all(sympy.Poly(side, *symbols).total_degree() == 1 for side in (f, g)):
        return False
    return None


def _upwards(relation: Any) -> Any:
    if isinstance(relation, (sympy.GreaterThan, sympy.StrictGreaterThan)):
        return relation.reversed
    return relation


def _same_value(a: Any, b: Any) -> bool | None:
    a, b = _with_plain_symbols(a.doit(), b.doit())
    if a.has(sympy.nan, sympy.zoo) or b.has(sympy.nan, sympy.zoo):
        return None
    if a.has(sympy.oo, -sympy.oo) or b.has(sympy.oo, -sympy.oo):
        return bool(a == b) if not (_symbols(a) or _symbols(b)) else None
    same = _same_expression(a, b)
    imaginary = [symbol for symbol in _symbols(a) | _symbols(b) if symbol.name == "i"]
    if not same and imaginary:
        unit = {imaginary[0]: sympy.I}
        if _same_expression(a.subs(unit), b.subs(unit)):
            return True
    return same


def _same_expression(a: Any, b: Any) -> bool | None:
    difference = a - b
    if difference == 0:
        return True
    symbols = sorted(_symbols(a) | _symbols(b), key=str)
    if not symbols:
        is_other = difference.is_Rational or _far_apart(a, b)
        return False if is_other else _proved_zero(difference)
    near = _agree_at_points(a, b, symbols, _POINTS[1::2])
    if near is False:
        return None if _renamed(a, b) else False
    if _agree_at_points(a, b, symbols, _POINTS) is False:
        return None  # equal for some signs of the variables only
    return _proved_zero(difference)


def _proved_zero(difference: Any) -> bool | None:
    steps: tuple[Callable[[Any], Any], ...] = (sympy.simplify, sympy.radsimp, sympy.trigsimp)
    for step in steps:
        difference = step(difference)
        if difference == 0:
            return True
    return True if difference.equals(0) else None


def _agree_at_points(a: Any, b: Any, symbols: list[Any], points: tuple[Any, ...]) -> bool | None:
    """False when the values differ at some point."""
    for shift in range(len(points)):
        place = {s: points[(shift + i) % len(points)] for i, s in enumerate(symbols)}
        if _far_apart(a.subs(place), b.subs(place)):
            return False
    return None


def _far_apart(a: Any, b: Any) -> bool:
    """Whether two constants differ for sure, in their leading twenty digits."""
    values = [abs(value.evalf(30)) for value in (a, b, a - b)]
    if not all(value.is_Float or value.is_Rational for value in values):
        return False
    return bool(values[2] > max(values[0], values[1]) * sympy.Rational(1, 10**20))


def _renamed(a: Any, b: Any) -> bool:
    """The same function of a variable with another name."""
    first, second = _symbols(a), _symbols(b)
    if len(first) != 1 or len(second) != 1 or first == second:
        return False
    return bool(sympy.simplify(a - b.subs(second.pop(), first.pop())) == 0)


def _with_plain_symbols(a: Any, b: Any) -> tuple[Any, Any]:
    """Symbols by name alone: the parser calls them real in one text and not in another."""
    symbols = _symbols(a) | _symbols(b)
    real = all(symbol.is_real for symbol in symbols) or None
    plain = {symbol: sympy.Symbol(symbol.name, real=real) for symbol in symbols}
    return a.xreplace(plain), b.xreplace(plain)


def _symbols(expression: Any) -> set[Any]:
    return set(getattr(expression, "free_symbols", ()))


def _all(results: Iterable[bool | None]) -> bool | None:
    """False if any is, else None if any is, else True."""
    found = list(results)
    if any(result is False for result in found):
        return False
    return None if any(result is None for result in found) else True
