"""Text that somebody else wrote, in Markdown of ours. Pure.

It stays as it was written, formulas and Markdown included. It stands in block quotes, which
nothing in it can get out of, and a space goes into whatever could begin a tag, load a picture
or link to another scheme than the web's: a formula reads the same with it, and nothing is
left to run in whatever shows the report.
"""

from __future__ import annotations

import re

from ssr_local.core.display import clean, one_line

MAX_CELL_CHARS = 200
"""Names and the answers in lists are cut there; the final answer never is."""

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_PICTURE = re.compile(r"!(?=\[)")
_LINK = re.compile(r"\](?=[(:][\s<]*(?!https?://)[^\s)]{0,64}[:&\\])")
_MATHS_LINK = re.compile(r"\\(?=href|html)")
_TILDES = re.compile(r"~(?=~)")
_LAST_TILDE = re.compile(r"(?<!\\)((?:\\\\)*)~$")
_BACKTICKS = re.compile(r"`+")


def harmless(text: str) -> str:
    """Foreign Markdown in which nothing can run, or be fetched by opening the file."""
    text = _TAG.sub("< ", clean(text))
    text = _PICTURE.sub("! ", text)
    return _MATHS_LINK.sub(r"\\ ", _LINK.sub("] ", text))


def quote(text: str) -> str:
    """A block quote of it, "" when there is nothing to quote."""
    lines = harmless(text).strip("\n").rstrip().split("\n")
    return "" if lines == [""] else "\n".join(f"> {line}" if line else ">" for line in lines)


def struck(text: str) -> str:
    """A block quote of it with every line struck through.

    Every line is a paragraph of its own: a backtick in one cannot join up with another's.
    """
    lines = [line.strip() for line in harmless(text).split("\n")]
    return "\n>\n".join(f"> ~~{_unstriking(line)}~~" for line in lines if line)


def _unstriking(line: str) -> str:
    """The line without anything in it that would end its own striking through."""
    line = _TILDES.sub("~ ", line)
    if line.startswith("~"):
        line = "\\" + line
    line = _LAST_TILDE.sub(r"\1\\~", line)
    num_backslashes = len(line) - len(line.rstrip("\\"))
    return line + "\\" * (num_backslashes % 2)


def name(text: str) -> str:
    """A name on one line, also fit for a table."""
    return harmless(one_line(text, MAX_CELL_CHARS)).replace("|", "&#124;")


def code(text: str, limit: int = MAX_CELL_CHARS) -> str:
    """A code span, exactly as it was written."""
    shown = one_line(text, limit)
    longest = max((len(run) for run in _BACKTICKS.findall(shown)), default=0)
    fence = "`" * (longest + 1)
    gap = " " if longest else ""
    return f"{fence}{gap}{shown}{gap}{fence}" if shown else "(empty)"
