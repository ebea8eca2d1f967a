"""Settings: command line over environment over configuration file over default.

The options are those of ``options.OFFERED``, flat at the top level
of ``config.toml`` under the same names (``max-tokens`` is read as ``max_tokens``), and in the
environment as ``SSR_LOCAL_`` and the name in capitals. Each value remembers its origin.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from ssr_local.core import folders
from ssr_local.core.errors import ConfigError, UsageError
from ssr_local.core.options import (
    OFFERED,
    EngineOptions,
    SolveOptions,
    accepted_values,
    describe,
    validate,
    why_not_offered,
)
from ssr_local.core.toml_file import (
    decode_text,
    parse_toml,
    printable,
    quoted,
    read_bounded,
    reason_of,
)

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

_Table = TypeVar("_Table", bound=Struct)
Origin = Literal["option", "environment", "config", "default"]

PREFIX = "SSR_LOCAL_"
MAX_CONFIG_BYTES = 1024 * 1024
RESERVED_TABLES = ("tui", "history")
"""Tables of the configuration file that belong to other parts of the program."""
RESERVED_VARIABLES = (
    "SSR_LOCAL_DATA_DIR",
    "SSR_LOCAL_CACHE_DIR",
    "SSR_LOCAL_CONFIG_DIR",
    "SSR_LOCAL_DEMO_SPEED",
)
"""Environment variables with our prefix that are no options."""

OPTION_NAMES = OFFERED

_MAX_SHOWN_CHARS = 60


class Setting(Struct, frozen=True):
    """One option's value in force; ``detail`` names the variable or the file it came from."""

    name: str
    value: str | int | float | bool | None
    origin: Origin
    detail: str = ""


class Settings(Struct, frozen=True):
    """Everything in force. ``origins`` has one entry per option, in ``OPTION_NAMES``' order.

    ``warnings`` are sentences for the user, about variables that look like ours but are not.
    """

    solve: SolveOptions
    engine: EngineOptions
    origins: tuple[Setting, ...]
    warnings: tuple[str, ...] = ()


def config_file() -> Path:
    """Where the settings file is, whether or not it exists."""
    return folders.config_dir() / "config.toml"


def variable_name(name: str) -> str:
    """The environment variable that sets an option."""
    return PREFIX + name.upper()


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    file: Path | None = None,
    none_clears: bool = False,
) -> Settings:
    """The settings in force; an override of None, like an empty variable, is not given.

    With ``none_clears`` it clears what a weaker layer sets.
    ``env`` and ``file`` stand in for ``os.environ`` and ``config_file()``; a file that does
    not exist sets nothing. Every layer is checked, also where a stronger one wins. Raises
    ``UsageError`` for a bad override and ``ConfigError``, which names the variable or the
    file and the key, for the rest.
    """
    env = os.environ if env is None else env
    defaults = {
        name: Setting(name, getattr(options, name), "default")
        for options in (SolveOptions(), EngineOptions())
        for name in options.__struct_fields__
    }
    in_force = (
        defaults
        | _from_file(config_file() if file is None else file)
        | _from_environment(env)
        | _from_overrides(overrides or {}, none_clears)
    )
    values = {name: setting.value for name, setting in in_force.items()}
    return Settings(
        solve=validate(SolveOptions, {n: values[n] for n in SolveOptions.__struct_fields__}),
        engine=validate(EngineOptions, {n: values[n] for n in EngineOptions.__struct_fields__}),
        origins=tuple(in_force[name] for name in OPTION_NAMES),
        warnings=_mistyped_variables(env),
    )


def save_setting(
    name: str, value: str | int | float | bool | None, *, file: Path | None = None
) -> None:
    """Write one option into the settings file, its comments and order kept; None removes it.

    Text is read as the option's type. Removing works for any key that is not a table, so
    that a mistyped one can be got rid of. The file is replaced as a whole or not at all.
    Raises ``UsageError`` for a name or value that is not accepted, ``ConfigError`` for a
    file that cannot be read or written.
    """
    file = config_file() if file is None else file
    key = name.replace("-", "_")
    text, shown = existing_text(file), printable(str(file))
    present = [k for k in parse_toml(text, shown) if k.replace("-", "_") == key]
    if key not in OPTION_NAMES and not (value is None and present):
        raise unknown_option(name)
    if value is not None:
        strict = not isinstance(value, str)
        value = checked(key, value, f"Option {key!r}", UsageError, strict=strict)
    if value is not None or present:
        change = partial(_set, present=present, name=key, value=value, shown=shown)
        write_atomically(file, edited(text, change, shown))


