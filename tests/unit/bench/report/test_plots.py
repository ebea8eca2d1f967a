"""The plots: files that are there, are pictures, and show what there are figures for."""

from __future__ import annotations

import struct
from pathlib import Path

from ssr_local.bench.report.figures import build_report
from ssr_local.bench.report.plots import pictures, write_plots
from ssr_local.bench.report.tables import report_markdown
from tests.unit.bench.report.made_rows import outcomes


def test_every_plot_is_a_picture_and_embedded_in_the_report(tmp_path: Path) -> None:
    # Names come from files: a dollar sign starts no formula.
    rows = outcomes("target", "+-+-+-", task="a $x_{ b", seconds=3.0)
    report = build_report(rows)
    files = write_plots(report, tmp_path)
    assert [path.name for path in files] == ["accuracy-time-a-x-b.png", "accuracy-flops-a-x-b.png"]
    text = report_markdown(report)
    for path in files:
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        assert data.endswith(b"IEND\xaeB`\x82")
        width, height = struct.unpack(">II", data[16:24])
        assert width > 600
        assert height > 300
        assert len(data) > 10_000
        assert f"]({path.name})" in text


def test_without_figures_there_is_no_plot(tmp_path: Path) -> None:
    assert write_plots(build_report([]), tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_file_names_are_safe_and_different() -> None:
    tasks = ("../../etc/passwd", "etc passwd", "問題", "gsm8k")
    rows = [one for task in tasks for one in outcomes("target", "++", task=task)]
    rows += outcomes("target", "++", task="gsm8k", concurrency=4)
    names = [picture.file for picture in pictures(build_report(rows))]
    assert len(set(names)) == len(names)
    assert {name for name in names if name.startswith("accuracy-time")} == {
        "accuracy-time-etc-passwd.png",
        "accuracy-time-etc-passwd-2.png",
        "accuracy-time-task.png",
        "accuracy-time-gsm8k.png",
        "accuracy-time-gsm8k-at-once-4.png",
    }
