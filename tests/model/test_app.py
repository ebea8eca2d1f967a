"""The app in a real terminal with the default pair's weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local.core import folders
from ssr_local.core.events import ModelLoaded, RunEnded, StepDelta, read_events
from tests.tui.terminal import in_terminal

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("default_pair")]


def test_a_problem_is_solved_on_screen(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(folders.data_dir() / "models")  # the real ones
    (tmp_path / "config" / "config.toml").write_text("[tui]\nwelcomed = true\n")
    options = ("--paths", "2", "--max-tokens", "200", "--seed", "1", "--engine", "llama")
    with in_terminal(tmp_path, "tui", *options, columns=120, rows=40) as terminal:
        terminal.until("Type or paste a problem")
        terminal.type("What is 12 + 35?")
        terminal.send("Enter")
        terminal.until("solving", timeout_s=120)
        screen = terminal.until("ssr-local  done", timeout_s=300)
        assert "Answer:" in screen or "No path came to an answer" in screen
        assert "tokens/s" in screen
        assert "Traceback" not in screen
        terminal.send("q")
        terminal.until("exit code 0", timeout_s=60)
    (log,) = (tmp_path / "cache" / "runs").glob("run-*.jsonl")
    with log.open("rb") as file:
        events = list(read_events(file, str(log)))
    last = events[-1]
    assert isinstance(last, RunEnded)
    assert {type(event) for event in events} >= {ModelLoaded, StepDelta}
    assert (last.result.answer or "no path") in screen
    logs = list((tmp_path / "cache" / "logs").glob("worker-*.log"))
    assert logs
