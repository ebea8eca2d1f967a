"""A directory of results: JSONL files that a kill leaves readable and a second run continues.

A line is written whole or not counted: a half-written last one is cut off before the next
is appended. One process writes at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import msgspec
from filelock import FileLock, Timeout

from ssr_local.bench.records import Row, Walk
from ssr_local.core.display import printable
from ssr_local.core.errors import SSRError, UsageError
from ssr_local.core.folders import write_atomically

ROWS = "rows.jsonl"
WALKS = "steps.jsonl"

MAX_LINE_BYTES = 64 * 1024 * 1024

_Line = TypeVar("_Line", Row, Walk)


class LineFile(Generic[_Line]):
    """One JSONL file, open for appending. ``lines`` are those it holds, in order."""

    def __init__(self, path: Path, kind: type[_Line]) -> None:
        self.lines: list[_Line] = list(read_lines(path, kind))
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


@contextmanager
def open_for_writing(
    folder: Path, name: str, kind: type[_Line], settings: Mapping[str, Any]
) -> Iterator[LineFile[_Line]]:
    """The file ``name`` of a results directory, which is made when it is not there.

    ``settings`` are what all its lines have in common. Raises ``UsageError`` when another
    process writes there, when the directory was begun with other settings, or when a line
    is damaged.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"{printable(str(folder))} is in use.",
            "Another process is writing results there.",
            "Wait for it, or name another directory with --out.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"{printable(str(folder))} cannot be used.",
            f"{error.strerror or error}.",
            "Name a folder that can be written with --out.",
        ) from error
    try:
        _agree(folder, (folder / name).with_suffix(".settings.json"), settings)
        with closing(LineFile(folder / name, kind)) as lines:
            yield lines
    finally:
        lock.release()


def read_lines(path: Path, kind: type[_Line]) -> Iterator[_Line]:
    """The lines of a results file, none when it is not there; an unfinished last one is left out.

    Raises ``UsageError`` naming file and line for one that is damaged.
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
                    raise UsageError(
                        f"{printable(str(path))}, line {number}: not a result of ssr-local bench.",
                        f"{error}.",
                        "Remove the line, or name another directory.",
                    ) from error
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(
            f"{printable(str(path))} cannot be read.", f"{error.strerror or error}."
        ) from error


def _agree(folder: Path, path: Path, settings: Mapping[str, Any]) -> None:
    """One file is one experiment: the same seed, pair and options from first to last."""
    try:
        before = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        write_atomically(path, msgspec.json.format(msgspec.json.encode(settings)) + b"\n")
        return
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{printable(str(path))} is damaged.", f"{error}.", "Name another directory."
        ) from error
    wanted = msgspec.to_builtins(settings)
    # An option that came with a later version says nothing about results from before it.
    for name in sorted({*before} & {*wanted}):
        if before[name] != wanted[name]:
            raise UsageError(
                f"{printable(str(folder))} was begun with {name} = {before[name]!r},"
                f" not {wanted[name]!r}.",
                "Results of different settings cannot share a directory.",
                "Give the same settings, or name another directory with --out.",
            )


def _cut_unfinished(path: Path) -> None:
    """Take away what a killed process had begun to write after the last whole line."""
    try:
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    except FileNotFoundError:
        return
