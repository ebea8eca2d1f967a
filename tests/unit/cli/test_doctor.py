from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ssr_local.engine.packages import version
from tests.tiny_gguf import write_tiny_model
from tests.unit.cli.program import Program


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    """Options that name two tiny models."""
    draft = write_tiny_model(tmp_path / "draft.gguf")
    target = write_tiny_model(tmp_path / "target.gguf", seed=1)
    return ["--draft", str(draft), "--target", str(target), "--threads", "1"]


def test_everything_is_there_in_aligned_columns(program: Program, models: list[str]) -> None:
    done = program.here("doctor", *models)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    heads = [line for line in lines if line and line[0] != " "][:-1]
    assert heads == ["Machine", "Configuration", "Engine", "Models", "Speed"]
    assert lines[-1].startswith("Everything needed for a run is there")
    assert any(line.split()[1:3] == ["draft", "speed"] for line in lines)
    rows = [line for line in lines if line.startswith(("  ok", "  warning", "  problem"))]
    column = max(line.index("tokens") for line in rows if "target context" in line) - len("2048 ")
    assert len(rows) > 15
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in rows)
    assert {line.index("->") for line in lines if line.lstrip().startswith("->")} == {column}


@pytest.mark.parametrize(
    ("args", "config", "code"),
    [
        ([], "", 3),
        (["--pair", "defualt"], "", 3),
        (["--pair", "demo"], "", 0),
        (["--pair", "demo"], "paths = 99", 2),
        ([], "paths = 99", 2),
    ],
)
def test_exit_codes(program: Program, args: list[str], config: str, code: int) -> None:
    program.configure(config)
    done = program.here("doctor", *args, "--no-speed")
    assert done.returncode == code
    assert (b"problem" in done.stdout) is (code != 0)


def test_exit_code_of_an_engine_that_cannot_start(
    program: Program, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = program.folder / "shadow"
    shadow.mkdir()
    (shadow / "llama_cpp.py").write_text("raise OSError('libgomp.so.1: not found')")
    monkeypatch.syspath_prepend(str(shadow))
    done = program.here("doctor", *models)
    assert done.returncode == 4
    assert b"libgomp.so.1" in done.stdout
    # What a run would meet first decides.
    assert program.here("doctor", "--no-speed").returncode == 3


def test_a_damaged_model(program: Program, models: list[str]) -> None:
    (program.folder / "draft.gguf").write_bytes(b"GGUF")
    assert program.here("doctor", *models, "--no-speed").returncode == 0, "nobody drafts"
    assert program.here("doctor", *models, "--no-speed", "--method", "ssr").returncode == 3


def test_json_is_the_whole_report_and_nothing_else(program: Program, models: list[str]) -> None:
    done = program.run("doctor", "--json", "--no-speed", *models)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    report = json.loads(done.stdout)
    names = [section["name"] for section in report["sections"]]
    assert names == ["machine", "configuration", "engine", "models"]
    assert set(report["sections"][0]["findings"][0]) == {"name", "state", "value", "advice"}
    assert [model["is_needed"] for model in report["models"]] == [False, True]
    assert report["engine"]["version"] == version("llama")


def test_llama_cpp_is_never_loaded_by_the_doctor_itself(
    program: Program, models: list[str]
) -> None:
    code = (
        "import sys\n"
        "from ssr_local.diagnosis import diagnose\n"
        "report = diagnose(dict(zip(['draft', 'target'], sys.argv[1:])), with_speed=False)\n"
        "assert report.engine is not None\n"
        "assert 'llama_cpp' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code, models[1], models[3]]
    subprocess.run(command, check=True, timeout=60, env=program.env)
