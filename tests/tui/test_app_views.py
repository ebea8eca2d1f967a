"""What is looked at: panes, formulas, copies, comparison, files, help, palette, themes."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.segment import Segment
from textual.color import Color
from textual.widgets import Input, Select

from ssr_local.config import config_file
from ssr_local.events import PathOpened, read_events
from ssr_local_tui.preferences import Preferences, load_preferences
from ssr_local_tui.screens.main import MainScreen
from ssr_local_tui.widgets.detail import DetailPane, formatted
from ssr_local_tui.widgets.metrics import MetricsPane
from ssr_local_tui.widgets.run_tree import Item, RunTree
from tests.tui.sitting import Sitting, covers, demo_log, keys_of, sit, watch, write_log

pytestmark = pytest.mark.usefixtures("folders")

LAST_STEP = Item("step", 0, 4)
LEAST_CONTRAST = 2.7  # of Textual's own placeholder; everything of ours has more than 3


# Panes ----------------------------------------------------------------------------------


@covers("metrics", "detail")
@pytest.mark.parametrize(
    ("key", "pane"), [("m", MetricsPane), ("b", DetailPane)], ids=["metrics", "detail"]
)
@pytest.mark.parametrize("size", [(120, 40), (60, 16)], ids=str)
def test_panes_come_and_go(
    key: str, pane: type[DetailPane | MetricsPane], size: tuple[int, int], folders: Path
) -> None:
    async def script(at: Sitting) -> None:
        widget = at.main.query_one(pane)
        roomy = size == (120, 40)
        assert widget.display == roomy  # where there is room, they are there
        for shown in (not roomy, roomy):
            await at.press(key)
            await at.until(lambda shown=shown: widget.display == shown)
            await at.until(lambda shown=shown: bool(widget.region.area) == shown)

    watch(demo_log(), folders, script, size=size)


def test_a_pane_that_was_sent_away_stays_away_when_the_terminal_grows(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.press("b")
        await at.pilot.resize_terminal(200, 60)
        await at.until(lambda: at.main.query_one(RunTree).region.right > 110)
        assert not at.main.query_one(DetailPane).display
        assert at.main.query_one(MetricsPane).display

    watch(demo_log(), folders, script)


@covers("source")
def test_formulas_are_shown_readable_or_as_they_were_written(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.put_cursor(LAST_STEP)
        detail = at.main.query_one(DetailPane)
        await at.until(lambda: "⟦18⟧" in content(detail))
        await at.press("l")
        await at.until(lambda: r"\boxed{18}" in content(detail))
        await at.press("l")
        await at.until(lambda: "⟦18⟧" in content(detail))

    watch(demo_log(), folders, script)


def content(pane: DetailPane) -> str:
    """What stands in a pane, as it is drawn."""
    region = pane.region
    strips = pane.screen._compositor.render_strips()[region.y : region.bottom]
    return "\n".join(strip.crop(region.x, region.right).text for strip in strips)


@covers("tree-open", "tree-close")
def test_left_and_right_close_and_open_what_the_cursor_is_on(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.put_cursor(Item("path", 0))
        for key, count in (("left", 0), ("right", 1)):
            await at.press(key)
            await at.until(lambda count=count: at.text().count("8.0 Let h be") == count)
        await at.press("right")
        assert at.main.run_tree.selected_item == Item("step", 0, 0)
        await at.press("left")
        assert at.main.run_tree.selected_item == Item("path", 0)

    watch(demo_log(), folders, script)


COPIES = [
    (Item("problem"), "A farm has hens and cows."),
    (LAST_STEP, r"There are \boxed{18} hens."),
    (Item("rejected", 0, 2), "Dividing the second equation by 2 gives h + 2c = 84."),
    (Item("votes"), "18"),
    (Item("vote", 1), "21"),
]


@covers("copy")
def test_what_the_cursor_is_on_is_copied_as_it_was_written(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        for item, text in COPIES:
            await at.put_cursor(item)
            await at.press("c")
            assert at.app.clipboard == text
            await at.until_said(f"Copied: {text}"[:40])

    watch(demo_log(), folders, script)


@covers("compare", "comparison-next", "comparison-next-left", "comparison-source")
def test_two_paths_are_compared_and_others_chosen(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.put_cursor(Item("path", 1))
        await at.press("v")
        await at.until_on("ComparisonScreen")
        left, right = (at.app.screen.query_one(f"#path-{n}", Select) for n in (0, 1))
        assert (left.value, right.value) == (1, 2)  # the one with another answer
        await at.until_shows("here they part")
        await at.press("right_square_bracket")
        await at.until(lambda: right.value == 0)
        await at.press("left_square_bracket")
        await at.until(lambda: left.value == 2)
        await at.press("l")
        await at.until_shows(r"\boxed{21}")
        await at.press("escape")
        await at.until_on("MainScreen")

    watch(demo_log(), folders, script)


@covers("comparison-close", "dialog-close")
@pytest.mark.parametrize("key", ["v", "q", "escape"])
def test_the_comparison_is_closed(key: str, folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.press("v")
        await at.until_on("ComparisonScreen")
        await at.press(key)
        await at.until_on("MainScreen")

    watch(demo_log(), folders, script)


def test_a_path_that_is_opened_while_two_are_compared_can_be_chosen(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.press("v")
        await at.until_on("ComparisonScreen")
        opened = next(e for e in demo_log() if isinstance(e, PathOpened) and e.path == 0)
        at.tree.apply_all([msgspec.structs.replace(opened, path=3)])
        right = at.app.screen.query_one("#path-1", Select)
        seen = set()
        await at.until(lambda: len(right._options) == 4)
        for _ in range(4):
            await at.press("right_square_bracket")
            seen.add(right.value)
        assert seen == {0, 1, 2, 3}

    watch(demo_log(), folders, script)


def test_what_the_draft_had_written_is_struck_through(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.put_cursor(Item("path", 0))
        strips = at.app.screen._compositor.render_strips()
        struck = "".join(
            segment.text for strip in strips for segment in strip if segment.style.strike
        )
        assert "Dividing the second equation by 2 gives h + 2c =" in struck
        assert "h + 2c = 42" not in struck

    watch(demo_log(), folders, script)


def test_one_path_is_compared_with_nothing(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.press("v")
        assert at.dialog == "MainScreen"

    watch(demo_log(paths=1), folders, script)


# Files ----------------------------------------------------------------------------------

EXPORTS = ["md", "json", "jsonl", "svg"]


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

    watch(demo_log(), folders, script)
    written = {fmt: (folders / f"run.{fmt}").read_text() for fmt in EXPORTS}
    assert "18" in written["md"]
    assert json.loads(written["json"])["answer"] == "18"
    assert written["svg"].startswith("<svg")
    with (folders / "run.jsonl").open("rb") as file:
        assert list(read_events(file, "")) == list(demo_log())


def test_an_existing_file_is_replaced_only_when_asked_twice(folders: Path) -> None:
    (folders / "run.md").write_text("mine")

    async def script(at: Sitting) -> None:
        await at.press("e")
        await at.until_on("ExportScreen")
        at.app.screen.query_one("#file", Input).value = "run.md"
        at.app.screen.query_one("#write").focus()
        await at.press("enter")
        await at.until_shows("run.md exists")
        assert (folders / "run.md").read_text() == "mine"
        await at.until(lambda: not at.app.screen.query("Button.-active"))  # no double click
        await at.press("enter")
        await at.until_on("MainScreen")
        assert (folders / "run.md").read_text() != "mine"

    watch(demo_log(), folders, script)


@covers("open")
def test_a_recent_run_is_opened_from_the_list(folders: Path) -> None:
    runs = folders / "cache" / "runs"
    runs.mkdir(parents=True)
    write_log(demo_log(), runs / "run-20260101-120000-000001.jsonl")

    async def script(at: Sitting) -> None:
        await at.press("escape", "o")
        await at.until_shows("20260101-120000  A farm has hens and cows.")
        await at.press("tab", "enter")
        await at.ended()
        await at.until_shows("Answer: 18")
        await at.until_shows("[replay, at once]")

    sit(script)


def test_a_log_is_opened_by_its_path_and_a_missing_one_is_named(folders: Path) -> None:
    write_log(demo_log(), folders / "it.jsonl")

    async def script(at: Sitting) -> None:
        await at.press("escape", "o")
        await at.until_on("OpenScreen")
        field = at.app.screen.query_one("#file", Input)
        field.value = "nowhere.jsonl"
        await at.press("enter")
        await at.until_shows("There is no file nowhere.jsonl.")
        field.value = "it.jsonl"
        await at.press("enter")
        await at.ended()
        await at.until_shows("Answer: 18")

    sit(script)


def test_a_recent_run_is_played_as_it_was(folders: Path) -> None:
    runs = folders / "cache" / "runs"
    runs.mkdir(parents=True)
    write_log(demo_log(), runs / "run-20260101-120000-000001.jsonl")

    async def script(at: Sitting) -> None:
        await at.press("escape", "o")
        await at.until_on("OpenScreen")
        await at.click_on("Play as it was")
        await at.until_on("MainScreen")
        await at.until_shows("[replay, 1 × as fast]")
        await at.until(lambda: at.tree.problem)
        await at.press("x")
        await at.until(lambda: not at.main.running)

    sit(script)


def test_nothing_to_open_is_said(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.press("escape", "o")
        await at.until_on("OpenScreen")
        await at.press("enter")
        await at.until_shows("Give the path of a log.")

    sit(script)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2*3*4 and a*b*c", "2*3*4 and a*b*c"),
        ("__init__ and x__y", "__init__ and x__y"),
        ("if a<b then <b>c</b>", "if a<b then <b>c</b>"),
        ("one\ntwo", "one\ntwo"),
        ("**so** it is", "so it is"),
    ],
)
def test_signs_of_maths_stay_as_they_are(text: str, shown: str) -> None:
    console = Console(width=60, color_system=None)
    with console.capture() as capture:
        console.print(formatted(text, source=False))
    lines = [line.rstrip() for line in capture.get().strip("\n").splitlines()]
    assert "\n".join(lines) == shown


# Help, palette, keys, themes, welcome ---------------------------------------------------


@covers("help", "help-close")
@pytest.mark.parametrize("key", keys_of("help"))
def test_the_help_shows_the_keys_of_now(key: str, folders: Path) -> None:
    async def script(at: Sitting) -> None:
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


def test_a_theme_is_remembered_also_when_it_is_changed_back(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        first = at.app.theme
        at.app.theme = "textual-light"
        await at.settle()
        assert load_preferences().theme == "textual-light"
        at.app.theme = first
        await at.settle()
        assert load_preferences().theme == first

    sit(script)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light"])
def test_every_word_can_be_read_in_the_dark_and_in_the_light(theme: str, folders: Path) -> None:
    async def script(at: Sitting) -> None:
        at.app.theme = theme
        await at.settle()
        pale = [
            segment.text.strip()
            for strip in at.app.screen._compositor.render_strips()
            for segment in strip
            if segment.text.strip(" ─│╭╮╰╯├└▏▍▎▌▋▊▉█▁▂") and contrast_of(segment) < LEAST_CONTRAST
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


def test_a_theme_that_cannot_be_saved_is_told_and_used(folders: Path) -> None:
    async def script(at: Sitting) -> None:
        config_file().mkdir(parents=True)
        at.app.theme = "nord"
        await at.until_said("not a regular file")
        assert at.app.theme == "nord"

    sit(script)


@pytest.mark.parametrize("key", ["enter", "escape", "space", "q"])
def test_the_first_start_explains_itself_once(key: str, folders: Path) -> None:
    async def first(at: Sitting) -> None:
        await at.until_shows("Welcome to ssr-local")
        await at.press(key)
        await at.until_on("MainScreen")
        await at.settle()

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
