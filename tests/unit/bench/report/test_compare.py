"""Two reports side by side."""

from __future__ import annotations

import re
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
    second = outcomes("target", "+++-", seconds=5.0) + outcomes("ssr-m3", "++++")
    text = _text(first, second)
    assert "| target | 25.0 | 0.50 |" in text
    assert re.search(r"\| one \| target \| .* \| 50 % \[15, 85\] \|", text)
    assert re.search(r"\| a\\\|b \| target \| .* \| 75 % \[30, 95\] \|", text)
    assert "draft |" not in text.partition("## gsm8k")[2]
    assert r"Methods on one side: only in one draft; only in a\|b ssr-m3." in text
    assert "Tasks on one side" not in text
    assert "Different" not in text


METHODS = ("target", "draft", "specreason", "parallel-3", "ssr-m3")


def _methods(seconds: float) -> list[Row]:
    return [
        row(
            method,
            f"p{n}",
            found=result(target_tokens=100 * (index + 1), prefill=100),
            seconds=10.0 + seconds * index + n,
        )
        for index, method in enumerate(METHODS)
        for n in range(12)
    ]


def test_flops_and_time_stand_beside_the_target_for_both() -> None:
    text = _text(_methods(5.0), _methods(-2.0))
    assert re.search(r"\| ssr-m3, one \|.*\| 5.00 \| 3.00 \| 2.29 \[", text)
    assert re.search(r"\| ssr-m3, a\\\|b \|.*\| 5.00 \| 3.00 \| 0.48 \[", text)
    correlations = text.partition("(Spearman's ρ)")[2]
    assert re.search(r"\| one \|.*\| 1.00 \| 1.00 \|", correlations)
    assert re.search(r"\| a\\\|b \|.*\| -1.00 \| -1.00 \|", correlations)


def test_tasks_on_one_side_are_named() -> None:
    text = _text([row(), row(task="logic")], [row(), row(concurrency=4)])
    assert r"Tasks on one side: only in one logic; only in a\|b gsm8k, 4 problems at once." in text


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
    warnings = text[: text.index("| :--")]
    assert told in warnings
    assert warnings.count("\n- ") == 1


def test_another_machine_and_version_are_shown_and_no_warning() -> None:
    text = _text([row()], [row(machine="B machine", version="9.9")])
    assert "B machine" in text
    assert "9.9" in text
    assert "\n- " not in text


def test_other_tasks_may_have_other_prompts() -> None:
    text = _text([row()], [row(), row(task="logic", prompt_hash="other")])
    assert "Different prompts" not in text


def test_nothing_in_common_is_said() -> None:
    assert "no task in common" in _text([row()], [row(task="logic")])
    assert "No method in common." in _text([row("target")], [row("draft")])
    # Latency and throughput are two different things.
    assert "no task in common" in _text([row()], [row(concurrency=4)])
