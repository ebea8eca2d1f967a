"""The ``ssr-local`` command as a user runs it: in this process, in its own, or on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any
from unittest import mock

import pytest

from ssr_local import cli
from ssr_local.api import Solver
from ssr_local.cli import at_work, plain
from ssr_local.core.config import OPTION_NAMES
from ssr_local.engine import demo

ROOT = Path(__file__).parents[3]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
LIMIT_S = 60.0


class Program:
    """Runs commands with folders of their own."""

    def __init__(self, folder: Path, speed: str = "0") -> None:
        self.folder = folder
        cleared = {f"SSR_LOCAL_{name.upper()}" for name in OPTION_NAMES} | {"NO_COLOR"}
        self.env = {name: value for name, value in os.environ.items() if name not in cleared} | {
            "PYTHONPATH": str(ROOT),
            "SSR_LOCAL_DATA_DIR": str(folder / "data"),
            "SSR_LOCAL_CACHE_DIR": str(folder / "cache"),
            "SSR_LOCAL_CONFIG_DIR": str(folder / "config"),
            "SSR_LOCAL_DEMO_SPEED": speed,
            "TERM": "xterm-256color",
        }

    def configure(self, text: str) -> Path:
        """The settings file, with that text."""
        file = self.folder / "config" / "config.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    def here(
        self, *arguments: str | bytes, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """A command that has ended, in this process, models and all: a start costs a second."""
        streams = [
            io.TextIOWrapper(io.BytesIO(one), "utf-8", "surrogateescape")
            for one in (stdin, b"", b"")
        ]
        with self._at_home(), contextlib.ExitStack() as stack:
            for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
                stack.enter_context(mock.patch.object(sys, name, stream))
            try:
                cli.main([os.fsdecode(one) for one in arguments])
            except SystemExit as ended:
                code = ended.code
        assert isinstance(code, int)
        for stream in streams[1:]:
            stream.flush()
        out, err = (stream.buffer.getvalue() for stream in streams[1:])  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(arguments, code, out, err)

    @contextlib.contextmanager
    def _at_home(self) -> Iterator[None]:
        before, on_term = Path.cwd(), signal.getsignal(signal.SIGTERM)
        in_process = partial(Solver, in_process=True)
        demo._SCRIPT._met.clear()
        os.chdir(self.folder)
        try:
            with (
                mock.patch.dict(os.environ, self.env, clear=True),
                mock.patch.object(at_work, "Solver", in_process),
                mock.patch.object(plain, "Solver", in_process),
            ):
                yield
        finally:
            os.chdir(before)
            signal.signal(signal.SIGTERM, on_term)

    def start(
        self,
        *arguments: str | bytes,
        stdin: int = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        """A command under way, with pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "ssr_local", *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    def run(
        self, *arguments: str | bytes, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """A command that has ended; a traceback is never right."""
        process = self.start(*arguments, stdin=subprocess.PIPE)
        try:
            out, err = process.communicate(stdin, timeout=LIMIT_S)
        finally:
            process.kill()
        assert b"Traceback" not in err, err.decode()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def on_terminal(
        self,
        *arguments: str,
        rows: int = 24,
        columns: int = 80,
        react: Callable[[bytes, int], bytes | None] = lambda text, pid: None,
        command: Sequence[str] = (sys.executable, "-m", "ssr_local"),
    ) -> tuple[int, str]:
        """Exit code and all that a terminal was sent; ``react`` sees it grow, and may type."""
        pid, terminal = pty.fork()
        if pid == 0:  # pragma: no cover - the child
            os.chdir(self.folder)
            os.execve(command[0], [*command, *arguments], self.env)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        try:
            text = self._read_terminal(terminal, pid, react)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.close(terminal)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert b"Traceback" not in text, text.decode()
        return code, text.decode("utf-8", "replace")

    def _read_terminal(
        self, terminal: int, pid: int, react: Callable[[bytes, int], bytes | None]
    ) -> bytes:
        text = b""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                piece = b""
            if not piece:
                # Until the process is a zombie, which the caller then reaps.
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
                return text
            text += piece
            os.write(terminal, react(text, pid) or b"")
        raise TimeoutError(text.decode("utf-8", "replace"))


def remarks(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    """What a command with the demonstration wrote to standard error, once that it is scripted."""
    note, *others = done.stderr.decode().splitlines()
    assert note.startswith("Note: This is the demonstration: the same scripted run")
    return others


def child_of(pid: int, limit_s: float = 20.0) -> int:
    """The process id of a process's first child, once it has one (Linux)."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                    return int(stat.parent.name)
        time.sleep(0.01)
    raise TimeoutError(f"process {pid} has no child")


AS_FROM_THE_SHELL: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
"""For commands called without the group that they inherit this from: click keeps what a
command's first call had."""
