"""What the engine tests share: a binding that can be watched, and checks of the cache."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ssr_local.engine.base import (
    Engine,
    EngineConfig,
    ExtendJob,
    Sampling,
    StepJob,
    decode_steps,
)
from ssr_local.engine.binding import BatchRow, DecodeResult, GGUFBinding
from ssr_local.engine.loading import load_engine
from ssr_local.engine.log_probs import Floats
from ssr_local.engine.native import NativeEngine
from ssr_local.engine.packages import is_installed

GREEDY = Sampling(temperature=0)
_F32, _NO_FLASH_ATTENTION = 0, 0  # ggml's and llama.cpp's own numbers

HAS_IK, HAS_LLAMA = is_installed("ik"), is_installed("llama")
needs_ik = pytest.mark.skipif(not HAS_IK, reason="needs ik-llama-cpp-python")
needs_llama = pytest.mark.skipif(not HAS_LLAMA, reason="needs the extra llama")
LIBRARIES = [pytest.param("llama", marks=needs_llama), pytest.param("ik", marks=needs_ik)]
"""The native libraries, for parametrised tests."""


class Watch(GGUFBinding):
    """A real binding, watched; it can also be told to go wrong.

    ``calls`` are the batches handed to llama.cpp and ``read`` copies of the logits rows
    that were asked for. ``results`` are given back by the next decodes, one each: None lets
    the call run, anything else is reported instead, with ``done`` after the real call.
    ``pieces`` replaces tokens' bytes; ``spoil`` may change a row of logits that is read.
    """

    def __init__(self, config: EngineConfig, should_stop: Callable[[], bool]) -> None:
        self.calls: list[list[BatchRow]] = []
        self.read: list[npt.NDArray[np.float64]] = []
        self.results: deque[DecodeResult | None] = deque()
        self.done = False
        self.pieces: dict[int, bytes] = {}
        self.spoil: Callable[[Floats], Floats] = lambda row: row
        super().__init__(config, should_stop)

    def decode(self, rows: Sequence[BatchRow]) -> DecodeResult:
        self.calls.append(list(rows))
        result = self.results.popleft() if self.results else None
        if result is None or self.done:
            real = super().decode(rows)
            return result or real
        return result

    def logits(self, row: int) -> Floats:
        values = self.spoil(super().logits(row))
        self.read.append(values.astype(np.float64))
        return values

    def piece(self, token: int) -> bytes:
        return self.pieces.get(token) or super().piece(token)

    @property
    def num_rows(self) -> int:
        """Tokens evaluated so far."""
        return sum(len(rows) for rows in self.calls)

    @property
    def num_logits(self) -> int:
        """Rows of logits asked for so far."""
        return sum(row.logits for rows in self.calls for row in rows)


WATCHED: dict[str, type[Watch]] = {}

if HAS_LLAMA:
    from ssr_local.engine import llama

    class WatchedLlama(Watch, llama.LlamaBinding):
        """llama.cpp, watched."""

    WATCHED["llama"] = WatchedLlama

if HAS_IK:
    from ssr_local.engine import ik

    class WatchedIk(Watch, ik.IkBinding):
        """ik_llama.cpp, watched."""

    WATCHED["ik"] = WatchedIk


class Countdown:
    """Counts how often it is asked whether to stop, and says so from the ``limit``th time on."""

    def __init__(self) -> None:
        self.asked = 0
        self.limit: float = float("inf")

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked >= self.limit


def watched(
    path: Path,
    should_stop: Callable[[], bool] = lambda: False,
    library: str = "llama",
    **options: Any,
) -> tuple[NativeEngine, Watch]:
    """An engine over a watched binding, and the binding, which never asks whether to stop."""
    if library not in WATCHED:
        pytest.skip(f"needs the library of the engine {library}")
    config = config_of(path, **options)
    binding = WATCHED[library](config, lambda: False)
    return NativeEngine(binding, should_stop, config.prompt_lookup), binding


def config_of(path: Path, **options: Any) -> EngineConfig:
    """How a file is loaded, on one thread and called after itself."""
    return EngineConfig(path=str(path), **({"name": path.stem, "threads": 1} | options))


def load_plain(
    path: Path, should_stop: Callable[[], bool] = lambda: False, **options: Any
) -> NativeEngine:
    """An engine over a binding that nobody watches."""
    if not HAS_LLAMA and options.get("engine", "llama") == "llama":
        pytest.skip("needs the extra llama")
    return load_engine(config_of(path, **options), should_stop)


@contextmanager
def exact_attention() -> Iterator[None]:
    """Contexts that watched bindings open inside attend in single precision throughout.

    Half precision, added up in an order that depends on the batch, moves the sharp tiny
    models' logits by up to 0.1. Without it only 0.0001 is left, and equal means equal.
    """
    with pytest.MonkeyPatch.context() as patch:
        for kind in WATCHED.values():
            usual = kind._set_context_parameters

            def exact(self: Watch, parameters: Any, usual: Any = usual) -> None:
                usual(self, parameters)
                parameters.type_k = _F32
                if self.engine == "llama":  # ik's V must be F16 without flash attention
                    parameters.flash_attn_type = _NO_FLASH_ATTENTION
                    parameters.type_v = _F32

            patch.setattr(kind, "_set_context_parameters", exact)
        yield


def check_cache(engine: NativeEngine) -> None:
    """Our allocator says what llama.cpp says, and the last token of a sequence is pending."""
    binding, cache = engine._binding, engine._cache
    assert set(engine._sequences) == set(cache.seq_ids)
    assert cache.used_cells <= binding.num_cells
    assert engine.used_cells == cache.used_cells
    for seq_id in range(binding.max_sequences):
        held = binding.last_position(seq_id) + 1
        if seq_id not in cache:
            assert held == 0, f"sequence {seq_id} was released but holds {held} cells"
            continue
        assert held == cache.length(seq_id), f"sequence {seq_id}"
        assert engine.num_tokens(seq_id) > held, f"sequence {seq_id} has nothing pending"


def next_log_probs(engine: Engine, seq_id: int, num_vocab: int) -> npt.NDArray[np.float64]:
    """Log-probabilities of every token after a sequence, by a probe of single candidates."""
    last = engine.tokens(seq_id)[-1:]
    fork = engine.fork(seq_id)
    engine.truncate(fork, engine.num_tokens(fork) - 1)
    (result,) = engine.extend(
        [ExtendJob(seq_id=fork, suffix=last, candidates=[[i] for i in range(num_vocab)])]
    )
    engine.release(fork)
    return np.array(result.probe)


def log_softmax(row: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Log-probabilities of a row of logits, straightforwardly in double precision."""
    shifted = row - row.max()
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result


def write(
    engine: Engine, seq_id: int, num_tokens: int, sampling: Sampling = GREEDY
) -> tuple[str, list[int]]:
    """Text and ids of so many more tokens, over the ends of steps."""
    start, text, written = engine.num_tokens(seq_id), "", 0
    while written < num_tokens:
        job = StepJob(seq_id, num_tokens - written, sampling)
        for delta in decode_steps(engine, [job]):
            text += delta.text
            written += delta.num_tokens
            if delta.end in ("context_full", "kv_cache_full", "end_of_generation"):
                written = num_tokens
    return text, engine.tokens(seq_id, start)


def write_together(
    engine: Engine, seq_ids: Sequence[int], num_tokens: int, sampling: Sampling = GREEDY
) -> dict[int, str]:
    """One step on each sequence, all in one batch."""
    texts = dict.fromkeys(seq_ids, "")
    for delta in decode_steps(engine, [StepJob(s, num_tokens, sampling) for s in seq_ids]):
        texts[delta.seq_id] += delta.text
    return texts
