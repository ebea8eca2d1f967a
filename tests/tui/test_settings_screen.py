from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Button, Input, Label, Select

from ssr_local.core.config import OPTION_NAMES, Settings, config_file, load_settings
from ssr_local.core.errors import UsageError
from ssr_local_tui.fields import COMMON, Field, Value, fields_of
from ssr_local_tui.screens.field_row import FieldRow
from ssr_local_tui.screens.settings import SettingsScreen
from tests.tui.pilot import piloted, press, settled, until

PAIRS = ("default", "tiny")
OPEN = "still open"


class Host(App[None]):
    """Shows the settings, and remembers what they gave back."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.result: object = OPEN

    def on_mount(self) -> None:
        self.push_screen(SettingsScreen(self.settings, PAIRS), self.take)

    async def reopen(self, pilot: Pilot[None]) -> None:
        """Show the settings as they are at first."""
        self.result = OPEN
        self.on_mount()
        await pilot.pause()

    def take(self, result: dict[str, Value] | None) -> None:
        self.result = result

    def row(self, name: str) -> FieldRow:
        return self.screen.query_one(f"#field-{name}", FieldRow)

    def fill_in(self, name: str, text: str) -> None:
        self.row(name).control.value = text

    def shown(self, selector: str) -> str:
        return str(self.screen.query_one(selector, Label).render())


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSR_LOCAL_CONFIG_DIR", str(tmp_path))
    return config_file()


def fields(**overrides: Any) -> dict[str, Field]:
    return {field.name: field for field in fields_of(load_settings(overrides, env={}), PAIRS)}


def shown(
    script: Callable[[Host, Pilot[None]], Awaitable[None]],
    settings: Settings | None = None,
    size: tuple[int, int] = (80, 24),
) -> Host:
    """The app after ``script``."""
    host = Host(settings or load_settings(env={}))

    async def drive(pilot: Pilot[None]) -> None:
        await script(host, pilot)
        await settled(pilot)

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
    (("3", "ctrl+o"), {}),  # what it was
    (("5", "down", "enter", "escape"), OPEN),  # closes the menu
    (("escape",), None),
]


def test_what_keys_alone_give_back(file: Path) -> None:
    async def script(host: Host, pilot: Pilot[None]) -> None:
        for row in host.screen.query(FieldRow):
            assert isinstance(row.control, Select if row.field.words else Input)
        for keys, result in USED:
            if host.result is not OPEN:
                await host.reopen(pilot)
            await press(pilot, *keys)
            await settled(pilot)
            assert host.result == result, keys
            if keys[:2] == ("9", "9"):
                check_what_is_wrong(host)
        assert not file.exists()
        file.mkdir(parents=True)
        await host.reopen(pilot)
        await press(pilot, "5", "ctrl+s")
        await settled(pilot)
        assert "not a regular file" in host.shown("#about")
        assert host.row("paths").text == "5"
        assert not host.row("paths").query_one(".problem").display
        assert host.result == OPEN  # nothing is lost

    shown(script)


def check_what_is_wrong(host: Host) -> None:
    """It is named, has the focus, and cannot be used."""
    row = host.row("paths")
    assert row.query_one(".problem").display
    assert "1 to 12" in host.shown("#field-paths .problem")
    assert host.focused is row.control
    assert all(host.screen.query_one(f"#{name}", Button).disabled for name in ("use", "save"))


def test_saving_writes_what_was_changed_and_takes_defaults_out(file: Path) -> None:
    file.write_text("# mine\npaths = 4 # four\nthreshold = 6.5\nseed = 7\n\n[tui]\nplain = true\n")
    settings = load_settings(env={"SSR_LOCAL_SEED": "7"})

    async def script(host: Host, pilot: Pilot[None]) -> None:
        host.fill_in("threshold", "5.5")
        host.fill_in("seed", "")
        host.row("paths").control.focus()
        await press(pilot, "ctrl+r", "ctrl+s")
        await settled(pilot)
        (told,) = host._notifications
        assert "SSR_LOCAL_SEED" in told.message  # is stronger than what was saved

    assert shown(script, settings).result == {"paths": 3, "threshold": 5.5, "seed": None}
    assert file.read_text() == "# mine\nthreshold = 5.5\n\n[tui]\nplain = true\n"


def test_the_origin_of_every_value_is_shown(file: Path) -> None:
    file.write_text("threshold = 6.5\n")
    settings = load_settings({"mode": "fast2"}, env={"SSR_LOCAL_VERIFIER": "digit"})

    async def script(host: Host, pilot: Pilot[None]) -> None:
        for name, origin in (
            ("paths", "default"),
            ("mode", "option"),
            ("threshold", "config"),
            ("verifier", "environment"),
            ("seed", "default"),
        ):
            assert host.shown(f"#field-{name} .origin") == origin
        host.row("verifier").control.focus()
        await settled(pilot)
        assert "SSR_LOCAL_VERIFIER in the environment" in host.shown("#about")
        host.row("threshold").control.focus()
        await settled(pilot)
        assert str(file) in " ".join(host.shown("#about").split())
        await press(pilot, "5")
        await settled(pilot)
        assert host.shown("#field-threshold .origin") == "changed"
        await press(pilot, "up", "up")
        await settled(pilot)
        assert "number of reasoning paths (1 to 12)" in host.shown("#about")

    shown(script, settings)


@pytest.mark.parametrize("size", [(80, 24), pytest.param((40, 20), marks=pytest.mark.slow)])
def test_every_field_can_be_reached_and_seen(size: tuple[int, int]) -> None:
    """By keyboard, each with its whole name, inside the screen."""

    async def script(host: Host, pilot: Pilot[None]) -> None:
        scrolled = host.screen.query_one("Fields").region
        for name in (row.field.name for row in host.screen.query(FieldRow)):
            row = host.row(name)
            assert host.focused is row.control
            label = row.query_one(".label", Label)
            await until(pilot, lambda row=row: scrolled.contains_region(row.control.region))
            assert len(row.field.label) <= label.region.width
            assert row.control.region.width >= 12
            await press(pilot, "down")
        for name in ("use", "save", "leave"):
            assert host.focused is host.screen.query_one(f"#{name}")
            assert host.focused.region.right < size[0]
            await press(pilot, "tab")

    shown(script, size=size)


def test_the_users_keys_and_the_mouse_and_hostile_values() -> None:
    values = {"paths": 5, "draft": "[red]x[/nope].gguf", "pair": "[b]p[/i]"}
    host = Host(load_settings(values, env={}))
    host.set_keymap({"settings-use": "f10"})

    async def script(pilot: Pilot[None]) -> None:
        assert str(host.screen.query_one("#use", Button).label) == "Use f10"
        host.row("pair").control.focus()
        await press(pilot, "enter")
        await settled(pilot)
        assert host.row("draft").text == "[red]x[/nope].gguf"
        assert host.row("pair").text == "[b]p[/i]"
        await press(pilot, "escape", "f10")
        await settled(pilot)
        assert host.result == {}
        await host.reopen(pilot)
        for selector, offset in (
            ("#field-mode Menu", (0, 0)),
            ("#field-mode SelectOverlay", (2, 1)),
            ("#field-paths .reset", (1, 0)),
            ("#use", (0, 0)),
        ):
            await pilot.click(selector, offset=offset)
            await settled(pilot)
        assert host.result == {"paths": 3, "mode": "fast1"}

    piloted(host, script)
