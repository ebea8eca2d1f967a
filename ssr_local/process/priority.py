"""How a process gives way to all others."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_IDLE_PRIORITY_CLASS = 0x40
_LOWEST = 19


def give_way() -> None:
    """Let this thread, and those it starts from now on, run only where nobody else wants to.

    On Windows and macOS that is the whole process. There is no way back.
    """
    if sys.platform == "win32":
        kernel32 = ctypes.windll.kernel32
        this = ctypes.c_void_p(kernel32.GetCurrentProcess())
        kernel32.SetPriorityClass(this, _IDLE_PRIORITY_CLASS)
        return
    with contextlib.suppress(OSError):
        os.nice(_LOWEST)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
