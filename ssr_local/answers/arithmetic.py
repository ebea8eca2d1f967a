"""What exact arithmetic says of equations between plain numbers, without the helper.

Where a doubt is left, for a rounding or a unit, nothing is refuted: a right step must never
be called wrong.
"""

from __future__ import annotations

import re
from fractions import Fraction

from ssr_local.answers.questions import EquationVerdict
from ssr_local.mathtext.claims import Claim, Member, claims_in
from ssr_local.mathtext.tokens import OTHER_NUMBERS
from ssr_local.mathtext.values import exact_value

_MAX_CHARS = 4000
_MAX_CLAIMS = 60
_NO_SOLUTION = re.compile(
    r"\b(?:no (?:real )?(?:solutions?|answers?)|contradict\w*|impossible|never|absurd"
    r"|inconsistent)\b",
    re.IGNORECASE,
)
_OTHER_NUMBERS = re.compile(rf"\b(?:{'|'.join(sorted(OTHER_NUMBERS))})\b", re.IGNORECASE)
_OWN_OPERATION = re.compile(r"\boperations?\b|(?<![A-Za-z])[a-z] ?\* ?[a-z] ?=", re.IGNORECASE)
_NUMBER_UNITS = frozenset(
    (
        *("dozen", "pair", "couple", "gross", "score", "hundred", "thousand", "million", "one"),
        *("ten", "tenth", "hundredth", "thousandth", "am", "pm", "o'clock"),
    )
)
_RATIOS = frozenset(map(Fraction, (7, 12, 24, 60, 100, 365, 1000, 3600)))
_THOUSANDS = re.compile(r"(?<![\d.])[1-9]\d{0,2}\.\d{3}(?!\d)")
_PLAIN = re.compile(r"(?:[-+*/^(){}.\d ]|\\d?frac\b)+")
_READ_TWO_WAYS = re.compile(
    r"/\s*[\d.]+\s*(?:/|\*\()"  # 6 / 1/2, 8 / 2(2 + 2)
    r"|\d \d"  # a mixed number, or one that was split
    r"|(?<![\d.])0\d"  # what is left of 15,\!000
    r"|(?<!\d)\."  # .8 + . 84 + .82
    r"|^\s*\+"  # the number of bikes + 12 - 18
)
_MEASURES = frozenset(
    (
        *("second", "sec", "minute", "min", "hour", "hr", "day", "week", "month", "year"),
        *("inch", "inche", "foot", "feet", "yard", "mile", "meter", "metre", "kilometer", "km"),
        *("centimeter", "cm", "millimeter", "mm", "ounce", "oz", "pound", "lb", "ton", "gram"),
        *("kilogram", "kg", "liter", "litre", "milliliter", "ml", "gallon", "quart", "pint"),
        *("cup", "cent", "penny", "pennie", "quarter", "dime", "nickel"),
    )
)
_CONNECTIVES = frozenset(
    ("because", "since", "so", "as", "then", "and", "or", "that", "which", "thus", "but")
)
_FUNCTIONS = frozenset(
    ("sqrt", "log", "ln", "gcd", "lcm", "max", "min", "abs", "floor", "ceil", "mod")
)
_COMPOUND = re.compile(  # 14, 400; 2 hours 15 minutes
    r"\d,\s\d{3}\b|\d\s*(?:hours?|hrs?|minutes?|days?|weeks?|months?|years?|feet|foot|ft|yards?|pounds?|lbs?"
    r"|meters?|dollars?|gallons?|quarts?)\s*(?:and\s|,)?\s*\$?\d",
    re.IGNORECASE,
)
_TRIED = frozenset(
    (
        *("if", "try", "trying", "guess", "test", "plug", "plugging", "substitute", "suppose"),
        *("substituting", "assume", "assuming", "supposing", "check", "checking"),
    )
)


def denies(step: str) -> bool:
    """Whether a step says that something cannot be, so that a false equation is in its place."""
    return bool(_NO_SOLUTION.search(step))


def counts_otherwise(problem: str) -> bool:
    """Whether a problem is about numbers that are not meant exactly, in another base, or with an
    operation of its own."""
    return bool(_OTHER_NUMBERS.search(problem) or _OWN_OPERATION.search(problem))


def refuted_claim(step: str, problem: str) -> str:
    """The first equation between plain numbers that a model's step states and that is wrong.

    As it is written, "70 + 420 = 480"; "" without one. Linear in the step's length. Stricter
    than ``by_value`` about what it takes for plain, since nobody looks at a step it refutes.
    """
    if denies(step) or counts_otherwise(problem) or _COMPOUND.search(step):
        return ""
    for claim in claims_in(step[:_MAX_CHARS])[:_MAX_CLAIMS]:
        if claim.sure and _is_plain(claim):
            verdict = by_value(claim)
            if verdict is not None and verdict.verdict == "different":
                return claim.shown
    return ""


def _is_plain(claim: Claim) -> bool:
    """Whether nothing in the claim can be meant otherwise than it is read."""
    sides = (claim.first, claim.second)
    if any(not _PLAIN.fullmatch(one.text) or _READ_TWO_WAYS.search(one.text) for one in sides):
        return False
    left, right = ({_singular(unit) for unit in one.units} for one in sides)
    if not (_CONNECTIVES | _FUNCTIONS).isdisjoint(left | right):
        return False
    if not (_TRIED | _FUNCTIONS).isdisjoint(claim.lead):
        return False
    if not _MEASURES.isdisjoint(left ^ right) and (left or _may_be_measured_in_other(sides)):
        return False
    if re.fullmatch(r"\d+-\d+", claim.first.text) and not _MEASURES.isdisjoint(
        map(_singular, claim.lead)
    ):
        return False  # weeks 1-2
    values = [_values(one)[:1] for one in sides]
    if claim.second.has_operator and values[0] == [exact_value(_first_number(claim.second))]:
        return False  # 5 * 3 = 15 + 2 = 17
    if re.fullmatch(r"[-\d.]+", claim.first.percent or claim.first.text):
        return not (left or right)  # 8 batches = 5.5 * 8
    is_share = re.fullmatch(r"\d+/\d+|\\d?frac\{\d+\}\{\d+\}", claim.first.text)
    if is_share and all(values) and values[0][0] < 1:  # 3/4 = $15
        return not (left or right) and values[1][0] < 1
    return True


def _first_number(member: Member) -> str:
    found = re.match(r"-?[\d.]+", member.text)
    return found[0] if found else ""


def _may_be_measured_in_other(sides: tuple[Member, Member]) -> bool:
    """Whether one side is a multiple of the other: ``30 * 4 = 2 hours``."""
    low, high = sorted(abs(value) for one in sides for value in _values(one)[:1])
    return not low or (high / low).denominator == 1


def by_value(claim: Claim) -> EquationVerdict | None:
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
    """``50 - 20%`` is 40 to some; and ``33 1/3%``."""
    return any(
        member.percent and re.search(r"[-+ ]", member.percent[1:])
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
