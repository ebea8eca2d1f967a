"""What the small screens in the middle have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

_R = TypeVar("_R")
_RETRY_S = 0.1


class Dialog(ModalScreen[_R]):
    """A box in the middle; escape leaves it without a result."""

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

    def action_leave(self) -> None:
        """Close without a result."""
        self.dismiss(None)


def when_on_top(screen: Screen[Any], then: Callable[[], object]) -> None:
    """Do something once nothing lies above a screen: what is dismissed is what is on top."""
    if screen.app.screen is screen:
        then()
    else:
        screen.set_timer(_RETRY_S, partial(when_on_top, screen, then))
