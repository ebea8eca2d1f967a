r"""The numbers a text states, and which of them it states as a result. Pure.

Reads decimals, fractions (``3/4``, ``\frac{3}{4}``, ``1 1/2``), thousands separators
(``1,000``, ``1{,}000``), signs, percent, currency and "5 million". Powers and indices are
not numbers of their own, nor are the numbers that count steps or the items of a list.
Everything takes linear time, because it reads whatever a model writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from ssr_local.mathtext.values import SCALES

_SEPARATOR = "(?:,|\\{,\\}|\\\\,|[\u2009\u202f])"
_WHOLE = rf"(?:[1-9]\d{{0,2}}(?:{_SEPARATOR}\d{{3}}){{1,8}}(?!\d)|\d{{1,30}}(?!\d))"
_FRAC = (
    r"\\[dtc]?frac\s?(?:\{\s?(?P<top>-?\d{1,30})\s?\}\s?\{\s?(?P<under>\d{1,30})\s?\}"
    r"|(?P<tight_top>\d)\s?(?P<tight_under>\d))"
)
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_^.])"
    rf"(?:(?P<mixed>\d{{1,9}})?{_FRAC}"
    r"|(?P<whole_part>\d{1,9})\s(?P<slash_top>\d{1,9})/(?P<slash_under>\d{1,9})(?![\d.])"
    rf"|(?P<whole>{_WHOLE})?(?P<point>\.\d{{1,30}}(?!\d))(?:\s?(?P<percent>\\?%))?"
    rf"|(?P<integer>{_WHOLE})(?:\s?/\s?(?P<over>{_WHOLE})(?!\.\d)|\s?(?P<share>\\?%))?)"
    r"(?:\s(?P<scale>hundred|thousand|million|billion|trillion)\b)?"
)

# Looked at within a few characters of a number only.
_AROUND = 80
_SIGN = re.compile(
    r"(?:(?:^|[=([{,:;<>$&*/×·÷|≈~]\s{0,3})[-−]\s{0,2}|[A-Za-z.]\s{1,2}[-−])(?:\\?[$€£¥]\s?)?$"
)
_MARKS = r"(?:[\s$&{*€£¥−-]|\\[(\[$,;:! ]|\\(?:text|mathbf|bf)\b)*"
_EQUALS = re.compile(rf"(?:(?<![<>!=:])=|≈|\\approx(?![A-Za-z])|\\boxed\s*\{{){_MARKS}$")
_IS = re.compile(
    r"\b(?:is|are|was|were|equals?|gives?|makes?|leaves?|get|gets)\s"
    rf"(?:(?:equal to|only|exactly|about|approximately|therefore|thus|now|a total of)\s)?{_MARKS}$",
    re.IGNORECASE,
)
_UNIT_END = re.compile(
    r"(?:[$}*%°]|\\[)\]%]|\^\{?\\circ\}?)*(?:[A-Za-z][A-Za-z²³/]*)?"
    r"(?:\s(?!(?:more|less|fewer|greater|times|of|than)\b)[A-Za-z][A-Za-z²³/]*){0,4}"
    r"(?:[$}*]|\\[)\]])*\s?(?:[.!?](?=[\s*]|$)|\n|$)"
)
# What makes it a part of something larger: an operator, a factor, a variable.
_GOES_ON = re.compile(
    r"\(|[$}]?\s?(?:[×·÷]|\\(?:times|cdot|div|sqrt|pi|[dtc]?frac|left|binom)(?![A-Za-z])"
    r"|\^(?!\{?\\circ|\{?°)|\+|\*(?!\*)\s?|/\s?[\d({\\]|[-−]\s?(?:[\d\\($]|[A-Za-z](?![A-Za-z])))"
    r"|[b-fhijknopqrtuvwxyz](?![A-Za-z])|[ABD-EGH-JN-Z](?![A-Za-z])|\s[xyz](?![A-Za-z])"
)
_SUM = re.compile(
    r"(?:[\d.,(){}$\s]|\\[$,]|\\(?:[dtc]?frac|times|cdot|div)(?![A-Za-z])|[-+*/×·÷−])+$"
)
_SUM_TOKEN = re.compile(r"\d+(?:\.\d+)?|\\[dtc]?frac|\\(?:times|cdot|div)|[-+*/×·÷−()]")
_DELIMITER = re.compile(r"\\[()\[\]]")
_ONE_SPELLING = {"×": "*", "·": "*", r"\times": "*", r"\cdot": "*", "÷": "/", r"\div": "/"}
_ONLY_BETWEEN = frozenset("+-−*/")
_SHORTEST_SUM = 3
_COUNTING = re.compile(
    r"^[ \t>*_#]{0,12}(?:\d{1,3}[.)](?=\s)|(?:step|part|case|equation)\s\d{1,3}\b)"
    r"|\b(?:step|path|equation|case)\s\(?\d{1,3}\b",
    re.IGNORECASE | re.MULTILINE,
)


class Number(NamedTuple):
    """A number as a text states it.

    ``values`` has two values for a percentage, as which of them is meant is not known.
    ``places`` counts decimals, 0 unless it is a plain decimal. ``made_from`` is the sum it
    is the result of, written one way, () when that is not a sum of plain numbers;
    ``in_full`` is number and sum as they were written.
    """

    values: tuple[Fraction, ...]
    places: int
    shown: str
    is_result: bool
    made_from: tuple[str, ...]
    in_full: str


def numbers_in(text: str) -> Iterator[Number]:
    """All numbers of ``text``, in order."""
    text = _COUNTING.sub(lambda match: re.sub(r"\d", " ", match.group()), text)
    for match in _NUMBER.finditer(text):
        number = _number(text, match)
        if number is not None:
            yield number


def _number(text: str, match: re.Match[str]) -> Number | None:
    value = _value(match)
    if value is None:
        return None
    start = max(0, match.start() - _AROUND)
    before = text[start : match.start()]
    after = text[match.end() : match.end() + _AROUND]
    is_negative = _SIGN.search(before) is not None
    value = -value if is_negative else value
    shown = ("-" if is_negative else "") + match.group().strip()
    equals = _EQUALS.search(before)
    is_result = not _GOES_ON.match(after) and (
        equals is not None or bool(_IS.search(before) and _UNIT_END.match(after))
    )
    made_from, written = _sum(text, start + equals.start()) if is_result and equals else ((), "")
    is_percent = bool(match["percent"] or match["share"])
    places = len(match["point"]) - 1 if match["point"] and not match["scale"] else 0
    return Number(
        values=(value, value / 100) if is_percent else (value,),
        places=places,
        shown=shown,
        is_result=is_result,
        made_from=made_from,
        in_full=f"{written} = {shown}" if made_from else shown,
    )


def _value(match: re.Match[str]) -> Fraction | None:
    """The number without its sign; None for a fraction with nothing below."""
    top = match["top"] or match["tight_top"] or match["slash_top"]
    under = match["under"] or match["tight_under"] or match["slash_under"]
    if top is not None:
        if int(under) == 0:
            return None
        value = int(match["mixed"] or match["whole_part"] or 0) + Fraction(int(top), int(under))
    elif match["point"] is not None:
        value = Fraction(f"{_digits(match['whole'] or '0')}{match['point']}")
    else:
        over = int(_digits(match["over"] or "1"))
        if over == 0:
            return None
        value = Fraction(int(_digits(match["integer"])), over)
    return value * SCALES.get(match["scale"], 1)


def _digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdigit())


def _sum(text: str, end: int) -> tuple[tuple[str, ...], str]:
    """The sum that ends there, one way and as it was written; ((), "") where there is none."""
    start = max(0, end - _AROUND)
    before = _DELIMITER.sub(" ", text[start:end]).rstrip(" $&")
    match = _SUM.search(before)
    if match is None or (match.start() == 0 and start > 0):
        return (), ""
    written = match.group().lstrip(".,)} $\n").strip()
    tokens = tuple(_ONE_SPELLING.get(t, t) for t in _SUM_TOKEN.findall(written.replace(",", "")))
    operators = {token for token in tokens if not token[0].isdigit()}
    if not operators - {"(", ")"} or len(tokens) < _SHORTEST_SUM or tokens[0] in _ONLY_BETWEEN:
        return (), ""
    # "4 * 12" is "12 * 4"; with several operators the order may matter.
    return (tuple(sorted(tokens)) if operators in ({"+"}, {"*"}) else tokens), written
