"""Markdown and formulas as HTML that is harmless: of a text's own HTML, links and pictures nothing.

Formulas become MathML, which browsers draw themselves; what cannot be converted stands as it
was written.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ssr_local.display import clean

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
_MARK = "\ue000{}\ue001"
_MARKED = re.compile("\ue000(\\d+)\ue001")
_TAGS = frozenset(
    (
        *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot"),
        *("msup", "msub", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd"),
        *("mstyle", "mfenced", "menclose", "mpadded", "mphantom"),
    )
)
_ATTRIBUTES = frozenset(("display", "notation", "mathvariant", "stretchy", "linethickness"))
_MATHML = "http://www.w3.org/1998/Math/MathML"


def formatted(text: str) -> str:
    """A text's Markdown and formulas as HTML; of its own HTML, links and pictures nothing."""
    formulas: list[str] = []

    def keep(match: re.Match[str]) -> str:
        names = ("display", "bracket", "inline", "dollar")
        source = next(match[name] for name in names if match[name] is not None)
        block = match["display"] is not None or match["bracket"] is not None
        formulas.append(mathml(source, block=block))
        return _MARK.format(len(formulas) - 1)

    def box(match: re.Match[str]) -> str:
        formulas.append(mathml(match.group().replace("$", "")))
        return _MARK.format(len(formulas) - 1)

    text = clean(text).replace("\ue000", "").replace("\ue001", "")
    marked = _BOXED_FORMULA.sub(lambda match: (box if match["box"] else keep)(match), text)
    made: str = _markdown().render(marked)
    return _MARKED.sub(lambda match: formulas[int(match[1])], made)


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
