"""What algebra says of a student's steps, one after the other, without any model.

A step holds when all its equations do, does not hold when one is refuted, and is undecided
otherwise. Numbers are compared exactly here; unknowns go to the helper process. Where a
doubt is left, for a rounding, a unit or a letter with two meanings, nothing is refuted: a
right step must never be called wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from msgspec import Struct

from ssr_local.answers.arithmetic import by_value, counts_otherwise, denies
from ssr_local.answers.questions import EquationQuestion, EquationVerdict, Pair
from ssr_local.mathtext.claims import Claim, claims_in
from ssr_local.mathtext.forms import normalise
from ssr_local.mathtext.tokens import lone_letters
from ssr_local.mathtext.values import exact_value
from ssr_local.process.helper import Helper, HelperDied, HelperRaised, HelperTimeout

HOLDS = "ssr_local.answers.relations:holds"
"""The helper's function; ``helper.warm(HOLDS)`` imports the algebra ahead of time."""

Says = Literal["holds", "does not hold", "undecided"]

MAX_CHARS = 300
MAX_CLAIMS = 60
TIMEOUT_S = 5.0

MAX_PREMISES = 12
_SUPPOSED = frozenset(
    (
        *("let", "suppose", "supposing", "assume", "assuming", "if", "case", "define", "denote"),
        *("say", "try", "trying", "guess", "test", "plug", "plugging", "substitute"),
        *("substituting", "when", "for", "at", "where", "with", "part", "question", "another"),
        *("new", "now", "instead"),
    )
)
_REWRITING = re.compile(
    r"\b(?:expand\w*|simplif\w*|factor\w*|multiply\w* out|rewrit\w*|distribut\w*)\b", re.IGNORECASE
)
_SOLVING = re.compile(
    r"=|\b(?:equals?|same|meet|meets|intersects?|cross|crosses|solve|roots?|zeros?|solutions?)\b",
    re.IGNORECASE,
)
_CASES = re.compile(r"\b(?:or|either|cases?)\b|±|\\pm(?![A-Za-z])", re.IGNORECASE)
_BRANCHES = re.compile(r"[|±]|\\pm(?![A-Za-z])|\\[lr]vert")
_CONSTANTS = frozenset("eEI")  # of the parser
_UNIT_LETTERS = frozenset("gmhslLCFWVJNKA")


class StepFinding(Struct, frozen=True):
    """What algebra says of all equations of a step; ``reason`` is the first that it refutes."""

    says: Says
    reason: str = ""


