"""The settings: every option as a field, for this session or for good."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Label

from ssr_local.core.config import Settings, config_file, save_setting
from ssr_local.core.errors import UsageError
from ssr_local.core.options import SolveOptions
from ssr_local.core.toml_file import printable
from ssr_local_tui.fields import COMMON, Field, Value, fields_of
from ssr_local_tui.screens.dialog import Dialog
from ssr_local_tui.screens.field_row import FieldRow, row_of


class Fields(VerticalScroll, can_focus=False, inherit_bindings=False):
    """Scrolls by pages; arrow keys move between the fields instead."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
    ]


class SettingsScreen(Dialog[dict[str, Value]]):
    """Gives back the values that were changed, by option name, or None when cancelled.

    ``pairs`` are the registry's names of pairs.
    """

    DEFAULT_CSS = """
    SettingsScreen {
        #box { width: 100%; max-width: 84; height: 100%; max-height: 38; padding: 0; }
        Fields {
            height: 1fr;
            padding: 0 1;
            scrollbar-size-vertical: 1;
        }
        .heading {
            margin-top: 1;
            text-style: bold;
            color: $text-primary;
        }
        #about {
            width: 100%;
            height: 5;
            padding: 0 1;
            border-top: solid $primary;
            border-title-color: $text-primary;
            border-title-style: bold;
            color: $text-muted;
        }
        #about.-failed {
            color: $text-error;
        }
        .row { height: 1; padding: 0 1; margin: 0; }
        #box .row Button {
            min-width: 0;
            margin-right: 1;
            border: none !important;
            background: $panel;
        }
        &.-narrow #about {
            height: 7;
        }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+o", "use", "Use", tooltip="Use these values in this session", id="settings-use"
        ),
        Binding(
            "ctrl+s",
            "save",
            "Save",
            tooltip="Use these values, and write the changed ones into the settings file",
            id="settings-save",
        ),
        Binding(
            "ctrl+r", "reset", "Reset", tooltip="Fill in the option's default", id="settings-reset"
        ),
        Binding("escape", "leave", "Cancel", tooltip="Change nothing", id="settings-cancel"),
        Binding("down", "app.focus_next", "Next field", show=False),
        Binding("up", "app.focus_previous", "Field before", show=False),
    ]

    HEADING = "Settings"
    BUTTONS: ClassVar[dict[str, str]] = {"use": "Use", "save": "Save", "leave": "Cancel"}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-wide")]  # noqa: RUF012  as Screen has it
    AUTO_FOCUS = "FieldRow Input"

    def __init__(self, settings: Settings, pairs: Sequence[str]) -> None:
        super().__init__()
        self._rows = [FieldRow(field) for field in fields_of(settings, pairs)]

    def content(self) -> ComposeResult:
        with Fields():
            for heading, rows in groupby(self._rows, lambda row: _heading(row.field)):
                if heading:
                    yield Label(heading, classes="heading")
                yield from rows
        yield Label("", id="about", markup=False)

    def on_mount(self) -> None:
        for action in self.BUTTONS:
            button = self.query_one(f"#{action}", Button)
            binding = self._binding(action)
            if binding is not None:
                button.label = f"{button.label} {self.app.get_key_display(binding)}"

    @property
    def changes(self) -> dict[str, Value]:
        """The accepted values that are not those in force."""
        return {row.field.name: row.value for row in self._rows if row.is_changed}

    @on(Input.Submitted)
    def action_use(self) -> None:
        """Give the changed values back, unless one is wrong."""
        if not self._go_to_wrong():
            self.dismiss(self.changes)

    def action_save(self) -> None:
        """The same, and write them into the settings file first."""
        if self._go_to_wrong():
            return
        changed = [row for row in self._rows if row.is_changed]
        try:
            for row in changed:
                # A line that says the default is one that nobody needs.
                save_setting(row.field.name, None if row.is_default else row.value)
        except UsageError as error:
            self._tell("Not saved", str(error), failed=True)
            return
        for setting in (row.field.setting for row in changed):
            if setting.origin == "environment":
                words = f"{setting.detail} in the environment is stronger than the file."
                self.app.notify(words, severity="warning", markup=False)
        self.dismiss(self.changes)

    def action_reset(self, name: str = "") -> None:
        """Fill in the default of one option, or of the one that has the focus."""
        row = self.query_one(f"#field-{name}", FieldRow) if name else row_of(self.focused)
        if row is not None:
            row.reset()
            row.control.focus()

    @on(FieldRow.Changed)
    def _changed(self) -> None:
        wrong = any(row.error for row in self._rows)
        for action in ("use", "save"):
            self.query_one(f"#{action}", Button).disabled = wrong
        self._describe_focused()

    @on(events.DescendantFocus)
    def _describe_focused(self) -> None:
        row = row_of(self.focused)
        if row is not None:
            self._tell(row.field.label, f"{row.field.help}{self._reset_hint(row)}")
        elif isinstance(self.focused, Button):
            binding = self._binding(self.focused.id or "")
            file = f": {printable(str(config_file()))}" if self.focused.id == "save" else ""
            self._tell("", f"{binding.tooltip}{file}" if binding else "")

    def _reset_hint(self, row: FieldRow) -> str:
        binding = self._binding("reset")
        if row.is_default or binding is None:
            return ""
        return f" {self.app.get_key_display(binding)} fills in the default."

    def _tell(self, title: str, text: str, *, failed: bool = False) -> None:
        about = self.query_one("#about", Label)
        about.border_title = Content(title)
        about.update(text)
        about.set_class(failed, "-failed")

    def _go_to_wrong(self) -> bool:
        """Whether something is wrong; the first such field then has the focus."""
        wrong = next((row for row in self._rows if row.error), None)
        if wrong is not None:
            self.app.bell()
            wrong.control.focus()
        return wrong is not None

    def _binding(self, action: str) -> Binding | None:
        """The binding of an action, with the key it has in the user's keymap."""
        active = (one.binding for one in self.active_bindings.values())
        return next((binding for binding in active if binding.action == action), None)


def _heading(field: Field) -> str:
    if field.name in COMMON:
        return ""
    return "More about solving" if field.kind is SolveOptions else "Models and machine"
