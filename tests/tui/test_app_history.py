"""What was done before, in the app."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from ssr_local.history.store import History
from ssr_local_tui.preferences import Preferences
from tests.tui.sitting import PROBLEM, Sitting, covers, sit

pytestmark = pytest.mark.usefixtures("folders")


def kept(folders: Path) -> list[tuple[str, str]]:
    with History(folders / "data" / "history.sqlite3") as history:
        return [(entry.problem, entry.status) for entry in history.entries()]


@covers("history")
def test_a_run_is_kept_found_and_opened_again(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.solve()
        await at.solve("Another farm.")
        await at.solve()
        await at.press("escape", "h")
        await at.until_on("HistoryScreen")
        await at.until_shows("Another farm.")
        at.app.screen.query_one("#words", Input).value = "anoth"
        await at.until(lambda: len(at.app.screen.query_one(OptionList).options) == 1)
        await at.press("enter")
        await at.until_on("MainScreen")
        await at.ended()
        assert at.tree.problem == "Another farm."
        await at.until_shows("Answer: 18")
        await at.until_shows("[replay, at once]")

    sit(script)
    problems = [PROBLEM, "Another farm.", PROBLEM]
    assert kept(folders) == [(problem, "answered") for problem in problems]


@covers("history-again")
def test_a_problem_is_taken_up_again(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.solve()
        await at.press("escape", "h")
        await at.until_on("HistoryScreen")
        await at.until_shows(PROBLEM)
        await at.press("f5")
        await at.until_on("MainScreen")
        assert at.input.text == PROBLEM
        assert at.main.focused is at.input

    sit(script)


def test_an_empty_history_says_so_and_a_stopped_run_is_kept(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "2")

    async def script(at: Sitting) -> None:
        await at.press("escape", "h")
        await at.until_shows("Nothing was saved yet.")
        await at.press("enter", "escape")
        await at.until_on("MainScreen")
        await at.ask()
        await at.until(lambda: at.tree.counts.drafted >= 1)
        await at.press("x")
        await at.ended()

    sit(script)
    assert kept(folders) == [(PROBLEM, "cancelled")]


def test_nothing_is_kept_when_that_is_not_wanted(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        at.app.runs.keep = False
        await at.solve()

    sit(script, preferences=Preferences(welcomed=True))
    assert not (folders / "data" / "history.sqlite3").exists()
