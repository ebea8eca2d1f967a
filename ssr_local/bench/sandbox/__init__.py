"""Running code that a model wrote, locked down, against the test of its problem.

Two fresh interpreters are started for every verdict (``judging``): the candidate, which holds
the code, and the judge, which runs the test and asks the candidate. Both lock themselves
down before they see any of the three (``lockdown``), and refuse to go on when they cannot.
The code has a temporary folder of its own, an empty environment, no input, and nothing but its
pipes to the judge; its output is thrown away. A verdict takes about 0.1 s.

What this does not defend against: faults in the kernel or the processor, and code that knows
the test's answers by heart. macOS has never been tried; Windows is refused. When this process
is killed the other two end with it, but the folder stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ssr_local.bench.sandbox import judging, lockdown
from ssr_local.core.display import human_bytes, one_line
from ssr_local.core.errors import HelperError, UsageError

START_LIMIT_S = 60.0

_POLL_S = 0.05
_END_LIMIT_S = 2.0
_MAX_FILES = 200
_MAX_LINE_BYTES = 65_536
_MAX_REASON_CHARS = 300


_Process = subprocess.Popen[bytes]


class Limits(Struct, frozen=True):
    """What one answer may use; time starts when both processes are ready.

    ``file_bytes`` holds for all files of its folder together. The test has the same limits
    for itself.
    """

    wall_s: float = 10.0
    cpu_s: int = 8
    memory_bytes: int = 512 * 1024**2
    file_bytes: int = 1_000_000


_DEFAULT = Limits()


class CodeVerdict(Struct, frozen=True):
    """Whether code passed its test. ``reason`` is one line, empty when it is right.

    "undecided": the test itself cannot be run, or somebody else ended one of the processes.
    """

    outcome: Literal["right", "wrong", "undecided"]
    reason: str = ""


def obstacle() -> str | None:
    """Why code cannot be locked down on this system, None when it can: found by trying."""
    reason = lockdown.missing()
    if reason is not None:
        return reason
    try:
        with _court(_DEFAULT) as court:
            return court.still_open()
    except HelperError as error:
        return " ".join(str(error).split())


def run_code(
    code: str, *, problem: str, test: str, entry_point: str, limits: Limits = _DEFAULT
) -> CodeVerdict:
    """Judge ``code`` as the answer to a problem in HumanEval form.

    ``code`` is a whole module or only the body of the function that ``problem`` ends with;
    imports and helpers of ``problem`` are there in both cases. ``test`` defines
    ``check(candidate)``. Arguments and results are plain data: numbers, text, and lists,
    tuples, sets and tables of them.

    Raises ``UsageError`` where code cannot be locked down, ``HelperError`` when the processes
    cannot be started.
    """
    reason = lockdown.missing()
    if reason is None:
        with _court(limits) as court:
            reason = court.still_open()
            if reason is None:
                return court.verdict(
                    {"code": code, "problem": problem, "test": test, "entry_point": entry_point}
                )
    raise UsageError(
        "Code written by a model cannot be run here.",
        f"It cannot be locked down: {reason}",
        "Leave out the tasks with code, or run them on a current Linux.",
    )


class _Report(Struct, frozen=True):
    """What the judge says."""

    outcome: Literal["right", "wrong", "undecided", "gone"]
    name: str
    text: str


class _Stopped(Exception):  # noqa: N818 - the code is at fault, not the program
    """A limit was reached that only the parent can see."""


class _Court:
    """The two processes and the candidate's folder, for one verdict."""

    def __init__(self, limits: Limits, folder: Path, candidate: _Process, judge: _Process) -> None:
        self._limits = limits
        self._folder = folder
        self._candidate = candidate
        self._judge = judge
        self._unread = b""

    def still_open(self) -> str | None:
        """What could not be closed in one of the processes; waits until both are ready."""
        try:
            line = self._line(START_LIMIT_S)
        except _Stopped:
            line = b""
        if not line:
            return "the process that runs the test does not start."
        return msgspec.json.decode(line, type=dict[str, str]).get("open")

    def verdict(self, job: dict[str, str]) -> CodeVerdict:
        """Hand over the code and the test, and wait for what comes of it."""
        assert self._judge.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._judge.stdin.write(json.dumps(job).encode() + b"\n")
            self._judge.stdin.flush()
        try:
            line = self._line(self._limits.wall_s)
        except _Stopped as stop:
            return CodeVerdict("wrong", str(stop))
        if not line:
            return CodeVerdict("undecided", f"the test ended itself: {_end(self._judge)}")
        try:
            report = msgspec.json.decode(line, type=_Report)
        except msgspec.DecodeError as error:  # what the code wrote of itself is no text
            return CodeVerdict("wrong", f"its error cannot be read: {error}")
        if report.outcome == "gone":
            return self._why_gone()
        if report.outcome == "right":
            return CodeVerdict("right")
        reason = self._reason(report.name, report.text)
        if report.outcome == "undecided":
            reason = f"the test cannot be run: {reason}"
        return CodeVerdict(report.outcome, one_line(reason, _MAX_REASON_CHARS))

    def _line(self, limit_s: float) -> bytes:
        """The judge's next line, empty when it ends without one."""
        assert self._judge.stdout is not None
        deadline = time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._judge.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if (left := deadline - time.monotonic()) <= 0:
                    raise _Stopped(f"endless: stopped after {limit_s:g} s")
                if selector.select(min(left, _POLL_S)):
                    piece = os.read(self._judge.stdout.fileno(), _MAX_LINE_BYTES)
                    if not piece or len(self._unread) > _MAX_LINE_BYTES:
                        return b""
                    self._unread += piece
                self._watch()
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _watch(self) -> None:
        """Stop what no limit of the system covers: all files together, memory on macOS."""
        num_bytes = 0
        with os.scandir(self._folder) as files:
            for number, file in enumerate(files):
                num_bytes += file.stat(follow_symlinks=False).st_size
                if num_bytes > self._limits.file_bytes or number >= _MAX_FILES:
                    raise _Stopped(
                        f"more files than {_MAX_FILES}, or more in them"
                        f" than {human_bytes(self._limits.file_bytes)}"
                    )
        if sys.platform == "darwin" and any(
            _resident_bytes(process) > self._limits.memory_bytes
            for process in (self._candidate, self._judge)
        ):
            raise _Stopped(self._reason(MemoryError.__name__, ""))

    def _why_gone(self) -> CodeVerdict:
        match _end(self._candidate):
            case judging.OUT_OF_MEMORY:
                return CodeVerdict("wrong", self._reason(MemoryError.__name__, ""))
            case "SIGXCPU":
                seconds = self._limits.cpu_s
                return CodeVerdict("wrong", f"endless: more than {seconds} s of processor time")
            case "SIGKILL":
                return CodeVerdict("undecided", "its process was killed from outside")
            case str(signal_name):
                return CodeVerdict("wrong", f"it crashed: {signal_name}")
            case None:
                return CodeVerdict("wrong", "it stopped answering")
            case code:
                return CodeVerdict("wrong", f"it ended itself with exit code {code}")

    def _reason(self, name: str, text: str) -> str:
        words = f"{name}: {text}" if name and text else name or text
        if name == MemoryError.__name__:
            return f"more memory than {self._limits.memory_bytes / 1024**2:.0f} MB"
        if name == PermissionError.__name__:
            return f"it is locked down: {words}"
        if name == SystemExit.__name__:
            return f"it ended itself: {words}"
        return words


