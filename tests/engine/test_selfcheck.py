"""The self-check and what follows from it, on real libraries and tiny models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from ssr_local.core.errors import EngineUnavailable
from ssr_local.engine import choice, selfcheck
from ssr_local.engine.base import Delta, Engine
from ssr_local.engine.choice import Pick, Wish
from ssr_local.engine.hardware import Memory
from ssr_local.engine.libraries import EngineName
from ssr_local.engine.selfcheck import CheckRequest, CheckResult
from ssr_local.models.gguf.header import GGUFHeader, read_header
from ssr_local.process.helper import HelperDied, HelperRaised, HelperTimeout
from tests.engine.conftest import Load, Tiny
from tests.engine.harness import HAS_IK, LIBRARIES
from tests.tiny_gguf import write_tiny_mamba

needs_ik = pytest.mark.skipif(not HAS_IK, reason="needs the extra ik")
SHA = "a" * 64


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def header(tiny: Tiny) -> GGUFHeader:
    return read_header(tiny())


# The check ------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_sound_engine_passes(tiny: Tiny, library: EngineName) -> None:
    result = selfcheck.check(CheckRequest(engine=library, path=str(tiny()), threads=1))
    assert (result.difference, result.passed) == ("", True)
    assert result.perplexity is not None
    if library == "ik":
        assert result.reference == pytest.approx(result.perplexity, rel=0.01)


def test_sequences_that_hinder_one_another_are_found(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny())
    real = binding.sample
    binding.sample = lambda sampler, row: real(sampler, 0)  # type: ignore[method-assign]
    found = selfcheck.fork_difference(engine)
    assert "a sequence forked and decoded with 4 others left what it writes alone" in found


@pytest.mark.parametrize(
    ("measured", "reference", "words"),
    [
        (10.0, 10.05, ""),
        (10.0, None, ""),
        (10.2, 10.0, "10.200, with llama.cpp 10.000 (2.0% apart)"),
        (9.8, 10.0, "(2.0% apart)"),
        (math.nan, 10.0, "not numbers"),
        (math.inf, None, "not numbers"),
    ],
)
def test_perplexities(measured: float, reference: float | None, words: str) -> None:
    found = selfcheck.perplexity_difference(measured, reference)
    assert words in found
    assert bool(words) == bool(found)


def test_numbers_that_are_none_are_found(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny())
    binding.spoil = lambda row: row * math.nan
    assert math.isnan(selfcheck.perplexity(engine))


def test_a_step_without_progress_ends(tiny: Tiny, load: Load) -> None:
    """Text that ends at once, again and again, does not keep the check going for ever."""
    engine, _ = load(tiny(context=300))
    rounds: list[Sequence[Delta]] = []
    real: Engine = engine
    decode = real.decode_round
    engine.decode_round = lambda: rounds.append(d := decode()) or d  # type: ignore[method-assign,func-returns-value]
    selfcheck.fork_difference(engine)
    assert len(rounds) < 6 * sum(selfcheck.DECODED_TOKENS)


# The choice -----------------------------------------------------------------


def remembered(difference: str) -> None:
    key = choice._key("ik", SHA, True)
    choice._remember(key, choice.Verdict(difference=difference, at=1.0))


@needs_ik
@pytest.mark.parametrize(
    ("wish", "has_gpu", "verdict", "engine", "unchecked"),
    [
        (Wish(), False, None, "ik", True),
        (Wish(), False, "", "ik", False),
        (Wish(), False, "it lies", "llama", False),
        (Wish(), True, "", "llama", False),
        (Wish(gpu_layers=0), True, "", "ik", False),
        (Wish(engine="llama"), False, "", "llama", False),
        (Wish(engine="ik"), True, "", "ik", False),
        (Wish(engine="ik"), False, "it lies", "llama", False),
        (Wish(repack="off"), False, "", "ik", True),
    ],
)
def test_which_engine_is_picked(
    header: GGUFHeader,
    wish: Wish,
    has_gpu: bool,
    verdict: str | None,
    engine: str,
    unchecked: bool,
) -> None:
    if verdict is not None:
        remembered(verdict)
    picked = choice.pick(header, SHA, wish, has_gpu=has_gpu, obstacle="")
    assert (picked.engine, picked.unchecked) == (engine, unchecked)
    assert ("it lies" in picked.note) == (verdict == "it lies")


def test_without_the_package_llama_runs_and_ik_is_refused(header: GGUFHeader) -> None:
    missing = "ik-llama-cpp-python is not installed"
    assert choice.pick(header, SHA, Wish(), has_gpu=False, obstacle=missing).engine == "llama"
    with pytest.raises(EngineUnavailable, match="cannot be used") as error:
        choice.pick(header, SHA, Wish(engine="ik"), has_gpu=False, obstacle=missing)
    assert "ssr-local[ik]" in error.value.next_step


def test_an_unknown_architecture_stays_with_llama(tiny: Tiny) -> None:
    mamba = read_header(tiny(write_tiny_mamba))
    picked = choice.pick(mamba, SHA, Wish(), has_gpu=False, obstacle="")
    assert picked.engine == "llama"
    assert "mamba" in picked.why


@pytest.mark.parametrize("free", [0.5, 2.0])
def test_repacking_follows_the_free_memory(
    header: GGUFHeader, monkeypatch: pytest.MonkeyPatch, free: float
) -> None:
    room = int(header.file_bytes * free)
    monkeypatch.setattr(choice, "memory", lambda: Memory(room, room))
    assert choice.pick(header, SHA, Wish(engine="llama"), has_gpu=False).repack == (free > 1)
    kept = choice.pick(header, SHA, Wish(engine="llama", repack="on"), has_gpu=False)
    assert kept.repack


def test_a_damaged_memory_of_checks_is_forgotten(tmp_path: Path) -> None:
    remembered("it lies")
    (tmp_path / "cache" / choice.FILE_NAME).write_text("{half")
    assert choice.known_verdict("ik", SHA, True) is None


# Checks in a process of their own -------------------------------------------


@needs_ik
def test_the_outcome_is_remembered(tiny: Tiny, header: GGUFHeader) -> None:
    result = choice.run_check("ik", tiny(), SHA, Wish(threads=1), repack=True)
    assert result.passed
    picked = choice.pick(header, SHA, Wish(), has_gpu=False)
    assert (picked.engine, picked.unchecked) == ("ik", False)
    assert choice.pick(header, "b" * 64, Wish(), has_gpu=False).unchecked, "another file"


@needs_ik
def test_a_crash_is_a_failed_check(tiny: Tiny) -> None:
    path = tiny(write_tiny_mamba)
    mamba = read_header(path)
    result = choice.run_check("ik", path, SHA, Wish(threads=1), repack=True)
    assert not result.passed
    picked = choice.pick(mamba, SHA, Wish(engine="ik"), has_gpu=False)
    assert picked.engine == "llama"
    assert "failed its self-check" in picked.note


@needs_ik
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HelperDied("The helper process died.", "Killed by signal 9."), "signal 9"),
        (HelperTimeout("Stopped after 5 s."), "Stopped"),
        (HelperRaised("check failed.", "ModelNotFoundError"), "ModelNotFoundError"),
    ],
)
def test_what_says_nothing_about_the_engine_is_not_remembered(
    tiny: Tiny, header: GGUFHeader, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(choice.Helper, "call", fail)
    result = choice.run_check("ik", tiny(), SHA, Wish(), repack=True)
    assert words in result.obstacle
    assert choice.known_verdict("ik", SHA, True) is None
    picked = choice.after_check(choice.pick(header, SHA, Wish(), has_gpu=False), result)
    assert picked.engine == "llama"
    assert "could not be checked" in picked.note


@needs_ik
def test_the_hook_has_verdicts_of_its_own(
    header: GGUFHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered("")
    assert not choice.pick(header, SHA, Wish(), has_gpu=False).unchecked
    monkeypatch.setenv(choice.FLASH_ATTENTION, "1")
    assert choice.pick(header, SHA, Wish(), has_gpu=False).unchecked


def test_a_llama_that_failed_is_not_used_in_silence(header: GGUFHeader) -> None:
    key = choice._key("llama", SHA, True)
    choice._remember(key, choice.Verdict(difference="it lies", at=1.0))
    picked = choice.pick(header, SHA, Wish(engine="llama"), has_gpu=False)
    assert "Do not trust its answers" in picked.note


def test_a_path_that_ends_early_is_a_difference(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny())
    real = binding.sample
    (end,) = engine.tokenize("<|im_end|>", special=True)

    def sample(sampler: object, row: int) -> int:
        return end if row == 2 else real(sampler, row)

    binding.sample = sample  # type: ignore[method-assign]
    assert "after 0 tokens" in selfcheck.fork_difference(engine)


@needs_ik
def test_a_stopped_check_proves_nothing(tiny: Tiny) -> None:
    result = choice.run_check(
        "ik", tiny(), SHA, Wish(threads=1), repack=True, should_stop=lambda: True
    )
    assert isinstance(result, CheckResult)
    assert choice.known_verdict("ik", SHA, True) is None


@needs_ik
@pytest.mark.parametrize("broken", [False, True])
def test_load_uses_the_pick(tiny: Tiny, broken: bool) -> None:
    picked = Pick(engine="llama" if broken else "ik", why="", note="why not" if broken else "")
    engine = choice.load(picked, tiny(), Wish(threads=1, gpu_layers=0), name="m")
    assert engine.notes == (("why not",) if broken else ())
    assert type(engine._binding).__name__ == ("LlamaBinding" if broken else "IkBinding")
    engine.close()
