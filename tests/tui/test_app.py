"""The app as a whole: the input, starting, stopping and pausing a run, and leaving."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from ssr_local.core.events import RunStarted, read_events
from ssr_local.core.options import SolveOptions
from ssr_local.core.tree import Tree
from ssr_local.models.download import ToFetch
from ssr_local_tui.runs import Runs
from tests.tui.pilot import TIMEOUT_S, paste
from tests.tui.sitting import PROBLEM, Sitting, covers, keys_of, sit

pytestmark = pytest.mark.usefixtures("folders")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run takes some seconds, so that it can be met while it goes on."""
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "2")


def paths_as_text(tree: Tree) -> list[list[str]]:
    return [[step.text for step in path.steps] for path in tree.paths.values()]


# The input ------------------------------------------------------------------------------


def test_what_is_typed_is_solved_with_enter() -> None:
    async def script(at: Sitting) -> None:
        assert at.main.focused is at.input
        await at.type("Hens and cows?")
        await at.press("enter")
        await at.ended()
        assert at.tree.problem == "Hens and cows?"
        await at.until_shows("Answer: 18")
        assert at.main.focused is at.main.run_tree

    sit(script)


def test_enter_on_nothing_starts_nothing() -> None:
    async def script(at: Sitting) -> None:
        await at.press("enter", "space", "enter")
        assert at.app.runs.feed is None
        assert not at.main.busy

    sit(script)


@covers("problem-line")
@pytest.mark.parametrize("key", ["ctrl+j", "alt+enter"])
def test_a_new_line_is_no_start(key: str) -> None:
    async def script(at: Sitting) -> None:
        await at.press("a", key, "b")
        assert at.input.text == "a\nb"
        assert at.app.runs.feed is None

    sit(script)


def test_several_lines_are_pasted_as_they_are_and_solved_together() -> None:
    text = "1. A farm\n   has hens.\n\n2. How many? 数える ✓"

    async def script(at: Sitting) -> None:
        await paste(at.pilot, text)
        assert at.input.text == text
        assert at.app.runs.feed is None
        await at.press("enter")
        await at.ended()
        assert at.tree.problem == text

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
        # What was solved again is last once; nothing lies before the first or behind the new.
        assert shown == ["first", "second", "second", "first", "new", "new"]

    sit(script)


def test_up_and_down_move_within_several_lines_first() -> None:
    async def script(at: Sitting) -> None:
        at.input.remember("earlier")
        at.input.load_text("one\ntwo")
        at.input.move_cursor((1, 0))
        await at.press("up")
        assert at.input.text == "one\ntwo"
        await at.press("up")
        assert at.input.text == "earlier"

    sit(script)


@covers("problem", "tree")
@pytest.mark.parametrize("key", keys_of("problem"))
def test_the_input_is_left_and_come_back_to(key: str) -> None:
    async def script(at: Sitting) -> None:
        await at.press("escape")
        assert at.main.focused is at.main.run_tree
        await at.press(key)
        assert at.main.focused is at.input
        assert at.input.text == ""

    sit(script)


# A run ----------------------------------------------------------------------------------


def test_a_problem_given_at_the_start_is_solved_at_once() -> None:
    async def script(at: Sitting) -> None:
        await at.ended()
        assert at.tree.problem == PROBLEM

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


@covers("app-stop")
def test_ctrl_c_stops_a_run_and_otherwise_says_how_to_leave(slow: None) -> None:
    async def script(at: Sitting) -> None:
        await at.press("escape", "ctrl+c")
        await at.until_said("Ctrl+Q")
        await at.ask()
        await at.until(lambda: at.tree.paths)
        await at.press("ctrl+c")
        await at.ended()
        assert at.tree.result is not None
        assert at.tree.result.status == "cancelled"
        assert at.app.is_running

    sit(script)


