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

from ssr_local.answers.questions import EquationQuestion, EquationVerdict, Pair
from ssr_local.mathtext.claims import Claim, Member, claims_in
from ssr_local.mathtext.forms import normalise
from ssr_local.mathtext.tokens import OTHER_NUMBERS, lone_letters
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
_NO_SOLUTION = re.compile(
    r"\b(?:no (?:real )?(?:solutions?|answers?)|contradict\w*|impossible|never|absurd"
    r"|inconsistent)\b",
    re.IGNORECASE,
)
_CASES = re.compile(r"\b(?:or|either|cases?)\b|±|\\pm(?![A-Za-z])", re.IGNORECASE)
_BRANCHES = re.compile(r"[|±]|\\pm(?![A-Za-z])|\\[lr]vert")
_OTHER_NUMBERS = re.compile(rf"\b(?:{'|'.join(sorted(OTHER_NUMBERS))})\b", re.IGNORECASE)
_CONSTANTS = frozenset("eEI")  # of the parser
_UNIT_LETTERS = frozenset("gmhslLCFWVJNKA")
_NUMBER_UNITS = frozenset(
    (
        *("dozen", "pair", "couple", "gross", "score", "hundred", "thousand", "million", "one"),
        *("ten", "tenth", "hundredth", "thousandth", "am", "pm", "o'clock"),
    )
)
_RATIOS = frozenset(map(Fraction, (7, 12, 24, 60, 100, 365, 1000, 3600)))
_THOUSANDS = re.compile(r"(?<![\d.])[1-9]\d{0,2}\.\d{3}(?!\d)")


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
        self._counts_otherwise = bool(_OTHER_NUMBERS.search(problem))
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
            denies=bool(_NO_SOLUTION.search(text)),
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
        by_value = _by_value(claim)
        if by_value is not None:
            doubtful = self._counts_otherwise or manner.denies
            is_equal = by_value.verdict == "equal"
            return by_value if is_equal or not doubtful else EquationVerdict("undecided")
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


# Numbers -------------------------------------------------------------------------------


def _by_value(claim: Claim) -> EquationVerdict | None:
    """The finding on plain numbers, None where something is no number."""
    first, second = _values(claim.first)[:1], _values(claim.second)
    if claim.first.percent:
        second = second[:1]  # 12/48 * 100 = 25%, but 20% of 50 is not 1000
    if not first or not second:
        return None
    if first[0] in second:
        return EquationVerdict("equal")
    rounded = _unless_rounded(claim)
    if rounded is not None:
        return rounded
    is_bare = not (claim.first.has_operator or claim.second.has_operator)
    if is_bare or _has_rate(claim) or _may_be_converted(claim, first[0], second[0]):
        return EquationVerdict("undecided")  # 3 hours = 180 minutes
    if (claim.first.percent or claim.second.percent) and any(
        abs(first[0] - one) * 50 <= max(abs(first[0]), abs(one)) for one in second
    ):
        return EquationVerdict("undecided")  # 2/3 = 67%
    if _THOUSANDS.search(claim.first.text + " " + claim.second.text):
        return EquationVerdict("undecided")  # 1.500 is fifteen hundred to many
    return EquationVerdict("different", f"{_shown(first[0])} is not {_shown(second[0])}")


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


def _unless_rounded(claim: Claim) -> EquationVerdict | None:
    """``10/3 = 3.33`` and ``2/3 = 0.66`` round, sums do not; ``≈`` rounds as it likes."""
    sides = [_values(member) for member in (claim.first, claim.second)]
    if not all(sides):
        return EquationVerdict("undecided") if claim.sign == "≈" else None
    first, second = sides[0][0], sides[1][0]
    gap = abs(first - second)
    if claim.sign == "≈":
        near = gap <= max(abs(first), abs(second)) / 10
        return EquationVerdict("equal" if near else "undecided")
    if _is_exact_sum(claim):
        return None
    decimals = "." in claim.first.text + claim.second.text
    if decimals and 0 < gap * 200 <= max(abs(first), abs(second)):
        unit = Fraction(1, 10 ** max(_places(claim.first) or 0, _places(claim.second) or 0))
        return EquationVerdict("equal" if gap <= unit / 2 else "undecided")
    for exact, member in ((first, claim.second), (second, claim.first)):
        places = _places(member)
        if places is None:
            continue
        unit = Fraction(1, 10**places)
        if (exact / unit).denominator != 1 and gap < unit:
            return EquationVerdict("equal" if places and gap <= unit / 2 else "undecided")
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


def _may_be_converted(claim: Claim, first: Fraction, second: Fraction) -> bool:
    """Whether units are mixed that nobody converted, or words stand there that are numbers."""
    left, right = ({_singular(unit) for unit in one.units} for one in (claim.first, claim.second))
    if not _NUMBER_UNITS.isdisjoint(left | right):
        return True
    if left and right and not right <= left:
        return True
    if len(left) > 1 and re.search(r"[-+]", claim.first.text[1:]):
        return True
    is_scaled = first and second and max(first / second, second / first) in _RATIOS
    return bool(is_scaled and (left or right))


def _singular(unit: str) -> str:
    return unit[:-1] if unit.endswith("s") and not unit.endswith("ss") else unit


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    tidy = f"{float(value):.6g}"
    return tidy if Fraction(tidy) == value else f"{value} (about {tidy})"
