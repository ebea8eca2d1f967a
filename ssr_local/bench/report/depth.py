"""What happens as paths get longer: section 6 of the report. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from msgspec import UNSET, Struct

from ssr_local.bench.records import Outcome
from ssr_local.bench.report.arrangement import Runs, exits_early
from ssr_local.bench.report.shares import clustered, mean
from ssr_local.bench.statistics import Ratio
from ssr_local.core.records import Author, ReasoningPath, Step

NUM_BINS = 5
MAX_POSITION = 12
"""Steps further behind are counted together: few paths have them."""

_STOPPED = frozenset(("early_exit", "dropped", "cancelled"))


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

    @property
    def label(self) -> str:
        """Like "3" or "4 to 6"."""
        return str(self.low) if self.low == self.high else f"{self.low} to {self.high}"


class Position(Struct, frozen=True, kw_only=True):
    """The drafted steps at one place of their paths, the first being 1."""

    position: int
    num_drafted: int
    acceptance: Ratio | None

    @property
    def label(self) -> str:
        """The number, with a plus where steps further behind are counted in."""
        return f"{self.position}+" if self.position >= MAX_POSITION else str(self.position)


class StepLengths(Struct, frozen=True, kw_only=True):
    """How long one kind of step is; a rejected draft's tokens are not on record."""

    kind: str
    num: int
    mean_tokens: float | None
    mean_characters: float | None


class Depth(Struct, frozen=True, kw_only=True):
    """Section 6 for one task: ``verified`` are paths with judged steps, the other two those of
    methods where one model writes alone.
    """

    verified: tuple[DepthBin, ...]
    target_alone: tuple[DepthBin, ...]
    draft_alone: tuple[DepthBin, ...]
    positions: tuple[Position, ...]
    lengths: tuple[StepLengths, ...]

    @property
    def single(self) -> tuple[DepthBin, ...]:
        """One model's paths, where there is room for one: the target's, else the draft's."""
        return self.target_alone or self.draft_alone


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
        _Path(row.problem, path, outcome, not exits_early(method), row.result.num_drafted > 0)
        for method in runs.methods
        for row in runs.of(method)
        if row.result is not None
        for path, outcome in zip(row.result.paths, row.path_outcomes, strict=False)
        if path.steps and path.end_reason not in _STOPPED
    ]
    verified = [item for item in paths if any(map(is_drafted, item.path.steps))]
    return Depth(
        verified=_bins(verified),
        target_alone=_bins(_alone(paths, "target")),
        draft_alone=_bins(_alone(paths, "draft")),
        positions=_positions(verified),
        lengths=_lengths([step for item in verified for step in item.path.steps]),
    )


def _alone(paths: Sequence[_Path], author: Author) -> list[_Path]:
    """Paths all by one model. In a verified run such a path is one that was cut off early."""
    return [
        item
        for item in paths
        if not item.verified and all(step.author == author for step in item.path.steps)
    ]


def is_drafted(step: Step) -> bool:
    """Whether the draft wrote this step first and the target judged it."""
    return step.accepted is not None


def is_accepted(step: Step) -> bool:
    """Whether the draft's version stands."""
    return step.accepted is True


def is_rewrite(step: Step) -> bool:
    """Whether the target wrote this step in place of a rejected one."""
    return step.accepted is False


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
                right=_over(ended, lambda item: (float(item.outcome == "right"), 1.0)),
                acceptance=_over(inside, lambda item: _accepted(item.path.steps)),
            )
        )
    return tuple(found)


def _positions(paths: Sequence[_Path]) -> tuple[Position, ...]:
    found = []
    for position in range(1, MAX_POSITION + 1):
        end = position if position < MAX_POSITION else None
        steps = {id(item): item.path.steps[position - 1 : end] for item in paths}
        num = sum(is_drafted(step) for group in steps.values() for step in group)
        if num:
            found.append(
                Position(
                    position=position,
                    num_drafted=num,
                    acceptance=_over(
                        paths,
                        lambda item, steps=steps: _accepted(steps[id(item)]),  # type: ignore[misc]
                    ),
                )
            )
    return tuple(found)


def _over(paths: Iterable[_Path], amounts: Callable[[_Path], tuple[float, float]]) -> Ratio | None:
    pairs: dict[str, list[tuple[float, float]]] = {}
    for item in paths:
        pairs.setdefault(item.problem, []).append(amounts(item))
    return clustered(pairs)


def _accepted(steps: Sequence[Step]) -> tuple[float, float]:
    return (float(sum(map(is_accepted, steps))), float(sum(map(is_drafted, steps))))


def _lengths(steps: Sequence[Step]) -> tuple[StepLengths, ...]:
    accepted = [step for step in steps if is_accepted(step)]
    rewrites = [step for step in steps if is_rewrite(step)]
    rejected = [step.draft_text for step in rewrites if step.draft_text is not UNSET]
    kinds = (("accepted draft", accepted), ("rewrite by the target", rewrites))
    return (
        *(
            StepLengths(
                kind=kind,
                num=len(found),
                mean_tokens=mean(step.num_tokens for step in found),
                mean_characters=mean(len(step.text) for step in found),
            )
            for kind, found in kinds
            if found
        ),
        *(
            (
                StepLengths(
                    kind="rejected draft",
                    num=len(rejected),
                    mean_tokens=None,
                    mean_characters=mean(len(str(text)) for text in rejected),
                ),
            )
            if rejected
            else ()
        ),
    )
