"""From the same rows the same figures as version 0.1.0, whose reports are in ``data``.

"real" is a directory of ``bench run --task selfcheck --limit 8 --max-tokens 256 --threads 1
--methods target,draft,ssr-m2,ssr-m2+random`` with the default pair, on a busy machine; "made" is
larger, and holds what that does not: repeats, batches, intervals.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ssr_local.bench.records import Row
from ssr_local.bench.report.figures import build_report, report_json
from ssr_local.cli.bench.results import read_rows
from tests.unit.bench.report.made_rows import small_evaluation

DATA = Path(__file__).parent / "data"
GONE = (
    *(".text", ".meaning", ".of_what", ".orders", ".lengths", ".rates", ".majority"),
    *(".strategies", ".positions", ".decode_correlation", ".total_correlation"),
    *(".material.tasks", ".target.accuracy", ".target.target_accuracy", ".target.same_runs"),
)
"""Sentences of 0.1.0, some worded anew, and figures that reports no longer have."""
NEW = (".predicted_s", ".baseline")
"""Figures that reports of 0.1.0 do not have."""


def rows(name: str) -> list[Row]:
    return small_evaluation() if name == "made" else read_rows((DATA / name,))


def figures(value: Any, path: str = "") -> dict[str, Any]:
    """Every figure by where it stands."""
    if isinstance(value, dict):
        parts = {f"{path}.{name}": part for name, part in value.items()}
    elif isinstance(value, list) and value:
        parts = {f"{path}.{index}": part for index, part in enumerate(value)}
    else:
        return {path: value}
    kept = ((name, part) for name, part in parts.items() if not name.endswith(GONE + NEW))
    return {key: one for name, part in kept for key, one in figures(part, name).items()}


@pytest.mark.parametrize("name", ["real", "made"])
def test_the_same_figures_as_0_1_0(name: str) -> None:
    before = json.loads((DATA / name / "report.json").read_bytes())
    now = json.loads(report_json(build_report(rows(name))))
    for old, new in zip(before["tasks"], now["tasks"], strict=True):
        decided = [one["method"] for one in old["plain"]["findings"]]  # 0.1.0: of plain SSR alone
        findings = new["plain"]["findings"]
        findings[:] = [one for one in findings if one["method"] in decided]
    assert figures(now) == {
        path: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
        for path, value in figures(before).items()
    }
