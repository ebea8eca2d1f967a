"""Rows are grouped by: tasks, concurrency, methods, problems, repeats."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ssr_local.bench.report.arrangement import (
    arrange,
    method_order,
)
from ssr_local.core.options import SolveOptions
from tests.unit.bench.report.made_rows import outcomes, result, row


def test_of_two_rows_with_one_key_the_first_counts() -> None:
    (runs,), num_twice = arrange([row(seconds=1.0), row(seconds=2.0), row(seconds=3.0)])
    assert num_twice == 2
    assert [one.elapsed_s for one in runs.of("target")] == [1.0]


@pytest.mark.parametrize(
    ("method", "options", "name"),
    [
        ("ssr-m3", {}, "ssr-m3"),
        ("ssr-m3", {"threshold": 5.0}, "ssr-m3+tau=5"),
        ("ssr-m3", {"verifier": "likelihood"}, "ssr-m3+likelihood"),
        ("ssr-m3+none", {"verifier": "digit"}, "ssr-m3+digit+none"),
        ("ssr-m3+tau=5", {"threshold": 5.0}, "ssr-m3+tau=5"),
        ("ssr-m3+min-likelihood+tau=7", {}, "ssr-m3"),
        ("target", {"method": "target", "threshold": 5.0}, "target"),
    ],
)
def test_names_say_how_steps_were_judged_where_that_is_not_usual(
    method: str, options: dict[str, Any], name: str
) -> None:
    usual = {"method": "ssr", "verifier": SolveOptions().verifier, "threshold": 7.0}
    (runs,), _ = arrange([row(method, found=result(options=usual | options))])
    assert runs.methods == (name,)


def test_shared_is_what_every_method_has_tried() -> None:
    rows = outcomes("target", "+++") + outcomes("draft", " ++") + outcomes("draft", " + ", repeat=1)
    (runs,), _ = arrange(rows)
    assert runs.shared(["target", "draft"]) == (("p02", 0), ("p03", 0))
    assert runs.shared(["draft"]) == (("p02", 0), ("p02", 1), ("p03", 0))
    assert runs.shared([]) == ()


def test_methods_are_ordered_by_kind_paths_exit_and_changes() -> None:
    names = [
        "target",
        "draft",
        "parallel-3",
        "parallel-10",
        "parallel-spm-3",
        "specreason",
        "specreason+digit",
        "ssr-m3",
        "ssr-m3+none",
        "ssr-m3-fast2",
        "ssr-m5",
        "something else",
    ]
    mixed = names.copy()
    random.Random(1).shuffle(mixed)
    assert sorted(mixed, key=method_order) == names
