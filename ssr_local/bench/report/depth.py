"""What happens as paths get longer: right ones, accepted steps, lengths. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from ssr_local.bench.records import Outcome
from ssr_local.bench.report.arrangement import Runs, exits_early
from ssr_local.bench.statistics import Ratio, clustered
from ssr_local.core.records import ReasoningPath

NUM_BINS = 5
STOPPED = frozenset(("early_exit", "dropped", "cancelled"))
"""Ends of paths that were stopped from outside: nobody knows what they would have become."""


class DepthBin(Struct, frozen=True, kw_only=True):
    """Paths of ``low`` to ``high`` steps; intervals over problems.

    ``right`` is the share of right paths among the ``num_to_the_end`` of methods without an
    early exit: where one ends the others, the paths left are those that came first.
    ``acceptance`` is accepted over drafted steps, of all ``num_paths``.
    """

    low: int
    high: int
    num_paths: int
    num_to_the_end: int
    right: Ratio | None
    acceptance: Ratio | None


class Depth(Struct, frozen=True, kw_only=True):
    """``verified`` are paths with judged steps, the other two those of methods where one model
    writes alone."""

    verified: tuple[DepthBin, ...]
    target_alone: tuple[DepthBin, ...]
    draft_alone: tuple[DepthBin, ...]


class _Path(NamedTuple):
    problem: str
    path: ReasoningPath
    outcome: Outcome
    to_the_end: bool
    verified: bool
    """Whether the run has judged steps, in whichever of its paths."""


def depth(runs: Runs) -> Depth:
    """The task's paths by their number of steps; those stopped from outside are left out."""
    paths = [
        _Path(row.problem, path, outcome, not exits_early(row.method), row.result.num_drafted > 0)
        for row in runs.all
        if row.result is not None
        for path, outcome in zip(row.result.paths, row.path_outcomes, strict=False)
        if path.steps and path.end_reason not in STOPPED
    ]
    return Depth(
        verified=_bins([item for item in paths if is_judged(item.path)]),
        target_alone=_bins(_alone(paths, "target")),
        draft_alone=_bins(_alone(paths, "draft")),
    )


def _alone(paths: Sequence[_Path], author: str) -> list[_Path]:
    """Paths all by one model. In a verified run such a path is one that was cut off early."""
    return [
        item
        for item in paths
        if not item.verified and all(step.author == author for step in item.path.steps)
    ]


def is_judged(path: ReasoningPath) -> bool:
    """Whether the target judged some drafted step of it."""
    return any(step.accepted is not None for step in path.steps)


def bounds(counts: Sequence[int], num_bins: int = NUM_BINS) -> tuple[tuple[int, int], ...]:
    """Ranges of about equally many of ``counts``, ascending; equal counts stay together."""
    found: list[tuple[int, int]] = []
    sizes = sorted(Counter(counts).items())
    left, bins_left = len(counts), num_bins
    low, held = None, 0
    for size, times in sizes:
        low = size if low is None else low
        held += times
        if held * bins_left >= left or size == sizes[-1][0]:
            found.append((low, size))
            left, bins_left, low, held = left - held, max(1, bins_left - 1), None, 0
    return tuple(found)


def _bins(paths: Sequence[_Path]) -> tuple[DepthBin, ...]:
    found = []
    for low, high in bounds([len(item.path.steps) for item in paths]):
        inside = [item for item in paths if low <= len(item.path.steps) <= high]
        ended = [item for item in inside if item.to_the_end]
        found.append(
            DepthBin(
                low=low,
                high=high,
                num_paths=len(inside),
                num_to_the_end=len(ended),
                right=clustered((item.problem, item.outcome == "right", 1) for item in ended),
                acceptance=clustered(
                    (
                        item.problem,
                        sum(step.accepted is True for step in item.path.steps),
                        sum(step.accepted is not None for step in item.path.steps),
                    )
                    for item in inside
                ),
            )
        )
    return tuple(found)
