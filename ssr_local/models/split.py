"""Models in several files: ``NAME-00001-of-00003.gguf`` and so on, beside one another."""

from __future__ import annotations

import re
from pathlib import Path

_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_MAX_PARTS = 1000


def part_names(file: str) -> list[str]:
    """The names of a model's files if this one says that it was split; of another, itself."""
    match = _SPLIT.search(file)
    if match is None or not 0 < int(match[1]) <= int(match[2]) <= _MAX_PARTS:
        return [file]
    stem, count = file[: match.start()], int(match[2])
    return [f"{stem}-{n:05}-of-{count:05}{file[-5:]}" for n in range(1, count + 1)]


def split_parts(path: Path) -> list[Path]:
    """The same for a file on this machine."""
    return [path.with_name(name) for name in part_names(path.name)]
