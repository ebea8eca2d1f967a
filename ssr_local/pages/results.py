"""The result of an entry of the history, for whoever shows it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ssr_local.core.display import one_line
from ssr_local.core.events import AnyEvent
from ssr_local.core.records import RunResult
from ssr_local.core.tree import Tree
from ssr_local.history.store import GOING, Entry, unreadable
from ssr_local.tutoring.checking import CheckResult
from ssr_local.tutoring.hints import Hint


def result_of(entry: Entry) -> RunResult | CheckResult | Hint | None:
    """An entry's result; None where there is none. Raises ``HistoryError``."""
    kinds: dict[str, type[RunResult] | type[CheckResult] | type[Hint]] = {
        "run": RunResult,
        "check": CheckResult,
        "hint": Hint,
    }
    if entry.result is None:
        return None
    try:
        return msgspec.json.decode(entry.result, type=kinds[entry.kind])
    except msgspec.DecodeError as error:
        raise unreadable(entry.id, error) from error


def tree_of(entry: Entry, events: Iterable[AnyEvent]) -> Tree:
    """A run's tree, as far as its ``events`` came."""
    tree = Tree(entry.problem)
    tree.apply_all(events)
    if entry.status != GOING:
        tree.cut_off()
    return tree


def circumstances(entry: Entry) -> str:
    """When it was, how it ended, with what; one line."""
    how = ", ".join(one for one in (entry.pair, entry.method) if one)
    return one_line(f"{entry.started[:16].replace('T', ' ')} UTC, {entry.status} ({how})")


def agreement(result: CheckResult) -> str:
    """How a student's answer stands to the models'; "" where there are not both."""
    if result.answer is None or result.vote is None:
        return ""
    return {True: ": the same", False: ": something else", None: ": compare the two"}[
        result.answer_accepted
    ]
