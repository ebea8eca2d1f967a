"""Runs that are written to files, and opened from them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from textual.widgets import Input

from ssr_local.core.events import read_events
from ssr_local.core.records import RunResult
from tests.tui.sitting import Sitting, covers, demo_log, sit, watch, write_log

pytestmark = pytest.mark.usefixtures("folders")

EXPORTS = ["md", "html", "json", "jsonl", "svg"]


@covers("export")
def test_a_run_is_exported_in_every_format(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        for number, fmt in enumerate(EXPORTS):
            await at.press("e")
            await at.until_on("ExportScreen")
            at.app.screen.query_one("#format").focus()
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

    watch(demo_log(), folders, script)
    written = {fmt: (folders / f"run.{fmt}").read_text() for fmt in EXPORTS}
    assert "18" in written["md"]
    assert "Answer: 18" in written["html"]
    assert msgspec.json.decode(written["json"], type=RunResult) == demo_log()[-1].result  # type: ignore[union-attr]
    assert written["svg"].startswith("<svg")
    with (folders / "run.jsonl").open("rb") as file:
        assert list(read_events(file, "")) == list(demo_log())


@covers("open")
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
