"""Labelled steps of several directories."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ssr_local.bench.records import Walk
from ssr_local.bench.store import WALKS
from ssr_local.cli.bench.results import read_walks
from ssr_local.core.errors import UsageError
from ssr_local.core.records import ModelInfo, Models
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


def test_one_directory_alone_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(read_walks([_folder(tmp_path / "a", walk("1", []), walk("2", []))])) == 2
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("needed", [True, False])
def test_steps_of_several_pairs_are_refused(tmp_path: Path, needed: bool) -> None:
    folders = []
    for name in ("one", "two"):
        target = ModelInfo(
            name=name, file="", sha256=None, num_parameters=1, num_vocab=1, num_ctx=1, device=""
        )
        folders.append(_folder(tmp_path / name, walk(name, [], models=Models(target=target))))
    with pytest.raises(UsageError, match="one and two"):
        read_walks(folders, needed=needed)
    assert len(read_walks(folders[:1], needed=needed)) == 1
