"""What is going on right now, redrawn below the lines that stay."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from ssr_local.core.display import one_line
from ssr_local.core.tree import Phase, Tree
from ssr_local.core.views import PathView

if TYPE_CHECKING:
    from rich.text import Text

_REDRAWS_PER_S = 4
_PHASES: Mapping[Phase, str] = {
    "idle": "starting",
    "loading": "loaded",
    "reading": "reading the problem",
    "selecting": "choosing strategies",
    "running": "solving",
}
# Rows that are left to the lines above; with fewer, the paths are only counted.
_ROWS_KEPT = 6
_KEPT_CHARS = 400


class Screen:
    """Standard output as lines that stay; here with nothing below them."""

    def start(self) -> None:
        """The run has begun: from now on nothing else draws there."""

    def echo(self, line: str) -> None:
        """Write a line, which may carry colours."""
        # No colour when asked for none (no-color.org); None leaves it to what the stream is.
        click.echo(line, color=False if os.environ.get("NO_COLOR") else None)

    def remark(self, line: str) -> None:
        """Write a line to standard error."""
        click.echo(line, err=True)


class LiveScreen(Screen):
    """A terminal: lines that stay, and below them rows that say what is going on."""

    def __init__(self, tree: Tree) -> None:
        from rich.console import Console
        from rich.live import Live

        started_s = time.monotonic()
        self._console = console = Console(highlight=False)
        self._live = Live(
            console=console,
            transient=True,
            refresh_per_second=_REDRAWS_PER_S,
            get_renderable=lambda: rows(
                tree, time.monotonic() - started_s, console.width, console.height
            ),
        )

    def start(self) -> None:
        self._live.start()  # before the first event a download may be drawn there

    def echo(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text.from_ansi(line))

    def remark(self, line: str) -> None:
        self.echo(line)

    def close(self) -> None:
        """Take the rows away."""
        self._live.stop()


@contextmanager
def screen_for(tree: Tree, *, live: bool) -> Iterator[Screen]:
    """What to write to: with rows of the tree below where ``live`` and the terminal can."""
    writes_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    if live and writes_unicode and os.environ.get("TERM") != "dumb":
        with closing(LiveScreen(tree)) as screen:
            yield screen
    else:
        yield Screen()


def rows(tree: Tree, seconds: float, width: int, height: int) -> Text:
    """One row a live path where they fit, then the time; what is wider is cut off."""
    from rich.text import Text

    paths = list(tree.paths.values())  # in one go: another thread adds to them
    live = sorted((p for p in paths if p.end_reason is None), key=lambda path: path.index)
    shown = live if len(live) <= height - _ROWS_KEPT else []
    lines = [_row(path, width) for path in shown]
    counted = f", {len(live)} of {len(paths)} paths go on" if paths else ""
    lines.append(f"{seconds:.0f} s, {_phase(tree)}{counted}")
    return Text("\n".join(lines), style="dim", no_wrap=True, overflow="ellipsis")


def _phase(tree: Tree) -> str:
    loading = [model.name for model in list(tree.models.values()) if model.info is None]
    if tree.phase == "loading" and loading:
        return f"loading {one_line(loading[-1])}"
    return _PHASES.get(tree.phase, tree.phase)


def _row(path: PathView, width: int) -> str:
    words, text = _doing(path)
    head = f"[{path.index + 1}{one_line(path.strategy.letter)}] {words}  "
    return head + tail(one_line(text[-_KEPT_CHARS:]), width - len(head) - 1)


def _doing(path: PathView) -> tuple[str, str]:
    """What a path does, and the end of what is being written."""
    if not path.steps:
        return "begins", ""
    step, number = path.steps[-1], len(path.steps)
    if step.state == "waiting":
        return f"waits, step {number}", ""
    if step.state == "rewriting" and not step.text:
        return f"is corrected, step {number}", ""
    if step.is_open:
        return f"{'drafts' if step.author == 'draft' else 'writes'} step {number}", step.text
    return "goes on", ""


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