@pytest.mark.parametrize("key", ["x", "ctrl+c"])
def test_a_run_that_has_not_begun_can_be_stopped(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = threading.Event(), threading.Event()

    def slowly(runs: Runs, options: SolveOptions) -> ToFetch:
        asked.set()
        answered.wait(TIMEOUT_S)
        return ToFetch(num_bytes=0)

    async def script(at: Sitting) -> None:
        monkeypatch.setattr(Runs, "missing", slowly)
        await at.ask("stopped")
        await at.until(asked.is_set)
        await at.press(key)
        assert not at.main.busy
        await at.ask("another")
        answered.set()
        await at.ended()
        assert at.tree.problem == "another"
        assert len(list((Path("cache") / "runs").iterdir())) == 1

    sit(script)


def test_a_run_that_never_began_has_no_events_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def slowly(runs: Runs, options: SolveOptions) -> ToFetch:
        asked.set()
        answered.wait(TIMEOUT_S)
        return ToFetch(num_bytes=0)

    async def script(at: Sitting) -> None:
        await at.solve()
        assert at.app.runs.feed is not None
        monkeypatch.setattr(Runs, "missing", slowly)
        await at.ask("another")
        await at.until(asked.is_set)
        await at.press("x")
        assert at.app.runs.feed is None
        answered.set()

    sit(script)


@covers("dialog-stop")
def test_a_run_is_stopped_from_a_dialog_too(slow: None) -> None:
    async def script(at: Sitting) -> None:
        await at.ask()
        await at.until(lambda: len(at.tree.paths) > 1)
        await at.press("v")
        await at.until_on("ComparisonScreen")
        await at.press("ctrl+c")
        await at.until(lambda: not at.main.running)
        assert at.tree.result is not None
        assert at.tree.result.status == "cancelled"
        assert at.dialog == "ComparisonScreen"

    sit(script)


def test_a_pause_is_said_before_it_begins_and_called_off(slow: None) -> None:
    async def script(at: Sitting) -> None:
        await at.ask()
        await at.until(lambda: at.tree.paths)
        at.main.action_pause()
        assert "[will pause]" in at.main.replay_text()
        at.main.action_pause()
        assert at.main.replay_text() == ""
        await at.ended()
        assert at.tree.result is not None
        assert at.tree.result.status == "answered"

    sit(script)


@covers("pause")
def test_a_paused_run_stands_still_and_goes_on(slow: None) -> None:
    async def script(at: Sitting) -> None:
        await at.ask()
        await at.pause_when(lambda: at.tree.counts.accepted >= 1)
        await at.until_shows("paused")
        revision = at.tree.revision
        await at.pilot.pause(0.3)
        assert at.tree.revision == revision
        await at.press("p")
        await at.ended()
        await at.until_shows("Answer: 18")

    sit(script)


def test_a_paused_run_can_be_stopped(slow: None) -> None:
    async def script(at: Sitting) -> None:
        await at.ask()
        await at.pause_when(lambda: at.tree.paths)
        await at.press("x")
        await at.ended()
        assert at.tree.result is not None
        assert at.tree.result.status == "cancelled"

    sit(script)


@covers("again")
def test_again_takes_the_same_problem_with_another_seed() -> None:
    async def script(at: Sitting) -> None:
        assert not at.main.check_action("again", ())
        await at.solve()
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

    sit(script)


def test_one_run_at_a_time(slow: None) -> None:
    async def script(at: Sitting) -> None:
        await at.ask()
        await at.until(lambda: at.tree.paths)
        tree = at.tree
        await at.ask("another")
        await at.until_said("A run goes on")
        assert at.tree is tree
        assert at.input.text == "another"
        for action in ("again", "settings", "open"):
            assert not at.main.check_action(action, ())
        await at.press("escape", "x")
        await at.ended()

    sit(script)


def test_every_run_leaves_a_log_that_can_be_read(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.solve()
        await at.solve("another")

    sit(script)
    problems = []
    for log in sorted((folders / "cache" / "runs").iterdir(), key=lambda one: one.stat().st_mtime):
        with log.open("rb") as file:
            problems += [e.problem for e in read_events(file, "") if isinstance(e, RunStarted)]
    assert problems == [PROBLEM, "another"]


@pytest.mark.parametrize("method", ["parallel", "specreason", "target", "draft"])
def test_every_method_is_shown(method: Any) -> None:
    async def script(at: Sitting) -> None:
        await at.solve()
        await at.until_shows("Answer: 18")
        await at.until_shows(f"pair demo · {method}")
        assert len(at.tree.paths) == (3 if method == "parallel" else 1)

    sit(script, method=method)


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


def test_letters_typed_into_the_input_do_nothing_else() -> None:
    async def script(at: Sitting) -> None:
        text = "xpryndaveosqlcbmf.+-?/"
        await at.type(text)
        assert at.input.text == text
        assert at.dialog == "MainScreen"
        assert at.app.is_running

    sit(script)
