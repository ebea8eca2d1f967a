"""How a download or a check goes on, drawn on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from ssr_local.models.download import Progress


@contextmanager
def progress_shown() -> Iterator[Callable[[Progress], None] | None]:
    """A callback that draws progress on standard error; None when that is no terminal.

    Nothing is drawn, and rich not imported, before the first call.
    """
    if not sys.stderr.isatty():
        yield None
        return
    drawing = _Drawing()
    try:
        yield drawing.show
    finally:
        drawing.stop()


class _Drawing:
    """The bar, made when there is something to draw."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._shown = ""

    def show(self, progress: Progress) -> None:
        """Draw how far it is."""
        words = f"{progress.name} {progress.phase}"
        bar = self._bar = self._bar or _new_bar()
        if words != self._shown:
            for old in bar.task_ids:
                bar.remove_task(old)
            # Rich measures speed from what was there at the start of its task.
            bar.add_task(words, completed=progress.done_bytes)
            self._shown = words
        (task,) = bar.task_ids
        bar.update(task, completed=progress.done_bytes, total=progress.total_bytes)
        if progress.done_bytes == progress.total_bytes:
            self.stop()  # what follows may want the terminal to itself

    def stop(self) -> None:
        """Take the bar away; the next call draws another."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._shown = None, ""


def _new_bar() -> Bar:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bar.start()
    return bar