class Algebra:
    """Checks the steps of one worked solution in their order.

    ``helper`` does the algebra with unknowns; without one only arithmetic is checked.
    """

    def __init__(
        self,
        problem: str,
        helper: Helper | None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._helper = helper
        self._should_stop = should_stop
        self._stated = normalise(problem.replace("$", " "))
        self._solves = bool(_SOLVING.search(problem))
        self._branches = bool(_BRANCHES.search(problem))
        self._counts_otherwise = counts_otherwise(problem)
        self._lone = lone_letters(problem)
        self._premises: list[_Premise] = []
        for claim in claims_in(problem):
            if claim.sure and not claim.opens and _SUPPOSED.isdisjoint(claim.lead):
                self._remember(claim)
        self._given = tuple(self._premises)
        self._chosen: frozenset[str] = frozenset()

    def step(self, text: str) -> StepFinding:
        """What it says of the next step. What does not hold is no premise of later ones."""
        self._lone |= lone_letters(text)
        before = list(self._premises)
        manner = _Manner(
            in_cases=self._branches or bool(_CASES.search(text)),
            denies=denies(text),
            rewrites=bool(_REWRITING.search(text)),
        )
        findings = [self._claim(claim, manner) for claim in claims_in(text)[:MAX_CLAIMS]]
        if manner.in_cases:
            self._premises = before  # each holds in its own case
        refuted = next((one for one in findings if one.says == "does not hold"), None)
        is_proven = bool(findings) and all(one.says == "holds" for one in findings)
        return refuted or StepFinding("holds" if is_proven else "undecided")

    def _claim(self, claim: Claim, manner: _Manner) -> StepFinding:
        finding = self._judged(claim, manner)
        if finding.verdict == "different" and claim.sure:
            return StepFinding("does not hold", f"{claim.shown} does not hold: {finding.detail}.")
        if claim.sure and not self._has_units(_symbols(claim)):
            self._remember(claim)
        return StepFinding("holds" if finding.verdict == "equal" else "undecided")

    def _judged(self, claim: Claim, manner: _Manner) -> EquationVerdict:
        of_numbers = by_value(claim)
        if of_numbers is not None:
            doubtful = self._counts_otherwise or manner.denies
            is_equal = of_numbers.verdict == "equal"
            return of_numbers if is_equal or not doubtful else EquationVerdict("undecided")
        sides = (claim.first.text, claim.second.text)
        if self._helper is None or claim.sign == "≈" or any(len(one) > MAX_CHARS for one in sides):
            return EquationVerdict("undecided")
        if claim.first.percent or claim.second.percent:
            return EquationVerdict("undecided")
        symbols = _symbols(claim)
        if len({symbol.lower() for symbol in symbols}) < len(symbols):
            return EquationVerdict("undecided")  # the parser takes A and a for one
        if not _CONSTANTS.isdisjoint(symbols) or self._has_units(symbols):
            return EquationVerdict("undecided")
        if manner.denies or any(_equation(claim) == one.equation for one in self._given):
            return EquationVerdict("undecided")
        is_supposed = bool(symbols) and (claim.opens or not _SUPPOSED.isdisjoint(claim.lead))
        if is_supposed:
            self._premises = list(self._given)  # what held under another value is void
        about = [one.equation for one in self._premises if one.symbols == symbols]
        if manner.in_cases:
            about = [one.equation for one in self._given if one.symbols == symbols]
        if len(symbols) > 1 and claim.first.text in symbols:
            # y = 2x + 1 and y = x + 4 are two lines, and both are right.
            about = [one for one in about if one.first != claim.first.text]
        if not (about or claim.first.has_operator) and exact_value(claim.second.text) is not None:
            self._chosen |= symbols  # n = 1, and then perhaps n = 2
        if symbols <= self._chosen:
            about = []
        question = EquationQuestion(
            _equation(claim),
            tuple(about[-MAX_PREMISES:]),
            rewrites=not is_supposed and self._rewrites(claim, manner),
        )
        try:
            finding: EquationVerdict = self._helper.call(
                HOLDS,
                question,
                timeout_s=TIMEOUT_S,
                type=EquationVerdict,
                should_stop=self._should_stop,
            )
        except (HelperTimeout, HelperDied, HelperRaised):
            return EquationVerdict("undecided")
        return finding

    def _remember(self, claim: Claim) -> None:
        symbols = _symbols(claim)
        if symbols and claim.sign == "=":
            self._premises.append(_Premise(_equation(claim), symbols))

    def _rewrites(self, claim: Claim, manner: _Manner) -> bool:
        """Whether the second side is the first one written otherwise: said, or chained on.

        Where an equation in these letters is solved, sides are equal for some values only.
        """
        symbols = claim.first.symbols
        if symbols != claim.second.symbols or self._solves:
            return False
        if any(one.symbols == symbols for one in self._premises):
            return False
        stands_alone = normalise(claim.first.text) in self._stated and claim.first.has_operator
        return claim.chained or manner.rewrites or stands_alone

    def _has_units(self, symbols: frozenset[str]) -> bool:
        """Whether letters are units: 750 g, where g stands after numbers only."""
        return bool(symbols & (_UNIT_LETTERS - self._lone))


class _Manner(NamedTuple):
    """How a step speaks: of cases, of what cannot be, of the same in another form."""

    in_cases: bool
    denies: bool
    rewrites: bool


class _Premise(NamedTuple):
    equation: Pair
    symbols: frozenset[str]


def _symbols(claim: Claim) -> frozenset[str]:
    return claim.first.symbols | claim.second.symbols


def _equation(claim: Claim) -> Pair:
    return Pair(claim.first.text, claim.second.text)
