"""JSONL files that a kill leaves readable and a second run continues.

A line is written whole or not counted: a half-written last one is cut off before the next
is appended. One process writes in a folder at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Generic, TypeVar

import msgspec
from filelock import FileLock, Timeout

from ssr_local.core.display import printable
from ssr_local.core.errors import SSRError, UsageError

MAX_LINE_BYTES = 64 * 1024 * 1024

_Line = TypeVar("_Line")


class LineFile(Generic[_Line]):
    """One JSONL file, open for appending. ``lines`` are those it holds, in order."""

    def __init__(self, path: Path, kind: type[_Line], damaged: type[SSRError] = UsageError) -> None:
        self.lines: list[_Line] = list(read_lines(path, kind, damaged))
        self._path = path
        self._encode = msgspec.json.Encoder().encode
        _cut_unfinished(path)
        # Without a buffer: what a full disk refuses must not be tried again at the end.
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def append(self, line: _Line) -> None:
        """Add one line; when this returns, a kill of this process cannot lose it."""
        try:
            left = memoryview(self._encode(line) + b"\n")
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            _cut_unfinished(self._path)
            raise SSRError(
                f"{self._path} cannot be written.",
                f"{error.strerror or error}.",
                "Make room, then run the same command again: it goes on from here.",
            ) from error
        self.lines.append(line)

    def close(self) -> None:
        self._file.close()


def locked(folder: Path) -> AbstractContextManager[object]:
    """A folder to write in, made when it is not there, for one process.

    Raises ``UsageError`` when another one writes there, or nobody can.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / ".lock").acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"{printable(str(folder))} is in use.",
            "Another process is writing there.",
            "Wait for it, or name another directory with --out.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"{printable(str(folder))} cannot be used.",
            f"{error.strerror or error}.",
            "Name a folder that can be written with --out.",
        ) from error


def read_lines(
    path: Path, kind: type[_Line], damaged: type[SSRError] = UsageError
) -> Iterator[_Line]:
    """The lines of a file, none when it is not there; an unfinished last one is left out.

    Raises ``damaged`` naming file and line for one that is, ``UsageError`` for another reason.
    """
    decode = msgspec.json.Decoder(kind).decode
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES):
                number += 1
                if not line.endswith(b"\n"):
                    return
                try:
                    yield decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise damaged(
                        f"{printable(str(path))}, line {number}: nothing that ssr-local wrote.",
                        f"{error}.",
                        "Remove the line, or name another directory.",
                    ) from error
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(
            f"{printable(str(path))} cannot be read.", f"{error.strerror or error}."
        ) from error


def _cut_unfinished(path: Path) -> None:
    """Take away what a killed process had begun to write after the last whole line."""
    try:
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    except FileNotFoundError:
        return
