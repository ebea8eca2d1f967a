"""The canonical text of an answer, and the unit that goes with it."""

from __future__ import annotations

import re
from typing import NamedTuple

from ssr_local.mathtext.text import whole_box
from ssr_local.mathtext.values import SCALES, exact_value

MAX_CHARS = 2000
"""Longer answers are only trimmed: nobody compares them as mathematics."""

_MAX_PASSES = 8
_QUOTED = "\ue000"  # a private character: the word after it stood in \text{...}

_MARKUP = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (
            r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mbox)\s?\{([^{}]*)\}",
            rf" {_QUOTED}\1 ",
        ),
        (r"(?<!\\)\\[()\[\]]", " "),
        (r"\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])", ""),
        (r"\\(?:displaystyle|textstyle|limits|nolimits)(?![A-Za-z])", ""),
        (r"(?<!\\)\\[!,;:]", ""),
        (r"\{,\}", ","),
        (r"(?<!\\)\\(?=\s)|~|\\q?quad(?![A-Za-z])", " "),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\d)\s*(?=\{)", r"\\frac{\1}"),
        (r"\\frac\s*(\{[^{}]{1,200}\})\s*(\d)", r"\\frac\1{\2}"),
        (r"\\frac\s+(?=\{)", r"\\frac"),
        (r"(?<=\})\s+(?=\{)", ""),
        (r"\\sqrt\s*(\d)", r"\\sqrt{\1}"),
        (r"[−–]", "-"),
        (r"π|(?<![A-Za-z\\])pi(?![A-Za-z])", r"\\pi "),
        (r"∞|(?<![A-Za-z\\])infinity(?![A-Za-z])", r"\\infty "),
        (r"∅|\\varnothing(?![A-Za-z])", r"\\emptyset "),
        (r"×", r"\\times "),
        (r"[·⋅]", r"\\cdot "),
        (r"÷", r"\\div "),
        (r"∪", r"\\cup "),
        (r"≤|\\le(?![A-Za-z])", r"\\leq "),
        (r"≥|\\ge(?![A-Za-z])", r"\\geq "),
        (r"≠|\\ne(?![A-Za-z])", r"\\neq "),
        (r"²", "^2"),
        (r"³", "^3"),
        (r"(?<=[\w)}])\*\*(?=[\w({\\-])", "^"),
        (r"\^\s?\{\s?([A-Za-z0-9])\s?\}", r"^\1"),
        (r"\s+", " "),
        (r"\s?([-+*/^=<>&|])\s?", r"\1"),
        (r"(?<=[(\[{])\s|\s(?=[)\]}\\])", ""),
        (r"(\\[A-Za-z]+)\s(?![A-Za-z])", r"\1"),
    )
)

_THOUSANDS = re.compile(r"(?<![\d.,])([1-9]\d{0,2})((?:,\d{3})+)(?!\d)")
_IN_BRACKETS = re.compile(r"(?:[(\[]|\\\{)[^()\[\]{}]*,")
_PREFIX = re.compile(
    r"(?:(?:the )?(?:final |correct )?answer ?(?:is\b|:|=)[ :]{0,2}|(?:option|choice) ?"
    r"(?=\(?[A-Z]\)?$))(?=.)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?P<name>[A-Za-z]|[A-Z]{2,4}|\\[a-z]+|[A-Za-z]{3,20}(?: [A-Za-z]{1,20}){0,3})"
    r"(?:_\{?[A-Za-z0-9]{1,5}\}?)?(?:\([A-Za-z]\))?=(?P<value>[^=<>,;|]+)"
)
_COMMAND = re.compile(r"\\[A-Za-z]+")
_RELATION = re.compile(r"\\(?:leq|geq|neq|in|cup|cap|approx|equiv)(?![A-Za-z])")
_BRACED_LIST = re.compile(r"\{([^{}]*,[^{}]*)\}")
_OPTION = re.compile(r"\(([A-Z])\)|([A-Z])\)")
# "A) Amy finished second" names the option A; "(A) 12" may be either.
_OPTION_IN_WORDS = re.compile(r"\(?([A-Z])\) ?[A-Za-z]{2}.*")

_CURRENCY = re.compile(r"(-?)\s?(?:US\\?\$|USD|EUR|GBP|Rs\.?|\\?[$€£¥₹]|\\pounds)\s?(?=[-\d.])")
_PERCENT = re.compile(r"\s?(?:\\?%|per ?cent(?:age)?(?: points?)?|pct)$", re.IGNORECASE)
_DEGREES = re.compile(r"\s?(?:\^\{?\\circ\}?|°|\\degree)\s?\ue000?\s?([CFK]?)$")
_HEAD = re.compile(
    rf"(?:\\(?!sin|cos|tan|log|ln)[A-Za-z]+|(?:{'|'.join(sorted(SCALES))})(?![A-Za-z])"
    r"|[^A-Za-z\\\ue000])+"
)
_UNIT = re.compile(r"\ue000?\s?([A-Za-z][A-Za-z .'/\ue000-]{0,60}|[€£¥₹])(?:\^\{?-?[1-4]\}?)?")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_SHORT_UNITS = frozenset(
    _words(
        "mm cm dm km kg mg ml cl kl ft lb lbs oz mi yd mph kmh kph hr hrs min mins sec secs ms"
        " sq cu cc gal am pm usd eur gbp cent cents men boys day ways km/h m/s cm/s ft/s mi/h kwh"
        " hz rad cup cups box pen pens egg eggs car cars cat cats dog dogs bag bags toy toys inch"
    )
)
_NOT_UNITS = frozenset(
    _words(
        "and or to if of than when not plus minus times over mod sqrt sin cos tan log exp max lim"
        " sinh cosh tanh sec csc cot root factorial squared cubed"
    )
)

