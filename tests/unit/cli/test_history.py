"""``ssr-local history``: what the other commands kept."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.program import Program

PROBLEM = "A farm has hens and cows."


def entries(program: Program) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(program.here("history", "list", "--json").stdout)
    return found


def test_everything_is_kept_listed_found_shown_exported_and_removed(program: Program) -> None:
    program.here("solve", "--pair", "demo", PROBLEM)
    steps = b"So 2 + 2 = 5.\n"
    program.here("check", "--pair", "demo", "Two twos?", "--steps", "-", "--no-vote", stdin=steps)
    program.here("hint", "--pair", "demo", PROBLEM)
    kinds = [(one["id"], one["kind"], one["status"]) for one in entries(program)]
    assert kinds == [(3, "hint", "given"), (2, "check", "wrong step"), (1, "run", "answered")]

    listed = program.here("history", "list").stdout.decode()
    assert f"run    answered  {PROBLEM} → 18" in listed
    assert "    2" in program.here("history", "search", "twos").stdout.decode()

    shown = program.here("history", "show", "1").stdout.decode()
    assert "Let h be the number of hens" in shown
    assert "18" in shown
    assert "4 is not 5" in program.here("history", "show", "2").stdout.decode()
    assert "Try this" in program.here("history", "show", "3").stdout.decode()

    result = json.loads(program.here("history", "export", "1").stdout)
    assert result["result"]["answer"] == "18"
    done = program.here("history", "export", "1", "--format", "jsonl", "--out", "run.jsonl")
    assert done.returncode == 0
    assert b"18" in program.here("replay", "run.jsonl").stdout
    assert program.here("history", "export", "1", "--out", "run.jsonl").returncode == 2
    assert program.here("history", "export", "3", "--format", "jsonl").returncode == 2

    assert "3 entries" in program.here("history", "stats").stdout.decode()
    assert program.here("history", "rm", "1", "9").returncode == 1
    assert len(entries(program)) == 3
    program.here("history", "rm", "1", "3")
    assert [one["id"] for one in entries(program)] == [2]


@pytest.mark.parametrize("how", ["option", "config"])
def test_nothing_is_kept_when_that_is_wanted(how: str, program: Program) -> None:
    more = ["--no-save"] if how == "option" else []
    if how == "config":
        program.configure("[history]\nsave = false\n")
    assert program.here("solve", "--pair", "demo", PROBLEM, *more).stdout == b"18\n"
    assert not list(program.folder.rglob("history.sqlite3"))


def test_a_history_that_cannot_be_used_stops_no_run(program: Program) -> None:
    program.here("solve", "--pair", "demo", PROBLEM)
    (file,) = program.folder.rglob("history.sqlite3")
    file.unlink()
    file.mkdir()
    done = program.here("solve", "--pair", "demo", PROBLEM)
    assert (done.returncode, done.stdout) == (0, b"18\n")
    assert b"Not saved: The history" in done.stderr
    assert program.here("history", "list").returncode == 1


def test_a_wrong_problem_is_no_entry(program: Program) -> None:
    assert program.here("solve", "--pair", "demo", "  ").returncode == 2
    assert program.here("history", "list", "--json").stdout == b"[]\n"
