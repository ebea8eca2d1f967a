"""Models that are missing: how much it is, how far it is, and a way out."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.widgets import Button, ProgressBar, Static

from ssr_local import Interrupted, SSRError
from ssr_local.core.display import clean, human_bytes, one_line
from ssr_local.core.options import SolveOptions
from ssr_local.models.download import Progress, ToFetch
from ssr_local_tui.looks import clock_text
from ssr_local_tui.screens.dialog import Dialog, when_on_top

_REDRAW_S = 0.25


class DownloadScreen(Dialog[bool]):
    """Asks, downloads, and gives True when everything is there; a stopped download is kept."""

    DEFAULT_CSS = """
    DownloadScreen {
        ProgressBar { width: 100%; display: none; margin-top: 1; }
        ProgressBar.-shown { display: block; }
        ProgressBar Bar { width: 1fr; }
    }
    """

    HEADING = "Models are missing"
    BUTTONS: ClassVar[dict[str, str]] = {"go": "Download", "leave": "Not now"}

    def __init__(self, options: SolveOptions, missing: ToFetch) -> None:
        super().__init__()
        self._options, self._missing = options, missing
        self._going = False

    def content(self) -> ComposeResult:
        yield Static(
            f"To be downloaded once: {self._missing}. A download that stops goes on where it was.",
            id="what",
            markup=False,
        )
        yield ProgressBar(show_eta=False, id="bar")
        yield Static("", id="state", classes="help", markup=False)

    def on_mount(self) -> None:
        self.query_one("#go", Button).focus()
        self.set_interval(_REDRAW_S, self._draw)

    def action_go(self) -> None:
        """Begin the download, or go on with it."""
        if self._going:
            return
        self._going = True
        self.host.progress = None
        self.query_one("#bar").add_class("-shown")
        self.query_one("#go", Button).disabled = True
        leave = self.query_one("#leave", Button)
        leave.label = "Stop"
        leave.focus()
        self.query_one("#state", Static).update("Beginning ...")
        self.host.in_background(
            lambda: self.host.runs.solver.fetch(self._options),
            lambda _: when_on_top(self, partial(self._ended, None)),
            lambda error: when_on_top(self, partial(self._ended, error)),
        )

    def action_leave(self) -> None:
        """Stop a download that goes on, else close."""
        if self._going:
            self.host.runs.cancel()
            self.query_one("#state", Static).update("Stopping ...")
        else:
            self.dismiss(False)

    def _ended(self, error: SSRError | None) -> None:
        self._going = False
        if error is None:
            self.dismiss(True)
        elif isinstance(error, Interrupted):
            self.dismiss(False)
        else:
            go = self.query_one("#go", Button)
            go.label, go.disabled = "Go on", False
            go.focus()
            self.query_one("#leave", Button).label = "Not now"
            self.query_one("#state", Static).update(clean(str(error)))

    def _draw(self) -> None:
        progress = self.host.progress
        if not self._going or progress is None:
            return
        bar = self.query_one("#bar", ProgressBar)
        bar.update(total=progress.total_bytes, progress=progress.done_bytes)
        self.query_one("#state", Static).update(_in_words(progress))


def _in_words(progress: Progress) -> str:
    of = "" if progress.total_bytes is None else f" of {human_bytes(progress.total_bytes)}"
    speed = "" if progress.speed is None else f", {human_bytes(int(progress.speed))}/s"
    left = "" if progress.eta_s is None else f", {clock_text(progress.eta_s)} left"
    name = one_line(progress.name, 60)
    return f"{name}: {progress.phase}, {human_bytes(progress.done_bytes)}{of}{speed}{left}"
