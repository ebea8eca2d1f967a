"""One run in the plain mode: lines from several threads, and commands typed meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

import click

from ssr_local.api import Solver
from ssr_local.cli.typed import Entry, beside, nearest, understood
from ssr_local.core.commands import (
    AddPath,
    AnyCommand,
    Cancel,
    DropPath,
    OverrideVerdict,
    Pause,
    Resume,
)
from ssr_local.core.display import human_bytes, one_line, quoted
from ssr_local.core.errors import UsageError
from ssr_local.core.tree import Tree

if TYPE_CHECKING:
    from ssr_local.models.download import Progress

SILENCE_S = 10.0

DURING_RUNS: Mapping[str, Entry] = {
    "pause": Entry("", "stand still"),
    "resume": Entry("", "go on"),
    "stop": Entry("", "stop; what there is stays"),
    "drop": Entry("N", "end path N; it has no vote"),
    "add": Entry("LETTER", "one more path on that strategy"),
    "keep": Entry("N", "keep the step judged last on path N, whatever its verdict"),
    "reject": Entry("N", "reject that step; the target writes it anew"),
}
"""Commands while a run goes on, typed as they are."""


class Speaker:
    """Writes whole lines, whichever thread they come from, and breaks long silences."""

    def __init__(self, silence_s: float = SILENCE_S) -> None:
        self._silence_s = silence_s
        self._lock = threading.Lock()
        self._spoke_s = 0.0

    def say(self, line: str) -> None:
        """Write a line, without the colours it may carry."""
        with self._lock:
            self._write(line)

    def at_work(self, words: Callable[[], str]) -> AbstractContextManager[None]:
        """Say ``words()`` whenever nothing was said for a while; nothing when it is empty."""
        self._spoke_s = time.monotonic()
        return beside(partial(self._watch, words))

    def _watch(self, words: Callable[[], str], over: threading.Event) -> None:
        while not over.wait(self._silence_s / 20):
            with self._lock:
                is_silent = time.monotonic() - self._spoke_s >= self._silence_s
                if is_silent and (line := words()):
                    with contextlib.suppress(OSError):  # the run's own thread meets it too
                        self._write(line)

    def _write(self, line: str) -> None:
        self._spoke_s = time.monotonic()
        click.echo(line, color=False)


def at_work_words(tree: Tree, seconds: float, download: Progress | None) -> str:
    """What there is to say after a silence; empty while the run is paused.

    ``download`` is how far the models were fetched when no event had come yet.
    """
    if tree.phase == "paused":
        return ""
    if tree.phase == "idle" and download is not None:
        total = f" of {human_bytes(download.total_bytes)}" if download.total_bytes else ""
        done = human_bytes(download.done_bytes)
        return one_line(f"Still {download.phase} {download.name}: {done}{total}.")
    num_steps = sum(len(path.steps) for path in list(tree.paths.values()))
    usage = tree.measured.usage if tree.measured else None
    num_tokens = usage.draft.decode_tokens + usage.target.decode_tokens if usage else 0
    return f"Still working: {num_steps} steps, {num_tokens} tokens, {seconds:.0f} s."


class Steering:
    """Carries out what is typed while a run goes on."""

    def __init__(self, solver: Solver, tree: Tree, say: Callable[[str], None]) -> None:
        self._solver, self._tree, self._say = solver, tree, say

    def take(self, line: str) -> bool:
        """Carry out a command, or say why not; False: the line is for after the run."""
        words = line.split()
        name = words[0].lower()
        if name not in DURING_RUNS and (len(words) > 2 or not nearest(name, DURING_RUNS)):
            self._say("That line waits until the run is over.")
            return False
        try:
            self._solver.tell(self._command(*understood(words, DURING_RUNS)))
        except UsageError as error:
            self._say(one_line(str(error)))
        return True

    def _command(self, name: str, arguments: Sequence[str]) -> AnyCommand:
        plain: Mapping[str, AnyCommand] = {"pause": Pause(), "resume": Resume(), "stop": Cancel()}
        if not arguments:
            return plain[name]
        if name == "add":
            return AddPath(arguments[0].upper())
        paths = list(self._tree.paths.values())  # in one go: another thread adds to them
        live = {str(path.index + 1): path.index for path in paths if path.end_reason is None}
        if arguments[0] not in live:
            which = ", ".join(live) or "none"
            raise UsageError(f"No path {quoted(arguments[0])} goes on. Those that do: {which}.")
        path = live[arguments[0]]
        return DropPath(path) if name == "drop" else OverrideVerdict(path, accept=name == "keep")
