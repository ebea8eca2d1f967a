"""Runs that are written to files, opened from them, and played step by step."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from textual.widgets import Input

from ssr_local.core.events import read_events
from ssr_local.core.records import RunResult
from ssr_local_tui.widgets.items import Item
from tests.tui.sitting import Sitting, demo_log, sit, watch, write_log

EXPORTS = ["md", "html", "json", "jsonl", "svg"]


def test_a_run_is_exported_in_every_format(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        for number, fmt in enumerate(EXPORTS):
            await at.press("e")
            await at.until_on("ExportScreen")
            at.app.screen.query_one("#format").focus()
            if fmt == "svg":
                await at.click_on("svg  a picture")
            else:
                await at.press(*["down"] * number, "enter")
            field = at.app.screen.query_one("#file", Input)
            await at.until(lambda field=field, fmt=fmt: field.value.endswith(f".{fmt}"))
            field.value = f"run.{fmt}"
            await at.click_on("Write")
            await at.until_on("MainScreen")
            await at.until_said(f"Written: run.{fmt}")
        # A file that is there is replaced only when asked twice.
        (folders / "mine.md").write_text("mine")
        await at.press("e")
        await at.until_on("ExportScreen")
        at.app.screen.query_one("#file", Input).value = "mine.md"
        at.app.screen.query_one("#write").focus()
        await at.press("enter")
        await at.until_shows("mine.md exists")
        assert (folders / "mine.md").read_text() == "mine"
        await at.until(lambda: not at.app.screen.query("Button.-active"))  # no double click
        await at.press("enter")
        await at.until_on("MainScreen")
        assert (folders / "mine.md").read_text() != "mine"

    watch(demo_log(), script)
    written = {fmt: (folders / f"run.{fmt}").read_text() for fmt in EXPORTS}
    assert "18" in written["md"]
    assert "Answer: 18" in written["html"]
    assert msgspec.json.decode(written["json"], type=RunResult) == demo_log()[-1].result  # type: ignore[union-attr]
    assert written["svg"].startswith("<svg")
    with (folders / "run.jsonl").open("rb") as file:
        assert list(read_events(file, "")) == list(demo_log())


def test_a_run_is_opened_by_its_path_or_from_the_list_and_played_as_it_was(folders: Path) -> None:
    runs = folders / "cache" / "runs"
    write_log(demo_log(), folders / "it.jsonl")

    async def open_dialog(at: Sitting) -> Input:
        await at.press("escape", "o")
        await at.until_on("OpenScreen")
        return at.app.screen.query_one("#file", Input)

    async def script(at: Sitting) -> None:
        await open_dialog(at)
        await at.press("enter")
        await at.until_shows("Give the path of a log.")  # there is no recent one
        await at.press("escape")
        await at.until_on("MainScreen")
        runs.mkdir(parents=True)
        write_log(demo_log(), runs / "run-20260101-120000-000001.jsonl")
        field = await open_dialog(at)
        field.value = "nowhere.jsonl"
        await at.press("enter")
        await at.until_shows("There is no file nowhere.jsonl.")
        field.value = "it.jsonl"
        await at.press("enter")
        await at.ended()
        await at.until_shows("Answer: 18")
        before = at.tree
        await open_dialog(at)
        await at.until_shows("20260101-120000  A farm has hens and cows.")
        await at.press("tab", "enter")
        await at.until(lambda: at.tree is not before)
        await at.ended()
        await at.until_shows("[replay, at once]")
        await open_dialog(at)
        await at.click_on("Play as it was")
        await at.until_on("MainScreen")
        await at.until_shows("[replay, 1 × as fast]")
        await at.until(lambda: at.tree.problem)
        await at.press("x")
        await at.until(lambda: not at.app.control.running)

    sit(script)


# Playing one -------------------------------------------------------------------------


@pytest.fixture
def slow_log(folders: Path) -> Path:
    """A run of one path that takes an hour at its own speed, a second between two events."""
    events = [msgspec.structs.replace(one, at_s=n) for n, one in enumerate(demo_log(paths=1))]
    return write_log(events, folders / "slow.jsonl")


def test_a_replay_goes_on_event_by_event_at_any_speed_and_is_stopped(slow_log: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.press("escape", "full_stop")
        await at.until(lambda: at.tree.scores)  # the first event that can be seen
        await at.until_shows("stands still")
        assert not at.tree.paths
        for state in ("waiting", "accepted"):
            await at.press("full_stop")
            await at.until(lambda state=state: steps(at) == [state])
        await at.put_cursor(Item("step", 0, 0))
        await at.press("p")
        await at.until(lambda: not at.shows("stands still"))
        seen = []
        for key in ("plus", "equals_sign", "minus", "minus", "minus"):
            await at.press(key)
            assert at.app.runs.pace is not None
            seen.append(at.app.runs.pace.speed)
        assert seen == [2.0, 4.0, 2.0, 1.0, 0.5]
        await at.until_shows("[replay, 0.5 × as fast")
        await at.press("x")
        await at.until(lambda: not at.app.control.running)
        assert at.tree.phase != "ended"
        await at.solve()  # a replay stands in no run's way
        await at.until_shows("Answer: 18")
        assert "replay" not in at.text()

    sit(script, replay=slow_log, speed=1.0)


def steps(at: Sitting) -> list[str]:
    return [step.state for path in at.tree.paths.values() for step in path.steps]
