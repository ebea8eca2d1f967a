"""Where a problem is typed: several lines, with the ones typed before a key away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from ssr_local.core.display import clean


class ProblemInput(TextArea):
    """Enter solves; up and down at the edge bring earlier problems back."""

    DEFAULT_CSS = """
    ProblemInput {
        height: auto;
        min-height: 3;
        max-height: 8;
        border: round $border-blurred;
        background: $surface;
        padding: 0 1;
    }
    ProblemInput:focus { border: round $border; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,alt+enter", "new_line", "New line", show=False, id="problem-line"),
    ]

    @dataclass
    class Submitted(Message):
        """A problem is to be solved."""

        text: str

    def __init__(self, text: str = "", **more: Any) -> None:
        super().__init__(
            text,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            placeholder="Type or paste a problem. Enter solves it, Ctrl+J begins a new line.",
            **more,
        )
        self._earlier: list[str] = []
        self._index = 0
        self._unsent = ""

    def remember(self, text: str) -> None:
        """Keep a problem for the up key."""
        text = clean(text)
        if text in self._earlier:
            self._earlier.remove(text)
        self._earlier.append(text)
        self._index = len(self._earlier)

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            if self.text.strip():
                self.post_message(self.Submitted(self.text))
            return
        at_edge = (event.key == "up" and self.cursor_at_first_line) or (
            event.key == "down" and self.cursor_at_last_line
        )
        if at_edge and self._recall(-1 if event.key == "up" else 1):
            event.stop()
            event.prevent_default()
            return
        await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.delete(*self.selection)
        self.insert(clean(event.text))

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")

    def _recall(self, direction: int) -> bool:
        index = self._index + direction
        if not 0 <= index <= len(self._earlier):
            return False
        if self._index == len(self._earlier):
            self._unsent = self.text
        self._index = index
        self.load_text(self._earlier[index] if index < len(self._earlier) else self._unsent)
        self.move_cursor(self.document.end)
        return True
