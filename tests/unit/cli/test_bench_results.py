"""Labelled steps of several directories."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ssr_local.bench.records import Walk
from ssr_local.bench.store import WALKS
from ssr_local.cli.bench.results import read_walks
from tests.unit.bench.labels.made_walks import step, walk


def _folder(path: Path, *walks: Walk) -> Path:
    path.mkdir()
    (path / WALKS).write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in walks))
    return path


def test_a_problem_counts_once_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = _folder(tmp_path / "a", walk("1", [step()]), walk("2", [], error="broken"))
    second = _folder(
        tmp_path / "b", walk("1", [step(True)]), walk("2", [step()]), walk("1", [], task="math500")
    )
    found = read_walks([first, second])
    assert [(one.task, one.problem, len(one.steps)) for one in found] == [
        ("gsm8k", "1", 1),
        ("gsm8k", "2", 1),
        ("math500", "1", 0),
    ]
    assert found[0].steps[0].after.right == 5
    assert "2 walks" in capsys.readouterr().err
    assert read_walks([first, first]) == read_walks([first])
    capsys.readouterr()
    read_walks([first])
    assert capsys.readouterr().err == ""
