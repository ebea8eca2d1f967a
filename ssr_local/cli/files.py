"""Text that is given as an argument, a file or standard input, and files that are made."""

from __future__ import annotations

from pathlib import Path

import click

from ssr_local.core.errors import ProblemError, UsageError
from ssr_local.core.toml_file import reason_of

_MAX_INPUT_BYTES = 1_000_000
STANDARD_INPUT = "-"


def read_input(file: str, what: str) -> str:
    """The text of a file, "-" for standard input; ``what`` names it in errors.

    Raises ``UsageError`` when it cannot be read, ``ProblemError`` when it is no text of a
    reasonable size.
    """
    name = "standard input" if file == STANDARD_INPUT else file
    try:
        with click.open_file(file, "rb") as handle:
            raw: bytes = handle.read(_MAX_INPUT_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be read.", reason_of(error)) from error
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


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet; raises ``UsageError`` when it is, or cannot be."""
    try:
        with path.open("xb") as handle:
            try:
                handle.write(data)
                handle.flush()
            except OSError:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError as error:
        raise UsageError(f"{path} exists already.", "", "Give another name.") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be written.", reason_of(error)) from error
