"""Problems come back later the better they go."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ssr_local.core.errors import HistoryError
from ssr_local.history.database import open_database
from ssr_local.history.practice import Practice
from ssr_local.history.store import History

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_only_what_went_wrong_comes_into_practice(tmp_path: Path) -> None:
    with History(tmp_path / "h.sqlite3") as history:
        practice = Practice(history)
        assert practice.solved("easy", good=True, now=START) is None
        assert practice.problems() == []
        due = practice.solved("hard", good=False, now=START)
        assert due is not None
        assert (due.problem, due.num_reviews) == ("hard", 1)
        assert practice.problem(due.number) == due
    with History(tmp_path / "h.sqlite3") as history:
        assert Practice(history).problems() == [due]
        Practice(history).drop(due.number)
        assert Practice(history).problems() == []
        with pytest.raises(HistoryError, match="no problem 1 in practice"):
            Practice(history).drop(due.number)


def test_every_good_solution_puts_it_off_for_longer_and_a_wrong_one_brings_it_near(
    tmp_path: Path,
) -> None:
    with History(tmp_path / "h.sqlite3") as history:
        practice = Practice(history)
        now, gaps = START, []
        for good in (False, True, True, True, True, False):
            due = practice.solved("p", good=good, now=now)
            assert due is not None
            when = datetime.fromisoformat(due.due)
            gaps.append(when - now)
            now = when
    assert gaps[0] >= timedelta(days=1)  # not today
    assert gaps[:5] == sorted(gaps[:5])
    assert gaps[4] > 3 * gaps[1]
    assert gaps[5] < gaps[4] / 2


def test_the_first_due_stands_in_front(tmp_path: Path) -> None:
    with History(tmp_path / "h.sqlite3") as history:
        practice = Practice(history)
        practice.solved("later", good=False, now=START + timedelta(days=9))
        practice.solved("first", good=False, now=START)
        assert [one.problem for one in practice.problems()] == ["first", "later"]
        assert all(one.is_due for one in practice.problems())
        future = datetime.now(timezone.utc) + timedelta(days=5)
        practice.solved("first", good=True, now=future)
        assert [one.is_due for one in practice.problems()] == [True, False]


def test_a_history_of_the_first_version_gets_the_table(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite3"
    with History(file) as history:
        history.begin("run", "kept")
    with sqlite3.connect(file) as database:
        database.execute("DROP TABLE practice")
        database.execute("PRAGMA user_version = 1")
    connection, notice = open_database(file)
    connection.close()
    assert notice == ""
    with History(file) as history:
        assert [entry.problem for entry in history.entries()] == ["kept"]
        assert Practice(history).problems() == []
