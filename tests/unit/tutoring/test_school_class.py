"""A class's solutions: a table in, a report out, and nothing checked twice."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ssr_local import SolveOptions, Solver, UsageError
from ssr_local.core.errors import SSRError
from ssr_local.tutoring.school_class import (
    CHECKED,
    REPORT,
    REPORT_TABLE,
    Checked,
    Solution,
    check_class,
    read_class,
)

SOLUTIONS = [
    Solution("Ada", "Twelve fours?", "12 * 4 = 48\n\nThe answer is 48."),
    Solution("=Bob", "Twelve fours?", "12 * 4 = 46\n\nThe answer is 46."),
    Solution("Cy|d", "Twelve fours?", "x\n\n" * 201),
    Solution("Eve", "Twelve fours?", ""),
]


def checked_in(folder: Path, solver: Solver, solutions: list[Solution], **how: Any) -> list[str]:
    """The students whose solutions were checked now."""
    seen: list[Checked] = []
    how = {"options": SolveOptions(), "with_vote": False, "on_checked": seen.append} | how
    check_class(solutions, folder, solver=solver, **how)
    return [one.student for one in seen]


def test_a_class_is_checked_and_reported(tmp_path: Path, solver: Solver) -> None:
    assert checked_in(tmp_path / "out", solver, SOLUTIONS) == ["Ada", "=Bob", "Cy|d", "Eve"]
    with (tmp_path / "out" / REPORT_TABLE).open(encoding="utf-8-sig", newline="") as file:
        header, ada, bob, cyd, eve = csv.reader(file)
    assert header[0] == "student"
    assert ada[:4] == ["Ada", "Twelve fours?", "2", ""]
    assert bob[0] == "'=Bob"  # no formula
    assert bob[3] == "1"
    assert "48 is not 46" in bob[4]
    assert "201 steps" in cyd[4]
    assert "no steps" in eve[4]
    report = (tmp_path / "out" / REPORT).read_text(encoding="utf-8")
    assert "4 solutions, 1 of them without a step that was refused." in report
    assert r"| Cy\|d |" in report


def test_what_was_checked_is_not_checked_again(tmp_path: Path, solver: Solver) -> None:
    assert checked_in(tmp_path, solver, SOLUTIONS[:1]) == ["Ada"]
    with (tmp_path / CHECKED).open("ab") as file:
        file.write(b'{"key":"half a li')  # killed while it wrote
    assert checked_in(tmp_path, solver, SOLUTIONS) == ["=Bob", "Cy|d", "Eve"]
    # What could not be checked is tried again.
    assert checked_in(tmp_path, solver, SOLUTIONS) == ["Cy|d", "Eve"]
    assert checked_in(tmp_path, solver, SOLUTIONS[:2]) == []


def test_another_way_of_checking_is_another_check(tmp_path: Path, solver: Solver) -> None:
    ada, other = SOLUTIONS[:1], SolveOptions(threshold=5.0)
    assert checked_in(tmp_path, solver, ada) == ["Ada"]
    assert checked_in(tmp_path, solver, ada, verifier="likelihood") == ["Ada"]
    assert checked_in(tmp_path, solver, ada, options=other) == ["Ada"]
    assert checked_in(tmp_path, solver, ada) == []


def test_two_at_once_are_refused_and_a_foreign_file_named(tmp_path: Path, solver: Solver) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(UsageError, match="in use"):
        checked_in(tmp_path, solver, SOLUTIONS)
    (tmp_path / CHECKED).write_text("not json\n")
    with pytest.raises(SSRError, match="line 1: nothing that ssr-local wrote"):
        checked_in(tmp_path, solver, SOLUTIONS)


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_tables_as_spreadsheets_write_them(sign: str, tmp_path: Path) -> None:
    file = tmp_path / "class.csv"
    rows = [
        ["Student", "Notes", "Problem", "Solution"],
        ["Ada", "-", "2 + 2?", "2 + 2\n\n= 4", ""],
    ]
    with file.open("w", encoding="utf-8-sig", newline="") as handle:
        csv.writer(handle, delimiter=sign).writerows(rows)
    assert read_class(file) == [Solution("Ada", "2 + 2?", "2 + 2\n\n= 4")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"student,problem\nAda,x\n", "no column 'solution'"),
        (b"", "no column 'student'"),
        (b"student,problem,solution\n", "no solutions"),
        (b"student,problem,solution\nAda,Add 1, 2 and 3,6\n", "line 2: it has 4 cells"),
        (b'student,problem,solution\nAda,x,"1\n2"\nBob,a,b,c\n', "line 4: it has 4 cells"),
        (b'student,problem,solution\nAda,x,"' + b"1" * 200_000 + b'"\n', "is no table"),
        (b"student,problem,solution\nAda,\xff,x\n", "not UTF-8"),
    ],
)
def test_what_is_no_such_table_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "class.csv"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        read_class(file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_class(tmp_path / "nowhere.csv")
