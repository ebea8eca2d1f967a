r"""The equations a step of a worked solution states. Pure.

A student writes prose with equations in it: ``In 3 days she sells 3 * 16 = 48 eggs.`` This
finds the members of every equality chain and writes them the way ``answers.values`` and the
algebra read them. Words behind a number are its units and left out. A claim whose members
may not be whole ("the sum of 24 and 3 = 27") is not ``sure``: it may be confirmed, never
refuted. Everything takes linear time.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from ssr_local.mathtext.tokens import (
    ENDING_WORDS,
    OTHER_NUMBERS,
    SHORT_UNITS,
    Fragment,
    Token,
    fragments_of,
    words_in,
)

Sign = Literal["=", "≈"]


class Member(Struct, frozen=True):
    """One side of an equation.

    ``text`` is what the algebra reads; ``percent`` the same with a percentage as the bare
    number, "" where there is none. ``units`` are the words that were left out.
    """

    text: str
    shown: str
    units: tuple[str, ...] = ()
    percent: str = ""
    has_operator: bool = False
    symbols: frozenset[str] = frozenset()


class Claim(Struct, frozen=True):
    """That two members are equal, or nearly so.

    ``chained`` says that it continues the claim before it, ``opens`` that a colon follows;
    ``lead`` are the words before it in its sentence.
    """

    first: Member
    second: Member
    sign: Sign
    sure: bool
    chained: bool = False
    opens: bool = False
    lead: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The claim as it was written."""
        return f"{self.first.shown} {self.sign} {self.second.shown}"


def claims_in(text: str) -> list[Claim]:
    """The claims of a step, in order."""
    claims: list[Claim] = []
    for fragment in fragments_of(text):
        if any(token.kind == "sign" for token in fragment.tokens):
            claims += _claims_of(fragment)
    return claims


_MOST_UNIT_WORDS = 3
_JOINING = frozenset(
    (
        *("and", "by", "from", "to", "with", "than", "less", "more", "fewer", "over", "of"),
        *("between", "into", "half", "twice", "double", "triple", "out", "remainder", "mod"),
        *("modulo", "modulus", "base", "off"),
    )
)
"""Words before or behind a number that make it a part of something larger."""
_ANGLES = frozenset((r"\sin", r"\cos", r"\tan"))
_TELLING = frozenset(
    (
        *("sum", "difference", "product", "quotient", "average", "mean", "on", "per", "at"),
        *("page", "pages", "days", "years", "lines", "rows", "seats", "numbers", "chapters"),
        *("step", "part", "day", "question", "exercise", "problem", "line", "number", "case"),
        *("negative", "root", "value", "remainder", "rest", "square", "cube", "power"),
    )
)
"""Words that a number before them, or a range behind them, makes part of something larger."""
_DENIALS = OTHER_NUMBERS | frozenset(
    (
        *("not", "false", "wrong", "incorrect", "untrue", "impossible", "contradiction"),
        *("contradictory", "inconsistent", "absurd", "never", "no", "isn't", "doesn't", "cannot"),
        *("says", "said", "think", "thinks", "thought", "claims", "claimed", "might", "would"),
        *("estimated", "estimating", "approximately", "about", "roughly"),
        *("rounded", "rounding", "round"),
    )
)
_CONSEQUENCES = frozenset(
    ("gives", "give", "yields", "makes", "means", "implies", "leads", "results", "we", "is")
)
"""Words behind an equation that was only tried: "n = 1 gives 3"."""
_FUNCTIONS = frozenset("fghFGP")
_VOWELS = frozenset("aeiouy")
_NUMBER_WORDS = frozenset(
    (
        *("half", "twice", "double", "triple", "third", "quarter", "dozen"),
        *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    )
)


