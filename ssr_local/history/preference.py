"""Whether anything is kept: the table ``[history]`` of the settings file.

::

    [history]
    save = false
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from ssr_local.core.config import load_table


class Preference(Struct, frozen=True):
    """The table's keys."""

    save: Annotated[bool, Meta(description="true, false")] = True


def is_kept(file: Path | None = None) -> bool:
    """Whether runs, checks and hints are to be saved; they are unless the file says no.

    ``file`` stands in for ``config_file()``. Raises ``ConfigError`` naming the file and the
    key.
    """
    return load_table("history", Preference, file).save
