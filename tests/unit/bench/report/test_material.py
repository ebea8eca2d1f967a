"""What a report rests on, and that nothing is mixed without a word."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.material import Material, gather
from ssr_local.core.records import Models
from tests.unit.bench.labels.made_walks import step, walk
from tests.unit.bench.report.made_rows import PAIR, model, result, row


def _gather(rows: list[Row]) -> Material:
    groups, num_twice = arrange(rows)
    return gather(groups, [walk("1", [step()], models=PAIR)], num_twice)


def test_walks_are_part_of_what_was_run() -> None:
    found = _gather([row()])
    assert (found.num_walks, found.num_steps, found.seeds) == (1, 1, (0, 1))
    assert (found.first_at[:10], found.last_at[:10]) == ("2025-01-01", "2025-01-02")


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"machine": "B"}, "machines"),
        ({"version": "0.2"}, "versions of the program"),
        ({"prompt_hash": "other"}, "prompts of gsm8k"),
        ({"found": result(models=Models(PAIR.draft, model("large-target", sha256="ef" * 32)))},
         "target models"),
        ({"found": result(models=Models(model("x", sha256=None), PAIR.target))}, "draft models"),
        ({"found": result(options={"max_tokens": 99})},
         "target on gsm8k ran with several values of max_tokens"),
        ({"problem": "p1"}, "1 rows stand there twice"),
    ],
)  # fmt: skip
def test_what_should_not_be_mixed_is_told(second: dict[str, Any], told: str) -> None:
    rows = [row("target", "p1"), row(**{"method": "target", "problem": "p2", **second})]
    (warning,) = _gather(rows).warnings
    assert told in warning


def test_tasks_may_have_different_prompts_and_methods_different_options() -> None:
    rows = [
        row("target"),
        row("target", task="logic", prompt_hash="other"),
        row("ssr-m3+tau=5", found=result(options={"threshold": 5.0})),
        row("ssr-m3", found=result(options={"threshold": 7.0, "seed": 9, "draft": "one"})),
        row("ssr-m3", "p2", found=result(options={"threshold": 7.0, "seed": 8, "draft": None})),
    ]
    assert _gather(rows).warnings == ()


def test_what_auto_and_prompts_choose_is_no_mixture() -> None:
    auto = [
        row("auto-normal", f"p{num}", found=result(options={"plan": plan, "max_tokens": num}))
        for num, plan in enumerate(("prose:target", "program:target"))
    ]
    asked = [
        row("target", found=result(options={"plan": "", "prompt": prompt}), prompt_hash=prompt)
        for prompt in ("short", "first")
    ]
    found = _gather([*auto, *asked])
    assert found.warnings == ()
    assert [(one.name, one.values) for one in found.settings if one.name == "max_tokens"] == [
        ("max_tokens", ("512",))
    ]
    assert not {"plan", "prompt"} & {one.name for one in found.settings}
    again = row("ssr-m3", found=result(options={"prompt": "short"}), prompt_hash="other")
    (warning,) = _gather([*asked, again]).warnings
    assert "prompts of gsm8k named short" in warning


@pytest.mark.parametrize("folder", ["/home/somebody/models/", "C:\\Users\\somebody\\"])
def test_folders_above_a_file_are_not_handed_on(folder: str) -> None:
    moved = structs.replace(model("large-target"), file=f"{folder}large.gguf")
    options = {"strategies": f"{folder}mine.toml"}
    found = _gather([row(found=result(models=Models(None, moved), options=options))])
    assert ("strategies", ("mine.toml",)) in [(s.name, s.values) for s in found.settings]
    assert "large.gguf" in [file.file for file in found.models]
    assert not any("somebody" in file.file for file in found.models)
