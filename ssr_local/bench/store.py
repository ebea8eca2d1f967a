"""A directory of results: JSONL files that a kill leaves readable and a second run continues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ssr_local.bench.records import Row, Walk
from ssr_local.core.display import printable
from ssr_local.core.errors import UsageError
from ssr_local.core.folders import write_atomically
from ssr_local.core.line_file import LineFile, locked

ROWS = "rows.jsonl"
WALKS = "steps.jsonl"

_Line = TypeVar("_Line", Row, Walk)


@contextmanager
def open_for_writing(
    folder: Path, name: str, kind: type[_Line], settings: Mapping[str, Any]
) -> Iterator[LineFile[_Line]]:
    """The file ``name`` of a results directory, which is made when it is not there.

    ``settings`` are what all its lines have in common. Raises ``UsageError`` when another
    process writes there, when the directory was begun with other settings, or when a line
    is damaged.
    """
    with locked(folder):
        _agree(folder, (folder / name).with_suffix(".settings.json"), settings)
        with closing(LineFile(folder / name, kind)) as lines:
            yield lines


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
