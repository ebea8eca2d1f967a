"""Models on this machine: where they are, and whether they are whole and right."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from ssr_local.core import folders
from ssr_local.core.errors import ModelDamagedError, ModelNotFoundError, ModelUnusableError
from ssr_local.models.download import stamps
from ssr_local.models.download.partfile import CHUNK_BYTES, PartFile
from ssr_local.models.download.sources import Meter, Progress
from ssr_local.models.elsewhere import FoundFile, found_files
from ssr_local.models.models_file import ModelSpec
from ssr_local.models.split import split_parts

MAGIC = b"GGUF"

OnProgress = Callable[[Progress], None]

_other_models: set[tuple[Path, str]] = set()
"""Files of other programs that were hashed in this process, and the hash that they do not have."""


class LocalModel(Struct, frozen=True, kw_only=True):
    """What is here of a model, judged without hashing anything.

    ``checked`` says whether the file's hash was compared since it last changed, ``origin``
    which other program keeps the file, "" for our own.
    """

    state: Literal["present", "partial", "missing", "damaged"]
    path: Path
    present_bytes: int = 0
    total_bytes: int | None = None
    checked: bool = False
    origin: str = ""


def local_path(spec: ModelSpec) -> Path:
    """Where the model's file is or would be: another program's, if only that has it.

    Of a split model it is the first, and the others are beside it.
    """
    found = _elsewhere(spec)
    return found.path if found else spec.in_place or own_path(spec)


def own_path(spec: ModelSpec) -> Path:
    """Where a fetched file goes."""
    return folders.models_dir() / spec.file


def _files(spec: ModelSpec, path: Path) -> list[tuple[ModelSpec, Path]]:
    """Each file of the model whose first is at ``path``, and where it is."""
    paths = split_parts(path) if spec.parts else [path]
    return list(zip(spec.files, paths, strict=True))


def _elsewhere(spec: ModelSpec) -> FoundFile | None:
    """Another program's file, if only that has the model: by its hash, or until it is hashed
    by name and size.
    """
    if spec.in_place is not None or any(file.sha256 is None for file in spec.files):
        return None
    if all(own_path(file).is_file() for file in spec.files):
        return None
    for found in found_files():
        same = found.sha256 == spec.sha256 if found.sha256 else _is_named(found, spec.file)
        if not same or found.bytes != spec.num_bytes or not os.access(found.path, os.R_OK):
            continue
        if not any(_is_other(file, path) for file, path in _files(spec, found.path)):
            return found
    return None


def _is_other(file: ModelSpec, path: Path) -> bool:
    """Whether a file of another program is known to be another one than this."""
    stamp = stamps.stamp_of(path)
    known = stamp is not None and stamp.fits(path) and stamp.sha256 != file.sha256
    return known or (path, file.sha256) in _other_models


def _is_named(found: FoundFile, file: str) -> bool:
    # llama.cpp's cache puts USER_REPO_ in front
    name = file.rpartition("/")[2]
    return found.file == name or found.file.endswith(f"_{name}")


def known_sha256(spec: ModelSpec) -> str | None:
    """The hash the file must have: models.toml's, or the one remembered from the hub.

    Of a split model it is the hash of its files' hashes.
    """
    return _of_all([_expected(file, path) for file, path in _files(spec, local_path(spec))])


def _expected(file: ModelSpec, path: Path) -> str | None:
    if file.sha256 is not None or file.in_place is not None:
        return file.sha256
    stamp = stamps.stamp_of(path)
    return stamp.trusted if stamp is not None else None


def file_sha256(spec: ModelSpec) -> str | None:
    """The hash the file was last seen to have, None when it changed since or is not here.

    Of a split model it is the hash of its files' hashes.
    """
    return _of_all([_seen(path) for _, path in _files(spec, local_path(spec))])


def _seen(path: Path) -> str | None:
    stamp = stamps.stamp_of(path)
    fits = stamp is not None and path.is_file() and stamp.fits(path)
    return stamp.sha256 if stamp is not None and fits else None


def _of_all(hashes: Sequence[str | None]) -> str | None:
    known = [one for one in hashes if one is not None]
    if len(known) < len(hashes):
        return None
    return known[0] if len(known) == 1 else hashlib.sha256("".join(known).encode()).hexdigest()


def local_state(spec: ModelSpec) -> LocalModel:
    """What is here of the model: whole, in part, not at all, or known to be damaged."""
    path = local_path(spec)
    states = [_file_state(file, at) for file, at in _files(spec, path)]
    found = {one.state for one in states}
    totals = [one.total_bytes for one in states]
    return LocalModel(
        state="damaged" if "damaged" in found else found.pop() if len(found) == 1 else "partial",
        path=path,
        present_bytes=sum(one.present_bytes for one in states),
        total_bytes=sum(total for total in totals if total) if all(totals) else None,
        checked=all(one.checked for one in states),
        origin=origin_of(spec),
    )


def _file_state(file: ModelSpec, path: Path) -> LocalModel:
    if not path.is_file():
        part = PartFile(path)
        origin = part.recorded()
        if origin is None:
            return LocalModel(state="missing", path=path, total_bytes=file.bytes)
        size = part.path.stat().st_size
        return LocalModel(state="partial", path=path, present_bytes=size, total_bytes=origin.total)
    size, expected = path.stat().st_size, _expected(file, path)
    stamp = stamps.stamp_of(path)
    checked = stamp is not None and stamp.fits(path) and expected is not None
    wrong = checked and stamp is not None and stamp.sha256 != expected
    wrong = wrong or (file.bytes is not None and size != file.bytes)
    return LocalModel(
        state="damaged" if wrong else "present",
        path=path,
        present_bytes=size,
        total_bytes=file.bytes or size,
        checked=checked,
    )


def origin_of(spec: ModelSpec) -> str:
    """Which other program keeps the model's file, "" where it is ours or the user's own."""
    found = _elsewhere(spec)
    return found.origin if found else ""


def verified_path(
    spec: ModelSpec, *, on_progress: OnProgress | None = None, again: bool = False
) -> Path:
    """The path of the model's whole and right file, without any network.

    Hashes the file only when it changed since the last time, or ``again``. Raises
    ``ModelNotFoundError`` or ``ModelDamagedError``, both saying what to do.
    """
    first = local_path(spec)
    files = _files(spec, first)
    for _, path in files:
        if not path.is_file():
            raise _missing(spec, path)
    sizes = [path.stat().st_size for _, path in files]
    for index, (file, path) in enumerate(files):
        of = (sum(sizes[:index]), sum(sizes)) if spec.parts else None
        if not _verify(file, path, Meter(spec.name, on_progress, of), again):
            return verified_path(spec, on_progress=on_progress)
    return first


def _verify(file: ModelSpec, path: Path, meter: Meter, again: bool) -> bool:
    """Refuse a wrong file; false when another program's turns out to have the name only."""
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        raise _damaged(file, path, f"It has {size} bytes, expected {file.bytes}.")
    expected, stamp = _expected(file, path), stamps.stamp_of(path)
    if expected is None and not again:
        if not next(_chunks(path), b"").startswith(MAGIC):
            raise _damaged(file, path, "It is not a GGUF file.")
        if file.in_place is None:
            return True
    if stamp is not None and stamp.fits(path) and not again:
        digest = stamp.sha256
    else:
        digest = _hash_file(path, meter)
        # A fetched file that no one publishes a hash for is held to what it is now.
        trusted = expected or (digest if file.in_place is None else None)
        stamps.remember(path, digest, trusted=trusted)
    if expected is None or digest == expected:
        return True
    if path != (file.in_place or own_path(file)):
        _other_models.add((path, expected))
        return False
    raise _damaged(file, path, f"Its SHA-256 is {digest[:12]}..., not {expected[:12]}...")


def _hash_file(path: Path, meter: Meter) -> str:
    digest, done = hashlib.sha256(), 0
    meter.start("checking", str(path), path.stat().st_size)
    for data in _chunks(path):
        digest.update(data)
        done += len(data)
        meter.at(done)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                yield data
    except OSError as error:
        raise ModelUnusableError(
            f"Model file {path} cannot be read.", error.strerror or str(error)
        ) from error


def _missing(spec: ModelSpec, path: Path) -> ModelNotFoundError:
    here = local_state(spec)
    why = f"{path} is not there." if spec.sources else "The hub has not been asked for it yet."
    if here.state == "partial" and spec.in_place is None:
        why = f"{here.present_bytes} of {here.total_bytes} bytes were fetched."
    fetch = f"Fetch it: ssr-local models pull {shlex.quote(spec.name)}"
    return ModelNotFoundError(
        f"Model {spec.name} is not on this machine.", why, "" if spec.in_place else fetch
    )


def _damaged(spec: ModelSpec, path: Path, why: str) -> ModelDamagedError:
    again = f"Fetch it again: ssr-local models pull {shlex.quote(spec.name)}"
    return ModelDamagedError(f"Model file {path} is damaged.", why, "" if spec.in_place else again)
