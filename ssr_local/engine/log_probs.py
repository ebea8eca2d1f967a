"""Log-probabilities, read from rows of logits as the batches of a prefill come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ssr_local.engine.base import Extended, ExtendJob

Floats = npt.NDArray[np.float32]


class LogProbs:
    """What the jobs of one ``extend`` ask for, filled in row by row."""

    def __init__(self, jobs: Sequence[ExtendJob]) -> None:
        self._log_probs: dict[int, list[float]] = {job.seq_id: [] for job in jobs}
        self._probes: dict[int, tuple[float, ...]] = {}

    def reader(self, job: ExtendJob, next_index: int) -> Callable[[Floats], None] | None:
        """What reads the logits that predict ``job.tokens[next_index]`` or what comes after."""
        if job.log_probs and 0 <= next_index < len(job.tokens):
            token = job.tokens[next_index]
            return lambda row: self._log_probs[job.seq_id].append(
                log_probabilities(row, [[token]])[0]
            )
        if job.suffix and next_index == len(job.tokens) + len(job.suffix):
            return lambda row: self._probes.update(
                {job.seq_id: log_probabilities(row, job.candidates)}
            )
        return None

    def result(self, job: ExtendJob) -> Extended:
        return Extended(
            seq_id=job.seq_id,
            log_probs=tuple(self._log_probs[job.seq_id]) if job.log_probs else None,
            probe=self._probes.get(job.seq_id),
        )


def log_probabilities(row: Floats, candidates: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Log-probability (nats) of each candidate under one row of logits, NaN where unreadable.

    ``row`` has shape (vocabulary,). A candidate's token probabilities are added up.
    """
    top = float(row.max())
    if not np.isfinite(top):
        return tuple(float("nan") for _ in candidates)
    norm = top + float(np.log(np.exp(row - top).sum(dtype=np.float64)))
    return tuple(
        float(np.logaddexp.reduce(row[list(ids)].astype(np.float64) - norm)) if ids else -np.inf
        for ids in candidates
    )
