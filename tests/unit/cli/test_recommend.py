from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ssr_local.cli.models import command
from ssr_local.core import folders
from ssr_local.core.options import EngineOptions
from ssr_local.engine import hardware
from ssr_local.engine.hardware import Memory
from ssr_local.engine.speeds import remember_speed
from ssr_local.method.prediction import Speed
from tests.tiny_gguf import write_tiny_model
from tests.unit.cli.program import AS_FROM_THE_SHELL


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop with 8 GB."""
    monkeypatch.setattr(hardware, "memory", lambda: Memory(8 * 10**9, 5 * 10**9))


def run(*args: str) -> Result:
    result = CliRunner().invoke(command, ["recommend", *args], **AS_FROM_THE_SHELL)
    assert result.exit_code == 0, result
    return result


def remember(speed: float, *, disturbed: bool = False) -> None:
    remember_speed(
        "some-model",
        Path("/some.gguf"),
        Speed(prefill=100, decode=((1, speed),)),
        EngineOptions(),
        file_bytes=10**9,
        on_gpu=False,
        disturbed=disturbed,
    )


def test_the_best_that_fits_comes_with_the_commands_to_get_and_to_use_it() -> None:
    lines = run().stdout.splitlines()
    (marked,) = [line for line in lines if line.startswith("* qwen3-small ")]
    assert "Apache-2.0" in marked
    assert "untested" in marked
    assert "4.2 GB" in marked
    assert "ssr-local models pull qwen3-small" in lines[-1]
    assert "ssr-local solve --pair qwen3-small" in lines[-1]
    assert any(line.startswith("paper: needs 22.1 GB") for line in lines)
    assert any("ssr-local doctor" in line for line in lines)


def test_speeds_say_where_they_come_from() -> None:
    remember(25)
    shown = run().stdout
    assert "~10 " in next(line for line in shown.splitlines() if line.startswith("* qwen3-small"))
    assert "measured speed of some-model" in shown
    assert "too low" not in shown


def test_speeds_that_other_programs_disturbed_are_called_too_low() -> None:
    remember(25, disturbed=True)
    assert "too low" in run().stdout


def test_json_has_it_all_from_best_to_lightest() -> None:
    remember(25)
    report = json.loads(run("--json").stdout)
    assert report["machine"]["total_bytes"] == 8 * 10**9
    pairs = {pair["pair"]: pair for pair in report["pairs"]}
    assert [name for name, pair in pairs.items() if pair["is_best"]] == ["qwen3-small"]
    assert [pair["fits"] for pair in report["pairs"]][-1] == "no"
    assert pairs["maths-small"]["gsm8k"]["percent"] == 84.8
    assert pairs["default"]["tested"]
    assert pairs["qwen3"]["tokens_per_s"] == pytest.approx(25 / 5.027783488)
    assert pairs["qwen3"]["is_predicted"]


def test_a_pair_that_is_here_is_not_to_be_fetched(tmp_path: Path) -> None:
    for role in ("draft", "target"):
        write_tiny_model(tmp_path / f"{role}.gguf")
    folders.config_dir().mkdir(parents=True)
    draft, target = ((tmp_path / f"{role}.gguf").as_posix() for role in ("draft", "target"))
    (folders.config_dir() / "models.toml").write_text(
        f'[pairs.mine]\ndraft = "{draft}"\ntarget = "{target}"\n'
    )
    lines = run().stdout.splitlines()
    assert "on disk" in next(line for line in lines if line.split()[:1] == ["mine"])
    assert any("ssr-local doctor --pair mine" in line for line in lines)
