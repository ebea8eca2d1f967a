"""Guesses at a sequence's next tokens, for where one path writes alone.

A row more in a batch is cheaper than a batch more, and much of what a model writes it has read or
written before: names, numbers, whole lines of code. So the tokens that followed the last ones
when these stood there before are evaluated with them, and kept as far as the model draws the same
(prompt lookup; arXiv 2304.04487 has the idea). How many pay is measured while it runs.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from statistics import median

MAX_GUESSED = 3
_MATCHED = 3
_TRIED = 2
_REMEMBERED = 8
# Of a guess nobody has looked at: as good as so many looked at that were right so often.
_PRIOR_SHARE, _PRIOR_WEIGHT = 0.5, 4.0
_FORGET_AFTER = 200.0


class Lookup:
    """What followed each run of tokens in a sequence, the last time."""

    def __init__(self) -> None:
        self._after: dict[tuple[int, ...], int] = {}
        self._num_read = 0

    def guesses(self, tokens: Sequence[int], most: int) -> list[int]:
        """At most so many tokens that may follow; ``tokens`` only grow from call to call."""
        for end in range(max(_MATCHED, self._num_read), len(tokens)):
            self._after[tuple(tokens[end - _MATCHED : end])] = end
        self._num_read = len(tokens)
        start = self._after.get(tuple(tokens[-_MATCHED:]))
        return [] if start is None else list(tokens[start : start + most])


class Pace:
    """How many guesses a round are worth their time, from the rounds so far."""

    def __init__(self) -> None:
        self._seconds: defaultdict[int, deque[float]] = defaultdict(
            lambda: deque(maxlen=_REMEMBERED)
        )
        self._right = _PRIOR_SHARE * _PRIOR_WEIGHT
        self._looked_at = _PRIOR_WEIGHT

    def num_guesses(self) -> int:
        """How many to take: those that were fastest, one more where that was not tried yet."""
        tried = [n for n in range(MAX_GUESSED + 1) if len(self._seconds[n]) >= _TRIED]
        best = max(tried, key=self._tokens_per_second, default=-1)
        return best + 1 if best == max(tried, default=-1) < MAX_GUESSED else best

    def took(self, num_guessed: int, num_right: int, seconds: float) -> None:
        """Remember a round: guesses taken, those that were right, and how long it took."""
        self._seconds[num_guessed].append(seconds)
        self._right += num_right
        self._looked_at += min(num_right + 1, num_guessed)
        if self._looked_at > _FORGET_AFTER:  # a program is repeated more than prose
            self._right, self._looked_at = self._right / 2, self._looked_at / 2

    def _tokens_per_second(self, count: int) -> float:
        share = self._right / self._looked_at
        return sum(share**n for n in range(count + 1)) / median(self._seconds[count])
