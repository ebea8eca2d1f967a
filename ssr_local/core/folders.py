"""Where models, logs and settings live on this machine.

The platform's usual folders, each replaceable by an environment variable:
``SSR_LOCAL_DATA_DIR``, ``SSR_LOCAL_CACHE_DIR``, ``SSR_LOCAL_CONFIG_DIR``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from platformdirs import user_cache_path, user_config_path, user_data_path

from ssr_local.core.display import printable
from ssr_local.core.errors import UsageError
from ssr_local.core.toml_file import reason_of

APP = "ssr-local"


def data_dir() -> Path:
    """Models (below ``models``) and what the user made."""
    return _override("SSR_LOCAL_DATA_DIR") or user_data_path(APP, appauthor=False)


def cache_dir() -> Path:
    """What can be made again: logs, hashes already checked."""
    return _override("SSR_LOCAL_CACHE_DIR") or user_cache_path(APP, appauthor=False)


def config_dir() -> Path:
    """``config.toml`` and the user's own ``models.toml``."""
    return _override("SSR_LOCAL_CONFIG_DIR") or user_config_path(APP, appauthor=False)


def models_dir() -> Path:
    """Downloaded model files."""
    return data_dir() / "models"


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((one for one in (folder, *folder.parents) if os.path.lexists(one)), folder)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a small file in one step: a reader sees the old or the new one, never less."""
    fresh = path.with_name(f".{secrets.token_hex(8)}")
    try:
        with fresh.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(OSError):  # a new file, or a disk without modes
            shutil.copymode(path, fresh)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes, next_step: str = "") -> None:
    """The same, for a file that a user named. Raises ``UsageError`` when it cannot be."""
    try:
        write_atomically(path, data)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL byte
        raise UsageError(
            f"{printable(str(path))} cannot be written.", f"{reason_of(error)}.", next_step
        ) from error


def _override(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser() if value else None
