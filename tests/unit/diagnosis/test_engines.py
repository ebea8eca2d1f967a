"""What the doctor says about engines, on tiny models and the libraries that are here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from ssr_local.diagnosis import Report, diagnose
from ssr_local.engine import choice
from ssr_local.engine.libraries import EngineName
from tests.tiny_gguf import write_tiny_model

needs_ik = pytest.mark.skipif(
    importlib.util.find_spec("ik_llama_cpp") is None, reason="needs the extra ik"
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"SSR_LOCAL_{name}_DIR", str(tmp_path / name.lower()))
    return write_tiny_model(tmp_path / "tiny.gguf")


def engine_rows(report: Report) -> dict[str, str]:
    (section,) = [section for section in report.sections if section.name == "engine"]
    return {row.name: row.value for row in section.findings}


@needs_ik
def test_before_the_first_run_the_engine_is_still_to_be_checked(model: Path) -> None:
    report = diagnose({"draft": str(model), "target": str(model)}, with_speed=False)
    assert engine_rows(report)["target engine"] == "ik_llama.cpp: to be checked in the first run"
    assert report.models[0].engine == "ik"


@needs_ik
def test_a_self_check_decides_at_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, known = choice.run_check, dict[str, Any]()

    def once(engine: EngineName, *args: Any, **options: Any) -> Any:
        """Draft and target are one file here."""
        known[engine] = known.get(engine) or real(engine, *args, **options)
        return known[engine]

    monkeypatch.setattr(choice, "run_check", once)
    options = {"draft": str(model), "target": str(model)}
    report = diagnose(options, with_speed=False, self_check=True)
    assert "passed its self-check" in engine_rows(report)["target engine"]
    checks = [
        row.value
        for section in report.sections
        for row in section.findings
        if row.name == "target self-check"
    ]
    assert [value.split()[0] for value in checks] == ["llama.cpp", "ik_llama.cpp"]
    assert all("passed in" in value for value in checks)

    (key,) = [key for key in choice._load() if "|ik|" in key]
    choice._remember(key, choice.Verdict(difference="it lies", at=1.0))
    value = engine_rows(diagnose(options, with_speed=False))["draft engine"]
    assert value.startswith("llama.cpp: ik_llama.cpp failed its self-check")
    assert "it lies" in value


def test_without_ik_the_doctor_says_how_to_get_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ssr_local import diagnosis

    real = diagnosis.engine_facts

    def without() -> object:
        import msgspec

        return msgspec.structs.replace(real(), ik_obstacle="ik-llama-cpp-python is not installed")

    monkeypatch.setattr(diagnosis, "engine_facts", without)
    report = diagnose({"draft": str(model), "target": str(model)}, with_speed=False)
    rows = [row for section in report.sections for row in section.findings]
    (target,) = [row for row in rows if row.name == "target engine"]
    assert target.value == "llama.cpp: ik-llama-cpp-python is not installed"
    assert "ssr-local[ik]" in target.advice


@needs_ik
def test_both_engines_are_timed(model: Path) -> None:
    report = diagnose({"draft": str(model), "target": str(model), "engine": "llama"})
    for one in report.models:
        assert one.engine == "llama"
        assert one.speed is not None
        assert one.other_engine_speed is not None
    names = [row.name for section in report.sections for row in section.findings]
    assert "target with ik_llama.cpp" in names
