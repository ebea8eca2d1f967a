"""Speeds that the doctor measured on this machine, kept for predictions.

One small JSON file in the cache folder. A home folder may be shared by several machines, so
that a speed counts only on the CPU that it was measured with.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
from msgspec import Struct

from ssr_local.core import folders
from ssr_local.engine.hardware import cpu_name

FILE_NAME = "speeds.json"


class RememberedSpeed(Struct, frozen=True, kw_only=True):
    """How fast a model file was: tokens per second of one path.

    ``path`` and ``file_bytes`` say which file it is; ``disturbed`` that other programs were in
    the way.
    """

    name: str
    path: str
    file_bytes: int
    tokens_per_s: float
    on_gpu: bool
    disturbed: bool
    cpu: str


def remembered_speeds() -> tuple[RememberedSpeed, ...]:
    """What was measured with this CPU."""
    cpu = cpu_name()
    return tuple(
        one for one in _load() if one.cpu == cpu and min(one.tokens_per_s, one.file_bytes) > 0
    )


def remember_speed(
    name: str, path: Path, *, file_bytes: int, tokens_per_s: float, on_gpu: bool, disturbed: bool
) -> None:
    """Keep a speed in place of an earlier one of this file, unless only that was undisturbed.

    A cache folder that cannot be written to only costs the prediction.
    """
    new = RememberedSpeed(
        name=name,
        path=str(path),
        file_bytes=file_bytes,
        tokens_per_s=tokens_per_s,
        on_gpu=on_gpu,
        disturbed=disturbed,
        cpu=cpu_name(),
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


def _load() -> tuple[RememberedSpeed, ...]:
    """An unreadable file counts as empty: all can be measured again."""
    try:
        data = (folders.cache_dir() / FILE_NAME).read_bytes()
        return msgspec.json.decode(data, type=tuple[RememberedSpeed, ...])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ()


def _key(speed: RememberedSpeed) -> tuple[str, int, bool, str]:
    return speed.path, speed.file_bytes, speed.on_gpu, speed.cpu
