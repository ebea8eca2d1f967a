"""Which sequence holds which cells of a unified KV cache. Pure.

llama.cpp tags each cell with the sequences that use it; a fork only adds tags. This counts
the same on our side, so that the engine knows before a call whether it will fit.
"""

from __future__ import annotations


class KVCacheAllocator:
    """Gives out sequence ids and counts the cells that each holds.

    ``num_cells`` is the cache's capacity, ``max_sequences`` the number of ids there are.
    """

    def __init__(self, num_cells: int, max_sequences: int) -> None:
        self.num_cells = num_cells
        self.max_sequences = max_sequences
        self._cells: dict[int, list[int]] = {}
        self._holders: dict[int, int] = {}
        self._next_cell = 0

    @property
    def used_cells(self) -> int:
        """Cells held by at least one sequence."""
        return len(self._holders)

    @property
    def free_cells(self) -> int:
        return self.num_cells - self.used_cells

    @property
    def seq_ids(self) -> tuple[int, ...]:
        """Ids in use, ascending."""
        return tuple(sorted(self._cells))

    def __contains__(self, seq_id: int) -> bool:
        return seq_id in self._cells

    def open(self) -> int | None:
        """The lowest free id with no cells yet, or None when all are taken."""
        for seq_id in range(self.max_sequences):
            if seq_id not in self._cells:
                self._cells[seq_id] = []
                return seq_id
        return None

    def fork(self, seq_id: int) -> int | None:
        """A new id that holds the same cells, or None when all ids are taken."""
        cells = self._cells[seq_id]
        new_id = self.open()
        if new_id is None:
            return None
        self._cells[new_id] = list(cells)
        for cell in cells:
            self._holders[cell] += 1
        return new_id

    def length(self, seq_id: int) -> int:
        """How many cells a sequence holds: its evaluated tokens."""
        return len(self._cells[seq_id])

    def append(self, seq_id: int, count: int) -> None:
        """Note that ``count`` more tokens of a sequence were evaluated."""
        new = range(self._next_cell, self._next_cell + count)
        self._next_cell += count
        self._cells[seq_id].extend(new)
        self._holders.update(dict.fromkeys(new, 1))

    def truncate(self, seq_id: int, length: int) -> None:
        """Keep the first ``length`` cells of a sequence; the rest are freed unless shared."""
        cells = self._cells[seq_id]
        for cell in cells[length:]:
            self._holders[cell] -= 1
            if self._holders[cell] == 0:
                del self._holders[cell]
        del cells[length:]

    def release(self, seq_id: int) -> None:
        """Give an id and its cells back."""
        self.truncate(seq_id, 0)
        del self._cells[seq_id]
