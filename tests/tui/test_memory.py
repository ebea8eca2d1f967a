"""Memory grows with what is on the screen, not with how much was solved before."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter

import pytest
from textual.widgets.tree import TreeNode

from ssr_local.core.tree import Tree
from ssr_local_tui.feed import KEPT_LOGS, Feed
from ssr_local_tui.widgets.run_tree import RunTree
from tests.tui.sitting import Sitting, sit

pytestmark = pytest.mark.usefixtures("worker")

PROBLEMS = 50
SETTLED_AFTER = 10
MOST_GROWTH_BYTES = 6_000_000
"""For 40 problems. Textual keeps some of the footer's keys that are gone; about 100 kB a run."""


def held(at: Sitting) -> tuple[int, int, int, Counter[type]]:
    """Traced bytes, widgets, lines of the tree, and the objects of every type."""
    gc.collect()
    return (
        tracemalloc.get_traced_memory()[0],
        len(list(at.main.walk_children())),
        len(at.main.query_one(RunTree)._lines),
        Counter(type(one) for one in gc.get_objects()),
    )


@pytest.mark.slow
def test_fifty_problems_in_one_sitting_are_no_heavier_than_ten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, int, int, Counter[type]]] = []

    async def script(at: Sitting) -> None:
        for number in range(PROBLEMS):
            # As long as the others, and another one.
            at.app.control.begin(f"A farm has hens and cows, number {number:02}.")
            await at.ended()
            await at.until(lambda: at.main.query_one(RunTree).last_line > 5)
            if number + 1 in (SETTLED_AFTER, PROBLEMS):
                seen.append(held(at))

    tracemalloc.start()
    try:
        sit(script, size=(80, 24), method="draft")
    finally:
        tracemalloc.stop()
    (bytes_before, *shown_before, _), (bytes_after, *shown_after, kinds) = seen
    assert bytes_after - bytes_before < MOST_GROWTH_BYTES
    assert shown_after == shown_before
    assert kinds[TreeNode] <= 3 * seen[1][2]  # this run's, and those of one that goes
    assert (kinds[Tree], kinds[Feed]) <= (2, 2)
    assert KEPT_LOGS < PROBLEMS  # or the number of logs would say nothing
