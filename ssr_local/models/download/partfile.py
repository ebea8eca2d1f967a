"""The unfinished file beside a model's path, and the note that says where it came from.

``NAME.part`` holds the bytes so far and ``NAME.part.json`` their origin. Bytes of
another origin are never appended to: a different source, a changed upstream file or a
different size starts afresh. The hash runs along, so that the end is checked for free.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from ssr_local.core.errors import DownloadError, ModelDamagedError
from ssr_local.core.folders import write_atomically

CHUNK_BYTES = 1024 * 1024


class Origin(Struct, frozen=True, kw_only=True):
    """Where the bytes of a part file come from, and what the whole must be.

    ``etag`` is the source's own version mark. ``marks`` are the offsets at which whole
    wheel members ended, ascending.
    """

    source: str
    total: int
    sha256: str | None
    etag: str = ""
    marks: tuple[int, ...] = ()

    def same_as(self, other: Origin) -> bool:
        """Whether bytes of the one continue bytes of the other."""
        return msgspec.structs.replace(self, marks=other.marks) == other


class PartFile(contextlib.AbstractContextManager["PartFile"]):
    """Bytes on their way to ``final``; use as a context manager, it closes the file.

    Disk errors raise ``DownloadError``; what was written stays for the next run.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.path = final.with_name(final.name + ".part")
        self.note = final.with_name(final.name + ".part.json")
        self.offset = 0
        self._origin: Origin  # which begin() sets
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether ``begin`` was called since the last ``close``."""
        return self._file is not None

    def recorded(self) -> Origin | None:
        """The origin of the bytes left by an earlier run, None without any."""
        try:
            origin = msgspec.json.decode(self.note.read_bytes(), type=Origin)
            return origin if self.path.is_file() else None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def whole_members(self, origin: Origin) -> tuple[int, ...]:
        """Where the whole members end that an earlier run of this origin left."""
        recorded = self.recorded()
        if recorded is None or not recorded.same_as(origin):
            return ()
        size = self.path.stat().st_size
        return tuple(mark for mark in recorded.marks if mark <= size)

    def begin(self, origin: Origin, *, by_members: bool, on_bytes: Callable[[int], None]) -> bool:
        """Open for writing where an earlier run of the same origin stopped.

        ``by_members`` goes back to the last whole member. The kept bytes are hashed
        again, ``on_bytes`` is told how far that is. True when bytes of another origin
        were thrown away.
        """
        recorded = self.recorded()
        same = recorded is not None and recorded.same_as(origin)
        self.close()
        self._hash = hashlib.sha256()
        self.offset = 0
        with self._disk_errors():
            keep = 0
            if same:
                whole = self.whole_members(origin)
                keep = max(whole, default=0) if by_members else self.path.stat().st_size
                origin = msgspec.structs.replace(origin, marks=whole)
            keep = keep if keep <= origin.total else 0
            self._origin = origin if keep else msgspec.structs.replace(origin, marks=())
            self._file = self.path.open("r+b" if keep else "wb", buffering=0)
            self._write_note()
        self._hash_kept(keep, on_bytes)
        return recorded is not None and not same

    def write(self, data: bytes) -> None:
        """Append; the hash follows."""
        with self._disk_errors():
            view = memoryview(data)
            while view:
                written = self._open_file.write(view)
                self._hash.update(view[:written])
                self.offset += written
                view = view[written:]

    def restart(self) -> None:
        """Throw away what was written and begin at the first byte."""
        with self._disk_errors():
            self._open_file.seek(0)
            self._open_file.truncate()
        self.offset = 0
        self._hash = hashlib.sha256()

    def mark(self) -> None:
        """A member ended here: the next run can continue from this point."""
        origin = self._origin
        self._origin = msgspec.structs.replace(origin, marks=(*origin.marks, self.offset))
        with self._disk_errors():
            self._write_note()

    def finish(self) -> str:
        """Check size and hash, and put the file in its place in one step.

        Returns the SHA-256. A wrong file is removed: ``ModelDamagedError``.
        """
        origin, digest = self._origin, self._hash.hexdigest()
        with self._disk_errors():
            os.fsync(self._open_file.fileno())
        self.close()
        if self.offset != origin.total or (origin.sha256 and digest != origin.sha256):
            self.discard()
            raise ModelDamagedError(
                f"{self.final.name} arrived damaged and was thrown away.",
                f"{origin.source}: {self.offset} bytes with SHA-256 {digest[:12]}..., expected"
                f" {origin.total} bytes with {(origin.sha256 or 'any')[:12]}...",
            )
        with self._disk_errors():
            self.path.replace(self.final)
        self.note.unlink(missing_ok=True)
        return digest

    def discard(self) -> None:
        """Remove the unfinished file and its note."""
        self.close()
        for path in (self.path, self.note):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; its bytes and note stay."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _open_file(self) -> BinaryIO:
        assert self._file is not None, "begin() comes first"
        return self._file

    def _hash_kept(self, keep: int, on_bytes: Callable[[int], None]) -> None:
        with self._disk_errors():
            self._open_file.truncate(keep)
        while self.offset < keep:
            with self._disk_errors():
                data = self._open_file.read(min(CHUNK_BYTES, keep - self.offset))
            if not data:
                raise DownloadError(f"{self.path} became shorter while it was read.")
            self._hash.update(data)
            self.offset += len(data)
            on_bytes(self.offset)

    def _write_note(self) -> None:
        write_atomically(self.note, msgspec.json.encode(self._origin))

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DownloadError(
                f"{self.path} cannot be written.",
                error.strerror or str(error),
                "Free some space, or set SSR_LOCAL_DATA_DIR to a folder you can write to.",
            ) from error
