"""The tutor: marks on what one writes, hints, and where it went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import TextArea

from ssr_local.history.store import History
from ssr_local_tui.screens import tutor
from ssr_local_tui.screens.tutor import TutorScreen
from tests.tui.sitting import PROBLEM, Sitting, sit

GOOD = (
    "Let h be the number of hens and c the number of cows.\n\n"
    "Heads give h + c = 30, and legs give 2h + 4c = 84.\n\n"
)
BAD = "Dividing the second equation by 2 gives h + 2c = 84."


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tutor, "DEBOUNCE_S", 0.05)


async def open_tutor(at: Sitting, problem: str = PROBLEM, steps: str = "") -> TutorScreen:
    await at.press("escape", "t")
    await at.until_on("TutorScreen")
    screen = at.app.screen
    assert isinstance(screen, TutorScreen)
    screen.query_one("#problem-text", TextArea).load_text(problem)
    screen.query_one("#steps-text", TextArea).load_text(steps)
    return screen


def test_marks_appear_go_with_a_change_and_say_where_it_is_wrong_when_asked(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        screen = await open_tutor(at, problem="")
        await at.press("f3")
        await at.until_said("Write the problem first.")
        await at.press("f2")
        await at.until_said("Write the problem and your steps first.")
        screen.query_one("#problem-text", TextArea).load_text(PROBLEM)
        field = screen.query_one("#steps-text", TextArea)
        field.load_text(GOOD)
        await at.until_shows("✓ 2  Heads give")
        field.focus()
        field.move_cursor(field.document.end)
        await at.paste(BAD)
        await at.until(lambda: "✓ 2" not in at.text() or at.shows("✗ 3"))
        await at.until_shows("✗ 3  Dividing")
        await at.until_shows("wrong by algebra")
        assert not at.shows("It does not follow")  # only when asked
        assert not (folders / "data" / "history.sqlite3").exists()  # marks are no checks
        await at.press("f2")
        await at.until_shows("It does not follow")
        assert not at.shows("h + 2c = 42")
        await at.press("f2")
        await at.until_shows("gives h + 2c = 42")
        await at.pilot.resize_terminal(80, 24)
        await at.press("f3")
        await at.until_shows("Hint 1: Try this")  # in sight below many marks
        await at.press("escape")
        await at.until_on("MainScreen")

    sit(script)
    with History(folders / "data" / "history.sqlite3") as history:
        kept = [(one.kind, one.status) for one in history.entries()]
    assert ("check", "wrong step") in kept


def test_every_hint_goes_one_level_further_and_the_solution_is_watched() -> None:
    async def script(at: Sitting) -> None:
        screen = await open_tutor(at)
        await at.press("ctrl+c")
        await at.until_said("Ctrl+Q")
        for level, words in enumerate(("Try this", "It does not follow", "Let h be", "⟦18⟧"), 1):
            await at.press("f3")
            await at.until_shows(f"Hint {level}: ")
            await at.until_shows(words)
        screen.query_one("#problem-text", TextArea).load_text("Another.")
        await at.until(lambda: not at.shows("Hint 1:"))
        assert screen.work.level == 0
        await at.press("f4")
        await at.until_on("MainScreen")
        await at.ended()
        assert at.tree.problem == "Another."

    sit(script, size=(120, 50))
