"""``ssr-local plans`` on tiny models that are really timed, and on remembered speeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from ssr_local.api import Solver
from ssr_local.cli.plans import command
from ssr_local.core import folders
from ssr_local.core.events import AnyEvent, RunEnded
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.core.records import Models
from ssr_local.engine.speeds import remember_speed
from ssr_local.history.store import History
from ssr_local.method.prediction import INSTRUCTION_TOKENS, PROMPT_TOKENS, Speed
from tests.tiny_gguf import write_tiny_model
from tests.unit.cli.program import AS_FROM_THE_SHELL

READ_S = (PROMPT_TOKENS + INSTRUCTION_TOKENS) / 100  # of a target that decodes a token a second
PROFILE = """
quick = "program:target"
normal = "program:target + prose:target; agree; prose:target"
thorough = "3 x prose:target"
note = "on ten"
[pairs.mine.profile.plans."program:target"]
right = 6
num = 10
percent = [60, 31, 83]
[pairs.mine.profile.kinds."prose:target"]
tokens = 100
right = 0.6
[pairs.mine.profile.kinds."program:target"]
tokens = 50
answers = 0.8
right = 0.6
[pairs.mine.profile.plans_for.typeset]
quick = "program:target"
normal = "3 x prose:target"
thorough = "3 x prose:target"
kinds."prose:target" = { tokens = 30, right = 0.6 }
kinds."program:target" = { tokens = 30, right = 0.6 }
[pairs.mine.profile.plans_for.logic]
quick = "program:target"
normal = "prose:target"
thorough = "prose:target"
kinds."prose:target" = { tokens = 20, right = 0.6 }
kinds."program:target" = { tokens = 20, right = 0.6 }
"""


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, Path]:
    """Two tiny models as the pair "mine"."""
    files = {role: write_tiny_model(tmp_path / f"{role}.gguf") for role in ("draft", "target")}
    folders.config_dir().mkdir(parents=True)
    (folders.config_dir() / "models.toml").write_text(
        f'[pairs.mine]\ndraft = "{files["draft"].as_posix()}"\n'
        f'target = "{files["target"].as_posix()}"\n[pairs.mine.profile]{PROFILE}'
    )
    return files


def remember(files: dict[str, Path], draft: float = 4, target: float = 1, batch: float = 2) -> None:
    for role, rate in (("draft", draft), ("target", target)):
        remember_speed(
            role,
            files[role],
            Speed(prefill=100 * rate, decode=((1, rate), (8, batch * rate))),
            EngineOptions(threads=1),
            file_bytes=files[role].stat().st_size,
            on_gpu=False,
            disturbed=False,
        )


def run_plans(*args: str, code: int = 0) -> Result:
    result = CliRunner().invoke(command, ["--threads", "1", *args], **AS_FROM_THE_SHELL)
    assert result.exit_code == code, result
    return result


def rows(*args: str) -> dict[str, dict[str, Any]]:
    found = json.loads(run_plans("--pair", "mine", "--json", *args).stdout)["rows"]
    return {row["name"]: row for row in found}


def test_seconds_accuracy_and_the_default(pair: dict[str, Path]) -> None:
    remember(pair)
    found = rows()
    efforts = ["quick", "normal", "normal, formulas", "thorough"]
    assert list(found) == [*efforts, "target", "parallel-3", "ssr-m3"]
    assert [name for name, row in found.items() if row["is_default"]] == efforts[1:3]
    assert found["target"]["seconds"] == pytest.approx(100 + READ_S)
    assert found["target"]["times_target"] == 1
    assert found["quick"]["seconds"] == pytest.approx(50 + READ_S)
    assert found["quick"]["figures"]["percent"] == [60, 31, 83]
    assert found["target"]["figures"] is None
    assert found["normal"]["opened"][0] == 1
    special = found["normal, formulas"]
    assert (special["plan"], special["typeset"]) == ("3 x prose:target", True)
    assert special["seconds"] < found["thorough"]["seconds"] / 2, "30 tokens in place of 100"
    solver = Solver(pair="mine", threads=1)
    for row, problem in ((found["quick"], "How many?"), (special, "What is $\\frac12$?")):
        predicted = solver.predict(row["plan"], problem=problem)
        assert predicted is not None
        assert predicted.seconds == row["seconds"]
    shown = run_plans("--pair", "mine").stdout.splitlines()
    marked, _ = [line for line in shown if line.startswith("* normal")]
    assert "unknown" in marked
    assert marked.rstrip().endswith("program:target + prose:target; agree; prose:target")
    quick = next(line for line in shown if line.split()[:1] == ["quick"])
    assert "60 % [31, 83] of 10" in quick
    assert any("predicted" in line for line in shown)


def test_runs_of_the_history_stand_beside_the_prediction(
    pair: dict[str, Path], run: list[AnyEvent]
) -> None:
    remember(pair)
    ended = run[-1]
    assert isinstance(ended, RunEnded)
    with History() as history:
        own = Models(target=replace(ended.result.models.target, name="target"))
        other = Models(target=replace(ended.result.models.target, name="another"))
        logic = ended.result.options | {"strategies": "logic"}
        for total, changes in (
            (7.0, {}),
            (5.0, {}),
            (9.0, {"models": other}),
            (9.0, {"options": logic}),
            (9.0, {"problem": "What is $x + 1$?"}),
            (4.0, {}),
        ):
            timing = replace(ended.result.timing_s, paused=100.0, total=100 + total)
            result = replace(ended.result, plan="program:target", models=own, timing_s=timing)
            result = replace(result, **changes)
            history.begin("run", "A farm.", pair="mine").event(replace(ended, result=result))
    found = rows()
    assert (found["quick"]["took_s"], found["quick"]["num_runs"]) == (5.0, 3)
    assert rows("--strategies", "logic")["quick"]["took_s"] == 9
    assert (found["normal"]["took_s"], found["normal"]["num_runs"]) == (None, 0)
    assert "5.0 (3)" in run_plans("--pair", "mine").stdout


@pytest.mark.parametrize(
    ("options", "default", "plan"),
    [
        (("--effort", "quick"), "quick", "program:target"),
        (("--strategies", "code"), "normal", "prose:target"),
    ],
)
def test_the_settings_decide_which_is_the_default(
    pair: dict[str, Path], options: tuple[str, ...], default: str, plan: str
) -> None:
    remember(pair)
    row = next(row for row in rows(*options).values() if row["is_default"])
    assert (row["name"], row["plan"]) == (default, plan)


def test_a_pool_has_its_own_lengths_and_no_figures_of_another(pair: dict[str, Path]) -> None:
    remember(pair)
    found = rows("--strategies", "logic")
    assert "normal, formulas" not in found
    for name in ("quick", "target"):
        assert found[name]["seconds"] == pytest.approx(20 + READ_S)
        assert found[name]["figures"] is None
    predicted = Solver(pair="mine", threads=1).predict("prose:target", strategies="logic")
    assert predicted is not None
    assert predicted.seconds == found["target"]["seconds"]
    shown = run_plans("--pair", "mine", "--strategies", "logic").stdout
    assert "right" not in shown.splitlines()[0]


def test_a_plan_of_ones_own_is_listed_too(
    pair: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(pair)
    for settings, name, plan in (
        ({"METHOD": "specreason"}, "specreason", "prose:ssd"),
        ({"METHOD": "target"}, "target", "prose:target"),
        ({"METHOD": "target", "PLAN": "prose:draft"}, "plan", "prose:draft"),
        ({"METHOD": "target", "MODE": "fast1"}, "plan", "prose:target; first"),
        ({"METHOD": "auto", "PLAN": "program:target"}, "quick", "program:target"),
    ):
        with monkeypatch.context() as patch:
            for option, value in settings.items():
                patch.setenv(f"SSR_LOCAL_{option}", value)
            found = rows()
        assert [row["name"] for row in found.values() if row["is_default"]] == [name]
        assert found[name]["plan"] == plan
        assert found["target"]["plan"] == "prose:target"


def test_where_batches_gain_nothing_a_cheaper_plan_is_taken(pair: dict[str, Path]) -> None:
    remember(pair)
    solver = Solver(pair="mine", threads=1)
    assert "predicted to take 1." in solver._planned(SolveOptions())[1]
    # Eight rows as fast as one: three paths take three times as long.
    remember(pair, batch=1)
    thorough = SolveOptions(effort="thorough")
    assert Solver(pair="mine", threads=1)._planned(thorough)[0].plan == "3 x prose:target"
    remember(pair, batch=0.4)
    options, note = Solver(pair="mine", threads=1)._planned(thorough)
    assert options.plan == "program:target + prose:target; agree; prose:target"
    assert "thorough is predicted to take" in note


def test_budgets_follow_the_lengths_of_the_profile_unless_one_is_given(
    pair: dict[str, Path],
) -> None:
    remember(pair)
    solver = Solver(pair="mine", threads=1)
    planned = [
        solver._planned(SolveOptions(effort=effort, max_tokens=max_tokens))[0].max_tokens
        for effort, max_tokens in (("quick", 0), ("normal", 0), ("normal", 1024))
    ]
    assert planned == [200, 400, 1024]


def test_speeds_are_measured_once_and_anew_when_asked(pair: dict[str, Path]) -> None:
    first = run_plans("--pair", "mine")
    assert "timing the draft" in first.stderr
    assert "~" in first.stdout
    assert "timing" not in run_plans("--pair", "mine").stderr
    assert "timing the target" in run_plans("--pair", "mine", "--measure").stderr


def test_without_the_models_nothing_is_predicted_and_said_why() -> None:
    shown = run_plans().stdout
    assert "~" not in shown
    assert "ssr-local models pull qwen2.5-coder-0.5b qwen2.5-coder-1.5b" in shown
    other = run_plans("--target", "some/Big:Q4_K_M").stdout
    assert "pull qwen2.5-coder-0.5b some/Big:Q4_K_M" in other


def test_the_demonstration_has_none(program: Any) -> None:
    done = program.here("plans", "--pair", "demo")
    assert done.returncode == 2
    assert b"has no plans" in done.stderr
