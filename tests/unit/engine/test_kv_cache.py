"""The KV-cache allocator against a plain model: lists of named cells, and sets of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ssr_local.engine.kv_cache import KVCacheAllocator


class AllocatorAgainstLists(RuleBasedStateMachine):
    """Each sequence is a list of cells in the model; used cells are the union of the lists."""

    @initialize(num_cells=st.integers(1, 60), max_sequences=st.integers(1, 5))
    def begin(self, num_cells: int, max_sequences: int) -> None:
        self.cache = KVCacheAllocator(num_cells, max_sequences)
        self.max_sequences = max_sequences
        self.lists: dict[int, list[int]] = {}
        self.names = itertools.count()

    @rule()
    def open(self) -> None:
        self.take(self.cache.open(), [])

    @precondition(lambda self: self.lists)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        seq_id = self.draw(data)
        self.take(self.cache.fork(seq_id), list(self.lists[seq_id]))

    @precondition(lambda self: self.lists)
    @rule(data=st.data(), count=st.integers(0, 9))
    def append(self, data: st.DataObject, count: int) -> None:
        seq_id = self.draw(data)
        self.cache.append(seq_id, count)
        self.lists[seq_id] += [next(self.names) for _ in range(count)]

    @precondition(lambda self: self.lists)
    @rule(data=st.data(), length=st.integers(0, 20))
    def truncate(self, data: st.DataObject, length: int) -> None:
        seq_id = self.draw(data)
        self.cache.truncate(seq_id, length)
        self.lists[seq_id] = self.lists[seq_id][:length]

    @precondition(lambda self: self.lists)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        seq_id = self.draw(data)
        self.cache.release(seq_id)
        del self.lists[seq_id]

    @invariant()
    def agree(self) -> None:
        assert self.cache.seq_ids == tuple(sorted(self.lists))
        used = set().union(*self.lists.values())
        assert self.cache.used_cells == len(used)
        assert self.cache.free_cells == self.cache.num_cells - len(used)
        for seq_id in range(self.max_sequences):
            assert (seq_id in self.cache) == (seq_id in self.lists)
        for seq_id, cells in self.lists.items():
            assert self.cache.length(seq_id) == len(cells)

    def take(self, seq_id: int | None, cells: list[int]) -> None:
        """A new id must be the lowest free one; there is none only when all are taken."""
        free = [i for i in range(self.max_sequences) if i not in self.lists]
        assert seq_id == (free[0] if free else None)
        if seq_id is not None:
            self.lists[seq_id] = cells

    def draw(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.lists)))


TestAllocatorAgainstLists = AllocatorAgainstLists.TestCase
TestAllocatorAgainstLists.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)


@pytest.mark.parametrize("call", ["append", "truncate", "length", "release", "fork"])
def test_an_unknown_sequence_is_an_error(call: str) -> None:
    cache = KVCacheAllocator(10, 2)
    arguments = (1,) if call in ("append", "truncate") else ()
    with pytest.raises(KeyError):
        getattr(cache, call)(0, *arguments)
