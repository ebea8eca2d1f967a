from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Button, Label

from ssr_local.core.config import OPTION_NAMES, Settings, load_settings
from ssr_local.core.errors import UsageError
from ssr_local_tui.fields import COMMON, Field, Value, fields_of
from ssr_local_tui.screens.field_row import FieldRow
from ssr_local_tui.screens.settings import SettingsScreen
from tests.tui.pilot import Hands, piloted

PAIRS = ("default", "tiny")
OPEN = "still open"


class Host(App[None]):
    """Shows the settings, and remembers what they gave back."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.result: object = OPEN

    def on_mount(self) -> None:
        self.result = OPEN
        self.push_screen(SettingsScreen(self.settings, PAIRS), self.take)

    def take(self, result: dict[str, Value] | None) -> None:
        self.result = result

    def row(self, name: str) -> FieldRow:
        return self.screen.query_one(f"#field-{name}", FieldRow)

    def shown(self, selector: str) -> str:
        return str(self.screen.query_one(selector, Label).render())


def fields(**overrides: Any) -> dict[str, Field]:
    return {field.name: field for field in fields_of(load_settings(overrides, env={}), PAIRS)}


def shown(
    script: Callable[[Hands[Host]], Awaitable[None]],
    settings: Settings | None = None,
    size: tuple[int, int] = (80, 24),
) -> Host:
    """The app after ``script``."""
    host = Host(settings or load_settings(env={}))

    async def drive(pilot: Pilot[None]) -> None:
        await script(Hands(host, pilot))

    piloted(host, drive, size)
    return host


# Fields ---------------------------------------------------------------------


def test_every_option_has_a_field_whose_value_in_force_can_be_typed() -> None:
    found = fields(seed=7, draft="a[red].gguf", threshold=0.5, pair="gone")
    assert sorted(found) == sorted(OPTION_NAMES)
    assert tuple(found)[: len(COMMON)] == COMMON
    for field in found.values():
        assert not field.error(field.text)
        assert field.read(field.text) == field.setting.value
        assert field.read(field.text_of(field.default)) == field.default
    assert found["pair"].words == ("default", "tiny", "demo", "gone")  # one is in force


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("paths", "12", 12),
        ("threshold", "6", 6.0),
        ("seed", "", None),
        ("draft", "x.gguf", "x.gguf"),
        ("gpu_layers", "auto", -1),
        ("gpu_layers", "4", 4),
        *(("paths", text, UsageError) for text in ("", "0", "13", "2.5", "١x")),
        *(("threshold", text, UsageError) for text in ("nan", "10")),
        *(("strategies", "", UsageError), ("verifier", "none", UsageError)),
    ],
)
def test_what_is_typed_is_read_as_the_option_or_has_the_shells_message(
    name: str, text: str, value: Value | type[UsageError]
) -> None:
    field = fields()[name]
    if value is UsageError:
        with pytest.raises(UsageError) as caught:
            field.read(text)
        assert field.error(text) == caught.value.why
        assert field.error(text).startswith("Accepted: ")
    else:
        assert field.read(text) == value
        assert type(field.read(text)) is type(value)


# The screen -----------------------------------------------------------------


USED: list[tuple[tuple[str, ...], object]] = [
    (("5", "down", "enter", "down", "enter", "ctrl+o"), {"paths": 5, "mode": "fast1"}),
    (("9", "9", "down", "down", "ctrl+o"), OPEN),  # 99 is wrong
    (("ctrl+s",), OPEN),
    (("enter",), OPEN),
    (("end", "backspace", "enter"), {"paths": 9}),
    (("5", "down", "enter", "escape"), OPEN),  # closes the menu
    (("ctrl+s",), OPEN),  # the file cannot be written
    (("escape",), None),
]


def test_what_keys_alone_give_back(file: Path) -> None:
    async def script(at: Hands[Host]) -> None:
        host = at.app
        file.mkdir()
        for keys, result in USED:
            if host.result is not OPEN:
                host.on_mount()
                await at.until_on("SettingsScreen")
            await at.press(*keys)
            await at.settle()
            assert host.result == result, keys
            if keys[:2] == ("9", "9"):  # it is named, has the focus, and cannot be used
                row = host.row("paths")
                assert "1 to 12" in host.shown("#field-paths .problem")
                assert row.query_one(".problem").display
                assert host.focused is row.control
                buttons = (host.screen.query_one(f"#{name}", Button) for name in ("use", "save"))
                assert all(button.disabled for button in buttons)
            if keys == ("ctrl+s",) and host.row("paths").text == "5":  # and nothing is lost
                assert "not a regular file" in host.shown("#about")
                assert not host.row("paths").query_one(".problem").display
        assert list(file.iterdir()) == []

    shown(script)


def test_saving_writes_what_was_changed_and_takes_defaults_out(file: Path) -> None:
    file.write_text("# mine\npaths = 4 # four\nthreshold = 6.5\nseed = 7\n\n[tui]\nplain = true\n")
    settings = load_settings(env={"SSR_LOCAL_SEED": "7"})

    async def script(at: Hands[Host]) -> None:
        at.app.row("threshold").control.value = "5.5"
        at.app.row("seed").control.value = ""
        at.app.row("paths").control.focus()
        await at.press("ctrl+r", "ctrl+s")
        await at.settle()
        (told,) = at.app._notifications
        assert "SSR_LOCAL_SEED" in told.message  # is stronger than what was saved

    assert shown(script, settings).result == {"paths": 3, "threshold": 5.5, "seed": None}
    assert file.read_text() == "# mine\nthreshold = 5.5\n\n[tui]\nplain = true\n"


def test_the_origin_of_every_value_is_shown(file: Path) -> None:
    file.write_text("threshold = 6.5\n")
    settings = load_settings({"mode": "fast2"}, env={"SSR_LOCAL_VERIFIER": "digit"})

    async def script(at: Hands[Host]) -> None:
        origins = {"paths": "default", "mode": "option", "threshold": "config"}
        for name, origin in origins.items():
            assert at.app.shown(f"#field-{name} .origin") == origin
        for name, words in (
            ("verifier", "SSR_LOCAL_VERIFIER in the environment"),
            ("paths", "number of reasoning paths (1 to 12)"),
            ("threshold", str(file)),
        ):
            at.app.row(name).control.focus()
            await at.settle()
            assert words in " ".join(at.app.shown("#about").split())
        await at.press("5")
        await at.settle()
        assert at.app.shown("#field-threshold .origin") == "changed"

    shown(script, settings)


def test_every_field_can_be_reached_and_seen_in_a_small_terminal() -> None:
    async def script(at: Hands[Host]) -> None:
        screen = at.app.screen
        rows = list(screen.query(FieldRow))
        buttons = [screen.query_one(f"#{name}") for name in ("use", "save", "leave")]
        assert screen.focus_chain == [*(row.control for row in rows), *buttons]
        for row in rows:
            assert len(row.field.label) <= row.query_one(".label", Label).region.width
            assert row.control.region.width >= 12
        assert all(button.region.right < 40 for button in buttons)
        rows[-2].control.focus()
        await at.press("down")
        assert at.app.focused is rows[-1].control
        scrolled = screen.query_one("Fields").region
        await at.until(lambda: scrolled.contains_region(rows[-1].control.region))
        await at.press("up", "down", "down")
        assert at.app.focused is buttons[0]

    shown(script, size=(40, 20))


def test_the_users_keys_and_the_mouse_and_hostile_values() -> None:
    values = {"paths": 5, "draft": "[red]x[/nope].gguf", "pair": "[b]p[/i]"}
    host = Host(load_settings(values, env={}))
    host.set_keymap({"settings-use": "f10"})

    async def script(pilot: Pilot[None]) -> None:
        at = Hands(host, pilot)
        assert str(host.screen.query_one("#use", Button).label) == "Use f10"
        host.row("pair").control.focus()
        await at.press("enter")
        await at.settle()
        assert host.row("draft").text == "[red]x[/nope].gguf"
        assert host.row("pair").text == "[b]p[/i]"
        await at.press("escape", "f10")
        await at.settle()
        assert host.result == {}
        host.on_mount()
        await at.until_on("SettingsScreen")
        for selector, offset in (
            ("#field-mode Menu", (0, 0)),
            ("#field-mode SelectOverlay", (2, 1)),
            ("#field-paths .reset", (1, 0)),
            ("#use", (0, 0)),
        ):
            await pilot.click(selector, offset=offset)
            await at.settle()
        assert host.result == {"paths": 3, "mode": "fast1"}

    piloted(host, script)
