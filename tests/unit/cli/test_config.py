from __future__ import annotations

import json

import pytest

from ssr_local.core.config import OPTION_NAMES
from tests.unit.cli.program import Program


def test_show_prints_aligned_columns(program: Program) -> None:
    file = program.configure("paths = 5\n")
    program.env["SSR_LOCAL_MODE"] = "fast1"
    lines = program.here("config", "show").stdout.decode().splitlines()
    assert len(lines) == 1 + len(OPTION_NAMES)
    rows = {line.split()[0]: line.split(maxsplit=3)[1:] for line in lines}
    assert rows["paths"] == ["5", "config", str(file)]
    assert rows["mode"] == ["fast1", "environment", "SSR_LOCAL_MODE"]
    assert rows["threshold"] == ["7.0", "default"]
    assert rows["seed"] == ["not", "set", "default"]
    column = lines[0].index("ORIGIN")
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_show_json(program: Program) -> None:
    file = program.configure("paths = 5\n")
    program.env["SSR_LOCAL_MAX_TOKEN"] = "5"
    done = program.here("config", "show", "--json")
    shown = json.loads(done.stdout)
    assert shown["file"] == str(file)
    assert [row["name"] for row in shown["settings"]] == list(OPTION_NAMES)
    values = {"name": "paths", "value": 5, "origin": "config", "detail": str(file)}
    assert values in shown["settings"]
    assert shown["settings"][OPTION_NAMES.index("seed")]["value"] is None
    assert "SSR_LOCAL_MAX_TOKENS" in shown["warnings"][0]
    assert b"SSR_LOCAL_MAX_TOKENS" in done.stderr


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_show_prints_nothing_a_terminal_obeys(program: Program, more: tuple[str, ...]) -> None:
    program.configure('draft = "a\\u001b[31m\\u009b2J\\nb"\n')
    shown = program.here("config", "show", *more).stdout.decode()
    assert shown.replace("\n", "").isprintable()
    assert "[31m" in shown


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [("max-tokens", "9", "max_tokens = 9\n"), ("gpu-layers", "-1", "gpu_layers = -1\n")],
)
def test_set_and_unset(program: Program, name: str, value: str, written: str) -> None:
    file = program.folder / "config" / "config.toml"
    assert str(file).encode() in program.here("config", "set", name, value).stdout
    assert file.read_text() == written
    assert str(file).encode() in program.here("config", "unset", name).stdout
    assert file.read_text() == ""


def test_set_tells_when_a_variable_wins(program: Program) -> None:
    assert program.here("config", "set", "paths", "5").stderr == b""
    program.env["SSR_LOCAL_PATHS"] = "2"
    for command in (("set", "paths", "5"), ("unset", "paths")):
        assert b"SSR_LOCAL_PATHS" in program.here("config", *command).stderr


def test_path_is_printed_even_for_a_damaged_file(program: Program) -> None:
    file = program.configure("= broken")
    assert program.here("config", "path").stdout.decode() == f"{file}\n"
