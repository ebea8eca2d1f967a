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
    bars: dict[str, Bar] = {}

    def show(progress: Progress) -> None:
        words = f"{progress.name} {progress.phase}"
        if words not in bars:
            stop()
            bars[words] = _new_bar()
            # Rich measures speed from what was there at the start of its task.
            bars[words].add_task(words, completed=progress.done_bytes)
        (task,) = bars[words].task_ids
        bars[words].update(task, completed=progress.done_bytes, total=progress.total_bytes)
        if progress.done_bytes == progress.total_bytes:
            stop()  # what follows may want the terminal to itself

    def stop() -> None:
        for bar in bars.values():
            bar.stop()
        bars.clear()

    try:
        yield show
    finally:
        stop()


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
