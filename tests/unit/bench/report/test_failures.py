"""Every signature, on the run that shows it and on one that nearly does."""

from __future__ import annotations

import pytest

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.failures import Signature, failures
from ssr_local.core.records import RunResult, Step
from tests.unit.bench.report.made_rows import ACCEPTED, ALONE, REWRITE, path, result, row


def _found(rows: list[Row]) -> dict[str, Signature]:
    (runs,), _ = arrange(rows)
    return {signature.name: signature for signature in failures(runs)}


def _counts(rows: list[Row], name: str) -> tuple[int, int]:
    signature = _found(rows)[name]
    return signature.num, signature.of


def _on(letter: str, *, selection: str = "logprob", pool: str = "ABCD") -> RunResult:
    return result([path(strategy=letter)], options={"selection": selection}, pool=pool)


RIGHT_ON_B = row("ssr-m1+random", "p1", found=_on("B", selection="random"))


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        ([row("ssr-m1", "p1", "wrong", found=_on("A")), RIGHT_ON_B], (1, 1)),
        ([row("ssr-m1", "p1", "missing", found=_on("A")), RIGHT_ON_B], (1, 1)),
        ([row("x", "p1", "wrong", found=_on("A", selection="generate")), RIGHT_ON_B], (1, 1)),
        ([row("ssr-m1", "p1", "right", found=_on("A")), RIGHT_ON_B], (0, 0)),
        ([row("ssr-m1", "p1", "wrong", found=_on("B")), RIGHT_ON_B], (0, 1)),  # it was chosen
        ([row("ssr-m1", "p1", "wrong", found=_on("A", pool="ACD")), RIGHT_ON_B], (0, 1)),
        ([row("ssr-m1", "p2", "wrong", found=_on("A")), RIGHT_ON_B], (0, 1)),  # another problem
        ([row("ssr-m1", "p1", "wrong", found=_on("A"))], (0, 1)),  # nobody knows a good one
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
    assert _counts(rows, "good strategy pruned") == counts


@pytest.mark.parametrize(
    ("found", "outcome", "counts"),
    [
        (result([path([ACCEPTED, ACCEPTED])], answer="8"), "wrong", (1, 1)),
        (result([path([ACCEPTED, REWRITE])], answer="8"), "wrong", (0, 1)),
        (result([path([ACCEPTED])], answer="7"), "right", (0, 0)),
        (result([path([ALONE])], answer="8"), "wrong", (0, 0)),
        # The path of accepted drafts did not win.
        (
            result([path([REWRITE]), path([ACCEPTED], index=1)], won=[0], answer="8"),
            "wrong",
            (0, 1),
        ),
    ],
)
def test_bad_step_accepted(found: RunResult, outcome: str, counts: tuple[int, int]) -> None:
    rows = [row("ssr-m3", "p1", outcome, found=found)]  # type: ignore[arg-type]
    assert _counts(rows, "bad step accepted") == counts


@pytest.mark.parametrize(
    ("paths", "won", "outcome", "counts"),
    [
        ([[ACCEPTED, REWRITE], [REWRITE], [ACCEPTED]], [0, 1, 2], "wrong", (2, 3)),
        ([[REWRITE], [ACCEPTED]], [0], "wrong", (0, 1)),  # the accepted one lost
        ([[ALONE]], [0], "wrong", (0, 0)),
        ([[ACCEPTED]], [0], "right", (0, 0)),
    ],
)
def test_accepted_step_in_a_wrong_winner_counts_paths(
    paths: list[list[Step]], won: list[int], outcome: str, counts: tuple[int, int]
) -> None:
    found = result([path(steps, index=n) for n, steps in enumerate(paths)], won=won, answer="8")
    rows = [row("ssr-m3", "p1", outcome, found=found)]  # type: ignore[arg-type]
    assert _counts(rows, "accepted step in a wrong winner") == counts


@pytest.mark.parametrize(
    ("paths", "counts"),
    [
        ([[REWRITE, REWRITE, ACCEPTED]], (1, 1)),
        ([[REWRITE, ACCEPTED]], (0, 1)),
        ([[ALONE, ALONE]], (0, 0)),
        ([[REWRITE], [REWRITE], [ACCEPTED]], (2, 3)),
    ],
)
def test_target_rewrote_more_than_half_counts_paths(
    paths: list[list[Step]], counts: tuple[int, int]
) -> None:
    found = result([path(steps, index=n) for n, steps in enumerate(paths)])
    rows = [row("ssr-m3", "p1", found=found)]
    assert _counts(rows, "target rewrote more than half of a path") == counts


@pytest.mark.parametrize(
    ("paths", "outcome", "counts"),
    [
        (["right", "wrong", "wrong"], "wrong", (1, 1)),
        (["right", "right", "wrong"], "right", (0, 1)),
        (["wrong", "wrong", "wrong"], "wrong", (0, 0)),
        (["right", "undecided", "undecided"], "undecided", (0, 1)),
    ],
)
def test_right_path_outvoted(paths: list[str], outcome: str, counts: tuple[int, int]) -> None:
    rows = [row("parallel-3", "p1", outcome, paths=paths)]  # type: ignore[arg-type]
    assert _counts(rows, "right path outvoted") == counts


@pytest.mark.parametrize(
    ("ends", "counts"),
    [
        (["token_budget", "kv_cache_full"], (1, 1)),
        (["token_budget", "end_of_generation"], (0, 1)),
    ],
)
def test_all_paths_cut_off(ends: list[str], counts: tuple[int, int]) -> None:
    paths = [path(index=n, end=end, answer=None) for n, end in enumerate(ends)]  # type: ignore[arg-type]
    rows = [row("ssr-m2", "p1", "missing", found=result(paths, answer=None))]
    assert _counts(rows, "all paths cut off") == counts


def test_step_repeated_itself() -> None:
    rows = [
        row("draft", "p1", "missing", found=result([path(end="repetition")], answer=None)),
        row("draft", "p2"),
        row("draft", "p3", "failed"),
    ]
    assert _counts(rows, "step repeated itself") == (1, 2)


def test_examples_are_five_of_different_problems_and_counts_are_by_method() -> None:
    bad = result([path([ACCEPTED])], answer="8")
    rows = [
        row(method, f"p{n}", "wrong", found=bad, repeat=repeat)
        for method in ("ssr-m3", "specreason")
        for n in range(4)
        for repeat in range(2)
    ] + [row("target", "p0", "wrong")]
    found = _found(rows)["bad step accepted"]
    assert (found.num, found.of) == (16, 16)
    assert [(c.method, c.num, c.of) for c in found.by_method] == [
        ("specreason", 8, 8),
        ("ssr-m3", 8, 8),
    ]
    assert [e.problem for e in found.examples] == ["p0", "p1", "p2", "p3", "p0"]