def load_table(name: str, kind: type[_Table], file: Path | None = None) -> _Table:
    """A table of the settings file that is no option's; one that is not there sets nothing.

    Raises ``ConfigError`` naming the file, the key and what is accepted, as ``kind`` says.
    """
    file = config_file() if file is None else file
    shown = printable(str(file))
    table = parse_toml(existing_text(file), shown).get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{shown}: key {name!r} cannot be {quoted(table)}.", "Accepted: a table.")
    for key, value in table.items():
        subject = f"{shown}: key '{name}."
        check_name(subject, key, kind.__struct_fields__)
        try:
            msgspec.convert({key: value}, kind)
        except msgspec.ValidationError as error:
            accepted = describe(kind, key)
            raise ConfigError(
                f"{subject}{key}' cannot be {quoted(value)}.",
                f"Accepted: {accepted}.",
                suggestion(value, tuple(accepted.split(", "))) if isinstance(value, str) else "",
            ) from error
    return msgspec.convert(table, kind)


def check_name(subject: str, name: str, known: tuple[str, ...]) -> None:
    """Raise ``ConfigError`` for a key that is none of those; ``subject`` goes before it."""
    if name not in known:
        raise ConfigError(
            f"{subject}{printable(name[:_MAX_SHOWN_CHARS])}' is unknown.",
            f"Accepted: {', '.join(known)}.",
            suggestion(name, known),
        )


def existing_text(file: Path) -> str:
    """A settings file's text, empty when there is none.

    Raises ``ConfigError`` when it cannot be read.
    """
    try:
        return decode_text(read_bounded(file, MAX_CONFIG_BYTES), printable(str(file)))
    except FileNotFoundError:
        return ""


def write_atomically(file: Path, text: str) -> None:
    """Replace ``file``, or what it links to, as a whole, keeping its permissions.

    Raises ``ConfigError`` when it cannot be written; then nothing was changed.
    """
    shown = printable(str(file))
    try:
        target = file.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        folders.write_atomically(target, text.encode())
    except (OSError, UnicodeEncodeError) as error:
        raise ConfigError(
            f"{shown}: cannot be written.", f"{reason_of(error)}.", "Nothing was changed."
        ) from error


def suggestion(word: str, known: tuple[str, ...]) -> str:
    """What was perhaps meant, as a sentence; empty when nothing is near."""
    near = get_close_matches(word[:_MAX_SHOWN_CHARS], known, n=1)
    return f"Did you mean {near[0]}?" if near else ""


def _from_overrides(overrides: Mapping[str, Any], none_clears: bool) -> dict[str, Setting]:
    layer: dict[str, Setting] = {}
    for name, value in overrides.items():
        if name not in OPTION_NAMES:
            raise unknown_option(name)
        if value is not None or none_clears:
            meant = checked(name, value, f"Option {name!r}", UsageError)
            layer[name] = Setting(name, meant, "option")
    return layer


def _from_environment(env: Mapping[str, str]) -> dict[str, Setting]:
    layer: dict[str, Setting] = {}
    for name in OPTION_NAMES:
        variable = variable_name(name)
        text = env.get(variable, "")
        if text.strip():
            value = checked(name, text, variable, ConfigError, strict=False)
            layer[name] = Setting(name, value, "environment", variable)
    return layer


def _from_file(file: Path) -> dict[str, Setting]:
    shown = printable(str(file))
    layer: dict[str, Setting] = {}
    for key, value in parse_toml(existing_text(file), shown).items():
        if key in RESERVED_TABLES and isinstance(value, dict):
            continue
        name = key.replace("-", "_")
        if name not in OPTION_NAMES:
            raise unknown_option(key, shown)
        if name in layer:
            raise ConfigError(
                f"{shown}: key {name!r} is given twice.",
                f"{name.replace('_', '-')!r} is the same key.",
                "Keep one of the two lines.",
            )
        meant = checked(name, value, f"{shown}: key {key!r}", ConfigError)
        layer[name] = Setting(name, meant, "config", str(file))
    return layer


