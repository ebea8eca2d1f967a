"""What a first start says, once."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from ssr_local_tui.screens.dialog import Dialog

_TEXT = """\
[b]Watch small models think, on this computer alone.[/b]

Type a problem, press [b]Enter[/b]. Several paths are written, some as programs that are run, and \
their answers vote. With the method [b]ssr[/b] a large model (the [b]target[/b]) picks strategies, \
and a small one (the [b]draft[/b]) follows them; the target scores every step from 0 to 9, keeps \
it ([b]✓[/b]) or writes it anew ([b]↻[/b]).

With [b]{tree}[/b] you leave the input, with [b]{problem}[/b] you come back. In the tree the \
arrow keys move, and the pane shows the step under the cursor in full. [b]{stop}[/b] stops, \
[b]{pause}[/b] pauses, [b]{keep}[/b] keeps a step the target rejected, [b]{reject}[/b] rejects \
one it kept, [b]{help}[/b] shows all keys.

Small models make mistakes that look convincing. A score is an opinion, and agreement of the \
paths is a hint; neither is a proof.

Nothing you type leaves this computer. The first problem downloads the models, if they are \
not here yet; you are asked first."""

_NAMED = ("tree", "problem", "stop", "pause", "keep", "reject", "help")


class WelcomeScreen(Dialog[None]):
    """Explains the app; any of its keys closes it."""

    DEFAULT_CSS = """
    WelcomeScreen {
        #box { width: 72; padding: 1 2; border-title-style: none; }
        #box Static { height: auto; margin-bottom: 1; }
        .row { margin: 0; }
        .row Button { width: 100%; margin: 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,space,q", "leave", "Begin", id="welcome-close"),
    ]
    BOX = VerticalScroll
    HEADING = "Welcome to ssr-local"
    BUTTONS: ClassVar[dict[str, str]] = {"leave": "Begin"}

    def content(self) -> ComposeResult:
        keys = {name: self.host.key_of(name).replace("[", r"\[") for name in _NAMED}
        yield Static(_TEXT.format(**keys))

    def on_mount(self) -> None:
        self.query_one("#leave").focus()
