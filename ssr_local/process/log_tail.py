"""What a child process writes to standard error: the file it goes to, and its last lines."""

from __future__ import annotations

import itertools
import os
import re
import time
from pathlib import Path
from typing import IO

from ssr_local.core import folders
from ssr_local.core.display import one_line

_KEPT_LOGS = 10
_TAIL_LINES = 12
_TAIL_BYTES = 16_384
_LINE_CHARS = 300
# An address of a backtrace, of which an abort inside ggml writes dozens after its reason.
_FRAME = re.compile(r"\[0x[0-9a-f]+\]$")
_numbers = itertools.count(1)


def new_log(kind: str) -> tuple[IO[bytes], Path | None]:
    """A log file for one child; old ones of its kind beyond a few are removed.

    Where no file can be made the log is lost and has no path.
    """
    folder = folders.cache_dir() / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # By when they were begun: a child that is just ending may still write to an older one.
        old = sorted(folder.glob(f"{kind}-*.log"))
        for path in old[: -_KEPT_LOGS + 1]:
            path.unlink(missing_ok=True)
        stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(_numbers):06}"
        path = folder / f"{kind}-{stamp}.log"
        return path.open("a+b"), path
    except OSError:
        return open(os.devnull, "a+b"), None  # noqa: PTH123 - devnull is no file


def log_tail(log: IO[bytes]) -> tuple[str, ...]:
    """The last lines of a log, fit to be shown, oldest first."""
    try:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - _TAIL_BYTES))
        text = log.read().decode("utf-8", "replace")
    except OSError:
        return ()
    lines = [one_line(line, _LINE_CHARS) for line in text.splitlines()]
    return tuple([line for line in lines if line and not _FRAME.search(line)][-_TAIL_LINES:])
