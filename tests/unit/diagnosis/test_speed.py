"""The child process with the real llama.cpp and tiny models, and with broken libraries."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from ssr_local.core.errors import EngineCrashed, EngineError
from ssr_local.core.options import EngineOptions
from ssr_local.diagnosis.speed import engine_facts, measure_model
from ssr_local.engine.choice import EngineChoice
from ssr_local.method.prediction import ROWS
from ssr_local.transport.setup import ModelFile, Setup
from tests.engine.harness import HAS_LLAMA, needs_llama
from tests.tiny_gguf import write_tiny_model
from tests.unit.process.processes import children

ENGINE = EngineChoice(engine="llama" if HAS_LLAMA else "ik", why="")
DYING = "import sys; sys.stderr.write('bad\\x1b[2Jness\\n'); sys.exit(3)"


signals = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def killed(number: int) -> str:
    return f"import os; os.kill(os.getpid(), {number})"


def setup_of(path: Path, **options: int) -> Setup:
    return Setup(
        models={"draft": ModelFile(name="tiny", path=str(path))}, engine=EngineOptions(**options)
    )


def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put a package in llama_cpp's place, for children only."""
    package = tmp_path / "site" / "llama_cpp"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(str(package.parent))


@needs_llama
def test_engine_facts_are_the_installed_librarys() -> None:
    import llama_cpp

    facts = engine_facts()
    assert facts.version == llama_cpp.__version__
    assert " = 1" in facts.system_info
    assert any(device.kind == "cpu" for device in facts.devices)


def test_a_model_is_timed(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "a.gguf")
    measured = measure_model(setup_of(path, threads=1), "draft", ENGINE)
    assert [rows for rows, _ in measured.decode] == list(ROWS)
    assert min(measured.prefill, *(rate for _, rate in measured.decode)) > 10
    assert 0 < measured.load_s < 60
    assert measured.spread >= 1
    assert measured.processor_share is not None
    assert 0 < measured.processor_share <= 1
    assert measured.device == "cpu"


def test_a_model_that_always_ends_at_once_is_timed_all_the_same(tmp_path: Path) -> None:
    from tests.tiny_gguf import TURN_END, token_id

    path = write_tiny_model(tmp_path / "a.gguf", logit_bias={token_id(TURN_END): 100.0})
    assert measure_model(setup_of(path, threads=1, ctx=256), "draft", ENGINE).decode_rate(3) > 10


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("raise OSError('libcuda: \\x1b[2Jnot found')", EngineError, "libcuda: not found"),
        ("__version__ = '0'", EngineError, "cannot be loaded"),
        (DYING, EngineCrashed, "exit code 3.*last words: badness"),
        ("print('noise'); import os; os._exit(0)", EngineCrashed, "exit code 0"),
        pytest.param(killed(4), EngineCrashed, "this CPU does not have", marks=signals),
        pytest.param(killed(9), EngineCrashed, "memory ran out", marks=signals),
    ],
)
def test_a_broken_library_is_an_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    kind: type[EngineError],
    words: str,
) -> None:
    library(tmp_path, monkeypatch, code)
    with pytest.raises(kind, match=words) as caught:
        engine_facts()
    assert "\x1b" not in str(caught.value)
    assert caught.value.next_step
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_library_that_hangs_is_ended_with_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library(tmp_path, monkeypatch, "import time; time.sleep(600)")
    before, started = children(os.getpid()), time.monotonic()
    with pytest.raises(EngineCrashed, match="stopped after 1 s"):
        engine_facts(limit_s=1)
    assert time.monotonic() - started < 10
    assert children(os.getpid()) == before
