"""Random calls on the real engine: the cells are counted right, and a fresh engine agrees."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ssr_local.core.errors import DecodeError
from ssr_local.engine.base import ExtendJob, Sampling, StepJob
from ssr_local.engine.native import NativeEngine
from tests.engine.harness import (
    GREEDY,
    HAS_IK,
    check_cache,
    exact_attention,
    watched,
    write,
)
from tests.engine.kits import CHAINS
from tests.tiny_gguf import write_tiny_model

NUM_CELLS = 256
TEXTS = (
    "x",
    "Two heads, ",
    "So there are 12 cows.\n\n",
    "é你😀 ",
    "The end#",
    "all|",
    "lorem " * 12,
)
Pick = st.integers(0, 20)
_CACHED = tempfile.TemporaryDirectory(prefix="tiny-")


@cache
def engine_of(kind: str, copy: int, library: str) -> NativeEngine:
    """Engines live as long as the module: an example begins with ``clear``."""
    path = Path(_CACHED.name) / f"{kind}.gguf"
    if not path.exists():
        write_tiny_model(path, arch="mamba" if kind == "recurrent" else "qwen2", chains=CHAINS)
    with exact_attention():
        return watched(path, library=library, num_cells=NUM_CELLS, max_cells=NUM_CELLS)[0]


class RandomCalls(RuleBasedStateMachine):
    """``lists`` is the model: each sequence's tokens, and which sequences are writing."""

    library = "llama"

    @initialize(kind=st.sampled_from(["attention", "attention", "recurrent"]))
    def begin(self, kind: str) -> None:
        self.kind = kind if self.library == "llama" else "attention"
        kind = self.kind
        self.engine = engine_of(kind, 0, self.library)
        self.engine.clear()
        self.lists: dict[int, list[int]] = {}
        self.running: set[int] = set()

    @rule(text=st.sampled_from(TEXTS))
    def open(self, text: str) -> None:
        tokens = self.engine.tokenize(text)
        full = len(self.lists) == self.engine.max_sequences
        try:
            seq_id = self.engine.open(tokens)
        except DecodeError:
            assert full or self.engine.used_cells + len(tokens) > NUM_CELLS
            return
        self.lists[seq_id] = tokens

    @precondition(lambda self: 0 < len(self.lists) < 14)
    @rule(pick=Pick)
    def fork(self, pick: int) -> None:
        old = self.pick(pick)
        self.lists[self.engine.fork(old)] = list(self.lists[old])

    @precondition(lambda self: self.lists)
    @rule(
        picks=st.lists(Pick, min_size=1, max_size=4),
        text=st.sampled_from(TEXTS),
        question=st.sampled_from(["", "", "Right?"]),
        log_probs=st.booleans(),
    )
    def extend(self, picks: list[int], text: str, question: str, log_probs: bool) -> None:
        tokens, suffix = self.engine.tokenize(text), self.engine.tokenize(question)
        seq_ids = list(dict.fromkeys(self.pick(pick) for pick in picks))
        jobs = [
            ExtendJob(
                seq_id=seq_id, tokens=tokens, log_probs=log_probs, suffix=suffix, candidates=[[65]]
            )
            for seq_id in seq_ids
        ]
        for result in self.engine.extend(jobs):
            if result.no_room:
                assert result.log_probs is result.probe is None
                continue
            self.lists[result.seq_id] += tokens
            assert (result.log_probs is not None) == log_probs
            assert (result.probe is not None) == bool(suffix)

    @precondition(lambda self: self.lists)
    @rule(pick=Pick, sampling=st.sampled_from([GREEDY, Sampling(1.5, 1.0, 7)]))
    def start(self, pick: int, sampling: Sampling) -> None:
        seq_id = self.pick(pick)
        self.engine.start_steps([StepJob(seq_id, 12, sampling)])
        self.running.add(seq_id)

    @precondition(lambda self: self.running)
    @rule(rounds=st.integers(1, 6))
    def decode(self, rounds: int) -> None:
        for _ in range(rounds):
            for delta in self.engine.decode_round():
                assert delta.seq_id in self.running
                if delta.end is not None:
                    self.running.discard(delta.seq_id)
                before, after = self.lists[delta.seq_id], self.engine.tokens(delta.seq_id)
                assert after[: len(before)] == before
                self.lists[delta.seq_id] = after

    @precondition(lambda self: self.running)
    @rule(pick=Pick)
    def stop(self, pick: int) -> None:
        seq_id = sorted(self.running)[pick % len(self.running)]
        self.engine.stop_step(seq_id)
        self.running.discard(seq_id)

    @precondition(lambda self: self.lists)
    @rule(pick=Pick, share=st.floats(0, 1.2))
    def truncate(self, pick: int, share: float) -> None:
        seq_id = self.pick(pick)
        self.engine.stop_step(seq_id)
        self.running.discard(seq_id)
        length = int(share * len(self.lists[seq_id]))
        self.engine.truncate(seq_id, length)
        self.lists[seq_id] = self.lists[seq_id][: max(1, length)]

    @precondition(lambda self: self.lists)
    @rule(pick=Pick)
    def release(self, pick: int) -> None:
        seq_id = self.pick(pick)
        self.engine.release(seq_id)
        del self.lists[seq_id]
        self.running.discard(seq_id)

    @invariant()
    def cells_are_counted_right(self) -> None:
        check_cache(self.engine)
        held = {seq_id: self.engine.tokens(seq_id) for seq_id in self.lists}
        assert held == self.lists

    def teardown(self) -> None:
        """Every sequence goes on as on an engine that never knew the others."""
        fresh = engine_of(self.kind, 1, self.library)
        for seq_id in [*self.running]:
            self.engine.stop_step(seq_id)
        for seq_id, tokens in list(self.lists.items())[:3]:
            # A recurrent sequence may have to be prefilled again: its own cells do not count.
            needed = len(tokens) + 8
            for other in [*self.lists]:
                if other != seq_id and self.engine.used_cells + needed > NUM_CELLS:
                    self.engine.release(other)
                    del self.lists[other]
            if seq_id not in self.lists or needed > NUM_CELLS:
                continue
            fresh.clear()
            assert write(self.engine, seq_id, 8) == write(fresh, fresh.open(tokens), 8)
            check_cache(self.engine)

    def pick(self, number: int) -> int:
        return sorted(self.lists)[number % len(self.lists)]


class RandomCallsOnIk(RandomCalls):
    """The same on the other library."""

    library = "ik"


_settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestRandomCalls = RandomCalls.TestCase
TestRandomCalls.settings = _settings
if HAS_IK:
    TestRandomCallsOnIk = RandomCallsOnIk.TestCase
    TestRandomCallsOnIk.settings = _settings
