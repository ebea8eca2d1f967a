"""Runs as files: named safely, written whole or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local.core.errors import UsageError
from ssr_local.pages.run_report import as_markdown
from ssr_local_tui.export import save, suggested_name
from tests.unit.core.test_tree import grown, log
from tests.unit.test_run_report import started


@pytest.mark.parametrize(
    ("problem", "seed", "name"),
    [
        ("How many did she sell, in all of May?", 7, "ssr-how-many-did-she-sell-in-seed7.md"),
        ("How many?", None, "ssr-how-many.md"),
        ("", 0, "ssr-run-seed0.md"),
        ("../../etc/passwd", 1, "ssr-etc-passwd-seed1.md"),
        ("C:\\con\x00 | <x> \"y\" *?", 1, "ssr-c-con-x-y-seed1.md"),
        ("\x1b]0;title\x07-rf $x^2$\n", 1, "ssr-rf-x-2-seed1.md"),
        ("CON", None, "ssr-con.md"),
        ("你好 世界", 3, "ssr-你好-世界-seed3.md"),
        ("a" * 5000, 3, "ssr-" + "a" * 48 + "-seed3.md"),
        ("\u202eevil", "a/b", "ssr-evil.md"),
    ],
)  # fmt: skip
def test_the_suggested_name(problem: str, seed: str | int | None, name: str) -> None:
    event = msgspec.structs.replace(started(problem), options={"seed": seed})
    assert suggested_name(grown([event]), "md") == name


@given(st.text())
@settings(deadline=None)
def test_any_problem_gives_a_safe_name(problem: str) -> None:
    name = suggested_name(grown([started(problem)]), "svg")
    assert re.fullmatch(r"ssr-[\w-]+\.svg", name)
    assert len(name.encode()) <= 255


def test_a_file_that_is_there_stays_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    tree, file, link = grown(log()), tmp_path / "run.md", tmp_path / "link.md"
    file.write_text("mine")
    link.symlink_to(tmp_path / "nowhere")
    for path in (file, link, tmp_path):
        with pytest.raises(UsageError, match="exists already"):
            save(tree, "md", path, None)
    assert file.read_text() == "mine"
    save(tree, "md", file, None, overwrite=True)
    assert file.read_text() == as_markdown(tree)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link.md", "run.md"]


def test_what_cannot_be_written_is_named_and_changes_nothing(tmp_path: Path) -> None:
    tree = grown(log())
    (tmp_path / "file").write_text("mine")
    for path in (
        tmp_path / "no" / "run.md",
        tmp_path / "file" / "run.md",
        tmp_path / ("x" * 300),
        tmp_path / "a\x00b",
    ):
        with pytest.raises(UsageError, match="cannot be written") as caught:
            save(tree, "md", path, None)
        assert path.name.replace("\x00", "?") in caught.value.what
        assert caught.value.why
        assert caught.value.next_step
        assert all(line.isprintable() for line in str(caught.value).split("\n"))
    with pytest.raises(UsageError, match="cannot be written"):
        save(tree, "md", tmp_path, None, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("failing", ["ssr_local_tui.export.os.fsync", "pathlib.Path.replace"])
def test_a_failed_write_leaves_the_old_file(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "run.md"
    file.write_text("mine")
    monkeypatch.setattr(failing, full)
    with pytest.raises(UsageError, match="No space left on device"):
        save(grown(log()), "md", file, None, overwrite=True)
    assert file.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.md"]


def test_what_a_format_needs_and_is_not_there(tmp_path: Path) -> None:
    whole_run, cut = grown(log()), grown(log()[:9])
    for tree, fmt, source, words in (
        (whole_run, "jsonl", None, "no event log"),
        (whole_run, "jsonl", tmp_path / "gone.jsonl", "gone.jsonl cannot be read"),
        (cut, "json", None, "not ended"),
        (cut, "pdf", None, "no format 'pdf'"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            save(tree, fmt, tmp_path / "out", source)
        assert caught.value.next_step
    with pytest.raises(UsageError, match="no format"):
        suggested_name(cut, "exe")
    assert list(tmp_path.iterdir()) == []
