"""Reading TOML files that nobody vouches for: bounded, and wrong ones named with their line.

Settings, models and strategy pools are all read here. Errors show what stood in a file only
through ``printable`` and ``quoted``.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ssr_local.core.display import printable, quoted
from ssr_local.core.errors import ConfigError

__all__ = ["decode_text", "parse_toml", "printable", "quoted", "read_bounded", "reason_of"]

# By name, because the type checker looks at 3.10 also where tomli is not installed.
_tomllib: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

# tomllib's memory grows with the square of a dotted key's parts: 200 kB of "a.a.a..." take
# 40 GB. No key of ours has more than five parts.
_MAX_DOTS_PER_LINE = 50
# Lists of numbers may be long. Such a line has no key but perhaps a plain one in front, and a
# header made of digits shows itself by two dots with nothing but a number between them.
_NUMBERS = re.compile(r"(?:[A-Za-z0-9_-]+\s*=)?[\s\d,.eE+\[\]-]*")
_NUMBER_KEY = re.compile(r"\.[\s\deE+-]*\.")


def read_bounded(file: Path, max_bytes: int, kind: str = "TOML") -> bytes:
    """The bytes of a regular file of at most ``max_bytes``.

    Raises ``FileNotFoundError`` when there is none, ``ConfigError`` for everything else.
    """
    shown = printable(str(file))
    try:
        # Opening a pipe without a writer would wait for ever.
        if file.exists() and not file.is_file():
            raise ConfigError(
                f"{shown}: not a regular file.", "", f"Give the path of a {kind} file."
            )
        with file.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL byte
        raise ConfigError(f"{shown}: cannot be read.", f"{reason_of(error)}.") from error
    if len(data) > max_bytes:
        raise ConfigError(
            f"{shown}: too large.", f"Accepted: at most {max_bytes // 1024} kB of {kind}."
        )
    return data


def decode_text(data: bytes, name: str) -> str:
    """``data`` as UTF-8 text; ``ConfigError`` names ``name`` and the line."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name}, line {line}: not UTF-8 text.",
            f"Byte 0x{data[error.start]:02x} at offset {error.start} cannot be read as such.",
            "Save the file as UTF-8.",
        ) from error


def parse_toml(data: bytes | str, name: str) -> dict[str, Any]:
    """``data`` as a TOML table; ``ConfigError`` names ``name`` and, where known, the line."""
    text = data if isinstance(data, str) else decode_text(data, name)
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MAX_DOTS_PER_LINE and not _is_harmless(line):
            raise ConfigError(
                f"{name}, line {number}: too many dots.",
                f"Accepted: at most {_MAX_DOTS_PER_LINE} in one line, except in lists of numbers.",
            )
    try:
        table: dict[str, Any] = _tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{name}: nested too deeply.") from error
    except ValueError as error:  # TOMLDecodeError is one; a number of 5,000 digits is another
        reason, line_number = _located(str(error), text)
        place = f", line {line_number}" if line_number else ""
        raise ConfigError(
            f"{name}{place}: not valid TOML.", f"{reason}.", "Correct the file and try again."
        ) from error
    return table


def reason_of(error: Exception) -> str:
    """The system's reason, on one line and without a full stop."""
    return printable(getattr(error, "strerror", None) or str(error))


def _is_harmless(line: str) -> bool:
    line = line.strip()
    if line.startswith("#"):
        return True
    return bool(_NUMBERS.fullmatch(line)) and not _NUMBER_KEY.search(line)


def _located(message: str, text: str) -> tuple[str, int | None]:
    """tomllib's message without its position at the end, and the line it names."""
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    reason = printable((message[: found.start()] if found else message)[:200])
    if found is None:
        return reason, None
    return reason, int(found[1]) if found[1] else text.rstrip("\n").count("\n") + 1
