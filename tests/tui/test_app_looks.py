"""Help, palette, keys, themes and the welcome."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color

from ssr_local.core.config import config_file
from ssr_local_tui.preferences import Preferences, load_preferences
from ssr_local_tui.screens.main import MainScreen
from ssr_local_tui.screens.welcome import WelcomeScreen
from tests.tui.sitting import Sitting, covers, demo_log, keys_of, sit, watch

pytestmark = pytest.mark.usefixtures("folders")

NO_WORDS = " ─│╭╮╰╯├└▏▍▎▌▋▊▉█▁▂"
LEAST_CONTRAST = 2.7  # of Textual's own placeholder; everything of ours has more than 3


@covers("help", "help-close")
def test_the_help_shows_the_keys_of_now(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        for key in keys_of("help"):
            await at.press(key)
            await at.until_on("HelpScreen")
            await at.until_shows("Compare: two paths side by side")
            assert not at.shows("stand still")  # nothing runs
            await at.press("escape")
            await at.until_on("MainScreen")

    watch(demo_log(), folders, script, size=(120, 60))


def test_the_palette_lists_what_keys_do_and_does_it(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        listed = {command.title for command in at.app.get_system_commands(at.main)}
        enabled = {
            one.binding.description
            for one in at.main.active_bindings.values()
            if one.node is at.main and one.enabled
        }
        assert {"Compare", "Export", "Copy", "Settings"} <= enabled
        assert all(any(title.startswith(f"{name} (") for title in listed) for name in enabled)
        assert not any(title.startswith("Pause") for title in listed)
        await at.press("ctrl+p")
        await at.until_on("CommandPalette")
        await at.type("compare")
        await at.until_shows("Compare (v)")
        await at.pilot.pause(0.2)
        await at.press("down", "enter")
        await at.until_on("ComparisonScreen")

    watch(demo_log(), folders, script)


def test_the_users_keys_work_and_stand_in_footer_and_help(folders: Path) -> None:
    keys = Preferences(welcomed=True, keys={"compare": "f8", "help": "h"})

    async def script(at: Sitting) -> None:
        await at.until_shows("f8 Compare")
        await at.press("v")
        assert at.dialog == "MainScreen"
        await at.press("f8")
        await at.until_on("ComparisonScreen")
        await at.press("escape")
        await at.press("h")
        await at.until_on("HelpScreen")
        await at.until(lambda: any(line.split()[1:3] == ["f8", "Compare:"] for line in lines(at)))

    watch(demo_log(), folders, script, preferences=keys, size=(120, 60))


def lines(at: Sitting) -> list[str]:
    return [line[line.find("│", 1) :] for line in at.text().splitlines()]


def test_a_theme_is_remembered_and_one_that_cannot_be_saved_is_used(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        first = at.app.theme
        for theme in ("textual-light", first):
            at.app.theme = theme
            await at.settle()
            assert load_preferences().theme == theme
        config_file().unlink()
        config_file().mkdir()
        at.app.theme = "nord"
        await at.until_said("not a regular file")
        assert at.app.theme == "nord"

    sit(script)


def test_every_word_can_be_read_in_the_dark_and_in_the_light(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        for theme in ("textual-dark", "textual-light"):
            at.app.theme = theme
            await at.settle()
            pale = [
                segment.text.strip()
                for strip in at.app.screen._compositor.render_strips()
                for segment in strip
                if segment.text.strip(" ─│╭╮╰╯├└▏▍▎▌▋▊▉█▁▂")
                and contrast_of(segment) < LEAST_CONTRAST
            ]
            assert pale == []

    watch(demo_log(), folders, script)


def contrast_of(segment: Segment) -> float:
    """The ratio of the lighter to the darker colour, 1 to 21 (WCAG 2)."""
    style = segment.style
    assert style is not None
    assert style.color is not None
    assert style.bgcolor is not None
    colours = (Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor))
    return contrast(*colours)


def contrast(first: Color, second: Color) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Color) -> float:
    parts = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colour.normalized
    )
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def test_the_first_start_explains_itself_once(folders: Path) -> None:
    async def first(at: Sitting) -> None:
        for key in ("enter", "escape", "space", "q"):
            await at.until_shows("Welcome to ssr-local")
            await at.press(key)
            await at.until_on("MainScreen")
            await at.settle()
            if key != "q":
                at.app.push_screen(WelcomeScreen())
                await at.until_on("WelcomeScreen")

    async def second(at: Sitting) -> None:
        assert at.dialog == "MainScreen"

    sit(first, preferences=load_preferences())
    sit(second, preferences=load_preferences())


def test_bindings_have_words_for_the_help() -> None:
    for binding in MainScreen.BINDINGS:
        assert not isinstance(binding, tuple)
        assert binding.id
        assert binding.description
        assert binding.tooltip
