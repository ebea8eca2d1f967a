from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ssr_local.cli.doctor import command
from ssr_local.core.errors import UsageError
from tests.tiny_gguf import write_tiny_model

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATA", "CACHE", "CONFIG"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(f"SSR_LOCAL_{name}_DIR", str(folder))
    return tmp_path


@pytest.fixture
def models(home: Path) -> list[str]:
    """Options that name two tiny models."""
    draft = write_tiny_model(home / "draft.gguf")
    target = write_tiny_model(home / "target.gguf", seed=1)
    return ["--draft", str(draft), "--target", str(target), "--threads", "1"]


def run(*args: str) -> Result:
    return CliRunner().invoke(command, list(args), standalone_mode=False)


def code_of(result: Result) -> int:
    assert result.exception is None, result.exception
    assert isinstance(result.return_value, int)
    return result.return_value


def test_everything_is_there(models: list[str]) -> None:
    result = run(*models)
    assert code_of(result) == 0
    lines = result.stdout.splitlines()
    heads = [line for line in lines if line and line[0] != " "][:-1]
    assert heads == ["Machine", "Configuration", "Engine", "Models", "Speed"]
    assert lines[-1].startswith("Everything needed for a run is there")
    assert any(line.split()[1:3] == ["draft", "speed"] for line in lines)
    assert result.stderr == ""


def test_columns_are_aligned(models: list[str]) -> None:
    lines = run(*models, "--no-speed").stdout.splitlines()
    rows = [line for line in lines if line.startswith(("  ok", "  warning", "  problem"))]
    column = max(line.index("tokens") for line in rows if "draft context" in line) - len("2048 ")
    assert len(rows) > 15
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in rows)
    advice = [line for line in lines if line.lstrip().startswith("->")]
    assert advice
    assert all(line.index("->") == column for line in advice)
    assert all(line == line.rstrip() for line in lines)


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
def test_exit_codes(home: Path, args: list[str], config: str, code: int) -> None:
    (home / "config" / "config.toml").write_text(config)
    result = run(*args, "--no-speed")
    assert code_of(result) == code
    assert ("problem" in result.stdout) is (code != 0)


def test_exit_code_of_an_engine_that_cannot_start(
    models: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "llama_cpp.py").write_text("raise OSError('libgomp.so.1: not found')")
    monkeypatch.syspath_prepend(str(home))
    result = run(*models)
    assert code_of(result) == 4
    assert "libgomp.so.1" in result.stdout
    # What a run would meet first decides.
    assert code_of(run("--no-speed")) == 3


def test_a_damaged_model(models: list[str], home: Path) -> None:
    (home / "draft.gguf").write_bytes(b"GGUF")
    assert code_of(run(*models, "--no-speed")) == 3


def test_wrong_options_are_left_to_the_top_level() -> None:
    assert isinstance(run("--threads", "-5").exception, UsageError)


def test_json_is_the_whole_report_and_nothing_else(models: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ssr_local", "doctor", "--json", *models],
        capture_output=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    report = json.loads(done.stdout)
    names = [section["name"] for section in report["sections"]]
    assert names == ["machine", "configuration", "engine", "models", "speed"]
    finding = report["sections"][0]["findings"][0]
    assert set(finding) == {"name", "state", "value", "advice"}
    assert report["models"][1]["speed"]["prefill"] > 0
    assert report["models"][0]["kv_bytes"] == report["models"][0]["kv_bytes_default"]
    assert report["engine"]["version"]
    assert report["speculation"][1]["num_paths"] == 3


def test_a_closed_pipe_is_no_error(models: list[str]) -> None:
    command = f"{sys.executable} -m ssr_local doctor --no-speed --pair demo | head -1"
    done = subprocess.run(
        command, shell=True, capture_output=True, cwd=ROOT, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == (b"Machine\n", b"")


def test_it_starts_without_heavy_imports() -> None:
    code = (
        "import sys, ssr_local.cli.doctor\n"
        "heavy = {'llama_cpp', 'numpy', 'textual', 'sympy', 'tomlkit', 'rich', 'huggingface_hub'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT, env=os.environ)


def test_llama_cpp_is_never_loaded_by_the_doctor_itself(models: list[str]) -> None:
    code = (
        "import sys\n"
        "from ssr_local.diagnosis import diagnose\n"
        "report = diagnose(dict(zip(['draft', 'target'], sys.argv[1:])), with_speed=False)\n"
        "assert report.engine is not None\n"
        "assert 'llama_cpp' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, models[1], models[3]], check=True, timeout=60, cwd=ROOT
    )