def _claims_of(fragment: Fragment) -> list[Claim]:
    tokens = fragment.tokens
    opens = tokens[-1].text == ":"
    tokens = tokens[:-1] if opens else tokens
    places = [place for place, token in enumerate(tokens) if token.kind == "sign"]
    parts = [
        tokens[start + 1 : end]
        for start, end in zip([-1, *places], [*places, len(tokens)], strict=True)
    ]
    claims: list[Claim] = []
    left, sure = _ending(parts[0])
    lead = (*fragment.lead, *words_in(parts[0]))
    chained, doubtful = False, _is_doubtful(tokens)
    for number, place in enumerate(places):
        part = parts[number + 1]
        is_last = number == len(places) - 1
        right, whole, rest = _beginning(part)
        sign: Sign = "≈" if tokens[place].text == "≈" else "="
        if left is not None and right is not None:
            ends_well = not rest or (rest[0].kind == "word" and not _joins(rest[0]))
            if len(rest) > 1 and rest[1].kind == "number":
                ends_well = False  # 2 hours 15 minutes
            words = (*lead, *right.units, *words_in(rest)[:4])
            denied = fragment.asked or not _DENIALS.isdisjoint(words)
            is_sure = sure and ends_well and not denied and not doubtful
            supposes = opens or bool(rest and rest[0].text.lower() in _CONSEQUENCES)
            claims.append(Claim(left, right, sign, is_sure, chained, supposes, lead))
            chained = True
        else:
            chained = False
        if whole or is_last:
            left, sure = right, right is not None
        else:
            left, sure = _ending(part)
            chained = False
    return claims


def _is_doubtful(tokens: list[Token]) -> bool:
    """What reads in more than one way: degrees or radians, a factorial or a shout."""
    return tokens[-1].text == "!" or any(token.text in _ANGLES for token in tokens)


def _joins(token: Token) -> bool:
    return token.text.lower() in _JOINING


def _beginning(tokens: list[Token]) -> tuple[Member | None, bool, list[Token]]:
    """The formula that tokens begin with, whether it is all of them, and what is left."""
    end, depth = 0, 0
    for place, token in enumerate(tokens):
        if token.kind in ("end", "other"):
            break
        if token.kind == "word" and not _is_unit(tokens, place):
            break
        if token.text == "(" and place and _is_remark(tokens, place):
            break
        depth += (token.kind == "open") - (token.kind == "close")
        if depth < 0:
            break
        end = place + 1
    rest = tokens[end:]
    shouted = not rest and end > 1 and tokens[end - 1].text == "!"
    return _member(tokens[: end - shouted]), not rest, rest


def _is_remark(tokens: list[Token], place: int) -> bool:
    """``(3 left)`` behind a result."""
    for token in tokens[place + 1 :]:
        if token.kind in ("word", "close"):
            return token.kind == "word"
    return False


def _ending(tokens: list[Token]) -> tuple[Member | None, bool]:
    """The formula that tokens end with, and whether it is surely whole."""
    start, depth = len(tokens), 0
    for place in range(len(tokens) - 1, -1, -1):
        token = tokens[place]
        if token.kind in ("end", "other"):
            break
        if token.kind == "word" and not _is_unit(tokens, place):
            break
        depth += (token.kind == "close") - (token.kind == "open")
        if depth < 0:
            break
        start = place
    before = tokens[:start]
    member = _member(tokens[start:])
    if member is None:
        return None, False
    sure = True
    if before:
        last = before[-1]
        has_number = any(
            token.kind == "number" or token.text.lower() in _NUMBER_WORDS for token in before
        )
        is_function = tokens[start].text == "(" and last.text.islower()
        sure = last.kind == "word" and not (_joins(last) and has_number) and not is_function
        if last.text.lower() in _TELLING:
            sure = False
        if last.text.lower() == "of":  # the square of 3 + 1; but a total of 5 + 3
            sure = sure and any(token.text.lower() == "total" for token in before[-2:])
        # "Let the number of hens 3 = ...": a bare number is no sum that comes to something.
        sure = sure and (member.has_operator or bool(member.symbols))
    return member, sure


def _is_unit(tokens: list[Token], place: int) -> bool:
    """Whether a word stands behind a number as what it counts."""
    word = tokens[place].text.lower()
    if word in _JOINING or word in ENDING_WORDS:
        return False
    before = place - 1
    while before >= 0 and tokens[before].kind == "word":
        if _joins(tokens[before]) or tokens[before].text.lower() in ENDING_WORDS:
            return False
        before -= 1
    if before < 0 or place - before > _MOST_UNIT_WORDS:
        return False
    behind = next((one for one in tokens[place + 1 :] if one.kind != "word"), None)
    if behind is not None and behind.kind not in ("operator", "sign", "close"):
        return False  # "in 3 days she sells 16"
    if tokens[before].kind == "operator" and tokens[before].text == "/":
        return before > 0 and tokens[before - 1].kind == "word"  # km/hour, $3/loaf
    return tokens[before].kind in ("number", "mark") or tokens[before].text == ")"


