"""Results that survive kills, damaged lines and second writers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local.bench.records import Row
from ssr_local.bench.store import ROWS, open_for_writing
from ssr_local.core.errors import SSRError, UsageError
from ssr_local.core.line_file import read_lines
from tests.unit.bench.report import made_rows

COMMON = {"seed": 0, "max_tokens": 100}


def row(problem: str) -> Row:
    return made_rows.row(problem=problem, machine="m \U0001f600")


def write(folder: Path, *rows: Row) -> None:
    with open_for_writing(folder, ROWS, Row, COMMON) as file:
        for one in rows:
            file.append(one)


def problems(folder: Path) -> list[str]:
    return [one.problem for one in read_lines(folder / ROWS, Row)]


def test_rows_come_back_and_more_are_added(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "er"
    assert problems(folder) == []
    write(folder, row("a"), row("b"))
    with open_for_writing(folder, ROWS, Row, COMMON) as file:
        assert file.lines == [row("a"), row("b")]
        file.append(row("c"))
        assert file.lines[-1] == row("c")
    assert problems(folder) == ["a", "b", "c"]


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_file_cut_anywhere_goes_on_after_its_last_whole_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    write(folder, row("a"), row("b"), row("c"))
    whole = (folder / ROWS).read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    (folder / ROWS).write_bytes(whole[:cut])
    left = whole[:cut].count(b"\n")
    assert problems(folder) == ["a", "b", "c"][:left]
    write(folder, row("d"))
    assert problems(folder) == [*["a", "b", "c"][:left], "d"]


@pytest.mark.parametrize("line", [b"{}\n", b"nonsense\n", b"\xff\n"])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    write(tmp_path, row("a"))
    with (tmp_path / ROWS).open("ab") as file:
        file.write(line)
    with pytest.raises(UsageError, match=r"rows\.jsonl, line 2"):
        problems(tmp_path)


@pytest.mark.parametrize("other", [{"seed": 1}, {"max_tokens": None}])
def test_one_file_is_one_experiment(tmp_path: Path, other: dict[str, object]) -> None:
    write(tmp_path, row("a"))
    with (
        pytest.raises(UsageError, match=f"begun with {next(iter(other))} = "),
        open_for_writing(tmp_path, ROWS, Row, COMMON | other),
    ):
        pass
    # An option of a later version locks nobody out.
    with open_for_writing(tmp_path, ROWS, Row, COMMON | {"more": 1}) as file:
        file.append(row("b"))
    assert problems(tmp_path) == ["a", "b"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_is_said_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_for_writing(tmp_path, ROWS, Row, COMMON) as file:
        file.append(row("a"))
        with Path("/dev/full").open("ab", buffering=0) as full:
            monkeypatch.setattr(file, "_file", full)
            with pytest.raises(SSRError, match="run the same command again"):
                file.append(row("b"))
    write(tmp_path, row("c"))
    assert problems(tmp_path) == ["a", "c"]


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be used"):
        write(tmp_path / "file", row("a"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
