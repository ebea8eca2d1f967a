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

import msgspec
from msgspec import Meta, Struct
from textual.theme import BUILTIN_THEMES

from ssr_local.core.config import (
    config_file,
    edited,
    existing_text,
    suggestion,
    unsafe,
    write_atomically,
)
from ssr_local.core.errors import ConfigError
from ssr_local.core.options import describe
from ssr_local.core.toml_file import parse_toml, printable, quoted
from ssr_local_tui.key_names import is_key, nearest_key

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

TABLE = "tui"
KEYS = "keys"


class Preferences(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the app remembers of its user, with every default exactly once."""

    theme: Annotated[str, Meta(description=", ".join(BUILTIN_THEMES))] = "textual-dark"
    plain: Annotated[bool, Meta(description="true (a conversation in lines), false")] = False
    mouse: Annotated[bool, Meta(description="true, false (the terminal keeps the mouse)")] = True
    welcomed: Annotated[bool, Meta(description="true, false (show the welcome once more)")] = False
    keys: Annotated[
        Mapping[str, str], Meta(description="a table of binding ids and their keys")
    ] = {}


def load_preferences(*, binding_ids: Collection[str] | None = None) -> Preferences:
    """The preferences in the settings file; a file or table that is not there sets nothing.

    With ``binding_ids``, all there are, keys for other ids are refused too. Raises
    ``ConfigError`` naming the file, the key and what is accepted.
    """
    file = config_file()
    shown = printable(str(file))
    table = parse_toml(existing_text(file), shown).get(TABLE, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{shown}: key 'tui' cannot be {quoted(table)}.", "Accepted: a table.")
    values = dict(table)
    if isinstance(values.get(KEYS), dict):
        for binding_id, keys in values[KEYS].items():
            _check_keys(binding_id, keys, binding_ids, shown)
    for name, value in values.items():
        _check(name, value, shown)
    return msgspec.convert(values, Preferences)


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


def _check(name: str, value: object, shown_file: str) -> None:
    subject = f"{shown_file}: key '{TABLE}."
    _check_name(subject, name, Preferences.__struct_fields__)
    refused = name == "theme" and isinstance(value, str) and value not in BUILTIN_THEMES
    try:
        msgspec.convert({name: value}, Preferences)
    except msgspec.ValidationError:
        refused = True
    if refused:
        raise ConfigError(
            f"{subject}{name}' cannot be {quoted(value)}.",
            f"Accepted: {describe(Preferences, name)}.",
            suggestion(str(value), tuple(BUILTIN_THEMES)) if name == "theme" else "",
        )


def _check_name(subject: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ConfigError(
            f"{subject}{printable(name[:60])}' is unknown.",
            f"Accepted: {', '.join(known)}.",
            suggestion(name, known),
        )


def _check_keys(
    binding_id: str, keys: object, binding_ids: Collection[str] | None, shown_file: str
) -> None:
    subject = f"{shown_file}: key '{TABLE}.{KEYS}."
    if binding_ids is not None:
        _check_name(subject, binding_id, tuple(sorted(binding_ids)))
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
