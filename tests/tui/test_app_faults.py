"""What goes wrong around the app: it says what, and what to do, and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from textual.widgets import Button

from ssr_local import Solver
from ssr_local.core.errors import Interrupted
from ssr_local.core.options import SolveOptions
from ssr_local.models.download import Progress
from tests.tui.pilot import TIMEOUT_S, wait_for
from tests.tui.sitting import Sitting, demo_log, sit, write_log
from tests.unit.models.download.local_hub import Repo, RepoHub

pytestmark = pytest.mark.usefixtures("worker")


# The worker -----------------------------------------------------------------------------


def test_a_killed_worker_is_told_the_tree_stays_and_r_starts_again(
    slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(at: Sitting) -> None:
        await at.ask()
        await at.until(lambda: at.tree.counts.drafted >= 2)
        pid = at.app.runs.solver.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await at.until_shows("The worker process that runs the models has ended.")
        await at.until_shows("killed by signal 9")
        await at.until_shows("Press r to start again.")
        assert at.shows("Let h be the number of hens")
        assert not at.app.control.running
        monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "0")
        await at.press("r")
        await at.until(lambda: at.app.control.error is None)
        await at.ended()
        await at.until_shows("Answer: 18")
        assert at.app.runs.solver.worker_pid not in (None, pid)

    sit(script)


def children() -> set[int]:
    """The worker processes of this one."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    ).stdout
    return {
        int(line.split()[0]) for line in listed.splitlines() if "ssr_local.transport.worker" in line
    }


def test_leaving_while_a_run_goes_on_leaves_no_process(slow: None) -> None:
    before = children()

    async def script(at: Sitting) -> None:
        await at.ask()
        await at.until(lambda: at.tree.counts.drafted >= 1)

    app = sit(script)
    if app.runs.feed is not None:
        assert app.runs.feed.wait(TIMEOUT_S)
    wait_for(lambda: children() <= before)


# Models -------------------------------------------------------------------------------


@pytest.fixture
def copied(folders: Path) -> Path:
    """A pair whose models are to be fetched from files beside; returns their folder."""
    models = ""
    for role in ("draft", "target"):
        (folders / f"{role}-source.gguf").write_bytes(b"GGUF" + role.encode() * 500_000)
        models += (
            f'[models.{role}]\nfile = "{role}.gguf"\n'
            f'sources = [{{ kind = "file", path = "{folders}/{role}-source.gguf" }}]\n'
        )
    (folders / "config").mkdir()
    (folders / "config" / "models.toml").write_text(
        models + '[pairs.copied]\ndraft = "draft"\ntarget = "target"\n'
    )
    return folders


def fetched(folder: Path) -> set[str]:
    return {path.name for path in (folder / "data" / "models").glob("*.gguf")}


