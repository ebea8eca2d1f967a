"""How the app looks and which keys it has: the table ``[tui]`` of the settings file.

::

    [tui]
    theme = "textual-light"
    plain = true

    [tui.keys]
    stop = "ctrl+x,x"     # a binding's id, and its keys separated by commas
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct
from textual.theme import BUILTIN_THEMES

from ssr_local.core.config import (
    check_name,
    config_file,
    edited,
    existing_text,
    load_table,
    unsafe,
    write_atomically,
)
from ssr_local.core.errors import ConfigError
from ssr_local.core.toml_file import parse_toml, printable, quoted
from ssr_local_tui.key_names import is_key, nearest_key

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

TABLE = "tui"


class Preferences(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the app remembers of its user, with every default exactly once."""

    theme: Annotated[
        str, Meta(pattern=f"^({'|'.join(BUILTIN_THEMES)})$", description=", ".join(BUILTIN_THEMES))
    ] = "textual-dark"
    plain: Annotated[bool, Meta(description="true (a conversation in lines), false")] = False
    mouse: Annotated[bool, Meta(description="true, false (the terminal keeps the mouse)")] = True
    welcomed: Annotated[bool, Meta(description="true, false (show the welcome once more)")] = False
    keys: Annotated[
        Mapping[str, Any], Meta(description="a table of binding ids and their keys")
    ] = {}


def load_preferences(*, binding_ids: Collection[str] | None = None) -> Preferences:
    """The preferences in the settings file; a file or table that is not there sets nothing.

    With ``binding_ids``, all there are, keys for other ids are refused too. Raises
    ``ConfigError`` naming the file, the key and what is accepted.
    """
    preferences = load_table(TABLE, Preferences)
    for binding_id, keys in preferences.keys.items():
        _check_keys(binding_id, keys, binding_ids)
    return preferences


def save_preference(name: str, value: str | bool) -> None:
    """Write one preference into the settings file, its comments and order kept.

    The file is replaced as a whole or not at all. Raises ``ConfigError`` for a file that cannot
    be read or written.
    """
    file = config_file()
    text, shown = existing_text(file), printable(str(file))
    expected = parse_toml(text, shown)
    table = expected.setdefault(TABLE, {})
    if not isinstance(table, dict):
        raise unsafe(shown, "Key 'tui' is no table")
    table[name] = value
    changed = edited(text, partial(_set, name=name, value=value), shown)
    if parse_toml(changed, shown) != expected:  # tomlkit errs on some unusual layouts
        raise unsafe(shown, "Its layout is unusual")
    write_atomically(file, changed)


def _check_keys(binding_id: str, keys: object, binding_ids: Collection[str] | None) -> None:
    subject = f"{printable(str(config_file()))}: key '{TABLE}.keys."
    if binding_ids is not None:
        check_name(subject, binding_id, tuple(sorted(binding_ids)))
    parts = keys.split(",") if isinstance(keys, str) else [""]
    wrong = next((key for key in parts if not is_key(key.strip())), None)
    if wrong is not None:
        near = nearest_key(wrong)
        raise ConfigError(
            f"{subject}{printable(binding_id[:60])}' cannot be {quoted(keys)}.",
            "Accepted: names of keys, such as f5, g, ctrl+r, pagedown or question_mark,"
            " separated by commas.",
            f"Did you mean {near}?" if near else "",
        )


def _set(document: TOMLDocument, name: str, value: str | bool) -> None:
    """Afterwards the document is only good for writing."""
    import tomlkit
    from tomlkit.items import Table

    if TABLE not in document:
        document[TABLE] = tomlkit.table()
    table: Any = document[TABLE]
    if name in table or not isinstance(table, Table) or table.is_super_table():
        table[name] = value
        return
    # tomlkit's own insertion puts it between [tui.keys] and the comment that introduces it.
    item = tomlkit.item(value)
    item.trivia.trail = "\n"
    body = table.value.body
    own = [i for i, (key, it) in enumerate(body) if key is not None and not isinstance(it, Table)]
    body.insert(max(own, default=-1) + 1, (tomlkit.key(name), item))
