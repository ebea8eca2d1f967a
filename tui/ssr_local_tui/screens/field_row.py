"""One option in the settings: its name, what is to be filled in, and what is wrong with it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Label, Select

from ssr_local_tui.fields import Field, Value


class Menu(Select[str], inherit_bindings=False):
    """A select that leaves the arrow keys to whoever moves between fields."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "show_overlay", "Open the menu", show=False),
    ]


class FieldRow(Container):
    """One option; below it the message of the error, while there is one."""

    SCOPED_CSS = False  # the screen's width decides
    DEFAULT_CSS = """
    FieldRow {
        layout: grid;
        grid-size: 2;
        grid-columns: 24 1fr;
        grid-rows: auto;
        height: auto;

        .label {
            width: 100%;
        }
        .line {
            height: 1;
        }
        Input, Menu {
            width: 1fr;
            max-width: 34;
        }
        Input, SelectCurrent {
            background: $panel;
        }
        .origin {
            width: 12;
            margin-left: 2;
            color: $text-muted;
        }
        .reset {
            width: 5;
        }
        .problem {
            display: none;
            column-span: 2;
            width: 100%;
            padding-left: 24;
            color: $text-error;
        }
        &:focus-within .label {
            text-style: bold;
            color: $text-primary;
        }
        &.-changed .origin {
            text-style: bold;
            color: $text-accent;
        }
        &.-wrong .problem {
            display: block;
        }
        &.-wrong .origin {
            text-style: bold;
            color: $text-error;
        }
        &.-wrong Input {
            background-tint: $error 20%;
        }
    }
    .-narrow FieldRow {
        layout: vertical;

        Input, Menu {
            max-width: 100%;
        }
        .origin {
            width: auto;
            min-width: 7;
            margin: 0 1;
        }
        .problem {
            padding-left: 0;
        }
    }
    """

    class Changed(Message):
        """Something else is filled in."""

    def __init__(self, field: Field) -> None:
        super().__init__(id=f"field-{field.name}")
        self.field = field
        self.control: Input | Menu = _control_of(field)

    def compose(self) -> ComposeResult:
        yield Label(self.field.label, classes="label", markup=False)
        with Horizontal(classes="line"):
            yield self.control
            yield Label("", classes="origin", markup=False)
            yield Label(f"[@click=screen.reset('{self.field.name}')]reset[/]", classes="reset")
        yield Label("", classes="problem", markup=False)

    @property
    def text(self) -> str:
        """What is filled in."""
        return str(self.control.value)

    @property
    def error(self) -> str:
        """What is wrong with it, empty when nothing is."""
        return self.field.error(self.text)

    @property
    def is_changed(self) -> bool:
        """Whether it is accepted and another value than the one in force."""
        return not self.error and self.value != self.field.setting.value

    @property
    def is_default(self) -> bool:
        """Whether it is what the option is when nobody sets it."""
        return not self.error and self.value == self.field.default

    @property
    def value(self) -> Value:
        """The value filled in. Raises ``UsageError`` when it is not accepted."""
        return self.field.read(self.text)

    def reset(self) -> None:
        """Fill in the default."""
        self.control.value = self.field.text_of(self.field.default)

    def on_mount(self) -> None:
        self._show_state()

    @on(Input.Changed)
    @on(Select.Changed)
    def _filled_in(self, event: Message) -> None:
        event.stop()
        self._show_state()
        self.post_message(self.Changed())
        if self.error:
            self.call_after_refresh(self.scroll_visible, animate=False)

    def _show_state(self) -> None:
        error = self.error
        self.set_class(bool(error), "-wrong")
        self.set_class(self.is_changed, "-changed")
        self.query_one(".problem", Label).update(error)
        state = "wrong" if error else "changed" if self.is_changed else self.field.setting.origin
        self.query_one(".origin", Label).update(state)
        self.query_one(".reset").visible = not self.is_default


def _control_of(field: Field) -> Input | Menu:
    if field.words:
        words = [(Text(word), word) for word in field.words]
        return Menu(words, value=field.text, allow_blank=False, compact=True)
    return Input(field.text, placeholder="not set", compact=True)


def row_of(widget: Widget | None) -> FieldRow | None:
    """The row a widget belongs to."""
    above = widget.ancestors_with_self if widget is not None else ()
    return next((node for node in above if isinstance(node, FieldRow)), None)
