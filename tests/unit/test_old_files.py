"""Files written by version 0.1.0 open in this one, and what is gone since is named.

``tests/data/v0_1_0`` was written by that version with the pair ``demo``: ``rewrites.jsonl`` by
``solve --verifier combined --selection-permutations 2``, ``steered.jsonl`` by a run in which a
verdict was overridden, a path added and another dropped; a history with a run, a check, a
hint, and runs answered, stopped and killed; a bench of three methods; a user's settings,
models and measured calibrations.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ssr_local.bench.records import Row, Walk
from ssr_local.bench.store import ROWS, WALKS
from ssr_local.core.config import load_settings
from ssr_local.core.errors import ConfigError
from ssr_local.core.events import read_events
from ssr_local.core.line_file import read_lines
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.core.tree import Tree
from ssr_local.models.registry import load_registry
from ssr_local_tui.app import binding_ids
from ssr_local_tui.preferences import Preferences, load_preferences
from tests.unit.cli.program import Program

FILES = Path(__file__).parents[1] / "data" / "v0_1_0"
FARM = "A farm has hens and cows. Together they have 30 heads and 84 legs. How many hens are there?"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    return Program(tmp_path)


def shown(program: Program, *arguments: str) -> Any:
    """What a command prints as JSON."""
    return json.loads(program.run(*arguments).stdout)


@pytest.mark.parametrize(
    ("log", "paths", "counts"),
    [
        ("rewrites", {0: ("answered", "18"), 1: ("answered", "18"), 2: ("answered", "21")},
         (12, 10, 2)),
        ("steered", {0: ("answered", "18"), 1: ("dropped", None), 2: ("answered", "21"),
                     3: ("answered", "18")}, (14, 10, 4)),
    ],
)  # fmt: skip
def test_an_event_log_is_replayed(
    program: Program, log: str, paths: dict[int, Any], counts: tuple[int, int, int]
) -> None:
    result = shown(program, "replay", f"{log}.jsonl", "--json")
    assert (result["problem"], result["answer"], result["status"]) == (FARM, "18", "answered")
    tree = Tree()
    with (FILES / f"{log}.jsonl").open("rb") as file:
        tree.apply_all(read_events(file, log))
    assert tree.result is not None
    assert {i: (path.end_reason, path.answer) for i, path in tree.paths.items()} == paths
    assert (tree.counts.drafted, tree.counts.accepted, tree.counts.rewritten) == counts
    overridden = [step for path in tree.paths.values() for step in path.steps if step.overridden]
    assert len(overridden) == (log == "steered")
    options = {"rewrites": ("combined", 2), "steered": ("min-likelihood", 1)}[log]
    found = (result["options"]["verifier"], result["options"]["selection_permutations"])
    assert found == options


def test_a_history_is_listed_searched_shown_and_exported(program: Program) -> None:
    entries = shown(program, "history", "list", "--json")
    assert [(one["id"], one["kind"], one["status"], one["answer"]) for one in entries] == [
        (6, "run", "interrupted", None),
        (5, "run", "cancelled", None),
        (4, "run", "answered", "18"),
        (3, "hint", "given", None),
        (2, "check", "wrong step", "19"),
        (1, "run", "answered", "18"),
    ]
    assert [one["id"] for one in shown(program, "history", "search", "geese", "--json")] == [6]
    for number, words in (
        (1, "combined"),
        (2, "h + 2c = 84 does not hold"),
        (3, "It does not follow"),
        (6, "It was interrupted there."),
    ):
        assert words in program.run("history", "show", str(number)).stdout.decode()
        assert shown(program, "history", "export", str(number))
        page = program.run("history", "export", str(number), "--format", "html").stdout.decode()
        assert ("geese" if number == 6 else "hens") in page
    (due,) = shown(program, "practice", "--list", "--json")
    assert (due["problem"], due["num_reviews"]) == (FARM, 1)


def test_a_bench_is_reported_with_the_same_figures(program: Program) -> None:
    folder = program.folder / "bench"
    before = json.loads((folder / "report.json").read_bytes())
    rows = list(read_lines(folder / ROWS, Row))
    assert [row.outcome for row in rows].count("right") == 6
    assert len({row.key for row in rows}) == 9
    (walk,) = read_lines(folder / WALKS, Walk)
    assert len(walk.steps) == 5
    done = program.run("bench", "report", "bench", "--no-plots")
    assert done.returncode == 0, done.stderr
    after = json.loads((folder / "report.json").read_bytes())
    old, new = (figures["tasks"][0]["methods"] for figures in (before, after))
    assert [one["method"] for one in new] == ["target", "ssr-m3", "ssr-m3+combined+random"]
    for one, other in zip(old, new, strict=True):
        assert other["num_right"] == one["num_right"] == 2
        assert other["accuracy"] == pytest.approx(one["accuracy"])
        if one["target"] is not None:
            assert other["target"]["time"]["value"] == pytest.approx(one["target"]["time"]["value"])


def test_every_setting_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_LOCAL_CONFIG_DIR", str(FILES / "config"))
    settings = load_settings(env={}, file=FILES / "config" / "config.toml")
    assert settings.solve == SolveOptions(
        method="specreason",
        paths=4,
        mode="fast2",
        strategies="logic",
        selection="generate",
        verifier="digit",
        threshold=6.5,
        max_tokens=900,
        max_steps=30,
        max_step_tokens=200,
        time_limit=120,
        temperature=0.7,
        top_p=0.9,
        seed=11,
    )
    assert settings.engine == EngineOptions(
        pair="mine",
        draft="own-draft",
        target="own-target",
        threads=2,
        engine="llama",
        repack="off",
        gpu_layers=0,
        ctx=4096,
    )
    assert load_preferences(binding_ids=binding_ids()) == Preferences(
        theme="textual-light", plain=True, mouse=False, welcomed=True, keys={"quit": "ctrl+x"}
    )


def test_models_and_measured_calibrations_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "CONFIG"):
        monkeypatch.setenv(f"SSR_LOCAL_{name}_DIR", str(FILES / name.lower()))
    registry = load_registry()
    mine, measured = registry.pair("mine"), registry.pair("default")
    assert (mine.draft, mine.target, mine.for_whom) == ("own-draft", "own-target", "me")
    assert registry.model("own-target").bytes == 1000
    for pair, samples in ((mine, 204), (measured, 99)):
        assert set(pair.calibrations) >= {
            "min-likelihood",
            "number-likelihood",
            "likelihood",
            "digit",
        }
        assert pair.calibrations["min-likelihood"].samples == samples
        assert pair.calibrations["likelihood"].knots[0] == (-1.3201, 1.141)


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("verifier", "combined", "min-likelihood"),
        ("verifier", "yes-no", "min-likelihood"),
        ("verifier", "expected-digit", "digit"),
        ("selection", "random", "ssr-m3+random"),
        ("selection", "first", "ssr-m3+first"),
        ("selection_permutations", "3", "ssr-m3+perm="),
    ],
)
def test_what_is_gone_is_refused_with_what_replaces_it(
    tmp_path: Path, name: str, value: str, instead: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"{name} = {value if value.isdigit() else repr(value)}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(env={}, file=file)
    message = str(caught.value)
    assert str(file) in message
    assert name in message
    # An error of a choice lists every verifier: what replaces this one is said before that.
    assert instead in message.partition("ccepted:")[0]
    done = Program(tmp_path).run("solve", f"--{name.replace('_', '-')}", value, "x")
    assert done.returncode == 2
    assert instead in done.stderr.decode().partition("ccepted:")[0]
