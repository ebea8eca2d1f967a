"""What the doctor says about engines, on tiny models and the libraries that are here."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from ssr_local import diagnosis
from ssr_local.diagnosis import Report, diagnose
from ssr_local.diagnosis.findings import Finding
from ssr_local.engine import choice
from ssr_local.models.download import verified_path
from ssr_local.models.registry import load_registry
from tests.engine.harness import HAS_LLAMA, needs_ik, needs_llama
from tests.tiny_gguf import write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.gguf")


def examined(model: Path, **options: bool) -> Report:
    pair = {"draft": str(model), "target": str(model), "threads": 1}
    return diagnose(pair, with_speed=False, **options)


def rows(report: Report, name: str) -> list[Finding]:
    return [row for section in report.sections for row in section.findings if row.name == name]


@needs_ik
def test_before_the_first_run_the_engine_is_still_to_be_checked(model: Path) -> None:
    report = examined(model)
    (target,) = rows(report, "target engine")
    assert target.value == "ik_llama.cpp: to be checked in the first run"
    assert report.models[0].engine == "ik"


@needs_ik
def test_a_self_check_decides_at_once(model: Path) -> None:
    report = examined(model, self_check=True)
    (target,) = rows(report, "target engine")
    assert "passed its self-check" in target.value
    checks = [row.value for row in rows(report, "target self-check")]
    names = ["llama.cpp", "ik_llama.cpp"] if HAS_LLAMA else ["ik_llama.cpp"]
    assert [value.split()[0] for value in checks] == names
    assert all("passed in" in value for value in checks)


@needs_ik
@needs_llama
def test_a_failed_check_is_said(model: Path) -> None:
    verified_path(load_registry().model(str(model)))
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    choice.remember_check("ik", sha256, True, "it lies")
    (draft,) = rows(examined(model), "draft engine")
    assert draft.value.startswith("llama.cpp: ik_llama.cpp failed its self-check")
    assert "it lies" in draft.value


@needs_llama
def test_without_ik_the_doctor_says_how_to_get_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "ik-llama-cpp-python is not installed"
    facts = replace(diagnosis.engine_facts(), ik_obstacle=missing)
    monkeypatch.setattr(diagnosis, "engine_facts", lambda: facts)
    (target,) = rows(examined(model), "target engine")
    assert target.value == f"llama.cpp: {missing}"
    assert "pip install ik-llama-cpp-python" in target.advice
