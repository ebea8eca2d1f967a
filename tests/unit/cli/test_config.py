from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ssr_local.cli.config import command
from ssr_local.core.config import OPTION_NAMES
from tests.unit.cli.program import AS_FROM_THE_SHELL


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSR_LOCAL_CONFIG_DIR", str(tmp_path))
    return tmp_path


def run(*args: str) -> Result:
    result = CliRunner().invoke(command, args, **AS_FROM_THE_SHELL)
    assert result.exit_code == 0, result.output
    return result


def test_show_prints_aligned_columns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "config.toml").write_text("paths = 5\n")
    monkeypatch.setenv("SSR_LOCAL_MODE", "fast1")
    lines = run("show").stdout.splitlines()
    assert len(lines) == 1 + len(OPTION_NAMES)
    rows = {line.split()[0]: line.split(maxsplit=3)[1:] for line in lines}
    assert rows["paths"] == ["5", "config", str(folder / "config.toml")]
    assert rows["mode"] == ["fast1", "environment", "SSR_LOCAL_MODE"]
    assert rows["threshold"] == ["7.0", "default"]
    assert rows["seed"] == ["not", "set", "default"]
    column = lines[0].index("ORIGIN")
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_show_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "config.toml").write_text("paths = 5\n")
    monkeypatch.setenv("SSR_LOCAL_MAX_TOKEN", "5")
    result = run("show", "--json")
    shown = json.loads(result.stdout)
    assert shown["file"] == str(folder / "config.toml")
    assert [row["name"] for row in shown["settings"]] == list(OPTION_NAMES)
    values = {"name": "paths", "value": 5, "origin": "config", "detail": shown["file"]}
    assert shown["settings"][1] == values
    assert shown["settings"][OPTION_NAMES.index("seed")]["value"] is None
    assert "SSR_LOCAL_MAX_TOKENS" in shown["warnings"][0]
    assert "SSR_LOCAL_MAX_TOKENS" in result.stderr


@pytest.mark.parametrize("args", [("show",), ("show", "--json")])
def test_show_prints_nothing_a_terminal_obeys(folder: Path, args: tuple[str, ...]) -> None:
    text = 'draft = "a\\u001b[31m\\u009b2J\\nb"\n'
    (folder / "config.toml").write_text(text)
    shown = run(*args).stdout
    assert shown.replace("\n", "").isprintable()
    assert "[31m" in shown


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [("max-tokens", "9", "max_tokens = 9\n"), ("gpu-layers", "-1", "gpu_layers = -1\n")],
)
def test_set_and_unset(folder: Path, name: str, value: str, written: str) -> None:
    file = folder / "config.toml"
    assert str(file) in run("set", name, value).stdout
    assert file.read_text() == written
    assert str(file) in run("unset", name).stdout
    assert file.read_text() == ""


def test_set_tells_when_a_variable_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("set", "paths", "5").stderr == ""
    monkeypatch.setenv("SSR_LOCAL_PATHS", "2")
    assert "SSR_LOCAL_PATHS" in run("set", "paths", "5").stderr
    assert "SSR_LOCAL_PATHS" in run("unset", "paths").stderr


def test_path_is_printed_even_for_a_damaged_file(folder: Path) -> None:
    assert run("path").stdout == f"{folder / 'config.toml'}\n"
    (folder / "config.toml").write_text("= broken")
    assert run("path").stdout == f"{folder / 'config.toml'}\n"