class Held:
    """Stops a download at its first word of progress until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waits, self.free = threading.Event(), threading.Event()
        self.stopped = False
        told = Solver._progress

        def progress(solver: Solver, word: Progress) -> None:
            self.waits.set()
            self.free.wait(TIMEOUT_S)
            try:
                told(solver, word)
            except Interrupted:
                self.stopped = True
                raise

        monkeypatch.setattr(Solver, "_progress", progress)

    async def begin(self, at: Sitting) -> None:
        """Ask for something that has to be downloaded, and wait until it is stopped."""
        await at.ask()
        await at.until_on("DownloadScreen")
        await at.press("enter")
        await at.until(self.waits.is_set)


def test_missing_models_are_fetched_when_that_is_wanted_stopped_and_gone_on_with(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = copied / "target-source.gguf"

    async def script(at: Sitting) -> None:
        await at.ask()
        await at.until_on("DownloadScreen")
        await at.until_shows("To be downloaded once")
        await at.until_shows("models are missing")
        await at.press("escape")
        await at.until_on("MainScreen")
        await at.until_said("Nothing was started.")
        assert fetched(copied) == set()
        assert not at.app.control.is_going
        held = Held(monkeypatch)
        await held.begin(at)
        await at.until_shows("Stop")
        await at.press("escape")
        await at.until_shows("Stopping")
        held.free.set()
        await at.until_on("MainScreen")
        assert held.stopped
        assert "target.gguf" not in fetched(copied)
        await at.press("r")
        await at.until_on("DownloadScreen")
        there = source.read_bytes()
        source.unlink()
        await at.press("enter")
        await at.until_shows("Go on")
        assert "target" in " ".join(at.text().replace("│", " ").split())
        assert at.dialog == "DownloadScreen"
        source.write_bytes(there)
        await at.until(lambda: at.app.screen.query_one("#go", Button).has_focus)
        await at.until(lambda: not at.app.screen.query("Button.-active"))
        await at.press("enter")
        await at.until(lambda: fetched(copied) == {"draft.gguf", "target.gguf"})
        await at.until(lambda: at.app.control.error is not None)  # these are no models
        await at.until_shows("Press r to start again.")

    sit(script, pair="copied", method="ssr")


def test_a_model_of_the_hub_is_described_and_fetched(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = b"GGUF" + bytes(100_000)
    server = RepoHub(some__Tiny=Repo({"tiny-Q8_0.gguf": file}, {"license": "cc0-1.0"}))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    (folders / "config").mkdir()
    (folders / "config" / "models.toml").write_text(
        '[pairs.hub]\ndraft = "hf.co/some/Tiny"\ntarget = "some/Tiny:Q8_0"\n'
        '[pairs.none]\ndraft = "some/Tiny:Q2_K"\ntarget = "some/Tiny:Q2_K"\n'
    )

    async def script(at: Sitting) -> None:
        await at.ask()
        await at.until_on("DownloadScreen")
        await at.until_shows("cc0-1.0")
        await at.press("enter")
        path = folders / "data" / "models" / "some--Tiny" / "tiny-Q8_0.gguf"
        await at.until(path.is_file)
        await at.until(lambda: at.app.control.error is not None)  # it is no model
        assert path.read_bytes() == file

    async def refused(at: Sitting) -> None:
        await at.ask()
        await at.until_shows("has no Q2_K")

    sit(script, pair="hub")
    sit(refused, pair="none")
    server.close()


def test_a_download_that_ends_below_the_palette_starts_the_run(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(at: Sitting) -> None:
        held = Held(monkeypatch)
        await held.begin(at)
        await at.press("ctrl+p")
        await at.until_on("CommandPalette")
        held.free.set()
        await at.until(lambda: fetched(copied) == {"draft.gguf", "target.gguf"})
        await at.press("escape")
        await at.until_on("MainScreen")
        await at.until(lambda: at.app.control.error is not None)  # these are no models
        assert not at.said("Nothing was started")

    sit(script, pair="copied", method="ssr")


def test_leaving_ends_a_download(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch)

    async def script(at: Sitting) -> None:
        await held.begin(at)
        threading.Timer(0.1, held.free.set).start()
        await at.press("ctrl+q")

    sit(script, pair="copied")
    wait_for(lambda: held.stopped)  # nobody else waits for the thread
    assert "target.gguf" not in fetched(copied)


def test_leaving_waits_for_no_connection(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = threading.Event(), threading.Event()

    def hangs(solver: Solver, options: SolveOptions) -> None:
        asked.set()
        answered.wait(TIMEOUT_S)

    async def script(at: Sitting) -> None:
        monkeypatch.setattr(Solver, "to_fetch", hangs)
        await at.ask()
        await at.until(asked.is_set)
        await at.press("ctrl+q")

    started_s = time.monotonic()
    sit(script, pair="copied")
    assert time.monotonic() - started_s < TIMEOUT_S / 2
    answered.set()


# Logs -----------------------------------------------------------------------------------


def test_logs_that_are_empty_damaged_or_cut_off_are_shown_as_far_as_they_go(folders: Path) -> None:
    empty, cut = folders / "[red]empty.jsonl", folders / "cut.jsonl"
    empty.write_bytes(b"")
    damaged = write_log(demo_log(), folders / "damaged.jsonl")
    whole = damaged.read_bytes()
    cut.write_bytes(whole[:20_000])
    lines = whole.splitlines(keepends=True)
    damaged.write_bytes(b"".join([*lines[:200], b"{oops\n", *lines[201:]]))

    async def script(at: Sitting) -> None:
        await at.until_shows("line 201: not an event")
        assert at.shows("Let h be the number of hens")
        at.app.control.play(empty, 0.0)
        await at.until_shows("[red]empty.jsonl")
        assert at.shows("log is empty")
        at.app.control.play(folders / "gone.jsonl", 0.0)
        await at.until_said("cannot be opened")
        at.app.control.play(cut, 0.0)
        await at.until_shows("Let h be the number of hens")
        assert at.app.control.error is None
        (folders / "cache").mkdir()
        (folders / "cache" / "runs").write_text("no folder")
        await at.until(lambda: not at.app.control.running)
        await at.solve()  # which cannot be logged
        await at.until_shows("Answer: 18")
        await at.until_said("cannot be written")

    sit(script, replay=damaged)
