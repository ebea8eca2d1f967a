"""What is going on right now, redrawn below the lines that stay."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ssr_local.core.display import one_line
from ssr_local.core.events import (
    AnyEvent,
    ModelLoaded,
    ModelLoading,
    PathEnded,
    PathOpened,
    RunStarted,
    StepDelta,
    StepDrafted,
    StepRewritten,
    StepVerified,
)

if TYPE_CHECKING:
    from rich.text import Text

_REDRAWS_PER_S = 4
_DOING = {"draft": "drafts", "target": "writes"}
# Rows that are left to the lines above; with fewer, the paths are only counted.
_ROWS_KEPT = 6
_KEPT_CHARS = 400


class Screen:
    """Standard output as lines that stay; here with nothing below them."""

    def take(self, event: AnyEvent) -> None:
        """Take note of an event."""

    def echo(self, line: str) -> None:
        """Write a line, which may carry colours."""
        # No colour when asked for none (no-color.org); None leaves it to what the stream is.
        click.echo(line, color=False if os.environ.get("NO_COLOR") else None)

    def remark(self, line: str) -> None:
        """Write a line to standard error."""
        click.echo(line, err=True)


class LiveScreen(Screen):
    """A terminal: lines that stay, and below them rows that say what is going on."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._status = status = Status()
        self._console = console = Console(highlight=False)
        self._live = Live(
            console=console,
            transient=True,
            refresh_per_second=_REDRAWS_PER_S,
            get_renderable=lambda: status.render(console.width, console.height),
        )

    def take(self, event: AnyEvent) -> None:
        self._live.start()  # once; before the first event a download may be drawn there
        self._status.take(event)

    def echo(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text.from_ansi(line))

    def remark(self, line: str) -> None:
        self.echo(line)

    def close(self) -> None:
        """Take the rows away."""
        self._live.stop()


@contextmanager
def screen_for(live: bool) -> Iterator[Screen]:
    """What to write to: with rows that are redrawn where ``live`` and the terminal can."""
    if not live or os.environ.get("TERM") == "dumb" or not _writes_unicode():
        yield Screen()
        return
    screen = LiveScreen()
    try:
        yield screen
    finally:
        screen.close()


def _writes_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


class Status:
    """Follows a run's events; ``render`` says what every path is doing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._phase = "starting"
        self._letters: dict[int, str] = {}
        self._doing: dict[int, str] = {}
        self._texts: dict[int, str] = {}

    def take(self, event: AnyEvent) -> None:
        """Take note of an event."""
        if isinstance(event, ModelLoading):
            self._phase = f"loading {one_line(event.name)}"
        elif isinstance(event, ModelLoaded):
            self._phase = "loaded"
        elif isinstance(event, RunStarted):
            self._phase = "reading the problem"
        elif isinstance(event, PathOpened):
            self._phase = "solving"
            self._letters[event.path] = one_line(event.strategy.letter)
            self._set(event.path, "begins")
        elif isinstance(event, StepDelta):
            doing = f"{_DOING[event.author]} step {event.step + 1}"
            if not self._doing.get(event.path, "").startswith(doing):
                self._set(event.path, doing)
            text = self._texts[event.path] + event.text
            self._texts[event.path] = text[-_KEPT_CHARS:]
        elif isinstance(event, StepDrafted):
            self._doing[event.path] = f"waits, step {event.step + 1}"
        elif isinstance(event, StepVerified):
            kept = event.verdict.accepted
            self._set(event.path, "goes on" if kept else f"is corrected, step {event.step + 1}")
        elif isinstance(event, StepRewritten):
            self._set(event.path, "goes on")
        elif isinstance(event, PathEnded):
            self._doing.pop(event.path, None)

    def render(self, width: int, height: int) -> Text:
        """One row a live path where they fit, then the time; what is wider is cut off."""
        from rich.text import Text

        doing = sorted(self._doing.copy().items())  # another thread changes it
        rows = []
        if len(doing) <= height - _ROWS_KEPT:
            rows = [self._row(path, words, width) for path, words in doing]
        live = f", {len(doing)} of {len(self._letters)} paths go on" if self._letters else ""
        seconds = self._clock() - self._started
        rows.append(f"{seconds:.0f} s, {self._phase}{live}")
        return Text("\n".join(rows), style="dim", no_wrap=True, overflow="ellipsis")

    def _set(self, path: int, words: str) -> None:
        self._doing[path], self._texts[path] = words, ""

    def _row(self, path: int, words: str, width: int) -> str:
        head = f"[{path + 1}{self._letters.get(path, '')}] {words}  "
        return head + tail(one_line(self._texts.get(path, "")), width - len(head) - 1)


def tail(text: str, width: int) -> str:
    """The end of a text, at most ``width`` cells of a terminal wide."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    start, used = len(text), 1
    while start and used + cell_len(text[start - 1]) <= width:
        start -= 1
        used += cell_len(text[start])
    return f"…{text[start:]}" if width > 0 else ""
