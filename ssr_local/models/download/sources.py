"""What every way of fetching shares: progress, the running job, and copying a local file."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from ssr_local.core.errors import DownloadError
from ssr_local.models.download.partfile import CHUNK_BYTES, Origin, PartFile
from ssr_local.models.models_file import FileSource, ModelSpec

Phase = Literal["waiting", "checking", "fetching"]

REPORT_EVERY_S = 0.1
SPEED_OVER_S = 5.0


class Progress(Struct, frozen=True, kw_only=True):
    """How far one model is.

    ``speed`` is in bytes per second over the last seconds, ``eta_s`` what is left at that
    speed; both None while unknown. ``phase``: waiting for another program that fetches the
    same model, checking (hashing bytes that are here), or fetching.
    """

    name: str
    phase: Phase
    source: str
    done_bytes: int
    total_bytes: int | None
    speed: float | None = None
    eta_s: float | None = None


class SourceError(Exception):
    """One source did not deliver; ``str()`` says why. The next one may."""


class Meter:
    """Turns byte counts into ``Progress``, about ten times a second.

    What the callback raises goes through: that is how a download is cancelled. Of a split model
    it counts one file, and ``of`` says how many bytes the files before have, and all of them.
    """

    def __init__(
        self,
        name: str,
        on_progress: Callable[[Progress], None] | None,
        of: tuple[int, int | None] | None = None,
    ) -> None:
        self._name = name
        self._on_progress = on_progress
        self._of = of
        self._phase: Phase = "fetching"
        self._source = ""
        self._total: int | None = None
        self._seen: deque[tuple[float, int]] = deque()
        self._reported = float("-inf")
        self._furthest = 0

    def start(self, phase: Phase, source: str, total: int | None, done: int = 0) -> None:
        """A new stretch of work, or the running one again, which then simply goes on."""
        if (phase, source, total) != (self._phase, self._source, self._total):
            self._phase, self._source, self._total = phase, source, total
            self.back_to(done)
        else:
            self.at(done)

    def back_to(self, done: int) -> None:
        """Count on from here, also backwards; speed is measured afresh."""
        self._seen.clear()
        self._furthest = done
        self._reported = float("-inf")
        self.at(done)

    def at(self, done: int) -> None:
        """``done`` bytes of the whole file are here; within a stretch it only grows."""
        now = time.monotonic()
        done = self._furthest = max(done, self._furthest)
        if now - self._reported < REPORT_EVERY_S and done != self._total:
            return
        self._reported = now
        self._seen.append((now, done))
        while now - self._seen[0][0] > SPEED_OVER_S and len(self._seen) > 2:
            self._seen.popleft()
        if self._on_progress is not None:
            self._on_progress(self._progress(now, done))

    def _progress(self, now: float, done: int) -> Progress:
        since, before = self._seen[0]
        speed = (done - before) / (now - since) if now > since and done > before else None
        total = self._total
        if self._of is not None:
            done, total = self._of[0] + done, self._of[1]
        left = None if total is None else max(0, total - done)
        return Progress(
            name=self._name,
            phase=self._phase,
            source=self._source,
            done_bytes=done,
            total_bytes=total,
            speed=speed,
            eta_s=left / speed if speed and left is not None else None,
        )


def no_room(where: str, needed: str, free: int) -> DownloadError:
    """The error to raise when the disk has fewer bytes than are needed."""
    return DownloadError(
        f"There is not enough room {where}.",
        f"{needed}, {free / 1e6:.0f} MB are free.",
        "Free some space, or set SSR_LOCAL_DATA_DIR to a folder with more of it.",
    )


class Job(Struct, frozen=True):
    """One file being fetched: what it must be, its part file, and who is told."""

    spec: ModelSpec
    part: PartFile
    meter: Meter
    notice: Callable[[str], None]

    def check_space(self, total: int) -> None:
        """Refuse before the first byte what would fill the disk; the part file counts as used."""
        part, path = self.part.path, self.part.final
        needed = total - (part.stat().st_size if part.is_file() else 0)
        free = shutil.disk_usage(path.parent).free
        if needed > free:
            words = f"It needs {needed / 1e6:.0f} MB more"
            raise no_room(f"for {path.name} in {path.parent}", words, free)

    def begin(self, origin: Origin, *, by_members: bool = False) -> None:
        """Open the part file for this origin, and say so when earlier bytes are of no use."""
        recorded = self.part.recorded()
        if recorded is not None and recorded.same_as(origin):
            self.meter.start("checking", origin.source, origin.total)
        if self.part.begin(origin, by_members=by_members, on_bytes=self.meter.at):
            self.notice(f"{self.spec.name}: the file or its source changed, starting afresh.")
        self.meter.start("fetching", origin.source, origin.total, self.part.offset)


def copy_file(source: FileSource, job: Job) -> str:
    """Copy a file of this machine into the models folder; returns its SHA-256."""
    path = source.expanded
    try:
        stat = path.stat()
        if not path.is_file():
            raise SourceError("it is not a file")
        if job.spec.bytes is not None and stat.st_size != job.spec.bytes:
            raise SourceError(f"it has {stat.st_size} bytes, expected {job.spec.bytes}")
        origin = Origin(
            source=source.label,
            total=stat.st_size,
            sha256=job.spec.sha256,
            etag=str(stat.st_mtime_ns),
        )
        job.check_space(origin.total)
        job.begin(origin)
        with path.open("rb") as file:
            file.seek(job.part.offset)
            while data := file.read(min(CHUNK_BYTES, origin.total - job.part.offset)):
                job.part.write(data)
                job.meter.at(job.part.offset)
    except OSError as error:
        raise SourceError(error.strerror or str(error)) from error
    return job.part.finish()
