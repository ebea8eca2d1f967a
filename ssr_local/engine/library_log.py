"""What the native libraries write while they work, kept and passed on to a file."""

from __future__ import annotations

import ctypes
from collections import deque
from typing import IO

from ssr_local.core.display import one_line

_INFO = 2
_CONTINUED = 5
_MAX_LINES = 200
_MAX_COMPLAINT_CHARS = 300

log_lines: deque[str] = deque(maxlen=_MAX_LINES)
"""The last lines the libraries wrote, oldest first."""

_log_file: IO[str] | None = None
_last_level = _INFO


@ctypes.CFUNCTYPE(  # type: ignore[untyped-decorator]
    None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p
)
def log_callback(level: int, text: bytes, _user_data: int | None) -> None:
    """ggml's log callback; to be installed before a library does anything else."""
    global _last_level
    if level != _CONTINUED:
        _last_level = level
    if _last_level < _INFO or not text:
        return
    line = text.decode("utf-8", "replace")
    log_lines.append(line.rstrip("\n"))
    if _log_file is not None:
        _log_file.write(line)
        _log_file.flush()


def write_log_to(file: IO[str]) -> None:
    """From now on every line goes to that file too."""
    global _log_file
    _log_file = file


def last_complaint() -> str:
    """The most telling of the last lines."""
    for line in reversed(log_lines):
        if "error" in line.lower() or "fail" in line.lower():
            return one_line(line, _MAX_COMPLAINT_CHARS)
    return one_line(log_lines[-1], _MAX_COMPLAINT_CHARS) if log_lines else ""
