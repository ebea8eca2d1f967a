"""Two reports side by side."""

from __future__ import annotations

from typing import Any

import pytest

from ssr_local.bench.records import Row
from ssr_local.bench.report.compare import compare_markdown
from ssr_local.bench.report.figures import build_report
from ssr_local.core.records import Models
from tests.unit.bench.report.made_rows import PAIR, model, outcomes, result, row


def _text(first: list[Row], second: list[Row]) -> str:
    return compare_markdown(build_report(first), build_report(second), ("one", "a|b"))


def test_methods_stand_side_by_side_with_their_differences() -> None:
    first = outcomes("target", "+-+-", seconds=10.0) + outcomes("draft", "+---", seconds=2.0)
    second = outcomes("target", "+++-", seconds=5.0) + outcomes("draft", "+-+-", seconds=2.0)
    cells = [
        [cell.strip() for cell in line.split(" | ")]
        for line in _text(first, [*second, row("ssr-m3")]).splitlines()
        if line.startswith("| gsm8k")
    ]
    assert [line[1:6] for line in cells] == [
        ["target", "25.0", "0.50", "50 % [15, 85], 75 % [30, 95]", "-, -"],
        ["draft", "25.0", "1.00", "25 % [5, 70], 50 % [15, 85]", "0.20, 0.40"],
    ]


MOVED = Models(PAIR.draft, model("large-target", sha256="ef" * 32))


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"found": result(models=MOVED)}, "Different models (target model)"),
        ({"prompt_hash": "other"}, "Different prompts"),
        ({"found": result(options={"max_tokens": 9})}, "Different options: max\\_tokens."),
        ({"problem": "p2"}, "gsm8k: not the same problems (0 in common of 1 and 1)"),
    ],
)
def test_what_makes_two_directories_incomparable_is_told(second: dict[str, Any], told: str) -> None:
    text = _text([row()], [row(**second)])
    assert told in text
    assert text.count("\n- ") == 1


def test_different_baselines_are_told() -> None:
    text = _text([row()], [row("target+prompt=first")])
    assert "different baselines (target, target+prompt=first)" in text


def test_other_tasks_may_have_other_prompts() -> None:
    text = _text([row()], [row(), row(task="logic", prompt_hash="other")])
    assert "Different prompts" not in text


def test_nothing_in_common_is_said() -> None:
    # Latency and throughput are two different things.
    for other in (row(task="logic"), row("draft"), row(concurrency=4)):
        assert "No method in common." in _text([row()], [other])
