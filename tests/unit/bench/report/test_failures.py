"""Signatures, on runs that show them and on ones that nearly do."""

from __future__ import annotations

from typing import Any

import pytest

from ssr_local.bench.records import Outcome, Row
from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.failures import Signature, failures
from ssr_local.core.records import EndReason, RunResult, Step
from tests.unit.bench.report.made_rows import ACCEPTED, ALONE, REWRITE, path, result, row


def _found(rows: list[Row]) -> dict[str, Signature]:
    (runs,), _ = arrange(rows)
    return {signature.name: signature for signature in failures(runs)}


def _on(letter: str, *, selection: str = "logprob", pool: str = "ABCD") -> RunResult:
    return result([path(strategy=letter)], options={"selection": selection}, pool=pool)


RIGHT_ON_B = row("ssr-m1+random", "p1", found=_on("B", selection="random"))


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        ([row("ssr-m1", "p1", "wrong", found=_on("A")), RIGHT_ON_B], (1, 1)),
        ([row("x", "p1", "wrong", found=_on("A", selection="generate")), RIGHT_ON_B], (1, 1)),
        ([row("ssr-m1", "p1", "right", found=_on("A")), RIGHT_ON_B], (0, 0)),
        ([row("ssr-m1", "p1", "wrong", found=_on("B")), RIGHT_ON_B], (0, 1)),  # it was chosen
        ([row("ssr-m1", "p1", "wrong", found=_on("A", pool="ACD")), RIGHT_ON_B], (0, 1)),
        ([row("ssr-m1", "p2", "wrong", found=_on("A")), RIGHT_ON_B], (0, 1)),  # another problem
        # Chance pruned it, not the target; and no strategy was chosen at all.
        ([row("x", "p1", "wrong", found=_on("A", selection="random")), RIGHT_ON_B], (0, 0)),
        ([row("target", "p1", "wrong", found=_on("M")), RIGHT_ON_B], (0, 0)),
        # Right without advice says nothing of a strategy.
        (
            [row("ssr-m1", "p1", "wrong", found=_on("A")), row("target", "p1", found=_on("M"))],
            (0, 1),
        ),
    ],
)
def test_good_strategy_pruned(rows: list[Row], counts: tuple[int, int]) -> None:
    signature = _found(rows)["good strategy pruned"]
    assert (signature.num, signature.of) == counts


BAD = "bad step accepted"
HALF = "accepted step in a wrong winner"
REWRITTEN = "target rewrote more than half of a path"


@pytest.mark.parametrize(
    ("name", "paths", "won", "outcome", "counts"),
    [
        (BAD, [[ACCEPTED, ACCEPTED]], [0], "wrong", (1, 1)),
        (BAD, [[ACCEPTED, REWRITE]], [0], "wrong", (0, 1)),
        (BAD, [[ACCEPTED]], [0], "right", (0, 0)),
        (BAD, [[ALONE]], [0], "wrong", (0, 0)),
        (BAD, [[REWRITE], [ACCEPTED]], [0], "wrong", (0, 1)),  # the accepted one lost
        (HALF, [[ACCEPTED, REWRITE], [REWRITE], [ACCEPTED]], [0, 1, 2], "wrong", (2, 3)),
        (HALF, [[REWRITE], [ACCEPTED]], [0], "wrong", (0, 1)),
        (REWRITTEN, [[REWRITE, REWRITE, ACCEPTED]], [0], "right", (1, 1)),
        (REWRITTEN, [[REWRITE, ACCEPTED]], [0], "right", (0, 1)),
        (REWRITTEN, [[ALONE, ALONE]], [0], "right", (0, 0)),
        (REWRITTEN, [[REWRITE], [REWRITE], [ACCEPTED]], [0], "right", (2, 3)),  # paths
    ],
)
def test_steps_of_winners(
    name: str, paths: list[list[Step]], won: list[int], outcome: Outcome, counts: tuple[int, int]
) -> None:
    found = result([path(steps, index=n) for n, steps in enumerate(paths)], won=won, answer="8")
    signature = _found([row("ssr-m3", "p1", outcome, found=found)])[name]
    assert (signature.num, signature.of) == counts


@pytest.mark.parametrize(
    ("paths", "outcome", "counts"),
    [
        (["right", "wrong", "wrong"], "wrong", (1, 1)),
        (["right", "right", "wrong"], "right", (0, 1)),
        (["right", "undecided", "undecided"], "undecided", (0, 1)),
    ],
)
def test_right_path_outvoted(
    paths: list[Outcome], outcome: Outcome, counts: tuple[int, int]
) -> None:
    signature = _found([row("parallel-3", "p1", outcome, paths=paths)])["right path outvoted"]
    assert (signature.num, signature.of) == counts


ENDED: dict[str, Any] = {"method": "draft", "outcome": "missing"}


@pytest.mark.parametrize(
    ("name", "ends", "counts"),
    [
        ("all paths cut off", ["token_budget", "kv_cache_full"], (1, 1)),
        ("all paths cut off", ["token_budget", "end_of_generation"], (0, 1)),
        ("step repeated itself", ["repetition"], (1, 2)),
    ],
)
def test_ends_of_paths(name: str, ends: list[EndReason], counts: tuple[int, int]) -> None:
    paths = [path(index=n, end=end, answer=None) for n, end in enumerate(ends)]
    rows = [row(**ENDED, found=result(paths, answer=None)), row("draft", "p2")]
    signature = _found([*rows, row("draft", "p3", "failed")])[name]
    assert (signature.num, signature.of) == counts


def test_examples_are_five_of_different_problems_and_counts_are_by_method() -> None:
    bad = result([path([ACCEPTED])], answer="8")
    rows = [
        row(method, f"p{n}", "wrong", found=bad, repeat=repeat)
        for method in ("ssr-m3", "specreason")
        for n in range(4)
        for repeat in range(2)
    ] + [row("target", "p0", "wrong")]
    found = _found(rows)[BAD]
    assert [(c.method, c.num, c.of) for c in found.by_method] == [
        ("specreason", 8, 8),
        ("ssr-m3", 8, 8),
    ]
    assert [e.problem for e in found.examples] == ["p0", "p1", "p2", "p3", "p0"]
