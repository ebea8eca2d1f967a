"""Running code that tries something, for the tests of what keeps it from that."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssr_local.bench.sandbox import CodeVerdict, Limits, run_code

on_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the layers are those of Linux"
)

ROOT = Path(__file__).parents[3]
QUICK = Limits(wall_s=1.0)
PROMPT = 'def solve():\n    """Return "denied"."""\n'
TEST = 'def check(candidate):\n    assert candidate() == "denied"\n'


def judged(code: str, limits: Limits = Limits(), test: str = TEST) -> CodeVerdict:  # noqa: B008
    return run_code(
        textwrap.dedent(code), problem=PROMPT, test=test, entry_point="solve", limits=limits
    )


def attacked(attack: str) -> str:
    """What came of it: "done", or the exception that ended it."""
    code = (
        "import ctypes, os, socket, subprocess, sys, time\n"
        "def solve():\n    try:\n"
        + textwrap.indent(textwrap.dedent(attack), " " * 8)
        + "\n    except BaseException as error:\n"
        "        return f'{type(error).__name__}: {error}'\n"
        "    return 'done'\n"
    )
    verdict = judged(code, test="def check(candidate):\n    raise ValueError(candidate())\n")
    assert verdict.outcome == "wrong"
    return verdict.reason.removeprefix("ValueError: ")


@pytest.fixture
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the folders are made; after the test none is left, and no child."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []
    assert not children(os.getpid())


def children(pid: int) -> list[int]:
    """Those that run our interpreters; the test runner may have others."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"judging" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
    return found


def contains(file: Path, mark: bytes) -> bool:
    with contextlib.suppress(OSError):
        return mark in file.read_bytes()
    return False


def eventually(holds: Callable[[], bool], limit_s: float = 10.0) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and not holds():
        time.sleep(0.02)
    return holds()
