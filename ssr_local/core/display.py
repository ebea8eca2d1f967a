"""Making text of unknown origin fit for a terminal. Pure.

The only place that knows what a terminal obeys instead of shows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

END_WORDS: Mapping[str, str] = {
    "answered": "answer",
    "end_of_generation": "finished",
    "concluded": "answer, asked for at the end of its budget",
    "empty_step": "the model had nothing more to say",
    "repetition": "it began to repeat itself",
    "token_budget": "its token budget is used up",
    "step_budget": "its step budget is used up",
    "time_limit": "time is up",
    "context_full": "the model's context is full",
    "kv_cache_full": "the KV cache is full",
    "program_failed": "its program has no answer",
    "early_exit": "enough answers are in",
    "dropped": "dropped",
    "cancelled": "stopped",
}
"""Why a path ended (``records.EndReason``), in words."""
RULE_WORDS: Mapping[str, str] = {
    "all": "Enough when all its paths have ended.",
    "first": "Enough when a path has an answer.",
    "agree": "Enough when two paths agree.",
    "decided": "Enough when no path that still writes can change the vote.",
}
"""When a wave is enough (``records.Rule``), in words."""

# No part of it can match the same text twice over, so the time grows with the length alone.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"  # OSC, DCS and the like: titles, the clipboard
    r"[^\n\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[\]PX^_][^\n\x07\x1b\x90\x98\x9c-\x9f]*"  # the same without an end
    r"|\x1b[ -/]*[0-~]?"
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\u2028\u2029]")
# Format characters reorder, hide or disguise the text around them. The two joiners do not,
# and Persian, Indian scripts and emoji need them.
_KEPT = "\n\t\u200c\u200d"
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})
_MAX_INT_BITS = 64
_MAX_SHOWN_CHARS = 60


def clean(text: str) -> str:
    """The text without escape sequences and control characters; newlines and tabs stay."""
    text = _ESCAPES.sub("", _LINE_ENDS.sub("\n", text))
    return "".join(
        c for c in text if c.isprintable() or c in _KEPT or unicodedata.category(c) not in _UNSEEN
    )


def one_line(text: str, limit: int = 0) -> str:
    """The same on one line, cut to ``limit`` characters when that is not 0."""
    # What is cut off is not looked at: names in a model's file may be megabytes long.
    line = " ".join(clean(text[: 8 * limit] if limit else text).split())
    return line if not limit or len(line) <= limit else line[: limit - 1] + "…"


def printable(text: str) -> str:
    """``text`` on one line, with ``?`` for whatever a terminal might obey instead of show.

    For names that must stay recognisable as what they are, such as a file's.
    """
    return "".join(c if c.isprintable() else "?" for c in text)


def quoted(value: object) -> str:
    """A value from outside as an error may show it: escaped, cut, tables and lists by kind."""
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_SHOWN_CHARS else value[:_MAX_SHOWN_CHARS] + "...")
    # Python refuses to print an integer of thousands of digits.
    if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
        return f"an integer of more than {_MAX_INT_BITS} bits"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    return "a table" if isinstance(value, dict) else f"a {type(value).__name__}"


def human_bytes(num_bytes: int) -> str:
    """A size for people, in decimal units: 491 MB, 1.6 GB."""
    size = float(num_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
