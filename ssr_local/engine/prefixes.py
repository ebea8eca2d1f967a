"""What was prefilled of prompts that come back: in memory between problems, and on disk.

A file holds the library's own state of one sequence. It is found by all that the state depends
on, and handed to a library only when its digest is right: a library may crash over another.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from ssr_local.core import folders
from ssr_local.engine.base import Engine
from ssr_local.engine.packages import FLASH_ATTENTION
from ssr_local.engine.remembered import identity

MOST_ON_DISK_BYTES = 512 * 1024 * 1024
MOST_IN_MEMORY_BYTES = 64 * 1024 * 1024
_FORMAT = 1


class KeptPrefix(Struct, frozen=True, kw_only=True):
    """A prefix's ``state`` as ``Engine.save`` gave it, and the ``baseline`` of the letters after
    it: their mean log-probabilities (nats) for typical problems."""

    state: bytes
    baseline: tuple[float, ...] = ()


class _File(Struct, frozen=True, array_like=True):
    key: str
    digest: bytes
    body: bytes


class KeptPrefixes:
    """The prefixes that one session keeps; of models with a file others find them on disk.

    A cache folder that cannot be read or written keeps nothing, and nothing fails by that.
    """

    def __init__(self) -> None:
        self._kept: dict[str, KeptPrefix] = {}

    def find(self, engine: Engine, prompts: Sequence[Sequence[int]]) -> KeptPrefix | None:
        """What is kept of what these prompts' tokens begin with, for this file and library."""
        key = _key(engine, prompts)
        kept = self._kept.get(key)
        if kept is None and engine.info.file:
            kept = _read(_path(engine, key), key)
        if kept is not None:
            self._remember(key, kept)
        return kept

    def keep(self, engine: Engine, prompts: Sequence[Sequence[int]], kept: KeptPrefix) -> None:
        """Keep it in place of what is kept of these prompts."""
        key = _key(engine, prompts)
        self._remember(key, kept)
        if engine.info.file and kept.state:
            _write(_path(engine, key), key, kept)

    def _remember(self, key: str, kept: KeptPrefix) -> None:
        self._kept.pop(key, None)  # what was used last goes last
        self._kept[key] = kept
        while sum(len(one.state) for one in self._kept.values()) > MOST_IN_MEMORY_BYTES:
            if (oldest := next(iter(self._kept))) == key:
                break
            del self._kept[oldest]


def kept_files(model: Path, sha256: str | None) -> list[Path]:
    """Where on disk something is kept of a model's file, which must still be there."""
    owners = {_owner(identity(model, known)) for known in (sha256, None)}
    return [path for path in _files() if path.name.split("-")[0] in owners]


def remove_kept(files: Iterable[Path]) -> int:
    """Remove these; how many bytes became free."""
    freed = 0
    for path in files:
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            freed += size
    return freed


def kept_bytes() -> int:
    """How much is kept on disk, of all models."""
    total = 0
    for path in _files():
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def folder() -> Path:
    """Where the files lie."""
    return folders.cache_dir() / "prefixes"


def _key(engine: Engine, prompts: Sequence[Sequence[int]]) -> str:
    """All that a state and its baseline depend on; the prompts' tokens stand for pool, order,
    wording and template."""
    info = engine.info
    file = identity(Path(info.file), info.sha256) if info.file else info.name
    tokens = hashlib.sha256(repr([list(prompt) for prompt in prompts]).encode()).hexdigest()
    attention = os.environ.get(FLASH_ATTENTION, "")
    return "|".join([str(_FORMAT), file, info.engine, info.device, attention, tokens])


def _path(engine: Engine, key: str) -> Path:
    owner = _owner(identity(Path(engine.info.file), engine.info.sha256))
    return folder() / f"{owner}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _owner(file: str) -> str:
    return hashlib.sha256(file.encode()).hexdigest()[:16]


def _read(path: Path, key: str) -> KeptPrefix | None:
    try:
        found = msgspec.msgpack.decode(path.read_bytes(), type=_File)
        if found.key != key or found.digest != hashlib.sha256(found.body).digest():
            return None
        kept = msgspec.msgpack.decode(found.body, type=KeptPrefix)
    except (OSError, ValueError):  # not there, or damaged
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the last use, by which the oldest are removed
    return kept


def _write(path: Path, key: str, kept: KeptPrefix) -> None:
    body = msgspec.msgpack.encode(kept)
    data = msgspec.msgpack.encode(_File(key, hashlib.sha256(body).digest(), body))
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if _make_room(len(data)):
            folders.write_atomically(path, data)


def _make_room(num_bytes: int) -> bool:
    """Remove the files that were not used for longest until so many bytes more are allowed."""
    oldest = sorted(_files(), key=lambda path: path.stat().st_mtime)
    used = kept_bytes()
    for path in oldest:
        if used + num_bytes <= MOST_ON_DISK_BYTES:
            break
        used -= remove_kept([path])
    return used + num_bytes <= MOST_ON_DISK_BYTES


def _files() -> list[Path]:
    """Those that a writer left unfinished included."""
    try:
        return [path for path in folder().iterdir() if path.is_file()]
    except OSError:
        return []
