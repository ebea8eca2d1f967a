"""What a first start says, once."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from ssr_local_tui.host import host_of

_TEXT = """\
[b]Watch two small models think, on this computer alone.[/b]

Type a problem, press [b]Enter[/b]. A large model (the [b]target[/b]) picks promising strategies. \
A small, quick one (the [b]draft[/b]) follows each of them step by step. The target scores every \
step from 0 to 9: good steps are kept ([b]✓[/b]), weak ones it writes anew ([b]↻[/b]). At the \
end the paths vote.

With [b]{tree}[/b] you leave the input, with [b]{problem}[/b] you come back. In the tree the \
arrow keys move, and the pane shows the step under the cursor in full. [b]{stop}[/b] stops, \
[b]{pause}[/b] pauses, [b]{keep}[/b] keeps a step the target rejected, [b]{reject}[/b] rejects \
one it kept, [b]{help}[/b] shows all keys.

Small models make mistakes that look convincing. A score is an opinion, and agreement of the \
paths is a hint; neither is a proof.

Nothing you type leaves this computer. The first problem downloads the models, if they are \
not here yet; you are asked first."""

_NAMED = ("tree", "problem", "stop", "pause", "keep", "reject", "help")


class WelcomeScreen(ModalScreen[None]):
    """Explains the app; any of its keys closes it."""

    DEFAULT_CSS = """
    WelcomeScreen {
        align: center middle;

        #welcome {
            width: 72;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            padding: 1 2;
            border: round $primary;
            border-title-color: $text-primary;
            background: $surface;
        }
        Static { height: auto; margin-bottom: 1; }
        Button { width: 100%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,space,q", "dismiss", "Begin", id="welcome-close"),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="welcome") as box:
            box.border_title = "Welcome to ssr-local"
            keys = {name: host_of(self).key_of(name).replace("[", r"\[") for name in _NAMED}
            yield Static(_TEXT.format(**keys))
            yield Button("Begin", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query_one(Button).focus()

    def on_button_pressed(self) -> None:
        self.dismiss()
