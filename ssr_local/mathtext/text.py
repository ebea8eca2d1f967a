"""Finding the answer in what a model wrote.

Everything here takes linear time, because it reads whatever a model writes.
"""

from __future__ import annotations

import re
import textwrap
from typing import Literal, NamedTuple

AnswerKind = Literal["boxed", "code"]

_THINK_END = "</think>"
_BOX_TOKEN = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])[ \t]{0,10}(\{)?|\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"[-+]?\.?\d[^\s{}$\\]{0,100}|[A-Z](?![A-Za-z])")
_NO_ANSWER = frozenset({"", "...", "…", r"\ldots", r"\dots", r"\cdots"})

_HASHES = re.compile(r"^[ \t]{0,20}####[ \t]{0,20}(?=\S)", re.MULTILINE)
_STATED = re.compile(
    r"(?:\bfinal answer|\bthe answer|\bcorrect answer|^[ \t]{0,20}\*{0,3}answer)\*{0,3}"
    r"(?:[^.:\n=]{0,60}?\bis\b|(?=\s{0,5}[:=]))\s{0,5}[:=]?[\s*]{0,10}(?=\S)",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_STATED_CHARS = 1000
_MATHS = re.compile(r"\$\$?([^$]*[^$\s])\$(?!\d)|\\\((.*?)\\\)|\\\[(.*?)\\\]")
_STATED_END = re.compile(
    r"[.!?](?=\*{0,2}(?:\s|$))|\*\*|,?\s(?:because|since|which|where)\b", re.IGNORECASE
)

_MAX_LINE_CHARS = 200
_EQUALS_NUMBER = re.compile(
    r"[\w)}\]] {0,3}= {0,3}\$?(-?\d[\d,]{0,30}(?:\.\d{1,30})?(?:/\d{1,30})?%?)"
    r"(?: {1,3}[A-Za-z]{1,20}){0,2}[.*$ )\]\\]{0,6}$"
)

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_CODE_START = re.compile(
    r"(?:def|class|import|async def|function|const|let|var|public|fn|struct|int main)\s\S"
    r"|from \S+ import |#include\b|#!|@\w+"
)


def extract_answer(text: str, *, kind: AnswerKind = "boxed", at_end: bool = False) -> str | None:
    r"""The answer a text states, None when it states none.

    ``boxed``: the last complete ``\boxed{...}``, after ``</think>`` if there is one there.
    ``code``: the last complete fenced code block. ``at_end`` says that nothing will
    follow; then ``#### 42`` and "the answer is 42" count too, and so do a code block whose
    fence is missing at the end and a text that is code altogether.
    """
    _, marker, after = text.rpartition(_THINK_END)
    parts = (after, text) if marker else (text,)
    for find in (_last_code,) if kind == "code" else (_boxed, _stated):
        for part in parts:
            answer = find(part, at_end)
            if answer is not None:
                return answer
    return None


def last_number(text: str) -> str | None:
    """The number that a text ends with as the right side of an equation: "12 + 35 = 47"."""
    last = text.rstrip().rpartition("\n")[2][-_MAX_LINE_CHARS:]
    match = _EQUALS_NUMBER.search(last)
    return match[1] if match else None


class Box(NamedTuple):
    """Where a box stands: its command, its contents from ``start`` to ``stop``, its end."""

    command: int
    start: int
    stop: int
    end: int


def whole_box(text: str) -> str:
    r"""The contents when ``text`` is one ``\boxed{...}`` and nothing else, else ``text``."""
    box, _ = _last_box(text)
    if box is None or box.command != 0 or box.end != len(text):
        return text
    return text[box.start : box.stop]


def _boxed(text: str, _at_end: bool) -> str | None:
    box, bare = _last_box(text)
    if bare is not None:
        return bare
    return (text[box.start : box.stop].strip() or None) if box else None


def _last_box(text: str) -> tuple[Box | None, str | None]:
    r"""The box that closes last, or what stands after a last ``\boxed`` without braces.

    A box that contains nothing but a box has that one's contents.
    """
    open_braces: list[tuple[int, int] | None] = []  # command and start of a box, else None
    found: Box | None = None
    bare: str | None = None
    for token in _BOX_TOKEN.finditer(text):
        here = token.group()
        if here == "{":
            open_braces.append(None)
        elif token.group(1):
            open_braces.append((token.start(), token.end()))
        elif here == "}":
            opening = open_braces.pop() if open_braces else None
            if opening is not None:
                box = _close(text, opening, token, found)
                found, bare = (box, None) if box else (found, bare)
        elif len(here) > 2 and (match := _BARE_BOX.match(text, token.end())):
            bare = match.group().rstrip(".,;:)")
    return found, bare


def _close(
    text: str, opening: tuple[int, int], token: re.Match[str], inner: Box | None
) -> Box | None:
    """The box that ends here, None when it says nothing."""
    command, start = opening
    stop = token.start()
    if (
        inner is not None
        and inner.command >= start
        and not (text[start : inner.command].strip() or text[inner.end : stop].strip())
    ):
        start, stop = inner.start, inner.stop
    if stop - start < 40 and text[start:stop].strip() in _NO_ANSWER:
        return None
    return Box(command, start, stop, token.end())


def _stated(text: str, at_end: bool) -> str | None:
    if not at_end:
        return None
    if (start := _last_end(_HASHES, text)) is not None:
        return _rest_of_line(text, start).strip()
    if (start := _last_end(_STATED, text)) is None:
        return None
    stated = _rest_of_line(text, start)
    if maths := _MATHS.match(stated):
        return next(group for group in maths.groups() if group is not None).strip() or None
    if end := _STATED_END.search(stated):
        stated = stated[: end.start()]
    return stated.strip(" \t*") or None


def _last_end(pattern: re.Pattern[str], text: str) -> int | None:
    return max((match.end() for match in pattern.finditer(text)), default=None)


def _rest_of_line(text: str, start: int) -> str:
    return text[start : start + _MAX_STATED_CHARS].partition("\n")[0]


def _last_code(text: str, at_end: bool) -> str | None:
    last: str | None = None
    fence, indent = "", ""
    block: list[str] = []
    for line in text.splitlines():
        match = _FENCE.match(line)
        if not fence:
            if match:
                indent, fence, block = match.group(1), match.group(2), []
        elif match and not match.group(3).strip() and match.group(2).startswith(fence):
            last, fence = _code(block, indent) or last, ""
        else:
            block.append(line)
    if at_end and fence:
        return _code(block, indent) or last
    if at_end and last is None and _CODE_START.match(text.lstrip()):
        return text.strip()
    return last


def _code(lines: list[str], indent: str) -> str | None:
    code = "\n".join(lines)
    return (textwrap.dedent(code) if indent else code).strip("\n").rstrip() or None
