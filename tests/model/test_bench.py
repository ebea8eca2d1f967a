"""The two smallest real benches: two rows with a report, and one problem's labelled steps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ssr_local.bench.records import Row, Walk
from ssr_local.bench.store import ROWS, WALKS
from ssr_local.core.line_file import read_lines
from ssr_local.method.prompts import QUESTIONS

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("default_pair")]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "ssr_local", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_two_rows_and_their_report(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    arguments = ("--task", "selfcheck", "--methods", "target,ssr-m3", "--limit", "1")
    bench("run", *arguments, "--out", out, "--max-tokens", "300")
    target, ssr = read_lines(tmp_path / "out" / ROWS, Row)
    assert (target.method, ssr.method) == ("target", "ssr-m3")
    assert target.seed == ssr.seed
    assert target.result is not None
    assert ssr.result is not None
    assert ssr.result.num_drafted > 0
    assert 0 < target.elapsed_s < 600
    alone, together = target.result.models.target, ssr.result.models.target
    assert alone is not None
    assert together is not None
    assert alone.sha256
    assert alone.sha256 == together.sha256
    assert ssr.result.models.draft is not None
    bench("report", out)
    figures = json.loads((tmp_path / "out" / "report.json").read_bytes())
    (task,) = figures["tasks"]
    ratio = task["methods"][1]["target"]["time"]["value"]
    assert ratio == pytest.approx(ssr.elapsed_s / target.elapsed_s)
    assert (tmp_path / "out" / "report.md").read_text().startswith("# ")


def test_one_problems_labelled_steps(tmp_path: Path) -> None:
    data = tmp_path / "one.jsonl"
    data.write_text(json.dumps({"id": "own/1", "problem": "What is 12 + 35?", "answer": "47"}))
    arguments = ("--task", "gsm8k", "--data", str(data), "--out", str(tmp_path / "out"))
    bench("steps", *arguments, "--samples", "2", "--max-drafted", "2", "--max-tokens", "200")
    (walk,) = read_lines(tmp_path / "out" / WALKS, Walk)
    assert walk.start.num == 2
    assert walk.start.right > 0
    assert walk.steps
    questions = set(map("/".join, QUESTIONS))
    for step in walk.steps:
        assert all(value <= 0 for value in step.log_probs)
        assert set(step.probes) == questions
        assert any(value > -5 for values in step.probes.values() for value in values)
