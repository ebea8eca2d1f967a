"""Child processes of ours: how one is started, and how parent and child talk.

Messages are length-prefixed frames over the child's standard input and output. A child is
started from a plain ``-c`` line with the parent's own module path: that needs no
``__main__`` guard in a user's script and finds this package wherever the parent found it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

MAX_FRAME_BYTES = 64 * 1024 * 1024

_PREFIX_BYTES = 4
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def start_child(module: str, arguments: str, stderr: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Run ``module.main(arguments)`` in a new process, with pipes for input and output.

    ``arguments`` is Python source. The child has a session of its own, so that Ctrl+C in
    the terminal is ours to handle. Raises ``OSError`` when it cannot be started.
    """
    if not sys.executable:
        raise OSError("this program does not know its Python interpreter")
    code = (
        f"import sys; sys.path[:] = {_module_path()!r};"
        f" from {module} import main; main({arguments})"
    )
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {
            "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        }
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        **options,
    )


def _module_path() -> list[str]:
    """Where the child looks for modules: where we do, a folder of scripts last.

    Python puts the script's folder or the current one first. Files there that happen to
    be named like modules our dependencies import must not be found before them.
    """
    folders = {"", "."}
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    with contextlib.suppress(OSError):  # a current folder that is gone
        folders.add(str(Path.cwd()))
        if script:
            folders |= {str(Path(script).absolute().parent), str(Path(script).resolve().parent)}
    return sorted((str(entry) for entry in sys.path), key=lambda entry: entry in folders)


def write_frame(pipe: IO[bytes], frame: bytes) -> None:
    """Send one message; raises ``OSError`` when the other end is gone."""
    if len(frame) > MAX_FRAME_BYTES:
        raise ValueError("message too long")
    pipe.write(len(frame).to_bytes(_PREFIX_BYTES, "big") + frame)
    pipe.flush()


def read_frame(pipe: IO[bytes]) -> bytes | None:
    """The next message; None at the end of the pipe or when what comes is not a frame."""
    try:
        prefix = pipe.read(_PREFIX_BYTES)
        size = int.from_bytes(prefix, "big")
        if len(prefix) < _PREFIX_BYTES or size > MAX_FRAME_BYTES:
            return None
        frame = pipe.read(size)
    except (OSError, ValueError):
        return None
    return frame if len(frame) == size else None


def private_pipes(*, keep_stderr: bool) -> tuple[IO[bytes], IO[bytes]]:
    """In a child: its ends of the pipes, moved out of the way of everything that prints.

    Whatever writes to standard output afterwards reaches standard error with
    ``keep_stderr``, and nothing otherwise.
    """
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    if keep_stderr:
        os.dup2(2, 1)
    else:
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
    os.close(nothing)
    return requests, replies


def die_with_parent(parent_pid: int) -> None:
    """In a child on Linux: be killed when the parent ends, however that happens.

    Only for a child that long calls keep from noticing the end of its pipe, and only when
    it was started from a thread that lives as long as it should: Linux means that thread.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)
