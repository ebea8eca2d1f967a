"""Rows are grouped by: tasks, concurrency, methods, problems, repeats."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ssr_local.bench.report.arrangement import (
    arrange,
    method_order,
)
from ssr_local.core.errors import UsageError
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
        ("target", {"method": "target", "prompt": "short"}, "target+prompt=short"),
        ("target+prompt=short", {"method": "target", "prompt": "short"}, "target+prompt=short"),
        ("ssr-m3+random", {"prompt": "short"}, "ssr-m3+prompt=short+random"),
        ("greedy prose:target", {"method": "auto", "prompt": "short"},
         "greedy prose:target+prompt=short"),
    ],
)  # fmt: skip
def test_names_say_how_steps_were_judged_where_that_is_not_usual(
    method: str, options: dict[str, Any], name: str
) -> None:
    usual = {"method": "ssr", "verifier": SolveOptions().verifier, "threshold": 7.0}
    (runs,), _ = arrange([row(method, found=result(options=usual | options))])
    assert runs.methods == (name,)


@pytest.mark.parametrize(
    ("methods", "wanted", "baseline"),
    [
        (["auto-quick", "target", "target+prompt=first"], "target", "target"),
        (["auto-quick", "target+prompt=first"], "target", "target+prompt=first"),
        (["program:target", "prose:target", "3 x prose:target; agree"], "target", "prose:target"),
        (["greedy prose:target+prompt=short", "draft"], "target",
         "greedy prose:target+prompt=short"),
        (["greedy prose:target", "prose:target"], "target", None),  # which of the two?
        (["program:target", "prose:target + prose:target"], "target", None),
        (["auto-quick", "target"], "auto-quick", "auto-quick"),
    ],
)  # fmt: skip
def test_the_baseline_is_the_one_named_or_the_only_form_of_the_target(
    methods: list[str], wanted: str, baseline: str | None
) -> None:
    (runs,), _ = arrange([row(name) for name in methods], wanted)
    assert runs.baseline == baseline
    assert runs.methods[0] == baseline or baseline is None


def test_a_baseline_need_not_be_in_every_task_but_in_one() -> None:
    rows = [row("target"), row("ssr-m3"), row("target", task="logic")]
    groups, _ = arrange(rows, "ssr-m3")
    assert [runs.baseline for runs in groups] == ["ssr-m3", None]
    with pytest.raises(UsageError, match="There are: target, ssr-m3"):
        arrange(rows, "ssr-m5")


def test_a_failed_run_is_asked_as_those_of_its_bench() -> None:
    short = row("target", found=result(options={"prompt": "short"}), prompt_hash="b")
    (runs,), _ = arrange([row("target"), short, row("target", "p2", "failed", prompt_hash="b")])
    assert [len(runs.of(name)) for name in ("target", "target+prompt=short")] == [1, 2]


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
        "auto-quick",
        "auto-normal",
        "auto-thorough",
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
