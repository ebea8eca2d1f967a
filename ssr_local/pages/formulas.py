"""Markdown and formulas as HTML that is harmless: of a text's own HTML, links and pictures nothing.

Formulas become MathML, which browsers draw themselves; what cannot be converted stands as it
was written.
"""

from __future__ import annotations

import html
import re
import secrets
from functools import cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ssr_local.core.display import clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_MAX_FORMULA_CHARS = 2000
_FORMULA = re.compile(
    r"\$\$(?P<display>.+?)\$\$|\\\[(?P<bracket>.+?)\\\]|\\\((?P<inline>.+?)\\\)"
    r"|(?<![\\$\w])\$(?=\S)(?P<dollar>[^$\n]{1,300}?)(?<=\S)\$(?![\d\w])",
    re.DOTALL,
)
_BOX = re.compile(r"\\boxed\{(?:[^{}]|\{[^{}]*\})*\}")
_BOXED_FORMULA = re.compile(f"(?P<box>{_BOX.pattern})|{_FORMULA.pattern}", re.DOTALL)
_CODE = frozenset(("code_inline", "code_block", "fence"))
_TAGS = frozenset(
    (
        *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot"),
        *("msup", "msub", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd"),
        *("mstyle", "mfenced", "menclose", "mpadded", "mphantom"),
    )
)
_ATTRIBUTES = frozenset(("display", "notation", "mathvariant", "stretchy", "linethickness"))
_MATHML = "http://www.w3.org/1998/Math/MathML"


def formatted(text: str, *, formulas: bool = True) -> str:
    """A text's Markdown and formulas as HTML; of its own HTML, links and pictures nothing.

    Without ``formulas`` what looks like one stays as it was written.
    """
    marks = _Marks()
    marked = _BOXED_FORMULA.sub(marks.put, clean(text)) if formulas else clean(text)
    tokens = _markdown().parse(marked)
    for token in tokens:
        for part in (token, *(token.children or ())):
            if part.type in _CODE:
                part.content = marks.replaced(part.content, drawn=False)
                part.info = ""  # the language would become an attribute
    made: str = _markdown().renderer.render(tokens, _markdown().options, {})
    return marks.replaced(made, drawn=True)


class _Marks:
    """Formulas of a text, each replaced by a mark that nobody else can write."""

    def __init__(self) -> None:
        self._nonce = secrets.token_hex(8)
        self._formulas: list[tuple[str, str]] = []

    def put(self, match: re.Match[str]) -> str:
        """The mark for a formula."""
        if match["box"]:
            drawn = mathml(match.group().replace("$", ""))
        else:
            names = ("display", "bracket", "inline", "dollar")
            source = next(match[name] for name in names if match[name] is not None)
            block = match["display"] is not None or match["bracket"] is not None
            drawn = mathml(source, block=block)
        self._formulas.append((match.group(), drawn))
        return f"{self._nonce}x{len(self._formulas) - 1}x"

    def replaced(self, text: str, *, drawn: bool) -> str:
        """The text with its formulas drawn, or as they were written."""
        pattern = f"{self._nonce}x(\\d+)x"
        return re.sub(pattern, lambda match: self._formulas[int(match[1])][drawn], text)


def mathml(source: str, *, block: bool = False) -> str:
    """A LaTeX formula as MathML; as code where it cannot be had safely."""
    as_code = f"<code>{plain(source)}</code>"
    if len(source) > _MAX_FORMULA_CHARS:
        return as_code
    from latex2mathml.converter import convert

    ready = source.replace("<", r" \lt ").replace(">", r" \gt ")
    try:
        root = ElementTree.fromstring(convert(ready, display="block" if block else "inline"))  # noqa: S314
    except (RecursionError, Exception):  # noqa: BLE001 - any text may come here
        return as_code
    for node in root.iter():
        if not isinstance(node.tag, str) or node.tag.removeprefix(f"{{{_MATHML}}}") not in _TAGS:
            return as_code
        node.tag = node.tag.removeprefix(f"{{{_MATHML}}}")
        for name in [name for name in node.attrib if name not in _ATTRIBUTES]:
            del node.attrib[name]
    return ElementTree.tostring(root, encoding="unicode")


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False, "breaks": True})
    return made.enable("table").disable(
        ["image", "link", "autolink", "html_block", "html_inline", "reference"]
    )


def plain(text: str) -> str:
    """A text of which nothing is taken for HTML."""
    return html.escape(clean(text))
