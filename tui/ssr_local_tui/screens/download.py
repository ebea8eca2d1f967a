"""Models that are missing: how much it is, how far it is, and a way out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, ProgressBar, Static

from ssr_local import Interrupted, SSRError
from ssr_local.core.display import clean, human_bytes, one_line
from ssr_local.core.options import SolveOptions
from ssr_local.models.download import Progress, ToFetch
from ssr_local_tui.background import in_background
from ssr_local_tui.feed import unexpected
from ssr_local_tui.host import Host
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

    def __init__(self, host: Host, options: SolveOptions, missing: ToFetch) -> None:
        super().__init__()
        self._runs, self._host = host.runs, host
        self._options, self._missing = options, missing
        self._going = False

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = "Models are missing"
            yield Static(
                f"To be downloaded once: {self._missing}. A download that stops goes on where"
                " it was.",
                id="what",
                markup=False,
            )
            yield ProgressBar(show_eta=False, id="bar")
            yield Static("", id="state", classes="help", markup=False)
            with Horizontal(classes="row"):
                yield Button("Download", variant="primary", id="go", compact=True)
                yield Button("Not now", id="leave", compact=True)

    def on_mount(self) -> None:
        self.query_one("#go", Button).focus()
        self.set_interval(_REDRAW_S, self._draw)

    @on(Button.Pressed, "#go")
    def _go(self) -> None:
        if self._going:
            return
        self._going = True
        self._host.progress = None
        self.query_one("#bar").add_class("-shown")
        self.query_one("#go", Button).disabled = True
        leave = self.query_one("#leave", Button)
        leave.label = "Stop"
        leave.focus()
        self.query_one("#state", Static).update("Beginning ...")
        in_background(self.app, self._fetch)

    @on(Button.Pressed, "#leave")
    def _leave(self) -> None:
        self.action_leave()

    def action_leave(self) -> None:
        """Stop a download that goes on, else close."""
        if self._going:
            self._runs.cancel()
            self.query_one("#state", Static).update("Stopping ...")
        else:
            self.dismiss(False)

    def _fetch(self) -> Callable[[], None]:
        try:
            self._runs.fetch(self._options)
        except SSRError as failure:
            return partial(when_on_top, self, partial(self._ended, failure))
        except Exception as failure:  # noqa: BLE001 - it would end the thread unseen
            return partial(when_on_top, self, partial(self._ended, unexpected(failure)))
        return partial(when_on_top, self, partial(self._ended, None))

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
        progress = self._host.progress
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
