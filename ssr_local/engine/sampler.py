"""Draws tokens from rows of logits.

In place of the libraries' samplers: the ik fork has one generator a context, so what one
path draws would depend on how many others are still running, and llama.cpp looks at the
whole vocabulary more than once, which on a GPU takes longer than to evaluate the token.
"""

from __future__ import annotations

import random

import numpy as np

from ssr_local.core.errors import DecodeError
from ssr_local.engine.base import Sampling
from ssr_local.engine.log_probs import Floats

_TOP_K = 256
_MANY = 4 * _TOP_K
# Of the tokens that are so many temperatures below the best, _TOP_K have together less than a
# millionth of its probability.
_MARGIN = 20.0


class Sampler:
    """Temperature, then nucleus, then a draw from a generator of its own."""

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self._random = random.Random(sampling.seed)  # noqa: S311 - repeatable, nothing secret

    def draw(self, row: Floats) -> int:
        """A token id from logits of shape (vocabulary,).

        Raises ``DecodeError`` when the model's output is not a number.
        """
        top = float(row.max())
        if not np.isfinite(top):
            raise DecodeError(
                "The model's output is not a number.",
                "Its file may be damaged, or the engine does not suit it.",
                "Check the file with 'ssr-local models verify', or try the other --engine.",
            )
        temperature = self.sampling.temperature
        if temperature <= 0:
            return int(row.argmax())
        tokens = np.flatnonzero(row >= top - _MARGIN * temperature)
        if len(tokens) > _MANY:  # to sort thousands takes longer than to pick the best
            tokens = tokens[np.argpartition(row[tokens], -_TOP_K)[-_TOP_K:]]
        values = row[tokens].astype(np.float64)
        order = np.lexsort((tokens, -values))[:_TOP_K]
        weights = np.exp((values[order] - top) / temperature)
        cumulative = np.cumsum(weights / weights.sum())
        kept = int(np.searchsorted(cumulative, self.sampling.top_p)) + 1
        cumulative = cumulative[:kept]
        drawn = self._random.random() * float(cumulative[-1])
        index = min(int(np.searchsorted(cumulative, drawn, side="right")), len(cumulative) - 1)
        return int(tokens[order[index]])
