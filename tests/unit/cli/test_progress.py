from __future__ import annotations

import io
import sys

import pytest

from ssr_local.cli.progress import progress_shown
from tests.unit.cli.program import Program

SCRIPT = """
import sys
from ssr_local.cli.progress import progress_shown
from ssr_local.models.download import Progress
with progress_shown() as show:
    same = dict(name="some-model", phase="fetching", source="s", total_bytes=10)
    for done in range({times}):
        show(Progress(done_bytes=done, **same))
    print("in between", "rich" in sys.modules, file=sys.stderr)
    if {times} and {fails}:
        raise SystemExit("failed")
print("afterwards", file=sys.stderr)
"""


def shown(program: Program, times: int, fails: bool = False) -> str:
    script = program.folder / "script.py"
    script.write_text(SCRIPT.format(times=times, fails=fails))
    return program.on_terminal(command=[sys.executable, str(script)])[1]


def test_nothing_is_drawn_before_there_is_progress(program: Program) -> None:
    assert shown(program, 0) == "in between False\r\nafterwards\r\n"


@pytest.mark.parametrize(("fails", "end"), [(False, "afterwards"), (True, "failed")])
def test_progress_is_drawn_and_taken_away(program: Program, fails: bool, end: str) -> None:
    text = shown(program, 5, fails)
    assert "some-model fetching" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert text.endswith(f"{end}\r\n")


def test_a_finished_file_leaves_the_terminal_to_what_follows(program: Program) -> None:
    text = shown(program, 11)
    assert text.index("\x1b[?25h") < text.index("in between")


def test_without_a_terminal_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_shown() as show:
        assert show is None
