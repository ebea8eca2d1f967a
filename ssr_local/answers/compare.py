r"""Whether two answers are equal.

Three verdicts, because "I cannot tell" is not "wrong". Plain arithmetic is compared
exactly; a decimal is the number it says, so 0.3333 differs from 1/3. A percent sign is
read as a unit and as a hundredth: 50\% equals 50 and equals 0.5. Units are left out, unless
both answers have one and they differ: then nobody converted them, and nothing is decided.
Everything else goes to a helper process that can be killed, and only if its size is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate

from ssr_local.answers.questions import Pair
from ssr_local.core.records import Comparison
from ssr_local.mathtext.forms import Reduced, reduce_answer
from ssr_local.mathtext.values import exact_value
from ssr_local.process.helper import Helper, HelperDied, HelperRaised, HelperTimeout

EQUIVALENT = "ssr_local.answers.equivalence:equivalent"
"""The helper's function; ``helper.warm(EQUIVALENT)`` imports the algebra ahead of time."""

MAX_CHARS = 400
MAX_DEPTH = 40

_WORD = re.compile(r"[A-Za-z]+")
_PROSE = re.compile(r"[A-Za-z][A-Za-z ,.;:'&()-]*")
_YES_NO = frozenset({"yes", "no", "true", "false"})
_SYNONYMS = (
    frozenset({"yes", "true", "correct"}),
    frozenset({"no", "false", "incorrect"}),
    frozenset({"none", "undefined", "dne", "nonexistent", "impossible", "nothing", "unknown"}),
)
_SYMBOLS = {
    name: symbol
    for symbol, names in {
        "$": "dollar usd buck",
        "cent": "c ¢",
        "m": "meter metre",
        "cm": "centimeter centimetre",
        "mm": "millimeter millimetre",
        "km": "kilometer kilometre",
        "g": "gram gramme",
        "kg": "kilogram kilo",
        "l": "liter litre",
        "s": "second sec",
        "min": "minute",
        "h": "hour hr",
        "°": "degree deg",
    }.items()
    for name in names.split()
}

_MATHS_WORDS = re.compile(
    r"\\[A-Za-z]+|\{[bpvVB]?matrix\}"
    r"|(?<![A-Za-z])(?:sqrt|(?:arc)?(?:sin|cos|tan)h?|log|exp|and)(?![A-Za-z])"
)
_TEXT = re.compile(r"[A-Za-z]{3}|[A-Za-z]{2} [A-Za-z]{2}|__")
_TOWER = re.compile(r"\^(?:\{[^{}]*|\([^()]*|\d*)[\d)}]\s*\^")
_BIG_POWER = re.compile(r"\^(?:[-{(\s]|\\[A-Za-z]+)*[\d.,]{5}")
_BIG_FACTORIAL = re.compile(r"\d{4}[})\s]*!|!\s*!")
_AMBIGUOUS = re.compile(r"\d\s+\.?\d|\d[eE][-+]?\d|\d:\d\d(?!\d)|\\circ|[^\x00-\x7f]")
_UNIT_LETTER = re.compile(r"[-+]?[\d.,/]+\s?[A-Za-z]")


def compare(
    a: str,
    b: str,
    *,
    helper: Helper | None,
    timeout_s: float = 5.0,
    should_stop: Callable[[], bool] = lambda: False,
) -> Comparison:
    """Whether two answers are equal as mathematics; the order does not matter.

    Without a helper, what arithmetic cannot settle is "undecided"; so is what the helper
    does not settle within ``timeout_s`` seconds or before ``should_stop``. Give the answers
    as they were extracted: their units count. Raises ``HelperError`` when the helper process
    cannot be started.
    """
    if a == b:
        return "equal"
    first, second = sorted((reduce_answer(a), reduce_answer(b)))
    verdict = _compare_exactly(first, second) or _compare_words(first.text, second.text)
    if verdict is not None:
        return verdict
    if helper is None or not (_is_bounded(first.text) and _is_bounded(second.text)):
        return "undecided"
    pair = Pair(first.text, second.text)
    try:
        verdict = helper.call(EQUIVALENT, pair, timeout_s=timeout_s, should_stop=should_stop)
    except (HelperTimeout, HelperDied, HelperRaised):
        return "undecided"
    return "undecided" if verdict == "different" and _may_be_units(first, second) else verdict


def _compare_exactly(first: Reduced, second: Reduced) -> Comparison | None:
    """The verdict on two plain numbers or two identical texts, None for anything else."""
    if _units_differ(first, second):
        return "undecided"  # 3 hours and 3 minutes, 5 km and 5000 m
    if first.text == second.text:
        return "equal" if first.text else "undecided"
    a, b = exact_value(first.text), exact_value(second.text)
    if a is None or b is None:
        return None
    percent = (first.unit == "%") - (second.unit == "%")
    if a == b or (percent and (a / 100 == b if percent > 0 else a == b / 100)):
        return "equal"
    return "different"


def _units_differ(first: Reduced, second: Reduced) -> bool:
    units = [_unit(item.unit) for item in (first, second)]
    return all(units) and units[0] != units[1]


def _unit(written: str) -> str:
    """One spelling for a unit: its singular, or its symbol where it has one."""
    unit = written.casefold().strip(" .")
    unit = unit[:-1] if len(unit) > 1 and unit.endswith("s") else unit
    return _SYMBOLS.get(unit, unit)


def _may_be_units(first: Reduced, second: Reduced) -> bool:
    """Whether a difference may only be one of units: 5 m against 5, 5 km against 5000 m."""
    if _units_differ(first, second):
        return True
    return any(
        _UNIT_LETTER.fullmatch(one.text) and exact_value(other.text) is not None
        for one, other in ((first, second), (second, first))
    )


def _compare_words(first: str, second: str) -> Comparison | None:
    """The verdict on two words, None where there is mathematics."""
    a, b = first.casefold(), second.casefold()
    if a == b and _PROSE.fullmatch(first):
        return "equal"
    if not (_WORD.fullmatch(first) and _WORD.fullmatch(second)):
        return _compare_word_and_value(first, second)
    if any(a in synonyms and b in synonyms for synonyms in _SYNONYMS):
        return "undecided"
    if (len(a) == 1) != (len(b) == 1):
        return "undecided"  # "A" may be the option that says "yes"
    if a.startswith(b) or b.startswith(a):
        return "undecided"  # Mon, Monday; apple, apples
    if sorted(a) == sorted(b) and len(a) == 2 and not {a, b} & _YES_NO:
        return None  # xy and yx are products
    return "different"


def _compare_word_and_value(first: str, second: str) -> Comparison | None:
    for word, other in ((first, second), (second, first)):
        if word in _YES_NO and exact_value(other) is not None:
            return "different"
        if len(word) == 1 and word.isupper():
            return "undecided"  # the letter of an option, or a name
    return None


def _is_bounded(text: str) -> bool:
    """Whether algebra may look at the text: short, flat, small powers, and no prose."""
    if not text or len(text) > MAX_CHARS or _depth(text) > MAX_DEPTH:
        return False
    if any(p.search(text) for p in (_TOWER, _BIG_POWER, _BIG_FACTORIAL, _AMBIGUOUS)):
        return False
    return not _TEXT.search(_MATHS_WORDS.sub("|", text))


def _depth(text: str) -> int:
    changes = ((character in "({[") - (character in ")}]") for character in text)
    return max(accumulate(changes, initial=0))
