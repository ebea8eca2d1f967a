"""The whole examination on this machine, with tiny models that the real llama.cpp runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssr_local.core.display import one_line
from ssr_local.core.errors import UsageError
from ssr_local.core.options import EngineOptions
from ssr_local.diagnosis import Report, diagnose
from ssr_local.diagnosis.findings import Finding
from ssr_local.engine import hardware
from ssr_local.engine.hardware import Memory
from ssr_local.engine.speeds import remembered_speeds
from tests.engine.harness import HAS_IK, needs_llama
from tests.tiny_gguf import write_tiny_model

Put = Callable[..., Path]

PROFILE = """
[pairs.tiny.profile]
quick = "prose:target"
normal = "program:target + prose:target; agree; prose:target"
thorough = "3 x prose:ssd"
[pairs.tiny.profile.kinds]
"prose:target" = { tokens = 150, right = 0.5 }
"program:target" = { tokens = 50, right = 0.5 }
[pairs.tiny.profile.plans_for.typeset]
quick = "prose:target"
normal = "4 x prose:target"
thorough = "prose:target"
[pairs.tiny.profile.plans_for.typeset.kinds]
"prose:target" = { tokens = 100, right = 0.5 }
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One thread, and a folder with the one for the configuration."""
    monkeypatch.setenv("SSR_LOCAL_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    monkeypatch.setenv("SSR_LOCAL_THREADS", "1")
    return tmp_path


@pytest.fixture
def pair(home: Path) -> Put:
    """Writes models.toml with a pair ``tiny`` of two files; returns their folder."""

    def put(extra: str = "", **changes: Any) -> Path:
        lines = []
        for seed, role in enumerate(("draft", "target")):
            path = home / f"{role}.gguf"
            write_tiny_model(path, **({"seed": seed} | changes.get(role, {})))
            lines.append(
                f'[models.{role}]\nfile = "{role}.gguf"\nsources = [{{ kind = "file",'
                f' path = "{path.as_posix()}", in_place = true }}]\n'
            )
        lines.append(f'[pairs.tiny]\ndraft = "draft"\ntarget = "target"\n{extra}')
        (home / "config" / "models.toml").write_text("".join(lines))
        return home

    return put


def finding(report: Report, section: str, name: str) -> Finding:
    found = [one for part, one in findings(report) if (part, one.name) == (section, name)]
    assert len(found) == 1, (section, name, report.sections)
    return found[0]


def findings(report: Report) -> list[tuple[str, Finding]]:
    return [(part.name, one) for part in report.sections for one in part.findings]


def problems(report: Report) -> list[tuple[str, str]]:
    return [(part, one.name) for part, one in findings(report) if one.state == "problem"]


@needs_llama  # the fork does not run recurrent models
def test_a_whole_pair_is_examined_and_timed(pair: Put) -> None:
    pair("calibrations.digit.knots = [[0, 0], [9, 9]]\n", target={"arch": "mamba"})
    said: list[str] = []
    report = diagnose({"pair": "tiny", "method": "ssr"}, on_progress=said.append)
    assert problems(report) == []
    sections = [section.name for section in report.sections]
    assert sections == ["machine", "configuration", "engine", "models", "speed"]
    assert finding(report, "models", "draft").value.startswith("draft: present, ")
    assert "qwen2, F32" in finding(report, "models", "draft kind").value
    assert finding(report, "models", "vocabularies").value.startswith("equal")
    assert finding(report, "models", "calibration").state == "warning"
    assert finding(report, "models", "memory needed").state == "ok"
    assert "tokens/s" in finding(report, "speed", "target speed").value
    assert finding(report, "speed", "drafting").value
    assert [row.name for row in report.plans] == ["quick", "normal", "thorough", "ssr-m3"]
    for row in report.plans:
        predicted = f"~{row.seconds:.1f} s a problem, predicted"
        assert finding(report, "speed", row.name).value == predicted
    assert said == [
        "Loading and timing the draft, draft ...",
        "Loading and timing the target, target ...",
    ]
    draft, target = report.models
    assert (draft.role, target.role) == ("draft", "target")
    assert draft.speed is not None
    assert (draft.other_engine_speed is not None) == HAS_IK
    assert "recurrent memory" in finding(report, "speed", "target note").value
    assert draft.context_length == 2048
    assert draft.quantisation == "F32"
    assert (report.pair, report.engine is not None) == ("tiny", True)
    kept = {one.name: one.tokens_per_s for one in remembered_speeds(EngineOptions(threads=1))}
    assert target.speed is not None
    assert kept == {"draft": draft.speed.tokens_per_s, "target": target.speed.tokens_per_s}


@pytest.mark.parametrize(
    ("options", "config", "cells"),
    [
        ({"method": "ssr"}, "", (320 + 3 * (72 + 1024 + 128),) * 2),
        ({"method": "ssr", "ctx": 5000}, "", (5000, 5000)),
        (
            {"method": "ssr"},
            "paths = 5\nmax_tokens = 500\n",
            (320 + 5 * (72 + 500 + 128),) * 2,
        ),
        ({"method": "draft"}, "", (320 + 72 + 1024 + 128, 0)),
        ({}, "method = 'target'\n", (0, 320 + 72 + 1024 + 128)),
        # Two paths at a time, of a length that is known; on problems with formulas four.
        ({}, "", (0, 320 + 4 * (72 + 400 + 128))),
        ({"effort": "quick"}, "max_tokens = 500\n", (0, 320 + 72 + 500 + 128)),
    ],
)
def test_kv_caches_and_memory_are_those_of_a_run(
    pair: Put, home: Path, options: dict[str, Any], config: str, cells: tuple[int, int]
) -> None:
    pair(PROFILE)
    (home / "config" / "config.toml").write_text(config)
    report = diagnose({"pair": "tiny"} | options, with_speed=False)
    # 2 layers, 2 heads of 16 elements for keys and values each, 2 bytes an element
    kv_bytes = [2 * 2 * 16 * 2 * 2 * one for one in cells]
    assert [model.num_cells for model in report.models] == [*cells]
    assert [model.kv_bytes for model in report.models] == kv_bytes
    needed = [role for role, one in zip(("draft", "target"), cells, strict=True) if one]
    assert [model.role for model in report.models if model.is_needed] == needed
    files = sum((home / f"{role}.gguf").stat().st_size for role in needed)
    assert report.memory_needed_bytes == files + sum(kv_bytes)
    said = [one.value for _, one in findings(report) if one.name.endswith("KV cache")]
    assert [value.rpartition(" for ")[2] for value in said] == [f"{n} cells" for n in cells if n]


def test_without_speed_nothing_is_loaded(pair: Put) -> None:
    pair(target={"chat_template": None})
    said: list[str] = []
    options = {"pair": "tiny", "method": "ssr"}
    report = diagnose(options, with_speed=False, on_progress=said.append)
    assert said == []
    assert {row.seconds for row in report.plans} == {None}
    assert [model.speed for model in report.models] == [None, None]
    states = [finding(report, "models", f"{m.role} chat template").state for m in report.models]
    assert states == ["ok", "warning"]
    assert finding(report, "models", "vocabularies").value.startswith("not compared")
    assert "speed" not in [section.name for section in report.sections]


def test_a_missing_pair(home: Path) -> None:
    report = diagnose({})
    assert problems(report) == [("models", "target")]
    remark = finding(report, "models", "draft")
    assert remark.state == "ok"
    assert "needed by --method ssr, draft, specreason" in remark.value
    assert "ssr-local models pull" in remark.advice
    assert "1.1 GB to fetch" in finding(report, "models", "disk space").value
    ssr = diagnose({"method": "ssr"})
    assert problems(ssr) == [("models", "draft"), ("models", "target")]
    assert "1.6 GB to fetch" in finding(ssr, "models", "disk space").value
    assert report.memory_needed_bytes is None
    assert [model.state for model in report.models] == ["missing", "missing"]


def test_a_pair_that_is_not_known() -> None:
    report = diagnose({"pair": "defualt"})
    assert problems(report) == [("models", "pair")]
    assert "Did you mean: default" in finding(report, "models", "pair").value
    assert report.models == ()


def refused(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"qwen2", b"qwenX"))


def no_gguf(path: Path) -> None:
    path.write_bytes(b"x" * 43)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [(no_gguf, "draft file"), pytest.param(refused, "draft run", marks=needs_llama)],
)
def test_a_model_that_cannot_be_used(pair: Put, spoil: Callable[[Path], None], name: str) -> None:
    folder = pair()
    spoil(folder / "draft.gguf")
    report = diagnose({"pair": "tiny", "method": "ssr"})
    assert problems(report) == [("models", name)]
    assert finding(report, "models", name).advice
    assert finding(report, "speed", "target speed")
    assert not [one for _, one in findings(report) if one.name == "drafting"]
    unused = diagnose({"pair": "tiny", "method": "target"}, with_speed=name == "draft run")
    assert (problems(unused), finding(unused, "models", name).state) == ([], "warning")


def test_a_folder_that_cannot_be_looked_into(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("SSR_LOCAL_DATA_DIR", str(home / "file"))
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(home / "new" / "cache"))
    report = diagnose({}, with_speed=False)
    data = finding(report, "configuration", "data folder")
    assert (data.state, "SSR_LOCAL_DATA_DIR" in data.advice) == ("warning", True)
    assert finding(report, "configuration", "cache folder").state == "ok"
    assert not (home / "new").exists()


@pytest.mark.parametrize(
    ("file", "text", "name", "words"),
    [
        ("config.toml", "paths = 99", "settings", "cannot be 99"),
        ("models.toml", "modls = {}", "pair", "unknown key 'modls'"),
    ],
)
def test_a_wrong_configuration_is_a_finding_among_others(
    home: Path, file: str, text: str, name: str, words: str
) -> None:
    (home / "config" / file).write_text(text)
    report = diagnose({"threads": 1}, with_speed=False)
    assert ("configuration", name) in problems(report)
    assert words in finding(report, "configuration", name).value
    assert file in finding(report, "configuration", name).value
    assert finding(report, "engine", "graphics")


def test_a_wrong_variable_and_a_mistyped_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_LOCAL_MAX_TOKEN", "5")
    report = diagnose({}, with_speed=False)
    warning = finding(report, "configuration", "environment")
    assert (warning.state, "SSR_LOCAL_MAX_TOKENS" in warning.value) == ("warning", True)
    monkeypatch.setenv("SSR_LOCAL_PATHS", "99")
    assert problems(diagnose({}, with_speed=False))[0] == ("configuration", "settings")


def test_a_wrong_override_is_raised(home: Path) -> None:
    for text in ("", "= broken"):
        (home / "config" / "config.toml").write_text(text)
        with pytest.raises(UsageError, match="threads"):
            diagnose({"threads": -1})
        with pytest.raises(UsageError, match="no option 'thread'"):
            diagnose({"thread": 1})


def test_an_engine_that_cannot_start(
    pair: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair()
    package = tmp_path / "site" / "llama_cpp"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(str(package.parent))
    report = diagnose({"pair": "tiny"})
    assert problems(report) == [("engine", "llama.cpp")]
    assert report.engine is None
    assert finding(report, "models", "target KV cache")
    assert "speed" not in [section.name for section in report.sections]


def test_models_too_large_for_the_memory_are_not_loaded(
    pair: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair()
    monkeypatch.setattr(hardware, "memory", lambda: Memory(10**6, 10**6))
    report = diagnose({"pair": "tiny"})
    assert problems(report) == [("models", "memory needed")]
    assert "not measured" in finding(report, "speed", "target speed").value
    assert report.models[1].speed is None


def test_the_demonstration_needs_no_models() -> None:
    report = diagnose({"pair": "demo"})
    assert problems(report) == []
    assert report.models == ()
    assert report.pair == "demo"


def test_nothing_from_a_file_reaches_a_terminal_as_it_is(pair: Put, home: Path) -> None:
    pair(
        draft={"name": "Evil\x1b]0;owned\x07\x1b[2J\u202eleader"},
        target={"chat_template": "\x1b[2J"},
    )
    (home / "draft.gguf").rename(home / "a\x1b[31mb.gguf")
    report = diagnose(
        {"draft": str(home / "a\x1b[31mb.gguf"), "target": str(home / "target.gguf")},
        with_speed=False,
    )
    assert problems(report) == []
    assert finding(report, "models", "draft kind").value.startswith("Evilleader: qwen2")
    texts = [text for _, one in findings(report) for text in (one.name, one.value, one.advice)]
    assert all(text == one_line(text) for text in texts)


def test_a_plan_or_a_pool_that_is_wrong_is_a_finding(pair: Put, home: Path) -> None:
    pair()
    for text, words in (("plan = 'prose:nobody'", "'nobody'"), ("strategies = 'mats'", "'mats'")):
        (home / "config" / "config.toml").write_text(text)
        report = diagnose({"pair": "tiny"}, with_speed=False)
        assert problems(report) == [("configuration", "plan")]
        assert words in finding(report, "configuration", "plan").value
