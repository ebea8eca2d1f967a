"""Different ways to the same result, on the real engine: any two must agree."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ssr_local.engine import binding
from ssr_local.engine.base import Extended, ExtendJob, Sampling
from ssr_local.engine.native import NativeEngine
from tests.engine.conftest import Load, Tiny
from tests.engine.harness import (
    LIBRARIES,
    check_cache,
    exact_attention,
    next_log_probs,
    write,
    write_together,
)
from tests.engine.kits import PROMPT

MODELS: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "deeper": {"num_layers": 3, "kv_heads": 1, "seed": 5},
    "recurrent": {"arch": "mamba"},
}
every_model = pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)

# Nats. One token too many moves the numbers by 5 and more; ik keeps values in half precision.
TOLERANCE = 1e-2

ADVICE = (
    " Count the heads.",
    " Count the legs, and then compare what you get with the heads.",
    "",
    " Guess.\n\nThen check.",
    " Work backwards from the end to the beginning!",
)
STEP = "There are 30 heads and 84 legs, so there are 12 cows.\n\n"


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    with exact_attention():
        yield


def paths_of(engine: NativeEngine) -> list[int]:
    """One sequence for each piece of advice, all forked from one prompt."""
    root = engine.open(engine.tokenize(PROMPT))
    paths = [root, *(engine.fork(root) for _ in ADVICE[1:])]
    engine.extend(
        [
            ExtendJob(seq_id=path, tokens=engine.tokenize(advice))
            for path, advice in zip(paths, ADVICE, strict=True)
        ]
    )
    return paths


def judge_job(engine: NativeEngine, seq_id: int) -> ExtendJob:
    return ExtendJob(
        seq_id=seq_id,
        tokens=engine.tokenize(STEP),
        log_probs=True,
        suffix=engine.tokenize("Is that right?"),
        candidates=[engine.tokenize("Yes"), engine.tokenize("No")],
    )


def assert_same_numbers(*held: tuple[NativeEngine, int]) -> None:
    """Two sequences, each on its engine, have the same log-probabilities after them."""
    first, second = (next_log_probs(e, seq_id, e.info.num_vocab) for e, seq_id in held)
    assert np.allclose(first, second, atol=TOLERANCE)


def numbers(result: Extended) -> list[float]:
    return [*(result.log_probs or ()), *(result.probe or ())]


@every_model
def test_batched_equals_sequential(tiny: Tiny, load: Load, options: dict[str, Any]) -> None:
    path = tiny(**options)
    together, _ = load(path)
    paths = paths_of(together)
    judged = together.extend([judge_job(together, seq_id) for seq_id in paths])
    texts = write_together(together, paths, 40)
    check_cache(together)
    for seq_id, advice, result in zip(paths, ADVICE, judged, strict=True):
        alone, _ = load(path)
        single = alone.open(alone.tokenize(PROMPT) + alone.tokenize(advice))
        (expected,) = alone.extend([judge_job(alone, single)])
        assert np.allclose(numbers(result), numbers(expected), atol=TOLERANCE)
        assert write_together(alone, [single], 40)[single] == texts[seq_id]
        assert alone.tokens(single) == together.tokens(seq_id)
        assert_same_numbers((alone, single), (together, seq_id))


@every_model
def test_the_text_does_not_depend_on_the_threads(
    tiny: Tiny, load: Load, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    path = tiny(**options)
    fixed, expected = load(path)
    texts = write_together(fixed, paths_of(fixed), 40)
    changing = itertools.cycle((2, 1, 3))
    governor = SimpleNamespace(num_threads=2, next_call=lambda: next(changing))
    monkeypatch.setattr(binding, "governor", lambda: governor)
    engine, watch = load(path, threads=0)
    assert write_together(engine, paths_of(engine), 40) == texts
    assert len(watch.read) == len(expected.read)
    assert all(map(np.array_equal, watch.read, expected.read))
    assert engine.num_threads in (1, 2, 3)


@every_model
def test_a_fork_equals_a_fresh_evaluation(tiny: Tiny, load: Load, options: dict[str, Any]) -> None:
    path = tiny(**options)
    engine, _ = load(path)
    root = engine.open(engine.tokenize(PROMPT))
    write(engine, root, 25)
    engine.extend([ExtendJob(seq_id=root, tokens=engine.tokenize(STEP))])
    fork = engine.fork(engine.fork(root))
    engine.release(root)
    engine.extend([ExtendJob(seq_id=fork, tokens=engine.tokenize(ADVICE[1]))])
    check_cache(engine)
    fresh, _ = load(path)
    again = fresh.open(engine.tokens(fork))
    assert_same_numbers((engine, fork), (fresh, again))
    assert write(engine, fork, 40) == write(fresh, again, 40)


@every_model
def test_a_rejected_step_leaves_no_trace(tiny: Tiny, load: Load, options: dict[str, Any]) -> None:
    """Draft, probe, reject, rewrite on one engine; only the rewrite on another."""
    path = tiny(**options)
    engine, plain = load(path)[0], load(path)[0]
    seq_id = engine.open(engine.tokenize(PROMPT))
    texts = []
    for seed in range(3):
        mark = engine.num_tokens(seq_id)
        write(engine, seq_id, 20, Sampling(2.0, 1.0, seed))
        engine.truncate(seq_id, mark)
        check_cache(engine)
        engine.extend([judge_job(engine, seq_id)])
        check_cache(engine)
        engine.truncate(seq_id, mark)
        check_cache(engine)
        texts.append(write_together(engine, [seq_id], 30)[seq_id])
    other = plain.open(plain.tokenize(PROMPT))
    assert [write_together(plain, [other], 30)[other] for _ in range(3)] == texts
    assert plain.tokens(other) == engine.tokens(seq_id)


def test_a_recurrent_model_says_what_it_costs(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny(arch="mamba"))
    assert not binding.can_truncate
    assert any("recurrent memory" in note for note in engine.notes)
    seq_id = engine.open(engine.tokenize(PROMPT))
    length = engine.num_tokens(seq_id)
    before = engine.usage().prefill_tokens
    engine.extend([judge_job(engine, seq_id)])
    assert engine.used_cells == 0, "the whole memory is forgotten with the probe"
    write(engine, seq_id, 1)
    again = engine.usage().prefill_tokens - before
    step, question = (len(engine.tokenize(t)) for t in (STEP, "Is that right?"))
    assert again == (1 + step + question) + (length + step - 1), "the probe, then all of it"
    check_cache(engine)


def test_an_attention_model_prefills_nothing_twice(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny())
    assert binding.can_truncate
    assert engine.notes == ()
    seq_id = engine.open(engine.tokenize(PROMPT))
    mark, before = engine.num_tokens(seq_id), engine.usage().prefill_tokens
    engine.extend([judge_job(engine, seq_id)])
    step, question = (len(engine.tokenize(t)) for t in (STEP, "Is that right?"))
    assert engine.usage().prefill_tokens - before == 1 + step + question
    engine.truncate(seq_id, mark)
    write(engine, seq_id, 10)
    assert engine.usage().prefill_tokens - before == 1 + step + question
    assert engine.usage().decode_tokens == 10


def test_a_split_model_equals_the_whole_one(tiny: Tiny, load: Load) -> None:
    whole, _ = load(tiny())
    parts, binding = load(tiny(split_tensors=10))
    assert binding.path.name.endswith("-00001-of-00003.gguf")
    one, other = (engine.open(engine.tokenize(PROMPT)) for engine in (whole, parts))
    assert_same_numbers((whole, one), (parts, other))
    assert write(whole, one, 40) == write(parts, other, 40)
    assert parts.info.num_parameters == whole.info.num_parameters