def checked(
    name: str, value: Any, subject: str, error_class: type[UsageError], *, strict: bool = True
) -> str | int | float | bool | None:
    """The value as the option takes it; the error begins with ``subject``."""
    kind: Any = SolveOptions if name in SolveOptions.__struct_fields__ else EngineOptions
    kept_back = why_not_offered(name, value)
    refusal = error_class(
        f"{subject} cannot be {quoted(value)}.", kept_back or accepted_values(kind, name)
    )
    if kept_back:
        raise refusal
    try:
        one = validate(kind, {name: value}, strict=strict)
    except UsageError as error:
        raise refusal from error
    meant: str | int | float | bool | None = getattr(one, name)
    return meant


def unknown_option(name: str, file: str = "") -> UsageError:
    """The error to raise for a name that no option has, or for such a key in a file."""
    meant, names = name.replace("-", "_"), ", ".join(OPTION_NAMES)
    near = suggestion(meant, (*OPTION_NAMES, *(RESERVED_TABLES if file else ())))
    if not file:
        why = why_not_offered(meant) or f"Options are: {names}."
        return UsageError(f"There is no option {quoted(name)}.", why, near)
    tables = ", ".join(f"[{table}]" for table in RESERVED_TABLES)
    why = why_not_offered(meant) or f"Accepted: {names}; tables: {tables}."
    return ConfigError(f"{file}: unknown key {quoted(name)}.", why, near)


def _mistyped_variables(env: Mapping[str, str]) -> tuple[str, ...]:
    known = tuple(variable_name(name) for name in OPTION_NAMES) + RESERVED_VARIABLES
    return tuple(
        f"{printable(variable[:_MAX_SHOWN_CHARS])} is not a setting of ssr-local and was ignored."
        f" {_instead_of(variable, known)}".rstrip()
        for variable in sorted(env)
        if variable.upper().startswith(PREFIX) and variable not in known and env[variable].strip()
    )


def _instead_of(variable: str, known: tuple[str, ...]) -> str:
    """What replaces a variable that is offered no more, or the one that may be meant."""
    name = variable.upper().removeprefix(PREFIX).lower()
    return why_not_offered(name) or suggestion(variable.upper(), known)


def edited(text: str, change: Callable[[TOMLDocument], None], shown: str) -> str:
    """A settings file's text after a change, its comments, order and line ends kept."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text if not text or text.endswith("\n") else f"{text}\n")
        change(document)
        changed = document.as_string()
    except (TOMLKitError, RecursionError) as error:
        raise unsafe(shown, reason_of(error)) from error
    if "\r\n" in text:
        changed = changed.replace("\r\n", "\n").replace("\n", "\r\n")
    return changed


def unsafe(shown: str, reason: str) -> ConfigError:
    """The error to raise for a settings file that is better left as it is."""
    return ConfigError(f"{shown}: cannot be edited safely.", f"{reason}.", "Edit the file by hand.")


def _set(
    document: TOMLDocument,
    present: list[str],
    name: str,
    value: str | int | float | bool | None,
    shown: str,
) -> None:
    """Set an option, or remove it for None; ``present`` are its spellings there."""
    from tomlkit.items import AoT

    if any(isinstance(document[key], dict | AoT) for key in present):
        raise ConfigError(f"{shown}: key {quoted(name)} is a table.", "", "Edit the file by hand.")
    for key in present if value is None else present[1:]:
        document.remove(key)
    if value is not None and present:
        document[present[0]] = value
    elif value is not None:
        _add_key(document, name, value)


def _add_key(document: TOMLDocument, name: str, value: str | int | float | bool) -> None:
    """Put a new key after the last one at the top level, above a table and its comment.

    tomlkit's own insertion puts it between the first table and the comment that
    introduces the table. Afterwards the document is only good for writing.
    """
    import tomlkit
    from tomlkit.items import AoT, Table, Whitespace

    item = tomlkit.item(value)
    item.trivia.trail = "\n"
    body = document.body
    top = next((i for i, (_, it) in enumerate(body) if isinstance(it, Table | AoT)), len(body))
    keys = [i for i, (key, _) in enumerate(body[:top]) if key is not None]
    gaps = [i for i, (_, it) in enumerate(body[:top]) if isinstance(it, Whitespace)]
    if top == len(body):
        position = top
    else:
        position = max(keys or gaps, default=-1) + 1
        if not keys:
            body.insert(position, (None, Whitespace("\n")))
    body.insert(position, (tomlkit.key(name), item))
