"""What algebra says of a student's steps, one after the other, without any model.

A step holds when all its equations do, does not hold when one is refuted, and is undecided
otherwise. Numbers are compared exactly here; unknowns go to the helper process. Where a
doubt is left, for a rounding, a unit or a letter with two meanings, nothing is refuted: a
right step must never be called wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Literal, NamedTuple

from msgspec import Struct

from ssr_local.answers import normalise
from ssr_local.answers.questions import Equation, Finding, Question
from ssr_local.answers.values import exact_value
from ssr_local.isolation import Helper, HelperDied, HelperRaised, HelperTimeout
from ssr_local.tutoring.claims import Claim, Member, claims_in
from ssr_local.tutoring.tokens import lone_letters

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
_NO_SOLUTION = re.compile(
    r"\b(?:no (?:real )?(?:solutions?|answers?)|contradict\w*|impossible|never|absurd"
    r"|inconsistent)\b",
    re.IGNORECASE,
)
_CASES = re.compile(r"\b(?:or|either|cases?)\b|±|\\pm(?![A-Za-z])", re.IGNORECASE)
_CONSTANTS = frozenset("eEI")  # of the parser
_UNIT_LETTERS = frozenset("gmhslLCFWVJNKA")
_SCALES: dict[str, str] = {
    unit: dimension
    for dimension, units in {
        "time": "second seconds sec minute minutes min hour hours hr hrs day days week weeks"
        " month months year years",
        "length": "mm cm dm m km meter meters metre metres inch inches foot feet ft yard yards"
        " mile miles centimeters centimetres kilometers kilometres millimeters",
        "mass": "g kg mg gram grams kilogram kilograms pound pounds ounce ounces ton tons",
        "volume": "ml cl l liter liters litre litres gallon gallons cup cups pint pints quart"
        " quarts",
        "money": "cent cents dollar dollars dime dimes nickel nickels penny pennies quarter"
        " quarters euro euros",
        "number": "dozen dozens pair pairs couple couples gross score scores hundred thousand ones"
        " tens hundreds thousands tenths hundredths thousandths millions am pm o'clock",
    }.items()
    for unit in units.split()
}


class ClaimFinding(Struct, frozen=True):
    """What algebra says of one equation; ``detail`` why it does not hold."""

    claim: str
    says: Says
    detail: str = ""


class StepFinding(Struct, frozen=True):
    """What algebra says of a step: its equations, and all of them together."""

    says: Says
    claims: tuple[ClaimFinding, ...] = ()

    @property
    def reason(self) -> str:
        """The first equation that does not hold, in a sentence; "" when none is refuted."""
        for one in self.claims:
            if one.says == "does not hold":
                return f"{one.claim} does not hold: {one.detail}."
        return ""


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
        findings = [self._claim(claim, text) for claim in claims_in(text)[:MAX_CLAIMS]]
        if _CASES.search(text):
            self._premises = before  # each holds in its own case
        says = {one.says for one in findings}
        overall: Says = "undecided"
        if "does not hold" in says:
            overall = "does not hold"
        elif says == {"holds"}:
            overall = "holds"
        return StepFinding(overall, tuple(findings))

    def _claim(self, claim: Claim, text: str) -> ClaimFinding:
        finding = self._judged(claim, text)
        says: Says = "undecided"
        if finding.verdict == "equal":
            says = "holds"
        elif finding.verdict == "different" and claim.sure:
            says = "does not hold"
        if says != "does not hold" and claim.sure and not self._has_units(_symbols(claim)):
            self._remember(claim)
        return ClaimFinding(claim.shown, says, finding.detail if says == "does not hold" else "")

    def _judged(self, claim: Claim, text: str) -> Finding:
        by_value = _by_value(claim)
        if by_value is not None:
            return by_value
        sides = (claim.first.text, claim.second.text)
        if self._helper is None or claim.sign == "≈" or any(len(one) > MAX_CHARS for one in sides):
            return Finding("undecided")
        if claim.first.percent or claim.second.percent:
            return Finding("undecided")
        symbols = _symbols(claim)
        if len({symbol.lower() for symbol in symbols}) < len(symbols):
            return Finding("undecided")  # the parser takes A and a for one
        if not _CONSTANTS.isdisjoint(symbols) or self._has_units(symbols):
            return Finding("undecided")
        if _NO_SOLUTION.search(text) or any(
            _equation(claim) == one.equation for one in self._given
        ):
            return Finding("undecided")
        is_supposed = bool(symbols) and (claim.opens or not _SUPPOSED.isdisjoint(claim.lead))
        if is_supposed:
            self._premises = list(self._given)  # what held under another value is void
        about = [one.equation for one in self._premises if one.symbols == symbols]
        if _CASES.search(text):
            about = [one.equation for one in self._given if one.symbols == symbols]
        if len(symbols) > 1 and claim.first.text in symbols:
            # y = 2x + 1 and y = x + 4 are two lines, and both are right.
            about = [one for one in about if one.first != claim.first.text]
        if not about and _is_assignment(claim):
            self._chosen |= symbols  # n = 1, and then perhaps n = 2
        if symbols <= self._chosen:
            about = []
        question = Question(
            _equation(claim),
            tuple(about[-MAX_PREMISES:]),
            rewrites=not is_supposed and self._rewrites(claim, text),
        )
        try:
            finding: Finding = self._helper.call(
                HOLDS,
                question,
                timeout_s=TIMEOUT_S,
                type=Finding,
                should_stop=self._should_stop,
            )
        except (HelperTimeout, HelperDied, HelperRaised):
            return Finding("undecided")
        return finding

    def _remember(self, claim: Claim) -> None:
        symbols = _symbols(claim)
        if symbols and claim.sign == "=":
            self._premises.append(_Premise(_equation(claim), symbols))

    def _rewrites(self, claim: Claim, text: str) -> bool:
        """Whether the second side is the first one written otherwise: said, or chained on.

        Where an equation in these letters is solved, sides are equal for some values only.
        """
        symbols = claim.first.symbols
        if symbols != claim.second.symbols or self._solves:
            return False
        if any(one.symbols == symbols for one in self._premises):
            return False
        stands_alone = normalise(claim.first.text) in self._stated and claim.first.has_operator
        return claim.chained or bool(_REWRITING.search(text)) or stands_alone

    def _has_units(self, symbols: frozenset[str]) -> bool:
        """Whether letters are units: 750 g, where g stands behind numbers only."""
        return bool(symbols & (_UNIT_LETTERS - self._lone))


class _Premise(NamedTuple):
    equation: Equation
    symbols: frozenset[str]


def _symbols(claim: Claim) -> frozenset[str]:
    return claim.first.symbols | claim.second.symbols


def _is_assignment(claim: Claim) -> bool:
    return not claim.first.has_operator and exact_value(claim.second.text) is not None


def _equation(claim: Claim) -> Equation:
    return Equation(claim.first.text, claim.second.text)


# Numbers -------------------------------------------------------------------------------


def _by_value(claim: Claim) -> Finding | None:
    """The finding on plain numbers, None where something is no number."""
    readings = [_values(member) for member in (claim.first, claim.second)]
    if not all(readings):
        return None
    if any(a == b for a in readings[0] for b in readings[1]):
        return Finding("equal")
    rounded = _unless_rounded(claim)
    if rounded is not None:
        return rounded
    if (
        _has_rate(claim)
        or _may_be_converted(claim)
        or not (claim.first.has_operator or claim.second.has_operator)
    ):
        return Finding("undecided")  # 3 hours = 180 minutes
    return Finding("different", f"{_shown(readings[0][0])} is not {_shown(readings[1][0])}")


def _has_rate(claim: Claim) -> bool:
    """``50 - 20%`` is 40 to some."""
    return any(
        member.percent and re.search(r"[-+]", member.percent[1:])
        for member in (claim.first, claim.second)
    )


def _values(member: Member) -> list[Fraction]:
    """The number a member may be: a percentage is a share, or so many hundredths."""
    found = [exact_value(text) for text in (member.text, member.percent) if text]
    return [value for value in found if value is not None]


def _unless_rounded(claim: Claim) -> Finding | None:
    """``10/3 = 3.33`` and ``2/3 = 0.66`` round, sums do not; ``≈`` rounds as it likes."""
    sides = [_values(member) for member in (claim.first, claim.second)]
    if not all(sides):
        return Finding("undecided") if claim.sign == "≈" else None
    first, second = sides[0][0], sides[1][0]
    gap = abs(first - second)
    if claim.sign == "≈":
        near = gap <= max(abs(first), abs(second)) / 10
        return Finding("equal" if near else "undecided")
    if _is_exact_sum(claim):
        return None
    decimals = "." in claim.first.text + claim.second.text
    if decimals and 0 < gap * 200 <= max(abs(first), abs(second)):
        unit = Fraction(1, 10 ** max(_places(claim.first) or 0, _places(claim.second) or 0))
        return Finding("equal" if gap <= unit / 2 else "undecided")
    for exact, member in ((first, claim.second), (second, claim.first)):
        places = _places(member)
        if places is None:
            continue
        unit = Fraction(1, 10**places)
        if (exact / unit).denominator != 1 and gap < unit:
            return Finding("equal" if places and gap <= unit / 2 else "undecided")
    return None


def _is_exact_sum(claim: Claim) -> bool:
    """A sum of decimals that its result has room for."""
    terms, result = claim.first.text, _places(claim.second)
    if result is None or not re.fullmatch(r"-?\d+(?:\.\d+)?(?:[-+]\d+(?:\.\d+)?)+", terms):
        return False
    return all(len(one) <= result for one in re.findall(r"\.(\d+)", terms))


def _places(member: Member) -> int | None:
    """The decimals of a plain number, None for anything else."""
    match = re.fullmatch(r"-?\d+(?:\.(\d+))?", member.text)
    return None if match is None else len(match[1] or "")


def _may_be_converted(claim: Claim) -> bool:
    """Whether units of one kind are mixed, or words that are numbers: nobody converted them."""
    units = {_singular(unit) for member in (claim.first, claim.second) for unit in member.units}
    known = [_SCALES[unit] for unit in units if unit in _SCALES]
    return "number" in known or len(known) > len(set(known))


def _singular(unit: str) -> str:
    return unit[:-1] if unit.endswith("s") and unit[:-1] in _SCALES else unit


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    tidy = f"{float(value):.6g}"
    return tidy if Fraction(tidy) == value else f"{value} (about {tidy})"
