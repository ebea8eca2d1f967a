"""How runs go wrong: signatures that can be read off a row. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import Runs, is_right
from ssr_local.bench.report.depth import is_accepted, is_drafted, is_rewrite
from ssr_local.bench.report.selection import CHOSEN, any_right, chosen_by
from ssr_local.core.records import UNKNOWN_LETTER, ReasoningPath

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


class _Kind(NamedTuple):
    name: str
    meaning: str
    of_what: str
    could: Callable[[Row], int]
    shows: Callable[[Row], int]
    """How many in a run could show it and do: 0 or 1 unless paths are counted."""


def failures(runs: Runs) -> tuple[Signature, ...]:
    """Every signature, also those nobody shows, counted over all the task's runs."""
    kinds = _kinds(_right_strategies(runs.all))
    return tuple(_count(kind, runs.all, runs.methods) for kind in kinds)


def _kinds(right_on: dict[str, set[str]]) -> tuple[_Kind, ...]:
    return (
        _Kind(
            "good strategy pruned",
            "another run was right on a strategy that the target left out here",
            "runs that are not right after a choice by the target",
            lambda row: not is_right(row) and _chose(row),
            lambda row: bool(_pruned(row) & right_on.get(row.problem, set())),
        ),
        _Kind(
            "bad step accepted",
            "a winning path is of accepted drafts alone, so one was bad (a lower bound)",
            "wrong runs with drafted steps",
            lambda row: row.outcome == "wrong" and bool(_num_paths(row, _is_verified)),
            lambda row: any(map(_is_unchanged, _won_wrongly(row))),
        ),
        _Kind(
            "accepted step in a wrong winner",
            "at least one draft was accepted, good or bad (an upper bound)",
            "winning paths with drafted steps of wrong runs",
            lambda row: sum(map(_is_verified, _won_wrongly(row))),
            lambda row: sum(any(map(is_accepted, path.steps)) for path in _won_wrongly(row)),
        ),
        _Kind(
            "target rewrote more than half of a path",
            "more than half of its steps are rewrites",
            "paths with drafted steps",
            lambda row: _num_paths(row, _is_verified),
            lambda row: _num_paths(row, _mostly_rewritten),
        ),
        _Kind(
            "right path outvoted",
            "a path was right, and the vote was not",
            "runs with a right path",
            any_right,
            lambda row: row.outcome == "wrong",
        ),
        _Kind(
            "all paths cut off",
            "every path reached the end of a budget",
            "runs without an answer",
            lambda row: row.outcome == "missing",
            lambda row: (
                row.result is not None
                and bool(row.result.paths)
                and all(path.end_reason in _BUDGETS for path in row.result.paths)
            ),
        ),
        _Kind(
            "step repeated itself",
            "a path ended because its steps repeated",
            "runs with a result",
            lambda row: row.result is not None,
            lambda row: bool(_num_paths(row, lambda path: path.end_reason == "repetition")),
        ),
    )


def _count(kind: _Kind, rows: Sequence[Row], methods: Sequence[str]) -> Signature:
    could = [(row, num) for row in rows if (num := kind.could(row))]
    shown = [(row, num) for row, _ in could if (num := kind.shows(row))]
    counts = (
        MethodCount(
            method,
            sum(num for row, num in shown if row.method == method),
            sum(num for row, num in could if row.method == method),
        )
        for method in methods
    )
    return Signature(
        name=kind.name,
        meaning=kind.meaning,
        of_what=kind.of_what,
        num=sum(num for _, num in shown),
        of=sum(num for _, num in could),
        by_method=tuple(count for count in counts if count.num),
        examples=tuple(
            Example(row.problem, row.method, row.repeat)
            for row in _spread([row for row, _ in shown])[:MAX_EXAMPLES]
        ),
    )


def _spread(rows: Sequence[Row]) -> list[Row]:
    """The rows with each problem's first before any second, so that examples differ."""
    seen: Counter[str] = Counter()
    ranked = []
    for row in rows:
        seen[row.problem] += 1
        ranked.append((seen[row.problem], row))
    return [row for _, row in sorted(ranked, key=lambda item: item[0])]


def _right_strategies(rows: Sequence[Row]) -> dict[str, set[str]]:
    """Problem -> the letters some run had a right path on."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row.result is not None:
            paths = zip(row.result.paths, row.path_outcomes, strict=False)
            found.setdefault(row.problem, set()).update(
                path.strategy
                for path, outcome in paths
                if outcome == "right" and path.strategy != UNKNOWN_LETTER
            )
    return found


def _chose(row: Row) -> bool:
    return row.result is not None and chosen_by(row.result) == CHOSEN


def _pruned(row: Row) -> set[str]:
    scores = row.result.strategies if row.result else ()
    return {score.letter for score in scores if score.times_chosen == 0}


def _num_paths(row: Row, holds: Callable[[ReasoningPath], bool]) -> int:
    return sum(map(holds, row.result.paths)) if row.result is not None else 0


def _is_verified(path: ReasoningPath) -> bool:
    return any(map(is_drafted, path.steps))


def _mostly_rewritten(path: ReasoningPath) -> bool:
    return 2 * sum(map(is_rewrite, path.steps)) > len(path.steps)


def _is_unchanged(path: ReasoningPath) -> bool:
    return bool(path.steps) and all(map(is_accepted, path.steps))


def _won_wrongly(row: Row) -> tuple[ReasoningPath, ...]:
    """The paths that gave a wrong answer."""
    if row.result is None or row.outcome != "wrong":
        return ()
    won = {index for group in row.result.votes if group.winner for index in group.paths}
    return tuple(path for path in row.result.paths if path.index in won)
