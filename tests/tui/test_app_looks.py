"""Help, palette, keys, themes and the welcome."""

from __future__ import annotations

import re
from pathlib import Path

from rich.segment import Segment
from textual.color import Color

from ssr_local_tui.preferences import Preferences, load_preferences
from ssr_local_tui.screens.welcome import WelcomeScreen
from tests.tui.sitting import Sitting, demo_log, sit, watch

NO_WORDS = " ─│╭╮╰╯├└▏▍▎▌▋▊▉█▁▂▃▄▅▆▇"
LEAST_CONTRAST = 2.7  # of Textual's own placeholder; everything of ours has more than 3


def test_help_footer_and_palette_have_the_keys_of_now_and_of_the_user() -> None:
    keys = Preferences(welcomed=True, keys={"compare": "f8"})

    async def script(at: Sitting) -> None:
        await at.until_shows("f8 Compare")
        await at.press("v")
        assert at.dialog == "MainScreen"
        await at.press("f8")
        await at.until_on("ComparisonScreen")
        await at.press("escape")
        for opening, closing in (("f1", "q"), ("question_mark", "question_mark")):
            await at.press(opening)
            await at.until_on("HelpScreen")
            await at.until(lambda: re.search(r"│ f8 +Compare:", at.text()))
            assert not at.shows("stand still")  # nothing runs
            await at.press(closing)
            await at.until_on("MainScreen")
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
        await at.until_shows("Compare (f8)")
        await at.pilot.pause(0.2)
        await at.press("down", "enter")
        await at.until_on("ComparisonScreen")

    watch(demo_log(), script, preferences=keys, size=(120, 60))


def test_words_can_be_read_in_every_theme_which_is_remembered(file: Path) -> None:
    async def script(at: Sitting) -> None:
        for theme in ("textual-light", "textual-dark"):
            at.app.theme = theme
            await at.settle()
            assert load_preferences().theme == theme
            pale = [
                segment.text.strip()
                for strip in at.app.screen._compositor.render_strips()
                for segment in strip
                if segment.text.strip(NO_WORDS) and contrast_of(segment) < LEAST_CONTRAST
            ]
            assert pale == []
        file.unlink()
        file.mkdir()
        at.app.theme = "nord"
        await at.until_said("not a regular file")
        assert at.app.theme == "nord"

    watch(demo_log(), script)


def contrast_of(segment: Segment) -> float:
    """The ratio of the lighter to the darker colour, 1 to 21 (WCAG 2)."""
    style = segment.style
    assert style is not None
    assert style.color is not None
    assert style.bgcolor is not None
    colours = map(Color.from_rich_color, (style.color, style.bgcolor))
    light, dark = sorted(map(luminance, colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Color) -> float:
    parts = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colour.normalized
    )
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def test_the_first_start_explains_itself_once() -> None:
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
