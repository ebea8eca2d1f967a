"""The whole report: against golden files, and on any rows there can be.

To write the golden files anew after a wanted change: SSR_LOCAL_WRITE_GOLDEN=1 pytest FILE
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssr_local.bench.records import Row
from ssr_local.bench.report.compare import compare_markdown
from ssr_local.bench.report.document import report_markdown
from ssr_local.bench.report.figures import Report, build_report, report_json
from ssr_local.core.records import Calibration
from tests.unit.bench.report.made_rows import (
    outcomes,
    result,
    row,
    small_evaluation,
    small_walks,
)

GOLDEN = Path(__file__).parent / "golden"
CALIBRATIONS = {
    "yes-no": Calibration(
        knots=((0.55, 0.0), (0.72, 9.0)), mean=0.68, deviation=0.05, wording="correct"
    ),
    "likelihood": Calibration(knots=((-0.5, 0.0), (-0.1, 9.0)), mean=-0.2, deviation=0.2),
    "combined": Calibration(knots=((-2.0, 0.0), (1.0, 9.0))),
}


@cache
def small_report() -> Report:
    return build_report(small_evaluation(), small_walks(), calibrations=CALIBRATIONS)


def _check(name: str, found: str) -> None:
    path = GOLDEN / name
    if os.environ.get("SSR_LOCAL_WRITE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_report_md_is_the_golden_one() -> None:
    _check("report.md", report_markdown(small_report()))


def _rounded(value: Any) -> Any:
    """Twelve digits: the last ones are the processor's."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value


def test_report_json_is_the_golden_one() -> None:
    found = _rounded(json.loads(report_json(small_report())))
    _check("report.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def test_the_order_of_rows_changes_nothing() -> None:
    rows = small_evaluation()
    assert report_json(build_report(rows[::-1])) == report_json(build_report(rows))


def test_sections_stand_in_their_order() -> None:
    text = report_markdown(small_report())
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles[0] == "## What was run"
    assert [title.split(".")[0] for title in titles[1:]] == [f"## {n}" for n in range(1, 8)]
    assert text.index("On this machine with this pair") < text.index("## What was run")


def test_no_rows_make_a_report_too() -> None:
    text = report_markdown(build_report([]))
    assert text.count("No rows.") == 6
    assert "No labelled steps" in text


def test_without_plots_no_picture_is_embedded() -> None:
    assert "![" in report_markdown(small_report())
    assert "![" not in report_markdown(small_report(), plots=False)


def test_hostile_names_stay_names() -> None:
    name = "<img src=x>|`$(rm)`\n## 9. Mine\x1b[2J [a](http://b.c)"
    rows = [
        row("target", name, "missing", task=name, found=result(answer=None), subject=name),
        row("ssr-m3", name, "failed", task=name, machine=name),
    ]
    text = report_markdown(build_report(rows))
    assert "<img" not in text
    assert "\x1b" not in text
    assert "\n## 9" not in text
    assert "[a](" not in text
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in lines}) <= 1
    assert "&lt;img" in text


ROWS = small_evaluation() + outcomes("something else", "+-!?.")


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(range(len(ROWS))), max_size=40), st.integers(0, 3))
def test_any_rows_make_a_valid_report(places: list[int], num_walks: int) -> None:
    rows: list[Row] = [ROWS[place] for place in places]
    report = build_report(rows, small_walks()[:num_walks])
    encoded = report_json(report).decode()

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in the JSON")

    json.loads(encoded, parse_constant=refuse)
    text = report_markdown(report)
    assert "nan" not in text.lower().split()
    assert "None" not in text
    compare_markdown(report, small_report(), ("one", "two"))


@pytest.mark.parametrize("seconds", [0.0, 1e-9])
def test_runs_that_took_no_time_make_a_report(seconds: float) -> None:
    rows = outcomes("target", "+-+", seconds=seconds) + outcomes("ssr-m3", "+-+", seconds=seconds)
    assert "## 7" in report_markdown(build_report(rows))
