"""What a person types in the plain mode: commands, and lines while something else is printed."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from difflib import get_close_matches
from functools import partial
from typing import NamedTuple

import click

from ssr_local.core.display import quoted
from ssr_local.core.errors import UsageError

_LOOK_S = 0.1
_MAX_BYTES = 65_536


class Entry(NamedTuple):
    """A command as the help shows it: its arguments, and what it does in one line."""

    arguments: str
    about: str


def understood(
    words: Sequence[str], table: Mapping[str, Entry], sign: str = ""
) -> tuple[str, Sequence[str]]:
    """The name and the arguments of a command of the table, typed with ``sign`` before it.

    Raises ``UsageError`` for a name that is not there, and for a wrong number of arguments.
    """
    name, arguments = words[0].lower(), words[1:]
    if name not in table:
        near = nearest(name, table)
        hint = f"Did you mean {sign}{near}?" if near else "Type /help for the list."
        raise UsageError(f"There is no command {quoted(sign + name)}. {hint}")
    shown = table[name].arguments
    wanted = len(shown.split())
    if len(arguments) != wanted and not (shown.startswith("[") and not arguments):
        takes = f"{wanted or 'no'} argument{'' if wanted == 1 else 's'}"
        raise UsageError(f"{sign}{name} takes {takes}.", "", f"Type: {sign}{name} {shown}".rstrip())
    return name, arguments


def nearest(name: str, table: Mapping[str, Entry]) -> str:
    """The command that was perhaps meant, "" for none."""
    return next(iter(get_close_matches(name, table, n=1)), "")


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do ``work`` in a thread; its event is set when the block is left, and then it ends."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class TypedLines:
    """Standard input by lines: asked for, or taken note of while a run goes on.

    Lines that come during a run and are no commands wait to be asked for.
    """

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._at_end = False
        with contextlib.suppress(ImportError):  # editing, and a history kept in memory
            import readline  # noqa: F401

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

    def heard(self, take: Callable[[str], bool]) -> AbstractContextManager[None]:
        """Give lines to ``take`` as they come; those it does not want wait.

        Only a terminal is listened to: a script's lines are all there from the start, and
        belong to the prompts.
        """
        if not sys.stdin.isatty() or sys.platform == "win32":
            return contextlib.nullcontext()
        return beside(partial(self._listen, take))

    def _listen(self, take: Callable[[str], bool], over: threading.Event) -> None:
        handle = sys.stdin.fileno()
        while not over.is_set() and not self._at_end:
            if not select.select([handle], [], [], _LOOK_S)[0]:
                continue
            try:
                piece = os.read(handle, _MAX_BYTES)  # a terminal gives whole lines, one at a time
            except OSError:  # it is gone
                piece = b""
            self._at_end = not piece
            line = piece.decode("utf-8", "replace").strip()
            with contextlib.suppress(OSError):  # whoever prints the run meets it too
                if line and not take(line):
                    self._waiting.append(line)
