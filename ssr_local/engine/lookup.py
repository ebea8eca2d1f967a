"""A guess at a sequence's next token, for where one path writes alone.

A second row in a batch costs less than a second batch, and much of what a model writes it has read
or written before: names, numbers, half a line. So the token that followed the last two when these
stood there before is evaluated with them, and kept if the model draws the same (prompt lookup
decoding; the idea of arXiv 2304.04487). Of the target's tokens on gsm8k a guess was there for 39 %
in programs and 66 % in prose, and about half of the guesses were right; the next token after a
right guess was seldom worth a third row.
"""

from __future__ import annotations

from collections.abc import Sequence

_MATCHED = 2


class PromptLookup:
    """What followed each pair of tokens in a sequence, the last time."""

    def __init__(self) -> None:
        self._after: dict[tuple[int, ...], int] = {}
        self._num_read = _MATCHED

    def guess(self, tokens: Sequence[int]) -> int | None:
        """A token that may come next; ``tokens`` only grow from call to call."""
        for end in range(self._num_read, len(tokens)):
            self._after[tuple(tokens[end - _MATCHED : end])] = tokens[end]
        self._num_read = max(self._num_read, len(tokens))
        return self._after.get(tuple(tokens[-_MATCHED:]))