def _member(tokens: list[Token]) -> Member | None:
    """The formula of these tokens, None where they are none."""
    texts: list[str] = []
    bare: list[str] = []
    units: list[str] = []
    symbols: set[str] = set()
    has_percent = has_operator = False
    previous = ""
    for place, token in enumerate(tokens):
        kind, text = token
        if kind == "word":
            if _may_be_letters(text):
                return None  # bh, lwh
            units.append(text.lower())
            if texts and texts[-1] == "/":  # of km/hour
                texts.pop()
                bare.pop()
            previous = "word"
            continue
        if previous == "word" and text == "^":
            previous = "power"  # of cm^2
            continue
        if previous == "power":
            previous = "word"
            continue
        if kind == "money":
            units.append("dollar" if text == "$" else text)
            continue
        if kind == "mark" and text == "%":
            if previous != "number":
                return None
            has_percent = True
            texts[-1] = f"({texts[-1]}/100)"
            continue
        if kind == "mark" and text == "°":
            continue
        if text == "[" and previous == "command":
            return None  # another root than the square one
        if text in ("(", "[") and previous in ("number", "close"):
            texts.append("*")  # 2(3), which a parser may take for two and three
            bare.append("*")
            has_operator = True
        if kind == "number" and previous == "close" and tokens[place - 1].text == ")":
            texts.append("*")
            bare.append("*")
            has_operator = True
        if kind == "open" and previous == "symbol" and _is_call(tokens, place):
            return None  # f(3) is no product
        if kind in ("number", "symbol", "open", "command") and previous == "word":
            return None
        if kind == "number" and previous in ("number", "symbol"):
            if not _is_mixed(tokens, place):
                return None
            texts.append(" ")
            bare.append(" ")
        if kind == "symbol":
            symbols.add(text)
        if kind == "operator":
            has_operator = has_operator or previous != ""
        if kind == "open" and text == "[":
            text = "("
        if kind == "close" and text == "]":
            text = ")"
        if kind == "command":
            text += " "
        texts.append(text)
        bare.append(text)
        previous = kind
    text, plain = "".join(texts).strip(), "".join(bare).strip()
    if not any(token.kind in ("number", "symbol") for token in tokens):
        return None
    if previous == "operator" or texts[0] in ("*", "/", "^") or _unbalanced(texts):
        return None
    money = not symbols and not any(token.kind == "command" for token in tokens)
    if tokens[-1].text == "$":
        tokens = tokens[:-1]  # the end of a formula, and no dollars
    shown = " ".join(one.text for one in tokens if money or one.kind != "money")
    return Member(
        text=text,
        shown=_tidy(shown),
        units=tuple(units),
        percent=plain if has_percent else "",
        has_operator=has_operator or any(token.kind == "command" for token in tokens),
        symbols=frozenset(symbols),
    )


def _may_be_letters(word: str) -> bool:
    if word.lower() in SHORT_UNITS:
        return False
    return len(word) == 2 or (len(word) == 3 and _VOWELS.isdisjoint(word.lower()))


def _is_call(tokens: list[Token], place: int) -> bool:
    """``f(x + 1)``, ``n(A)``, ``S(3)``; ``x(x + 1)`` is a product."""
    behind = [token.kind for token in tokens[place + 1 : place + 3]]
    return tokens[place - 1].text in _FUNCTIONS or (
        len(behind) == 2 and behind[0] in ("number", "symbol") and behind[1] == "close"
    )


def _is_mixed(tokens: list[Token], place: int) -> bool:
    """``1 1/2``: an integer, then a fraction of two."""
    if place == 0 or tokens[place - 1].kind != "number":
        return False
    three = [token.text for token in tokens[place : place + 3]]
    return (
        len(three) == 3
        and three[1] == "/"
        and three[0].isdigit()
        and three[2].isdigit()
        and int(three[0]) < int(three[2])
        and tokens[place - 1].text.isdigit()
    )


def _unbalanced(texts: list[str]) -> bool:
    depth = 0
    for text in texts:
        depth += text.count("(") + text.count("{") - text.count(")") - text.count("}")
        if depth < 0:
            return True
    return depth != 0


def _tidy(shown: str) -> str:
    shown = re.sub(r"\s?([\^/{}()\[\]])\s?", r"\1", shown)
    shown = re.sub(r"([$€£¥])\s", r"\1", shown)
    return re.sub(r"(?<=\d)\s(?=[%°!]|[A-Za-z](?![A-Za-z]))", "", shown)