_LOWERED = frozenset({"yes", "no", "true", "false"})
_NUMBERS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen twenty"
)


class Reduced(NamedTuple):
    """An answer's canonical text, and the unit that was taken off it ("" for none)."""

    text: str
    unit: str


def normalise(answer: str) -> str:
    r"""The canonical text of an answer, for grouping and for showing.

    Markup, units, currency, percent signs and trailing punctuation go; ``\dfrac`` becomes
    ``\frac``, ``x = 5`` becomes ``5``, ``(A)`` becomes ``A``, ``Yes.`` becomes ``yes``.
    """
    return reduce_answer(answer).text


def reduce_answer(answer: str) -> Reduced:
    """``normalise``, and the unit it took off on the way."""
    text, unit = answer.strip().replace(_QUOTED, ""), ""
    if len(text) > MAX_CHARS or ("\n" in text and "\\" not in text):
        # Too long to be mathematics, or lines of code, whose indentation has a meaning.
        return Reduced("\n".join(line.rstrip() for line in text.split("\n")), "")
    for _ in range(_MAX_PASSES):
        before = text
        text, taken = _reduce_once(text)
        unit = unit or taken
        if text == before:
            break
    return Reduced(text, unit)


def _reduce_once(text: str) -> tuple[str, str]:
    original = text
    text, unit = _without_dollars(_unwrapped(text))
    for pattern, by in _MARKUP:
        text = pattern.sub(by, text)
    text = _without_trailing_marks(text.strip())
    text = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
    text = _without_thousands(text)
    text, taken = _without_unit(_without_name(text))
    text = _word(text.replace(_QUOTED, ""))
    text = re.sub(r" ?, ?", ", ", text)
    text = re.sub(r" +", " ", text).strip()
    return (text, unit or taken) if text else (original, "")


def _unwrapped(text: str) -> str:
    text = whole_box(text).strip()
    for mark in ("**", "__", "`", '"', "'"):
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
            text = text[len(mark) : -len(mark)].strip()
    return text.removeprefix("**").removesuffix("**").strip() or text


def _without_dollars(text: str) -> tuple[str, str]:
    """Dollar signs come in pairs around formulas; one alone, or escaped, is money."""
    unit = ""
    if match := _CURRENCY.match(text):
        plain = text.count("$") - text.count("\\$")
        if "$" not in match.group() or "\\$" in match.group() or plain % 2:
            unit = "$" if "$" in match.group() else match.group().strip(" -")
            text = match.group(1) + text[match.end() :]
    if "\\$" in text:
        unit = unit or "$"
        text = text.replace("\\$", "")
    return text.replace("$", ""), unit


def _without_trailing_marks(text: str) -> str:
    # "5!" is a factorial, "Yes!" is not.
    return re.sub(r"(?<=[A-Za-z]{2})[!?]{1,5}$", "", text).rstrip(" .,;:")


def _without_thousands(text: str) -> str:
    """1,000 is one number, (1,000) a pair; "1, 000" and 1,2 are lists."""
    if "," not in text or _IN_BRACKETS.search(text):
        return text
    joined = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    return text if "," in joined else joined


def _without_name(text: str) -> str:
    """``x=5`` says 5; ``y=2x`` and ``x=y`` are equations and stay."""
    match = _NAMED.fullmatch(text)
    if not match or match.group("name").lower() in _NOT_UNITS:
        return text
    value = match.group("value").strip()
    letters = re.search("[A-Za-z]", _COMMAND.sub("", value))
    if _RELATION.search(value) or (letters and not _without_unit(value)[1]):
        return text
    return value


def _without_unit(text: str) -> tuple[str, str]:
    """A value and its unit; what follows a variable or a word is no unit."""
    for pattern, name in ((_PERCENT, "%"), (_DEGREES, "degree")):
        if match := pattern.search(text):
            head = text[: match.start()].strip()
            if exact_value(head) is not None:
                return head, name + "".join(group or "" for group in match.groups())
    head_match = _HEAD.match(text)
    if head_match is None:
        return text, ""
    head, tail = head_match.group().strip(), text[head_match.end() :]
    if head[-1:] in "€£¥₹" and head[-1:]:
        head, tail = head[:-1].strip(), head[-1]
    unit = _UNIT.fullmatch(tail)
    is_value = exact_value(head) is not None or re.search(r"\d|\\(?:pi|sqrt|frac)", head)
    if not unit or not is_value or not _is_unit(tail):
        return text, ""
    return head, tail.replace(_QUOTED, "").strip()


def _is_unit(tail: str) -> bool:
    words = re.findall(r"[A-Za-z']+", tail.casefold())
    if any(word in _NOT_UNITS for word in words if not tail.startswith(_QUOTED)):
        return False
    if _QUOTED in tail:
        return not words or words[0] not in ("and", "or")
    if not words:
        return True
    # Short ones are products of variables as often as units: 5ab, 3x.
    first = tail.split()[0].casefold().rstrip(".")
    return words[0] in _SHORT_UNITS or first in _SHORT_UNITS or len(words[0]) > 3


def _word(text: str) -> str:
    if match := _OPTION.fullmatch(text):
        return match.group(1) or match.group(2)
    if match := _OPTION_IN_WORDS.fullmatch(text):
        return match.group(1)
    if match := _BRACED_LIST.fullmatch(text):
        return rf"\{{{match.group(1)}\}}"
    lowered = text.casefold()
    if lowered in _LOWERED:
        return lowered
    return str(_NUMBERS.index(lowered)) if lowered in _NUMBERS else text
