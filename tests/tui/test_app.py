"""The app as a whole: the input, starting, stopping and pausing a run, and leaving."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ssr_local.core.events import RunStarted, read_events
from ssr_local.core.options import SolveOptions
from ssr_local.core.tree import Tree
from ssr_local.models.download import ToFetch
from ssr_local_tui.runs import Runs
from tests.tui.pilot import TIMEOUT_S, paste
from tests.tui.sitting import PROBLEM, Sitting, covers, sit

pytestmark = pytest.mark.usefixtures("folders")


def paths_as_text(tree: Tree) -> list[list[str]]:
    return [[step.text for step in path.steps] for path in tree.paths.values()]


# The input ------------------------------------------------------------------------------


@covers("problem", "problem-line", "tree")
def test_what_the_input_takes_starts_nothing_before_enter() -> None:
    async def script(at: Sitting) -> None:
        assert at.main.focused is at.input
        await at.press("enter", "space", "enter")  # nothing to solve
        at.input.clear()
        await at.press("a", "ctrl+j", "b", "alt+enter", "c")
        assert at.input.text == "a\nb\nc"
        at.input.clear()
        letters = "xpryndaveosqlcbmf.+-?/"  # all of them keys elsewhere
        await at.type(letters)
        assert at.input.text == letters
        await at.press("escape")
        assert at.main.focused is at.main.run_tree
        await at.press("i")
        assert at.main.focused is at.input
        assert at.input.text == letters
        assert (at.app.runs.feed, at.app.control.is_going) == (None, False)
        assert (at.dialog, at.app.is_running) == ("MainScreen", True)

    sit(script)


def test_earlier_problems_come_back_with_up_and_down() -> None:
    async def script(at: Sitting) -> None:
        for problem in ("first", "second", "first"):
            at.input.remember(problem)
        await at.type("new")
        shown = []
        for key in ("up", "up", "up", "down", "down", "down"):
            await at.press(key)
            shown.append(at.input.text)
        # What was solved again is last once; nothing comes before the first or after the new.
        assert shown == ["first", "second", "second", "first", "new", "new"]
        at.input.load_text("one\ntwo")
        at.input.move_cursor((1, 0))
        await at.press("up")  # within several lines first
        assert at.input.text == "one\ntwo"
        await at.press("up")
        assert at.input.text == "first"

    sit(script)


# A run ----------------------------------------------------------------------------------


def test_what_is_typed_or_pasted_is_solved_and_leaves_a_log(folders: Path) -> None:
    text = "1. A farm\n   has hens.\n\n2. How many? 数える ✓"

    async def script(at: Sitting) -> None:
        await at.type("Hens and cows?")
        await at.press("enter")
        await at.ended()
        await at.until_shows("Answer: 18")
        assert at.main.focused is at.main.run_tree
        await at.press("i")
        at.input.clear()
        await paste(at.pilot, text)
        assert at.input.text == text
        await at.press("enter")
        await at.until(lambda: at.tree.problem == text)
        await at.ended()

    sit(script)
    problems = []
    for log in sorted((folders / "cache" / "runs").iterdir(), key=lambda one: one.stat().st_mtime):
        with log.open("rb") as file:
            problems += [e.problem for e in read_events(file, "") if isinstance(e, RunStarted)]
    assert problems == ["Hens and cows?", text]


@covers("again")
def test_a_problem_given_at_the_start_is_solved_at_once_and_again_with_other_seeds() -> None:
    async def script(at: Sitting) -> None:
        await at.ended()
        seeds = [at.tree.options["seed"]]
        for _ in range(2):
            first = at.tree
            await at.press("r")
            await at.until(lambda first=first: at.tree is not first)
            await at.ended()
            assert at.tree.problem == PROBLEM
            seeds.append(at.tree.options["seed"])
        assert seeds[0] == 1
        assert len(set(seeds)) == 3

    sit(script, problem=PROBLEM)


@covers("stop")
def test_a_stopped_run_keeps_what_there_is(slow: None) -> None:
    async def script(at: Sitting) -> None:
        await at.ask()
        await at.until(lambda: at.tree.counts.drafted >= 3)
        before = paths_as_text(at.tree)
        await at.press("x")
        await at.ended()
        assert at.tree.result is not None
        assert at.tree.result.status == "cancelled"
        for path, kept in zip(paths_as_text(at.tree), before, strict=True):
            assert path[: len(kept) - 1] == kept[:-1]
        await at.until_shows("stopped")
        await at.until_shows("Let h be the number of hens")

    sit(script)


@covers("app-stop", "dialog-stop")
@pytest.mark.parametrize("dialog", ["MainScreen", "ComparisonScreen"])
def test_ctrl_c_stops_a_run_and_otherwise_says_how_to_leave(slow: None, dialog: str) -> None:
    async def script(at: Sitting) -> None:
        await at.press("escape", "ctrl+c")
        await at.until_said("Ctrl+Q")
        await at.ask()
        await at.until(lambda: len(at.tree.paths) > 1)
        if dialog == "ComparisonScreen":
            await at.press("v")
        await at.until_on(dialog)
        await at.press("ctrl+c")
        await at.ended()
        assert at.tree.result is not None
        assert at.tree.result.status == "cancelled"
        assert (at.dialog, at.app.is_running) == (dialog, True)

    sit(script)


@pytest.mark.parametrize("key", ["x", "ctrl+c"])
def test_a_run_that_has_not_begun_can_be_stopped(
    key: str, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def slowly(runs: Runs, options: SolveOptions) -> ToFetch:
        asked.set()
        answered.wait(TIMEOUT_S)
        return ToFetch(num_bytes=0)

    async def script(at: Sitting) -> None:
        await at.solve()
        monkeypatch.setattr(Runs, "missing", slowly)
        await at.ask("stopped")
        await at.until(asked.is_set)
        await at.press(key)
        assert not at.app.control.is_going
        assert at.app.runs.feed is None  # no events of the one before
        await at.ask("another")
        answered.set()
        await at.ended()
        assert at.tree.problem == "another"

    sit(script)
    assert len(list((folders / "cache" / "runs").iterdir())) == 2


@covers("pause")
def test_a_paused_run_stands_still_in_the_way_of_others_and_goes_on() -> None:
    async def script(at: Sitting) -> None:
        await at.ask_paused(lambda tree: tree.counts.accepted >= 1)
        await at.until_shows("paused")
        tree, revision = at.tree, at.tree.revision
        await at.ask("another")
        await at.until_said("A run goes on")
        assert at.input.text == "another"
        assert not any(at.main.check_action(one, ()) for one in ("again", "settings", "open"))
        await at.pilot.pause(0.1)
        assert (at.tree, at.tree.revision) == (tree, revision)
        await at.press("escape", "p")
        await at.ended()
        await at.until_shows("Answer: 18")
        await at.ask_paused(lambda tree: tree.paths)
        await at.press("x")
        await at.ended()
        assert at.tree.result is not None
        assert at.tree.result.status == "cancelled"

    sit(script)


def test_a_pause_is_said_before_it_begins_and_called_off(slow: None) -> None:
    async def script(at: Sitting) -> None:
        await at.ask()
        await at.until(lambda: at.tree.paths)
        at.main.action_pause()
        assert "[will pause]" in at.app.control.playing
        at.main.action_pause()
        assert at.app.control.playing == ""
        await at.ended()
        assert at.tree.result is not None
        assert at.tree.result.status == "answered"

    sit(script)


def test_every_method_is_shown() -> None:
    async def script(at: Sitting) -> None:
        for method in ("parallel", "specreason", "target", "draft"):
            at.app._changed({"method": method})
            await at.solve(f"Solved by {method}.")
            await at.until_shows("Answer: 18")
            await at.until_shows(f"pair demo · {method}")
            assert len(at.tree.paths) == (3 if method == "parallel" else 1)

    sit(script)


@covers("quit", "app-quit")
@pytest.mark.parametrize(
    "keys", [("escape", "q"), ("ctrl+q",), ("escape", "question_mark", "ctrl+q")]
)
def test_keys_that_leave(keys: tuple[str, ...]) -> None:
    async def script(at: Sitting) -> None:
        await at.press(*keys[:-1])
        assert at.app.is_running
        await at.press(keys[-1])
        await at.until(lambda: not at.app.is_running)

    assert sit(script).return_code == 0
