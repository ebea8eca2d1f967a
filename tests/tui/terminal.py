"""The app in a real terminal: tmux types, and reads the screen."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Terminal:
    """One tmux session on a server of its own."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    def tmux(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._socket, *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout

    def send(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self.tmux("send-keys", "-t", "app", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self.tmux("send-keys", "-t", "app", "-l", text)

    def screen(self) -> str:
        """What is on the screen."""
        return self.tmux("capture-pane", "-t", "app", "-p")

    def until(self, wanted: Callable[[str], bool] | str, timeout_s: float = 30.0) -> str:
        """The screen once it has what is wanted."""
        deadline = time.monotonic() + timeout_s
        while True:
            screen = self.screen()
            if wanted in screen if isinstance(wanted, str) else wanted(screen):
                return screen
            assert time.monotonic() < deadline, f"{wanted!r} never came:\n{screen}"
            time.sleep(0.1)


@contextmanager
def in_terminal(
    folder: Path, *arguments: str, columns: int = 100, rows: int = 30, **environment: str
) -> Iterator[Terminal]:
    """The command ``ssr-local`` with these arguments, in a shell that says its exit code."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    terminal = Terminal(f"ssr-{uuid.uuid4().hex[:8]}")
    folders = ("config", "cache", "data")
    variables = {
        **{f"SSR_LOCAL_{name.upper()}_DIR": str(folder / name) for name in folders},
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tui'}",
        **environment,
    }
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    command = shlex.join([sys.executable, "-m", "ssr_local", *arguments])
    # readline, which pytest loads, leaves a terminal's size in the environment.
    line = f"env -u COLUMNS -u LINES {settings} {command}; echo exit code $?; sleep 60"
    terminal.tmux(
        *("new-session", "-d", "-s", "app", "-x", str(columns), "-y", str(rows)),
        *("-c", str(folder), "sh", "-c", line),
    )
    try:
        yield terminal
    finally:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - no file
            subprocess.run(
                ["tmux", "-L", terminal._socket, "kill-server"], stderr=nowhere, check=False
            )
