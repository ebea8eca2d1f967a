"""Everything works with the mouse, too."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from ssr_local_tui.preferences import Preferences
from ssr_local_tui.widgets.detail import DetailPane
from ssr_local_tui.widgets.items import Item
from tests.tui.sitting import Sitting, demo_log, watch

pytestmark = pytest.mark.usefixtures("folders")


async def click_in_footer(at: Sitting, words: str, dialog: str) -> None:
    """Click on a key until its dialog opens: a footer that is just drawn anew hears no click."""
    for _ in range(8):
        keys = at.main.query_one(Footer).query(FooterKey)
        await at.click_at(next(key for key in keys if key.description == words))
        with contextlib.suppress(AssertionError):
            await at.until(lambda: at.dialog == dialog, 2.0)
            return


def test_a_click_shows_a_line_in_full_and_closes_and_opens_a_path(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.click_on("Heads give h + c = 30")
        assert at.main.run_tree.selected_item == Item("step", 0, 1)
        await at.until_shows("Step 2: kept, score 7.8 of 9")
        for closed in (True, False):
            await at.click_on("1 A algebraic")
            await at.until(lambda closed=closed: at.shows("8.0 Let h be") != closed)
        assert at.main.run_tree.selected_item == Item("path", 0)
        await at.click_at(at.input, 3, 1)
        assert at.main.focused is at.input
        await at.pilot.resize_terminal(50, 24)  # where there is no pane a click opens it
        await at.until(lambda: not at.main.query_one(DetailPane).display)
        await at.click_on("Heads give")
        await at.until_shows("Step 2: kept")

    watch(demo_log(), folders, script)


def test_keys_in_the_footer_are_buttons_and_dialogs_have_some(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.click_on("Begin")
        await at.until_on("MainScreen")
        for words, dialog in (
            ("Help", "HelpScreen"),
            ("Compare", "ComparisonScreen"),
            ("Settings", "SettingsScreen"),
            ("Open", "OpenScreen"),
        ):
            await click_in_footer(at, words, dialog)
            await at.until_on(dialog)
            await at.press("escape")
            await at.until_on("MainScreen")
        await click_in_footer(at, "Export", "ExportScreen")
        await at.click_on("svg  a picture")
        await at.click_on("Write")
        await at.until_on("MainScreen")
        await at.press("o")
        await at.until_on("OpenScreen")
        await at.click_on("Close")
        await at.until_on("MainScreen")

    watch(demo_log(), folders, script, preferences=Preferences())
    assert [one.suffix for one in folders.glob("ssr-*")] == [".svg"]
