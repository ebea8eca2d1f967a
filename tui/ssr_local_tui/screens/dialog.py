"""What the screens in the middle have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Button

from ssr_local_tui.host import Host, host_of

_R = TypeVar("_R")
_RETRY_S = 0.1


class Dialog(ModalScreen[_R]):
    """A titled box with buttons below what ``content`` puts into it; escape leaves it.

    ``BUTTONS`` are actions and their words; a button's id is its action.
    """

    DEFAULT_CSS = """
    Dialog {
        align: center middle;

        #box {
            width: 76;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            padding: 0 1;
            border: round $primary;
            border-title-color: $text-primary;
            border-title-style: bold;
            background: $surface;
            scrollbar-size-vertical: 1;
        }
        .row { height: auto; margin-top: 1; }
        .row Button { margin-right: 2; }
        .error { color: $text-error; height: auto; }
        .help { color: $text-muted; height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", id="dialog-close"),
        # A dialog keeps the app's own keys away; this one stops a run, also from here.
        Binding("ctrl+c", "app.stop_or_copy", "Stop", show=False, id="dialog-stop", system=True),
    ]
    BOX: ClassVar[type[Widget]] = Vertical
    HEADING: ClassVar[str] = ""
    HINT: ClassVar[str] = ""
    BUTTONS: ClassVar[dict[str, str]] = {}

    @property
    def host(self) -> Host:
        """The app."""
        return host_of(self)

    def compose(self) -> ComposeResult:
        with self.BOX(id="box") as box:
            box.border_title, box.border_subtitle = self.HEADING, self.HINT
            yield from self.content()
            if self.BUTTONS:
                yield buttons(self.BUTTONS, classes="row")

    def content(self) -> ComposeResult:
        """What stands in the box."""
        raise NotImplementedError

    def action_leave(self) -> None:
        """Close without a result."""
        self.dismiss(None)


def buttons(actions: dict[str, str], **more: Any) -> Horizontal:
    """A row of buttons that do what a screen's actions do, the first the most important."""
    return Horizontal(
        *(
            Button(
                words,
                id=action,
                action=f"screen.{action}",
                variant="default" if number else "primary",
                compact=True,
            )
            for number, (action, words) in enumerate(actions.items())
        ),
        **more,
    )


def when_on_top(screen: Screen[Any], then: Callable[[], object]) -> None:
    """Do something once nothing lies above a screen: what is dismissed is what is on top."""
    if screen.app.screen is screen:
        then()
    else:
        screen.set_timer(_RETRY_S, partial(when_on_top, screen, then))
