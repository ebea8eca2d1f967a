"""Speeds that were measured on this machine, kept for predictions.

One small JSON file in the cache folder. A home folder may be shared by several machines, so
that a speed counts only on the CPU that it was measured with, and only under the options that it
was measured with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ssr_local.core import folders
from ssr_local.core.options import EngineOptions
from ssr_local.core.records import ModelRole
from ssr_local.engine.hardware import cpu_name
from ssr_local.method.prediction import Speed
from ssr_local.models.download import local_state
from ssr_local.models.models_file import ModelSpec
from ssr_local.models.split import split_parts

FILE_NAME = "speeds.json"


class RememberedSpeed(Speed, frozen=True, kw_only=True):
    """How fast a model file was.

    ``path`` and ``file_bytes`` say which file it is; ``disturbed`` that other programs were in
    the way. ``options`` are those of the engine that change its speed.
    """

    name: str
    path: str
    file_bytes: int
    on_gpu: bool
    disturbed: bool
    cpu: str
    options: str


def remembered_speeds(options: EngineOptions) -> tuple[RememberedSpeed, ...]:
    """What was measured with this CPU under these options."""
    wanted = (cpu_name(), _of_speed(options))
    return tuple(
        one
        for one in _load()
        if (one.cpu, one.options) == wanted
        and one.decode
        and min(one.prefill, one.file_bytes, *(rate for _, rate in one.decode)) > 0
    )


def speed_of(path: Path, options: EngineOptions) -> RememberedSpeed | None:
    """What is remembered of this file."""
    known = _by_file(options)
    try:
        num_bytes = sum(part.stat().st_size for part in split_parts(path)) if known else 0
        return known.get((str(path), num_bytes))
    except OSError:
        return None


def pair_speeds(
    specs: Mapping[ModelRole, ModelSpec], options: EngineOptions
) -> dict[ModelRole, RememberedSpeed]:
    """What is remembered of these models' files, as they are here."""
    known = _by_file(options)
    if not known:
        return {}
    files = {role: local_state(spec) for role, spec in specs.items()}
    found = {role: known.get((str(f.path), f.present_bytes)) for role, f in files.items()}
    return {role: speed for role, speed in found.items() if speed is not None}


def remember_speed(
    name: str,
    path: Path,
    speed: Speed,
    options: EngineOptions,
    *,
    file_bytes: int,
    on_gpu: bool,
    disturbed: bool,
) -> None:
    """Keep a speed in place of an earlier one of this file, unless only that was undisturbed.

    A cache folder that cannot be written to only costs the prediction.
    """
    new = RememberedSpeed(
        prefill=speed.prefill,
        decode=speed.decode,
        name=name,
        path=str(path),
        file_bytes=file_bytes,
        on_gpu=on_gpu,
        disturbed=disturbed,
        cpu=cpu_name(),
        options=_of_speed(options),
    )
    known = _load()
    same = [one for one in known if _key(one) == _key(new)]
    if disturbed and any(not one.disturbed for one in same):
        return
    kept = (*(one for one in known if one not in same), new)
    file = folders.cache_dir() / FILE_NAME
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        folders.write_atomically(file, msgspec.json.format(msgspec.json.encode(kept)))


def _by_file(options: EngineOptions) -> dict[tuple[str, int], RememberedSpeed]:
    """What is remembered, by path and size."""
    return {(one.path, one.file_bytes): one for one in remembered_speeds(options)}


def _load() -> tuple[RememberedSpeed, ...]:
    """An unreadable file, or an earlier version's, counts as empty: all can be measured again."""
    try:
        data = (folders.cache_dir() / FILE_NAME).read_bytes()
        return msgspec.json.decode(data, type=tuple[RememberedSpeed, ...])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ()


def _of_speed(options: EngineOptions) -> str:
    names = ("threads", "gpu_layers", "engine", "repack")
    return " ".join(f"{name}={getattr(options, name)}" for name in names)


def _key(speed: RememberedSpeed) -> tuple[str, int, bool, str, str]:
    return speed.path, speed.file_bytes, speed.on_gpu, speed.cpu, speed.options
