"""Text that is given as an argument, a file, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from ssr_local.core.errors import ProblemError, UsageError

_MAX_INPUT_BYTES = 1_000_000
STANDARD_INPUT = "-"


def read_input(file: str, what: str) -> str:
    """The text of a file, "-" for standard input; ``what`` names it in errors.

    Raises ``UsageError`` when it cannot be read, ``ProblemError`` when it is no text of a
    reasonable size.
    """
    name = "standard input" if file == STANDARD_INPUT else file
    try:
        if file == STANDARD_INPUT:
            raw = sys.stdin.buffer.read(_MAX_INPUT_BYTES + 1)
        else:
            with Path(file).open("rb") as handle:
                raw = handle.read(_MAX_INPUT_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise UsageError(f"{name} cannot be read.", reason) from error
    if len(raw) > _MAX_INPUT_BYTES:
        raise ProblemError(
            f"{what} in {name} is longer than {_MAX_INPUT_BYTES} bytes.",
            "",
            "Shorten it to what is asked.",
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemError(
            f"{what} in {name} is not UTF-8 text (byte {error.start}).",
            "",
            "Save it as UTF-8.",
        ) from error
