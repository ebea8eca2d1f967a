"""Making text of unknown origin fit for a terminal. Pure."""

from __future__ import annotations

import re
import unicodedata

# CSI, OSC and the other string sequences, and two-character escapes, whole.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_KEPT = "\n\t"
# Marks that reorder the text around them; letters of right-to-left scripts are untouched.
_BIDI = dict.fromkeys([0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069])


def clean(text: str) -> str:
    """The text without escape sequences and control characters; newlines and tabs stay."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n")).translate(_BIDI)
    return "".join(c for c in text if c in _KEPT or unicodedata.category(c) not in ("Cc", "Cs"))


def one_line(text: str, limit: int = 0) -> str:
    """The same on one line, cut to ``limit`` characters when that is not 0."""
    line = " ".join(clean(text).split())
    return line if not limit or len(line) <= limit else line[: limit - 1] + "…"
