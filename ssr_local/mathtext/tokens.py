r"""The text of a worked solution as tokens, in fragments that hold one formula chain each. Pure.

LaTeX, Markdown and words for operators become one small language first: numbers, letters,
operators, signs of equality, words. Everything takes linear time.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SHORT_UNITS = frozenset(
    (
        *("mm", "cm", "dm", "km", "mg", "kg", "ml", "cl", "dl", "ft", "in", "yd", "mi", "lb"),
        *("lbs", "oz", "pt", "qt", "gal", "hr", "hrs", "min", "sec", "ms", "am", "pm", "st", "nd"),
        *("rd", "th", "kb", "mb", "gb", "tb", "mph", "kph", "km/h", "m/s", "kw", "hz", "day"),
        *("eur", "usd", "gbp", "pi", "id", "tv", "no", "is", "to", "by", "at", "as", "if", "we"),
        *("it", "an", "of", "on", "or", "so", "do", "be", "up", "he", "us", "my", "go", "and"),
        *("the",),
    )
)
"""Words of two or three letters behind a number that are no product of letters."""
_LETTERS = r"(?<=\d)[A-Za-z]{2,3}(?![A-Za-z(])"  # 2ab, 4xy
_MARKUP = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        # A list's mark is no minus; before a number it may be one.
        (r"(?m)^[ \t]*(?:[-*•+]|\d{1,2}[.)])[ \t]+(?=[A-Za-z(\[$*\\])", " "),
        (r"(?m)^[ \t]*[-*+][ \t]+(?=\d)", " • "),
        (r"(?m)^[ \t]*\d{1,2}[.)][ \t]+(?=\d)", " "),
        (r"(?m)^[ \t]*\(?[a-h]\)[ \t]+", " "),  # the label of a part
        (r"\\(?:implies|Rightarrow|Longrightarrow|to|rightarrow|iff|Leftrightarrow)"
         r"(?![A-Za-z])|[⇒→⟹⇔]|=>|->", " ; so "),
        (r"!=|[≠≤≥<>±]=?|:=|\\(?:neq?|leq?|geq?|pm)(?![A-Za-z])", " • "),
        (r"==+|&=", "="),
        (r"(?<=\d)\s+:\s+(?=\d)", " • "),  # a ratio
        (r"\bsquared\b", "^2"),
        (r"\bcubed\b", "^3"),
        (r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s?\{([^{}]*)\}", r" \1 "),
        (r"\\boxed\s?\{((?:[^{}]|\{[^{}]*\}){0,200})\}", r" \1 "),
        (r"\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])", ""),
        (r"\\(?:displaystyle|textstyle)(?![A-Za-z])", ""),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\\%", "%"),
        (r"\$\$", " "),
        (r"\\\$", "$"),
        (r"\{,\}", ","),
        (r"(?<=\d),\\!\s?(?=\d{3})", ","),
        (r"\.(?=\\overline)|\\q?quad(?![A-Za-z])", " • "),
        (r"\\[!,;:]|~", " "),
        (r"\\(?:\\|\[|\])|&", "\n"),
        (r"\\[()]", " "),
        (r"\\therefore(?![A-Za-z])|∴", " ; so "),
        (r"\\approx(?![A-Za-z])|≃|≅", "≈"),
        (r"\\times(?![A-Za-z])|×|\\cdot(?![A-Za-z])|·|⋅", "*"),
        (r"(?<=[\d)])\s?[xX]\s?(?=\$?\d)", " * "),
        (r"\\div(?![A-Za-z])|÷", "/"),
        (r"\b(\d+)/(\d+)\s+(?=[a-zA-Z](?![A-Za-z]))", r"(\1/\2)*"),
        (r"\b(\d+/\d+)(?=[a-zA-Z](?![A-Za-z]))", r"\1•"),  # 3/2x may be 3/(2x)
        (r"[−–]", "-"),
        (r"\*\*(?=[A-Za-z ]*\*\*|$)|__", " "),
        (r"(?<=[\w)}])\*\*(?=[\w({-])", "^"),
        (r"²", "^2"),
        (_LETTERS, lambda m: m[0] if m[0].lower() in SHORT_UNITS else "*".join(m[0])),
        (r"³", "^3"),
        (r"√\s?(\d+)", r"\\sqrt{\1}"),
        (r"(?<![\d.,])([1-9]\d{0,2}(?:,\d{3})+)(?![\d,])", lambda m: m[1].replace(",", "")),
        (r"\b(?:is|are) equal to\b|\bequals?\b", "="),
        (r"\bplus\b", "+"),
        (r"\bminus\b", "-"),
        (r"\b(?:times|multiplied by)\b", "*"),
        (r"\bdivided by\b", "/"),
        (r"(?<=%)\s?of\b|(?<=percent)\s?of\b", "*"),
        (r"(?<=\d)\s?percent\b", "%"),
        (r"\s*\n\s*(?==)", " "),  # a chain goes on in its next line
        (r"(?<=[\d)}])\s?([+/*])[ \t]*\n\s*(?=[\d(\\])", r" \1 "),  # and so does a product
    )
)  # fmt: skip

_TOKEN = re.compile(
    r"(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:\s?(?:hundred|thousand|million|billion)\b)?)"
    r"|(?P<sign>[=≈])"
    r"|(?P<word>[A-Za-z]{2,}(?:['-][A-Za-z]+)*)"
    r"|(?P<symbol>[A-Za-z](?:_\{?[A-Za-z0-9]{1,3}\}?)?)"
    r"|(?P<command>\\[A-Za-z]+)"
    r"|(?P<operator>[-+*/^])"
    r"|(?P<open>[({\[])"
    r"|(?P<close>[)}\]])"
    r"|(?P<mark>[%!°])"
    r"|(?P<money>[$€£¥])"
    r"|(?P<end>\n|[;?]|[.,:](?!\d))"
    r"|(?P<space>[ \t\r\f\v]+)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_MATHS_COMMANDS = frozenset((r"\frac", r"\sqrt", r"\pi", r"\sin", r"\cos", r"\tan", r"\log"))
_FUNCTION_WORDS = frozenset(
    (
        *("log", "ln", "lg", "exp", "sec", "csc", "cot", "arcsin", "arccos", "arctan", "sinh"),
        *("cosh", "tanh", "abs", "gcd", "lcm"),
    )
)
_MATHS_WORDS = {"sqrt": r"\sqrt", "pi": r"\pi", "sin": r"\sin", "cos": r"\cos", "tan": r"\tan"}
_MOST_LEAD_WORDS = 30
ENDING_WORDS = frozenset(("and", "or", "so", "then", "thus", "hence", "therefore", "but"))
"""Where a formula is over, whatever comes."""
OTHER_NUMBERS = frozenset(
    (
        *("mod", "modulo", "modular", "binary", "base", "hexadecimal", "octal", "clock"),
        *("nearest", "estimate"),
    )
)
"""Words of numbers that are not meant exactly, or counted otherwise than usually."""


class Token(NamedTuple):
    """``kind`` is the name of a group of the pattern above, ``text`` what stands there."""

    kind: str
    text: str


def _plain(text: str) -> str:
    for pattern, by in _MARKUP:
        text = pattern.sub(by, text)
    return text


def _tokens(text: str) -> list[Token]:
    tokens = []
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup or "other", match.group()
        if kind == "word" and token.lower() in _MATHS_WORDS:
            kind, token = "command", _MATHS_WORDS[token.lower()]
        if kind == "word" and token.lower() in _FUNCTION_WORDS:
            kind = "other"
        if kind == "command" and token not in _MATHS_COMMANDS:
            kind = "other"
        if kind != "space":
            tokens.append(Token(kind, token))
    return tokens


class Fragment(NamedTuple):
    """A part of a sentence, the words of the sentence before it, and whether it is asked."""

    lead: tuple[str, ...]
    tokens: list[Token]
    asked: bool = False


def fragments_of(text: str) -> list[Fragment]:
    """Parts between the ends of sentences and lines; ``a = b and c = d`` is two as well."""
    tokens = _tokens(_plain(text))
    fragments = [Fragment((), [])]
    has_sign = False
    for place, token in enumerate(tokens):
        now = fragments[-1]
        has_sign = has_sign or token.kind == "sign"
        ends = token.kind == "end" or (
            token.kind == "word" and token.text.lower() in ENDING_WORDS and has_sign
        )
        if not ends:
            now.tokens.append(token)
            continue
        if token.kind == "word" or token.text == ",":
            # "x = 3 or 4": what is said of x continues after the word.
            now.tokens.extend(_second_value(tokens, place))
        elif token.text == ":":
            now.tokens.append(token)
        if token.text == "?":
            fragments[-1] = now._replace(asked=True)
        goes_on = token.kind == "word" or token.text in (",", ":")
        lead = (*now.lead, *words_in(now.tokens))[-_MOST_LEAD_WORDS:] if goes_on else ()
        fragments.append(Fragment(lead, []))
        has_sign = False
    return fragments


def lone_letters(text: str) -> set[str]:
    """The letters that stand somewhere else than right behind a number, as no unit does."""
    tokens = _tokens(_plain(text))
    return {
        token.text
        for place, token in enumerate(tokens)
        if token.kind == "symbol" and (place == 0 or tokens[place - 1].kind != "number")
    }


def words_in(tokens: list[Token]) -> list[str]:
    """The last of the words among tokens, in small letters."""
    return [token.text.lower() for token in tokens if token.kind == "word"][-_MOST_LEAD_WORDS:]


def _second_value(tokens: list[Token], place: int) -> list[Token]:
    for token in tokens[place + 1 :]:
        if token.kind == "sign" or token.kind in ("word", "symbol"):
            return []
        if token.kind == "end":
            break
    following = tokens[place + 1 : place + 3]
    if any(token.kind in ("number", "money") for token in following):
        return [Token("other", tokens[place].text)]
    return []
