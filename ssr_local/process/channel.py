"""Child processes of ours: how one is started, and the pipes that parent and child talk over.

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
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

MAX_FRAME_BYTES = 64 * 1024 * 1024

_PREFIX_BYTES = 4
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def start_child(module: str, arguments: str, stderr: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Run ``module.main(arguments)`` in a new process, with pipes for input and output.

    ``arguments`` is Python source; what the child writes to standard error goes to
    ``stderr`` or nowhere. The child has a session of its own, so that Ctrl+C in the terminal
    is ours to handle. On Linux it ends with the thread that calls this, however that ends.
    Raises ``OSError`` when it cannot be started.
    """
    if not sys.executable:
        raise OSError("this program does not know its Python interpreter")
    code = (
        f"import sys; sys.path[:] = {_module_path()!r};"
        f" from {__name__} import die_with_parent; die_with_parent({os.getpid()});"
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
        stderr=subprocess.DEVNULL if stderr is None else stderr,
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


# In the child ------------------------------------------------------------------


def private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The child's ends of the pipes, for requests and replies, out of the way of all that prints.

    Whatever writes to standard output afterwards reaches standard error.
    """
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, replies


def listen(requests: IO[bytes], handle: Callable[[bytes], object]) -> None:
    """Pass on every request as it comes, in a thread; the child ends with its parent.

    At once: tidying up could wait for a long call, and the system does it anyway. A request
    that cannot be read ends the child too: the parent would wait for its reply for ever.
    """

    def work() -> None:
        try:
            while (frame := read_frame(requests)) is not None:
                handle(frame)
        except Exception:  # noqa: BLE001 - its last words are in the log
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)

    threading.Thread(target=work, name="ssr-listen", daemon=True).start()


def die_with_parent(parent_pid: int) -> None:
    """On Linux: be killed when the thread that started this process ends, with its process too.

    That needs no look at the pipe, which a call that lets no other thread run would delay.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)
