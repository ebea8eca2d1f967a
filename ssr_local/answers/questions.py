"""What the helper is asked about answers and equations, and what it finds. Pure."""

from __future__ import annotations

from msgspec import Struct

from ssr_local.core.records import Comparison


class Pair(Struct, frozen=True):
    """Two normalised answers, or the two sides of an equation."""

    first: str
    second: str


class EquationQuestion(Struct, frozen=True):
    """An equation and those that stand before it, the oldest first.

    ``rewrites`` says that the second side is meant as the first one written otherwise.
    """

    equation: Pair
    premises: tuple[Pair, ...] = ()
    rewrites: bool = False


class EquationVerdict(Struct, frozen=True):
    """``detail`` says why it does not hold: a counterexample or the two sides' values."""

    verdict: Comparison
    detail: str = ""
