"""How runs go wrong: signatures that can be read off a row. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from msgspec import Struct

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import Runs
from ssr_local.bench.report.depth import is_judged
from ssr_local.bench.report.selection import CHOSEN, any_right, chosen_by
from ssr_local.core.records import UNKNOWN_LETTER, ReasoningPath, RunResult

MAX_EXAMPLES = 5

_BUDGETS = frozenset(("token_budget", "step_budget", "time_limit", "context_full", "kv_cache_full"))


class Example(Struct, frozen=True):
    """One run that shows a signature."""

    problem: str
    method: str
    repeat: int

    def __str__(self) -> str:
        return f"{self.problem} ({self.method}" + (
            f", repeat {self.repeat})" if self.repeat else ")"
        )


class MethodCount(Struct, frozen=True):
    """How many of one method's runs (or paths) show a signature, of how many that could."""

    method: str
    num: int
    of: int

    def __str__(self) -> str:
        return f"{self.method} {self.num}/{self.of}"


class Signature(Struct, frozen=True, kw_only=True):
    """One way of going wrong: ``num`` of ``of`` runs or paths, which are ``of_what``."""

    name: str
    meaning: str
    of_what: str
    num: int
    of: int
    by_method: tuple[MethodCount, ...]
    examples: tuple[Example, ...]


class _Run(NamedTuple):
    """A run that has a result."""

    row: Row
    result: RunResult

    def num_paths(self, holds: Callable[[ReasoningPath], bool]) -> int:
        return sum(map(holds, self.result.paths))

    @property
    def won_wrongly(self) -> tuple[ReasoningPath, ...]:
        """The paths that gave a wrong answer."""
        won = {index for group in self.result.votes if group.winner for index in group.paths}
        wrong = self.row.outcome == "wrong"
        return tuple(path for path in self.result.paths if wrong and path.index in won)

    @property
    def pruned(self) -> set[str]:
        """The strategies that were not chosen."""
        return {score.letter for score in self.result.strategies if score.times_chosen == 0}


class _Kind(NamedTuple):
    name: str
    meaning: str
    of_what: str
    could: Callable[[_Run], int]
    shows: Callable[[_Run], int]
    """How many in a run could show it and do: 0 or 1 unless paths are counted."""


def failures(runs: Runs) -> tuple[Signature, ...]:
    """Every signature, also those nobody shows, counted over all the task's runs."""
    found = [_Run(row, row.result) for row in runs.all if row.result is not None]
    return tuple(_count(kind, found, runs.methods) for kind in _kinds(_right_strategies(found)))


def _kinds(right_on: Mapping[str, set[str]]) -> tuple[_Kind, ...]:
    return (
        _Kind(
            "good strategy pruned",
            "another run was right on a strategy that the target left out here",
            "runs that are not right after a choice by the target",
            lambda run: run.row.outcome != "right" and chosen_by(run.result) == CHOSEN,
            lambda run: bool(run.pruned & right_on[run.row.problem]),
        ),
        _Kind(
            "bad step accepted",
            "a winning path is of accepted drafts alone, so one was bad (a lower bound)",
            "wrong runs with drafted steps",
            lambda run: run.row.outcome == "wrong" and run.num_paths(is_judged) > 0,
            lambda run: any(
                path.steps and all(step.accepted for step in path.steps) for path in run.won_wrongly
            ),
        ),
        _Kind(
            "accepted step in a wrong winner",
            "at least one draft was accepted, good or bad (an upper bound)",
            "winning paths with drafted steps of wrong runs",
            lambda run: sum(map(is_judged, run.won_wrongly)),
            lambda run: sum(any(step.accepted for step in path.steps) for path in run.won_wrongly),
        ),
        _Kind(
            "target rewrote more than half of a path",
            "more than half of its steps are rewrites",
            "paths with drafted steps",
            lambda run: run.num_paths(is_judged),
            lambda run: run.num_paths(
                lambda path: (
                    2 * sum(step.accepted is False for step in path.steps) > len(path.steps)
                )
            ),
        ),
        _Kind(
            "right path outvoted",
            "a path was right, and the vote was not",
            "runs with a right path",
            lambda run: any_right(run.row),
            lambda run: run.row.outcome == "wrong",
        ),
        _Kind(
            "all paths cut off",
            "every path reached the end of a budget",
            "runs without an answer",
            lambda run: run.row.outcome == "missing",
            lambda run: (
                run.num_paths(lambda path: path.end_reason in _BUDGETS) == len(run.result.paths) > 0
            ),
        ),
        _Kind(
            "step repeated itself",
            "a path ended because its steps repeated",
            "runs with a result",
            lambda run: 1,
            lambda run: run.num_paths(lambda path: path.end_reason == "repetition") > 0,
        ),
    )


def _count(kind: _Kind, runs: Sequence[_Run], methods: Sequence[str]) -> Signature:
    could: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    seen: list[Row] = []
    for run in runs:
        if num := kind.could(run):
            could[run.row.method] += num
            shown[run.row.method] += kind.shows(run)
            seen += [run.row] if kind.shows(run) else []
    return Signature(
        name=kind.name,
        meaning=kind.meaning,
        of_what=kind.of_what,
        num=shown.total(),
        of=could.total(),
        by_method=tuple(MethodCount(m, shown[m], could[m]) for m in methods if shown[m]),
        examples=tuple(
            Example(row.problem, row.method, row.repeat) for row in _spread(seen)[:MAX_EXAMPLES]
        ),
    )


def _spread(rows: Sequence[Row]) -> list[Row]:
    """The rows with each problem's first before any second, so that examples differ."""
    seen: dict[str, Iterator[int]] = defaultdict(count)
    return sorted(rows, key=lambda row: next(seen[row.problem]))


def _right_strategies(runs: Sequence[_Run]) -> Mapping[str, set[str]]:
    """Problem -> the letters some run had a right path on."""
    found: dict[str, set[str]] = {run.row.problem: set() for run in runs}
    for run in runs:
        for path, outcome in zip(run.result.paths, run.row.path_outcomes, strict=False):
            if outcome == "right" and path.strategy != UNKNOWN_LETTER:
                found[run.row.problem].add(path.strategy)
    return found
