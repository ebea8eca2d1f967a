"""``ssr-local config``: show the settings in force, and change the settings file."""

from __future__ import annotations

import json
import os

import click
import msgspec

from ssr_local.cli.at_work import remark, settings_in_force
from ssr_local.core.config import (
    Setting,
    Settings,
    config_file,
    save_setting,
    variable_name,
)
from ssr_local.core.toml_file import printable

_HEADINGS = ("NAME", "VALUE", "ORIGIN", "DETAIL")


@click.group(name="config")
def command() -> None:
    """Show the settings in force, and change the settings file."""


@command.command(name="show")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show_command(as_json: bool) -> None:
    """Print every setting and where its value comes from."""
    settings = settings_in_force({})
    click.echo(_as_json(settings) if as_json else _as_table(settings.origins))


# Without ignore_unknown_options a value such as -1 would be taken for an option.
@command.command(name="set", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("value")
def set_command(name: str, value: str) -> None:
    """Write VALUE for the option NAME into the settings file."""
    _save(name, value, "Set {} in {}.")


@command.command(name="unset")
@click.argument("name")
def unset_command(name: str) -> None:
    """Take the option NAME out of the settings file."""
    _save(name, None, "{} is not set in {}.")


@command.command(name="path")
def path_command() -> None:
    """Print where the settings file is, whether or not it exists."""
    click.echo(printable(str(config_file())))


def _save(name: str, value: str | None, words: str) -> None:
    """Change the file, say so, and whether a variable is stronger."""
    save_setting(name, value)
    option = name.replace("-", "_")
    click.echo(printable(words.format(option, config_file())))
    variable = variable_name(option)
    if os.environ.get(variable, "").strip():
        remark(f"Note: the environment variable {variable} overrides the file.")


def _as_table(origins: tuple[Setting, ...]) -> str:
    rows = [_HEADINGS]
    for one in origins:
        value = "not set" if one.value is None else str(one.value)
        rows.append((one.name, value, one.origin, one.detail))
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def _as_json(settings: Settings) -> str:
    """ASCII only, so that no control character reaches a terminal."""
    found = {
        "file": str(config_file()),
        "settings": msgspec.to_builtins(settings.origins),
        "warnings": list(settings.warnings),
    }
    return json.dumps(found, indent=2)
