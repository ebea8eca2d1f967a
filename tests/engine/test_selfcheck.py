"""The self-check, on real libraries and tiny models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from ssr_local.engine import selfcheck
from ssr_local.engine.base import Delta, Engine
from ssr_local.engine.log_probs import Floats
from ssr_local.engine.packages import EngineName
from tests.engine.conftest import Load, Tiny
from tests.engine.harness import HAS_LLAMA, LIBRARIES, config_of


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_sound_engine_passes(tiny: Tiny, library: EngineName) -> None:
    result = selfcheck.check(selfcheck.CheckRequest(config_of(tiny(), engine=library)))
    assert (result.difference, result.passed) == ("", True)
    assert result.perplexity is not None
    if library == "ik" and HAS_LLAMA:
        assert result.reference == pytest.approx(result.perplexity, rel=0.01)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_quick_check_finds_another_perplexity_and_hindered_sequences(
    tiny: Tiny, load: Load, library: EngineName
) -> None:
    engine, binding = load(tiny())
    usual = selfcheck.perplexity(engine, selfcheck.QUICK_TOKENS)
    assert selfcheck.quick_check(engine, usual) == selfcheck.quick_check(engine, None) == ""
    assert "apart" in selfcheck.quick_check(engine, usual * 1.2)
    real = binding.logits
    binding.logits = lambda row: real(  # type: ignore[method-assign]
        0 if binding.calls[-1][0].logits else row
    )
    assert "left what it writes alone" in selfcheck.quick_check(engine, None)
    assert not engine._sequences


def test_sequences_that_hinder_one_another_are_found(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny())
    real = binding.logits
    binding.logits = lambda row: real(  # type: ignore[method-assign]
        0 if binding.calls[-1][0].logits else row
    )
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


def test_a_path_that_ends_early_is_a_difference(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny())
    real = binding.logits
    (end,) = engine.tokenize("<|im_end|>", special=True)

    def logits(row: int) -> Floats:
        values = real(row).copy()
        if row == 2:
            values[end] = 1e6
        return values

    binding.logits = logits  # type: ignore[method-assign]
    assert "after 0 tokens" in selfcheck.fork_difference(engine)
