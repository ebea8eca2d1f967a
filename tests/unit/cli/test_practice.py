"""``ssr-local practice``, with the demonstration's models."""

from __future__ import annotations

import json
import sqlite3

from tests.unit.cli.program import Program

DEMO = ("--pair", "demo", "--no-vote")


def test_a_problem_that_went_wrong_comes_back(program: Program) -> None:
    assert program.here("practice").stderr == b"Nothing is due.\n"
    assert program.here("practice", "--number", "3").returncode == 1
    wrong = program.here("check", "Two twos?", *DEMO, "--steps", "-", stdin=b"2 * 2 = 5")
    assert b"In practice: it comes back on" in wrong.stderr
    (listed,) = json.loads(program.here("practice", "--list", "--json").stdout)
    assert listed["problem"] == "Two twos?"
    assert program.here("practice").stderr == b"Nothing is due.\n"  # not today

    (file,) = program.folder.rglob("history.sqlite3")
    with sqlite3.connect(file) as database:
        database.execute("UPDATE practice SET due = '2020-01-01T00:00:00.000+00:00'")
    assert program.here("practice").stdout == b"Two twos?\n"
    again = program.here("practice", *DEMO, "--steps", "-", stdin=b"2 * 2 = 5")
    assert again.returncode == 1
    good = program.here("practice", "--number", "1", *DEMO, "--steps", "-", stdin=b"2 * 2 = 4")
    assert good.returncode == 0
    assert b"It comes back on" in good.stderr
    assert b"Two twos?" in program.here("practice", "--list").stdout
    assert program.here("practice", "--drop", "--number", "1").returncode == 0
    assert program.here("practice", "--list", "--json").stdout == b"[]\n"


def test_how_it_could_go_is_shown_only_when_asked(program: Program) -> None:
    problem, wrong = "A farm has hens and cows. How many hens?", b"Heads: 2 + 2 = 5"
    program.here("check", problem, *DEMO, "--steps", "-", stdin=wrong)
    asked = ("practice", "--number", "1", *DEMO, "--steps", "-")
    assert b"It could go like this:" not in program.here(*asked, stdin=wrong).stdout
    assert b"It could go like this:" in program.here(*asked, "--reveal", stdin=wrong).stdout


def test_nothing_is_kept_when_that_is_not_wanted(program: Program) -> None:
    program.here("check", "Two twos?", *DEMO, "--steps", "-", stdin=b"2 * 2 = 5")
    before = program.here("practice", "--list", "--json").stdout
    asked = ("practice", "--number", "1", *DEMO, "--steps", "-")
    unsaved = program.here(*asked, "--no-save", stdin=b"2 * 2 = 4")
    assert unsaved.returncode == 0
    assert b"Nothing is kept of it: it comes back on" in unsaved.stderr
    assert b", as before." in unsaved.stderr
    program.configure("[history]\nsave = false\n")
    assert b"Nothing is kept" in program.here(*asked, stdin=b"2 * 2 = 4").stderr
    assert program.here("practice", "--list", "--json").stdout == before
    assert len(json.loads(program.here("history", "list", "--json").stdout)) == 1
