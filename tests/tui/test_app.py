"""The app as a whole: the input, starting, stopping and pausing a run, leaving, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ssr_local.core.events import RunStarted, read_events
from ssr_local.core.options import SolveOptions
from ssr_local.core.tree import Tree
from ssr_local_tui.screens.field_row import FieldRow
from ssr_local_tui.widgets.header import preset_of
from tests.tui.sitting import PROBLEM, Sitting, sit


def paths_as_text(tree: Tree) -> list[list[str]]:
    return [[step.text for step in path.steps] for path in tree.paths.values()]


# The input ------------------------------------------------------------------------------


def test_the_input() -> None:
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
        # Earlier problems come back with up and down.
        at.input.clear()
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


def test_what_is_given_or_pasted_is_solved_with_other_seeds_and_leaves_a_log(
    folders: Path,
) -> None:
    text = "1. A farm\n   has hens.\n\n2. How many? 数える ✓"

    async def script(at: Sitting) -> None:
        await at.ended()
        first = at.tree
        await at.press("r")
        await at.until(lambda: at.tree is not first)
        await at.ended()
        assert at.tree.problem == PROBLEM
        assert first.options["seed"] == 1 != at.tree.options["seed"]
        await at.until_shows("Answer: 18")
        assert at.main.focused is at.main.run_tree
        await at.press("i")
        await at.paste(text)
        assert at.input.text == text
        await at.press("enter")
        await at.until(lambda: at.tree.problem == text)
        await at.ended()

    sit(script, problem=PROBLEM)
    problems = []
    for log in sorted((folders / "cache" / "runs").iterdir(), key=lambda one: one.stat().st_mtime):
        with log.open("rb") as file:
            problems += [e.problem for e in read_events(file, "") if isinstance(e, RunStarted)]
    assert problems == [PROBLEM, PROBLEM, text]


def test_a_run_is_stopped_from_the_tree_and_from_a_dialog(slow: None) -> None:
    async def script(at: Sitting) -> None:
        await at.press("escape", "ctrl+c")
        await at.until_said("Ctrl+Q")  # without a run it says how to leave
        for key, dialog in (("x", ""), ("ctrl+c", "ComparisonScreen")):
            earlier = at.tree
            await at.ask()
            await at.until(lambda earlier=earlier: at.tree is not earlier)
            await at.until(lambda: at.tree.counts.drafted >= 1)
            if dialog:
                await at.press("v")
                await at.until_on(dialog)
            before = paths_as_text(at.tree)
            await at.press(key)
            await at.ended()
            assert at.tree.result is not None
            assert at.tree.result.status == "cancelled"
            for path, kept in zip(paths_as_text(at.tree), before, strict=True):
                assert path[: len(kept) - 1] == kept[:-1]
            assert (at.dialog, at.app.is_running) == (dialog or "MainScreen", True)
        await at.press("escape")
        await at.until_shows("stopped")
        await at.until_shows("Let h be the number of hens")

    sit(script)


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "parallel", "paths": 1}, "parallel · 1 path · full"),
        ({"method": "specreason", "threshold": 5.5}, "specreason · min-likelihood ≥ 5.5"),
        ({"method": "target"}, "target"),
    ],
)
def test_what_matters_of_the_options_is_shown(options: dict[str, Any], words: str) -> None:
    assert preset_of(SolveOptions(**options)) == words


@pytest.mark.parametrize("keys", [("escape", "q"), ("escape", "question_mark", "ctrl+q")])
def test_keys_that_leave(keys: tuple[str, ...]) -> None:
    async def script(at: Sitting) -> None:
        await at.press(*keys[:-1])
        assert at.app.is_running
        await at.press(keys[-1])
        await at.until(lambda: not at.app.is_running)

    assert sit(script).return_code == 0


# Settings ------------------------------------------------------------------------------


def test_what_is_changed_counts_from_the_next_run_on(file: Path) -> None:
    file.write_text("max-tokens = 700\nmethod = 'ssr'\n")

    async def script(at: Sitting) -> None:
        await at.solve()
        solver = at.app.runs.solver
        await at.press("escape", "s")
        await at.until_on("SettingsScreen")
        at.app.screen.query_one("#field-paths", FieldRow).control.value = "2"
        await at.settle()
        await at.press("ctrl+o")
        await at.until_shows("2 paths · full")
        assert len(at.tree.paths) == 3
        first = at.tree
        await at.press("r")
        await at.until(lambda: at.tree is not first)
        await at.ended()
        assert at.tree.options["paths"] == 2
        assert at.app.runs.solver is solver  # the models stay loaded
        at.app._changed({"draft": None})
        origins = {one.name: one for one in at.app.settings.origins}
        assert (origins["draft"].value, origins["draft"].origin) == (None, "option")
        assert (origins["max_tokens"].value, origins["paths"].value) == (700, 2)

    sit(script)


@pytest.mark.usefixtures("worker")
def test_another_pair_is_another_solver_and_the_old_models_are_given_back(folders: Path) -> None:
    (folders / "config").mkdir()
    (folders / "config" / "models.toml").write_text(
        "[models.one]\nfile = 'one.gguf'\nsources = [{ kind = 'file', path = '/nowhere/one' }]\n"
        "[pairs.other]\ndraft = 'one'\ntarget = 'one'\n"
    )

    async def script(at: Sitting) -> None:
        await at.solve()
        old, pid = at.app.runs.solver, at.app.runs.solver.worker_pid
        assert pid is not None
        await at.solve("another")
        assert at.app.runs.solver.worker_pid == pid
        at.app._changed({"pair": "other"})
        await at.until_shows("pair other")
        assert at.app.runs.solver is not old
        assert at.app.runs.solver.engine.pair == "other"
        await at.until(lambda: not Path(f"/proc/{pid}").exists())
        at.app._changed({"pair": "nowhere"})
        await at.ask()
        await at.until_shows("'nowhere'")  # is unknown, which is said
        assert not at.app.control.busy
        at.app._changed({"pair": "demo"})
        await at.press("r")
        await at.until(lambda: at.app.control.error is None)
        await at.ended()
        await at.until_shows("Answer: 18")

    sit(script)