@contextlib.contextmanager
def _court(limits: Limits) -> Iterator[_Court]:
    """Both processes, started but perhaps not ready; nothing is left of them afterwards."""
    with contextlib.ExitStack() as stack:
        try:
            court = _open_court(limits, stack)
        except OSError as error:
            raise HelperError(
                "The processes that run code cannot be started.",
                f"{sys.executable or 'Python'}: {error}.",
                "Free memory or processes, then try again.",
            ) from error
        yield court


def _open_court(limits: Limits, stack: contextlib.ExitStack) -> _Court:
    folder = Path(tempfile.mkdtemp(prefix="ssr-local-code-")).resolve()
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    with contextlib.ExitStack() as ends:  # theirs alone, or nobody would see the other's end
        hear, ask = _pipe(ends)
        learn, answer = _pipe(ends)
        candidate = _start("candidate", "", limits, folder, stdin=hear, stdout=answer)
        stack.callback(_kill, candidate)
        judge = _start(
            "judge",
            f", {ask}, {learn}",
            limits,
            None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(ask, learn),
        )
        stack.callback(_kill, judge)
    return _Court(limits, folder, candidate, judge)


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        stack.callback(os.close, end)
    return ends


def _start(
    role: str, arguments: str, limits: Limits, folder: Path | None, **options: Any
) -> _Process:
    """Run ``judging.role`` in an interpreter that knows nothing but its own library."""
    if not sys.executable:
        raise OSError("this program does not know its Python interpreter")
    own = str(Path(judging.__file__).parent)
    place = None if folder is None else str(folder)
    lock = f"{os.getpid()}, {place!r}, {limits.cpu_s}, {limits.memory_bytes}, {limits.file_bytes}"
    code = (
        "import sys; sys.path[:] = filter(None, sys.path);"
        f" sys.path.append({own!r}); import judging, lockdown; sys.path.pop();"
        f" judging.{role}(lambda: lockdown.lock({lock}){arguments})"
    )
    command = [sys.executable, "-s", "-S", "-B", "-X", "utf8", "-c", code]
    return subprocess.Popen(
        [*lockdown.wrapper(own, place), *command],
        stderr=subprocess.DEVNULL,
        cwd=place or "/",
        env={"PYTHONHASHSEED": "0"},  # the order of sets, and so the verdict, is always the same
        start_new_session=True,
        **options,
    )


def _kill(process: _Process) -> None:
    if process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _end(process: _Process) -> int | str | None:
    """The exit code or the name of the signal that ended it; None while it lives on."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = process.wait(_END_LIMIT_S)
        return code if code >= 0 else signal.Signals(-code).name
    return None


def _resident_bytes(process: _Process) -> int:
    """What it holds in memory, for a system whose limit of that does nothing."""
    shown = subprocess.run(
        ["/bin/ps", "-o", "rss=", "-p", str(process.pid)], capture_output=True, check=False
    )
    return int(shown.stdout.strip() or 0) * 1024
