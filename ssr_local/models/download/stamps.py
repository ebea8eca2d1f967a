"""What is remembered about model files already checked, so that a start does not hash 1.6 GB.

One small JSON file in the data folder. It also keeps the hashes that only the hub knew,
taken from it when a file was fetched.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
from filelock import FileLock
from msgspec import Struct

from ssr_local.core import folders

FILE_NAME = "checked-models.json"


class Stamp(Struct, frozen=True, kw_only=True):
    """A file's hash as of a size and modification time (nanoseconds).

    ``trusted`` is what the hash should be where models.toml does not say.
    """

    size: int
    mtime_ns: int
    sha256: str
    trusted: str | None = None

    def fits(self, path: Path) -> bool:
        """Whether the file still has the size and time that were seen."""
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


def stamp_of(path: Path) -> Stamp | None:
    """What is remembered of this file, if anything."""
    return _load().get(_key(path))


def remember(path: Path, sha256: str, trusted: str | None) -> None:
    """Note the hash the file has now.

    A data folder that cannot be written to only costs time: the file is hashed again.
    """
    stat = path.stat()
    stamp = Stamp(size=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=sha256, trusted=trusted)
    with contextlib.suppress(OSError):
        _change(_key(path), stamp)


def forget(path: Path) -> None:
    """Drop what is remembered of this file."""
    with contextlib.suppress(OSError):
        _change(_key(path), None)


def _change(key: str, stamp: Stamp | None) -> None:
    path = folders.data_dir() / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{FILE_NAME}.lock"), timeout=10):
        known = _load()
        known.pop(key, None)
        if stamp is not None:
            known[key] = stamp
        folders.write_atomically(path, msgspec.json.format(msgspec.json.encode(known), indent=1))


def _load() -> dict[str, Stamp]:
    """An unreadable file counts as empty: every hash can be computed again."""
    try:
        data = (folders.data_dir() / FILE_NAME).read_bytes()
        return msgspec.json.decode(data, type=dict[str, Stamp])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def _key(path: Path) -> str:
    """Models in our own folder keep their entry when the data folder moves."""
    absolute = path.absolute()
    with contextlib.suppress(ValueError):
        return absolute.relative_to(folders.models_dir().absolute()).as_posix()
    return str(absolute)
