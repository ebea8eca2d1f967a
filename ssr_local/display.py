"""Making text of unknown origin fit for a terminal. Pure.

The only place that knows what a terminal obeys instead of shows.
"""

from __future__ import annotations

import re
import unicodedata

# No part of it can match the same text twice over, so the time grows with the length alone.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"  # OSC, DCS and the like: titles, the clipboard
    r"[^\n\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[\]PX^_][^\n\x07\x1b\x90\x98\x9c-\x9f]*"  # the same without an end
    r"|\x1b[ -/]*[0-~]?"
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\u2028\u2029]")
_KEPT = "\n\t"
# Format characters reorder, hide or disguise the text around them. The two joiners do not,
# and Persian, Indian scripts and emoji need them.
_JOINERS = "\u200c\u200d"
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})


def clean(text: str) -> str:
    """The text without escape sequences and control characters; newlines and tabs stay."""
    text = _ESCAPES.sub("", _LINE_ENDS.sub("\n", text))
    return "".join(c for c in text if c.isprintable() or _is_seen(c))


def one_line(text: str, limit: int = 0) -> str:
    """The same on one line, cut to ``limit`` characters when that is not 0."""
    # What is cut off is not looked at: names in a model's file may be megabytes long.
    line = " ".join(clean(text[: 8 * limit] if limit else text).split())
    return line if not limit or len(line) <= limit else line[: limit - 1] + "…"


def _is_seen(character: str) -> bool:
    return character in _KEPT + _JOINERS or unicodedata.category(character) not in _UNSEEN
