"""Whether anything is kept: the table ``[history]`` of the settings file.

::

    [history]
    save = false
"""

from __future__ import annotations

from pathlib import Path

from ssr_local.core.config import config_file, existing_text, suggestion
from ssr_local.core.errors import ConfigError
from ssr_local.core.toml_file import parse_toml, printable, quoted

TABLE, SAVE = "history", "save"


def is_kept(file: Path | None = None) -> bool:
    """Whether runs, checks and hints are to be saved; they are unless the file says no.

    ``file`` stands in for ``config_file()``. Raises ``ConfigError`` naming the file and the
    key.
    """
    file = config_file() if file is None else file
    shown = printable(str(file))
    table = parse_toml(existing_text(file), shown).get(TABLE, {})
    if not isinstance(table, dict):
        raise ConfigError(
            f"{shown}: key 'history' cannot be {quoted(table)}.", "Accepted: a table."
        )
    for name in table:
        if name != SAVE:
            raise ConfigError(
                f"{shown}: key 'history.{printable(str(name)[:60])}' is unknown.",
                f"Accepted: {SAVE}.",
                suggestion(str(name), (SAVE,)),
            )
    value = table.get(SAVE, True)
    if not isinstance(value, bool):
        raise ConfigError(
            f"{shown}: key 'history.save' cannot be {quoted(value)}.", "Accepted: true, false."
        )
    return value
