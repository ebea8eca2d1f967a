"""The app in a real terminal, with the demonstration."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.tui.terminal import in_terminal
from tests.unit.cli.program import Program, child_of

WELCOMED = "[tui]\nwelcomed = true\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(WELCOMED)
    return tmp_path


def test_a_problem_is_typed_solved_and_left(folder: Path) -> None:
    with in_terminal(folder, "tui", "--pair", "demo", SSR_LOCAL_DEMO_SPEED="4") as terminal:
        terminal.until("Type or paste a problem")
        terminal.type("How many hens are on the farm?")
        terminal.send("Enter")
        screen = terminal.until("Answer: 18")
        assert "2 of 3 paths say so" in screen
        assert "✗ draft" in screen
        terminal.send("Home")
        terminal.until("▼ 1 A algebraic simplification")
        terminal.send("Down", "Down")
        terminal.until("Step 1: kept, score 8.0 of 9")
        terminal.send("q")
        screen = terminal.until("exit code 0")
        assert "Traceback" not in screen
        assert "Answer" not in screen  # the terminal is as it was


@pytest.mark.parametrize(
    ("name", "code"), [("TERM", 143), pytest.param("HUP", 129, marks=pytest.mark.slow)]
)
def test_a_signal_ends_the_app_and_gives_the_terminal_back(
    folder: Path, name: str, code: int
) -> None:
    with in_terminal(folder, "tui", "--demo", SSR_LOCAL_DEMO_SPEED="0.3") as terminal:
        terminal.until("✓  1")
        shell = terminal.tmux("display-message", "-p", "-t", "app", "#{pane_pid}").strip()
        pid = child_of(int(shell))
        worker = child_of(pid)
        os.kill(pid, getattr(signal, f"SIG{name}"))
        screen = terminal.until(f"exit code {code}")
        assert "Traceback" not in screen
        assert "Figures" not in screen
        assert not Path(f"/proc/{worker}").exists()
    (log,) = (folder / "cache" / "runs").glob("run-*.jsonl")
    assert log.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("--paths", "99"), "Option 'paths' cannot be 99.", 2),
        (("--pair", "nobody"), "nobody", 3),
        (("--replay", "nowhere.jsonl"), "nowhere.jsonl cannot be opened.", 2),
        (("x", "--replay", "x"), "not both", 2),
        (("--demo",), "needs a terminal", 2),
    ],
)
def test_a_wrong_start_is_an_error_in_the_shell(
    tmp_path: Path, arguments: tuple[str, ...], words: str, code: int
) -> None:
    done = Program(tmp_path).here("tui", *arguments)
    assert done.returncode == code
    assert words in done.stderr.decode()
