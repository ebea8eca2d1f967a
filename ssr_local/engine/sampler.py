"""Draws tokens from rows of logits, for libraries whose own draws cannot be seeded per path.

The ik fork draws from one generator a context, so what one path draws would depend on how
many others are still running.
"""

from __future__ import annotations

import random

import numpy as np

from ssr_local.core.errors import DecodeError
from ssr_local.engine.base import Sampling
from ssr_local.engine.log_probs import Floats

_TOP_K = 256
# Tokens this many temperatures below the best have less than a 10^-13th of its probability.
_MARGIN = 30.0


class Sampler:
    """Temperature, then nucleus, then a draw from a generator of its own."""

    def __init__(self, sampling: Sampling) -> None:
        self._temperature = sampling.temperature
        self._top_p = sampling.top_p
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
                "Check the file with 'ssr-local models verify', or try --engine llama.",
            )
        if self._temperature <= 0:
            return int(row.argmax())
        tokens = np.flatnonzero(row >= top - _MARGIN * self._temperature)
        values = row[tokens].astype(np.float64)
        order = np.lexsort((tokens, -values))[:_TOP_K]
        weights = np.exp((values[order] - top) / self._temperature)
        cumulative = np.cumsum(weights / weights.sum())
        kept = int(np.searchsorted(cumulative, self._top_p)) + 1
        cumulative = cumulative[:kept]
        drawn = self._random.random() * float(cumulative[-1])
        index = min(int(np.searchsorted(cumulative, drawn, side="right")), len(cumulative) - 1)
        return int(tokens[order[index]])
