"""What choosing strategies is worth: against chance and against none. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import (
    Runs,
    Unit,
    is_right,
    method_order,
    share_of_problems,
)
from ssr_local.bench.statistics import Share
from ssr_local.core.records import UNKNOWN_LETTER, RunResult

CHOSEN = "chosen by the target"
_WRITTEN = "written by the target"
_WAYS = {
    "random": "at random",
    "none": "none",
    "first": "the pool's first",
    "generate": _WRITTEN,
}


class SelectionRow(Struct, frozen=True, kw_only=True):
    """How one way of choosing did on the problems that all ways of its family have tried.

    ``any_right``: at least one path is right; ``vote_right``: the run did.
    ``p`` is the exact McNemar p of ``any_right`` against the target's choice.
    """

    family: str
    method: str
    selection: str
    num_runs: int
    any_right: Share | None
    vote_right: Share | None
    p: float | None


class SelectionPart(Struct, frozen=True, kw_only=True):
    """The same on one subject or level; right runs counted, no interval."""

    method: str
    by: str
    value: str
    num_runs: int
    num_any_right: int
    num_vote_right: int


class SelectionFigures(Struct, frozen=True, kw_only=True):
    """Everything the report says of selection on one task."""

    rows: tuple[SelectionRow, ...]
    parts: tuple[SelectionPart, ...]


class Choice(NamedTuple):
    """A method's name, taken apart: what is compared with what, and who chooses."""

    family: str
    selection: str


def choice(method: str) -> Choice | None:
    """What a method is an ablation of; None for one without parallel paths.

    ``parallel-3`` is ``parallel-spm-3`` without strategies.
    """
    base, *changes = method.split("+")
    if not re.fullmatch(r"(?:ssr-m|parallel-|parallel-spm-)\d+(?:-fast[12])?", base):
        return None
    ways = [name for change in changes if (name := _way(change))]
    rest = [change for change in changes if not _way(change)]
    if base.startswith("parallel-") and not base.startswith("parallel-spm-"):
        base, ways = base.replace("parallel-", "parallel-spm-"), [_WAYS["none"]]
    return Choice("+".join((base, *rest)), ", ".join(ways) or CHOSEN)


def _way(change: str) -> str | None:
    """What a modifier says of choosing strategies; None when it says nothing of that."""
    name, _, value = change.partition("=")
    return f"over {value} letter orders" if name == "perm" else _WAYS.get(change)


def selection_figures(runs: Runs) -> SelectionFigures:
    """What the task's rows say of selection; every part may be empty."""
    families: dict[str, list[str]] = {}
    for method in runs.methods:
        if found := choice(method):
            families.setdefault(found.family, []).append(method)
    rows: list[SelectionRow] = []
    parts: list[SelectionPart] = []
    for family in sorted(families, key=method_order):
        members = families[family]
        units = runs.shared(members)
        rows.extend(_row(runs, family, method, members, units) for method in members)
        for method in members:
            parts.extend(_parts(method, runs.at(method, units)))
    return SelectionFigures(rows=tuple(rows), parts=tuple(parts))


def any_right(row: Row) -> bool:
    """Whether at least one path is right."""
    return "right" in row.path_outcomes


def _row(
    runs: Runs, family: str, method: str, members: Sequence[str], units: Sequence[Unit]
) -> SelectionRow:
    rows = runs.at(method, units)
    ways = {name: found.selection for name in members if (found := choice(name))}
    chosen = next((name for name, way in ways.items() if way == CHOSEN), method)
    return SelectionRow(
        family=family,
        method=method,
        selection=ways[method],
        num_runs=len(rows),
        any_right=share_of_problems(rows, any_right),
        vote_right=share_of_problems(rows, is_right),
        p=runs.p(chosen, method, units, any_right) if units and chosen != method else None,
    )


def _parts(method: str, rows: Sequence[Row]) -> Iterable[SelectionPart]:
    for by in ("subject", "level"):
        for value in sorted({getattr(row, by) for row in rows} - {None}):
            found = [row for row in rows if getattr(row, by) == value]
            yield SelectionPart(
                method=method,
                by=by,
                value=str(value),
                num_runs=len(found),
                num_any_right=sum(map(any_right, found)),
                num_vote_right=sum(map(is_right, found)),
            )


def chosen_by(result: RunResult) -> str | None:
    """Who chose this run's strategies; None where no path follows one."""
    if all(path.strategy == UNKNOWN_LETTER for path in result.paths):
        return None
    way = _WAYS.get(str(result.options.get("selection", "logprob")), CHOSEN)
    return CHOSEN if way == _WRITTEN else way
