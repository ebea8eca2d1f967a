"""Lines a person types while something else is printed."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

_LOOK_S = 0.1
_MAX_BYTES = 65_536


class TypedLines:
    """Standard input by lines: asked for, or taken note of while a run goes on.

    Lines that come during a run and are no commands wait to be asked for.
    """

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._unfinished = b""
        self._at_end = False

    def ask(self, prompt: str, *, typed_ahead: bool = True) -> str:
        """The next line; one that waits only with ``typed_ahead``.

        Raises ``EOFError`` at the end of the input.
        """
        if self._waiting and typed_ahead:
            line = self._waiting.pop(0)
            click.echo(f"{prompt}{line}")  # as if it were typed here
            return line
        if self._at_end:
            raise EOFError
        return input(prompt)

    @contextmanager
    def heard(self, take: Callable[[str], bool]) -> Iterator[None]:
        """Give lines to ``take`` as they come; those it does not want wait.

        Only a terminal is listened to: a script's lines are all there from the start, and
        belong to the prompts.
        """
        if not sys.stdin.isatty() or sys.platform == "win32":
            yield
            return
        over = threading.Event()
        thread = threading.Thread(target=self._listen, args=(take, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _listen(self, take: Callable[[str], bool], over: threading.Event) -> None:
        handle = sys.stdin.fileno()
        while not over.is_set() and not self._at_end:
            if not select.select([handle], [], [], _LOOK_S)[0]:
                continue
            try:
                piece = os.read(handle, _MAX_BYTES)
            except OSError:  # the terminal is gone
                piece = b""
            self._at_end = not piece
            *lines, self._unfinished = (self._unfinished + piece).split(b"\n")
            for raw in lines:
                line = raw.decode("utf-8", "replace").strip()
                with contextlib.suppress(OSError):  # whoever prints the run meets it too
                    if line and not take(line):
                        self._waiting.append(line)
