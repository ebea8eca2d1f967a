"""What self-checks found on this machine, kept from one process to the next."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import msgspec
from msgspec import Struct

from ssr_local.core import folders
from ssr_local.engine.hardware import cpu_name
from ssr_local.engine.packages import FLASH_ATTENTION, EngineName, version

FILE_NAME = "engine-checks.json"
CHECK_VERSION = 2


class RememberedCheck(Struct, frozen=True, kw_only=True):
    """What a self-check found, "" nothing wrong. ``at`` is seconds since 1970.

    ``quick`` says that it was the quick check, ``shipped`` that a verdict of the whole one came
    with the program, and ``pending`` that a process is at it, or ended over it.
    """

    difference: str
    at: float
    quick: bool = False
    shipped: bool = False
    pending: bool = False

    @property
    def lacks_whole(self) -> bool:
        """Whether nothing but the quick check speaks for the engine."""
        return self.quick and not (self.shipped or self.pending or self.difference)


def identity(path: Path, sha256: str | None) -> str:
    """What a file is known by: its hash, or where it lies with its size and time."""
    if sha256 is not None:
        return sha256
    with contextlib.suppress(OSError):
        stat = path.stat()
        return f"{path.resolve()}, {stat.st_size} bytes of {stat.st_mtime_ns}"
    return str(path)


def known_check(engine: EngineName, file: str, repack: bool) -> RememberedCheck | None:
    """What is remembered of an engine with this file on this machine; ``file`` as ``identity``."""
    return _load().get(_key(engine, file, repack))


def remember_check(engine: EngineName, file: str, repack: bool, difference: str) -> None:
    """Remember what a whole check found."""
    _remember(engine, file, repack, RememberedCheck(difference=difference, at=time.time()))


@contextlib.contextmanager
def quick_check_remembered(
    engine: EngineName, file: str, repack: bool, *, shipped: bool = False
) -> Iterator[Callable[[str], None]]:
    """Remember that this process tries an engine with a file, and then what it found.

    Yields what is to be told the difference. A process that a crash ends in between leaves
    the trial behind, and the next one is warned (``is_abandoned``).
    """
    found = None

    def settle(difference: str) -> None:
        nonlocal found
        found = RememberedCheck(difference=difference, at=time.time(), quick=True, shipped=shipped)

    begun = RememberedCheck(difference="", at=time.time(), pending=True)
    with claimed(engine, file, repack):
        _remember(engine, file, repack, begun)
        try:
            yield settle
        finally:
            _remember(engine, file, repack, found)


@contextlib.contextmanager
def claimed(engine: EngineName, file: str, repack: bool) -> Iterator[bool]:
    """Whether no other process checks this file meanwhile; dropped with the process."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(_lock(_key(engine, file, repack)).acquire(timeout=0))
        except (filelock.Timeout, OSError):
            is_ours = False
        else:
            is_ours = True
        yield is_ours


def is_abandoned(engine: EngineName, file: str, repack: bool) -> bool:
    """Whether no process is at a check that is pending."""
    try:
        with _lock(_key(engine, file, repack)).acquire(timeout=0):
            return True
    except filelock.Timeout:
        return False
    except OSError:
        return True


def _remember(engine: EngineName, file: str, repack: bool, found: RememberedCheck | None) -> None:
    """Keep it, or forget what was kept; a cache folder that cannot be written to keeps nothing."""
    path, key = folders.cache_dir() / FILE_NAME, _key(engine, file, repack)
    with contextlib.suppress(OSError, filelock.Timeout), _lock(FILE_NAME).acquire(timeout=5):
        known = {name: one for name, one in _load().items() if name != key}
        if found is not None:
            known[key] = found
        folders.write_atomically(path, msgspec.json.format(msgspec.json.encode(known), indent=1))


def _lock(key: str) -> filelock.BaseFileLock:
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    folders.cache_dir().mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(folders.cache_dir() / f".engine-check-{name}.lock")


def _key(engine: EngineName, file: str, repack: bool) -> str:
    """All that a check depends on: the reference's version and the check's own too."""
    parts = [file, engine, version(engine), "repacked" if repack else "as it is"]
    parts += [cpu_name(), f"llama {version('llama')}", f"check {CHECK_VERSION}"]
    return "|".join([*parts, *([FLASH_ATTENTION] if os.environ.get(FLASH_ATTENTION) else [])])


def _load() -> dict[str, RememberedCheck]:
    try:
        raw = (folders.cache_dir() / FILE_NAME).read_bytes()
        return msgspec.json.decode(raw, type=dict[str, RememberedCheck])
    except (OSError, ValueError):  # not there, or damaged
        return {}
