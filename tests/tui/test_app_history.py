"""What was done before, in the app."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from textual.widgets import Input, OptionList, TextArea

from ssr_local import Solver
from ssr_local.core.errors import HistoryError
from ssr_local.history.practice import Practice
from ssr_local.history.store import History
from ssr_local.tutoring.checking import check
from tests.tui.pilot import TIMEOUT_S
from tests.tui.sitting import PROBLEM, Sitting, sit

STEPS = (
    "Let h be the number of hens and c the number of cows.\n\n"
    "Heads give h + c = 30, and legs give 2h + 4c = 84."
)


async def open_history(at: Sitting, words: str) -> None:
    """Open the dialog, and wait until it shows the words."""
    await at.press("escape", "h")
    await at.until_on("HistoryScreen")
    await at.until_shows(words)


def test_a_run_is_kept_found_opened_and_taken_up_again(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.solve("Another farm.")
        await at.solve()
        await open_history(at, "Another farm.")
        at.app.screen.query_one("#words", Input).value = "anoth"
        await at.until(lambda: len(at.app.screen.query_one(OptionList).options) == 1)
        await at.press("enter")
        await at.until_on("MainScreen")
        await at.ended()
        assert at.tree.problem == "Another farm."
        await at.until_shows("Answer: 18")
        await at.until_shows("[replay, at once]")
        feed = at.app.runs.feed
        assert feed is not None
        assert feed.recorded is not None
        logs.append(feed.recorded)
        await open_history(at, PROBLEM)
        await at.press("f5")
        await at.until_on("MainScreen")
        assert at.input.text == PROBLEM
        assert at.main.focused is at.input

    logs: list[Path] = []
    sit(script)
    assert not logs[0].exists()  # it was there for the app alone
    assert len(list((folders / "cache").rglob("*.jsonl"))) == 2  # of the two runs
    with History() as history:
        kept = [(entry.problem, entry.status) for entry in history.entries()]
    assert kept == [(PROBLEM, "answered"), ("Another farm.", "answered")]


def test_a_stopped_run_goes_on_after_its_longest_path() -> None:
    async def script(at: Sitting) -> None:
        await at.ask_paused(lambda tree: 0 in tree.paths and len(tree.settled(tree.paths[0])) >= 2)
        await at.press("x")
        await at.ended()
        stood = [step.text for step in at.tree.settled(at.tree.paths[0])]
        await open_history(at, PROBLEM)
        await at.press("f6")
        await at.until_on("MainScreen")
        await at.ended()
        assert at.tree.problem == PROBLEM
        assert list(at.tree.given) == stood
        assert at.tree.result is not None
        assert at.tree.result.answer == "18"
        await open_history(at, "answered")
        await at.press("f6")  # this one has ended
        await at.until_shows("This run has ended.")

    sit(script, paths=1)


@contextmanager
def held(name: str) -> Iterator[threading.Event]:
    """A question to the history has no answer before the event is set: another has the file."""
    whole, free = getattr(History, name), threading.Event()

    def wait(*arguments: Any) -> Any:
        free.wait(TIMEOUT_S)
        return whole(*arguments)

    with mock.patch.object(History, name, wait):
        yield free
        free.set()


def keep_two() -> None:
    with History() as history:
        for problem in ("Another farm.", PROBLEM):
            history.begin("run", problem).fail(ValueError("The model is missing."))


def test_what_is_found_is_taken_up_opened_or_why_not_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep_two()
    with Solver(pair="demo", in_process=True) as solver, History() as history:
        result = check("Checked.", STEPS, solver=solver, with_vote=False)
        recording = history.begin("check", "Checked.", pair="demo", method="ssr")
        recording.end(result, status="good", answer=None, body="")

    def fail(*_: object) -> None:
        raise HistoryError("The history cannot be read.")

    async def script(at: Sitting) -> None:
        await open_history(at, "Another farm.")
        await at.press("enter")
        await at.until_on("TutorScreen")
        assert at.app.screen.query_one("#problem-text", TextArea).text == "Checked."
        assert at.app.screen.query_one("#steps-text", TextArea).text == STEPS
        await at.press("escape")
        await at.until_on("MainScreen")
        await open_history(at, "Another farm.")
        with held("search") as free:
            await at.type("anoth")
            await at.press("f5")  # before anything can have been found
            free.set()
            await at.until_on("MainScreen")
        assert at.input.text == "Another farm."
        at.input.clear()
        await open_history(at, "Another farm.")
        at.app.screen.query_one("#words", Input).value = "anoth"
        await at.until(lambda: len(at.app.screen.query_one(OptionList).options) == 1)
        await at.press("enter")  # this run had no events
        await at.until_shows("The model is missing.")
        monkeypatch.setattr(History, "search", fail)
        await at.type("x")
        await at.until_shows("The history cannot be read.")
        assert not at.shows("Another farm.")
        await at.press("enter")
        assert at.dialog == "HistoryScreen"  # there is nothing to open

    sit(script)


def test_what_is_found_waits_while_the_palette_lies_above() -> None:
    keep_two()

    async def script(at: Sitting) -> None:
        with held("entries") as free:
            await at.press("escape", "h")
            await at.until_on("HistoryScreen")
            await at.press("ctrl+p")
            await at.until_on("CommandPalette")
            free.set()
            await at.pilot.pause(0.3)
            assert at.dialog == "CommandPalette"
            await at.press("escape")
        await at.until_on("HistoryScreen")
        await at.until_shows("Another farm.")

    sit(script)


def test_a_damaged_history_is_said_to_whoever_has_left_meanwhile(folders: Path) -> None:
    (folders / "data").mkdir()
    (folders / "data" / "history.sqlite3").write_bytes(b"no database " * 1000)

    async def script(at: Sitting) -> None:
        with held("entries"):
            await at.press("escape", "h")
            await at.until_on("HistoryScreen")
            await at.press("escape")
            await at.until_on("MainScreen")
        await at.until_said("It was kept as history-damaged-")

    sit(script)


def test_what_went_wrong_is_practised_and_taken_out() -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=timezone.utc)
    with History() as history:
        for problem in (PROBLEM, "Another farm."):
            Practice(history).solved(problem, good=False, now=long_ago)

    async def script(at: Sitting) -> None:
        await at.press("escape", "w")
        await at.until_on("PracticeScreen")
        await at.until_shows("2 of 2 due")
        await at.press("enter")
        await at.until_on("TutorScreen")
        screen = at.app.screen
        assert screen.query_one("#problem-text", TextArea).text == PROBLEM
        screen.query_one("#steps-text", TextArea).load_text(STEPS)
        await at.press("f2")
        await at.until_shows("✓ 2")
        await at.press("escape", "w")
        await at.until_on("PracticeScreen")
        await at.until_shows("1 of 2 due")
        await at.press("delete")  # the one that is still due
        await at.until_shows("0 of 1 due")
        await at.press("escape")
        await at.until_on("MainScreen")

    sit(script)
    with History() as history:
        (left,) = Practice(history).problems()
        assert (left.problem, left.num_reviews) == (PROBLEM, 2)


def test_what_is_empty_says_so_and_nothing_is_kept_when_that_is_not_wanted(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        at.app.runs.keep = False
        await at.solve()
        assert not (folders / "data" / "history.sqlite3").exists()
        assert not list((folders / "cache").rglob("*.jsonl"))
        await at.press("escape", "w")
        await at.until_shows("Nothing is in practice")
        await at.press("delete", "escape")
        await at.until_on("MainScreen")
        await at.press("escape", "h")
        await at.until_shows("Nothing was saved yet.")
        await at.press("enter", "escape")
        await at.until_on("MainScreen")

    sit(script)
