"""One run in the plain mode: lines from several threads, Ctrl+C, and what is typed meanwhile."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

import click

from ssr_local.api import Solver
from ssr_local.cli import EXIT_TERMINATED
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
from ssr_local.core.events import (
    AnyEvent,
    PathEnded,
    PathOpened,
    RunMeasured,
    RunPaused,
    RunResumed,
    StepDrafted,
)

if TYPE_CHECKING:
    from ssr_local.models.download import Progress

SILENCE_S = 10.0
_TWICE_WITHIN_S = 2.0


class Entry(NamedTuple):
    """A command as the help shows it: its arguments, and what it does in one line."""

    arguments: str
    about: str


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


class Presses:
    """Tells one Ctrl+C from two in quick succession."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s = -_TWICE_WITHIN_S

    def again(self) -> bool:
        """Note a press; whether another one was just before."""
        before, self._last_s = self._last_s, self._clock()
        return self._last_s - before < _TWICE_WITHIN_S


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

    @contextmanager
    def at_work(self, words: Callable[[], str]) -> Iterator[None]:
        """Say ``words()`` whenever nothing was said for a while; nothing when it is empty."""
        over = threading.Event()
        self._spoke_s = time.monotonic()
        thread = threading.Thread(target=self._watch, args=(words, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _watch(self, words: Callable[[], str], over: threading.Event) -> None:
        wait_s = self._silence_s
        while not over.wait(wait_s):
            with self._lock:
                silent_s = time.monotonic() - self._spoke_s
                line = words() if silent_s >= self._silence_s else ""
                if line:
                    with contextlib.suppress(OSError):  # the run's own thread meets it too
                        self._write(line)
                # A pause leaves nothing to say; then it is looked again after as long.
                wait_s = self._silence_s - (silent_s if silent_s < self._silence_s else 0.0)

    def _write(self, line: str) -> None:
        self._spoke_s = time.monotonic()
        click.echo(line, color=False)


class Figures:
    """How far a run is, for the line that breaks a silence, and which paths can be steered."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_s = clock()
        self._num_steps = 0
        self._num_tokens = 0
        self._paused = False
        self._download: Progress | None = None
        self.live: set[int] = set()

    def take(self, event: AnyEvent) -> None:
        """Take note of an event."""
        self._download = None
        if isinstance(event, StepDrafted):
            self._num_steps += 1
        elif isinstance(event, RunMeasured):
            usage = event.usage
            self._num_tokens = usage.draft.decode_tokens + usage.target.decode_tokens
        elif isinstance(event, RunPaused | RunResumed):
            self._paused = isinstance(event, RunPaused)
        elif isinstance(event, PathOpened):
            self.live.add(event.path)
        elif isinstance(event, PathEnded):
            self.live.discard(event.path)

    def downloading(self, progress: Progress) -> None:
        """Take note of how far a download is."""
        self._download = progress

    def words(self) -> str:
        """What there is to say after a silence; empty while the run is paused."""
        if self._paused:
            return ""
        if (progress := self._download) is not None:
            total = f" of {human_bytes(progress.total_bytes)}" if progress.total_bytes else ""
            done = human_bytes(progress.done_bytes)
            return one_line(f"Still {progress.phase} {progress.name}: {done}{total}.")
        seconds = self._clock() - self._started_s
        return (
            f"Still working: {self._num_steps} steps, {self._num_tokens} tokens, {seconds:.0f} s."
        )


class Steering:
    """Obeys what is typed while a run goes on."""

    def __init__(self, solver: Solver, figures: Figures, say: Callable[[str], None]) -> None:
        self._solver, self._figures, self._say = solver, figures, say

    def obey(self, line: str) -> bool:
        """Carry out a command, or say why not; False: the line is for after the run."""
        name, *arguments = line.split()
        name = name.lower()
        if name not in DURING_RUNS:
            return self._guessed(name, arguments)
        wanted = DURING_RUNS[name].arguments
        if len(arguments) != len(wanted.split()):
            self._say(f"Type: {name} {wanted}".rstrip() + ".")
        elif wanted == "N":
            self._obey_on_path(name, arguments[0])
        else:
            plain: dict[str, AnyCommand] = {
                "pause": Pause(),
                "resume": Resume(),
                "stop": Cancel(),
            }
            self._solver.tell(plain.get(name) or AddPath(arguments[0].upper()))
        return True

    def _obey_on_path(self, name: str, number: str) -> None:
        live = {str(path + 1): path for path in sorted(self._figures.live.copy())}
        if number not in live:
            which = ", ".join(live) or "none"
            self._say(f"No path {quoted(number)} goes on. Those that do: {which}.")
        elif name == "drop":
            self._solver.tell(DropPath(live[number]))
        else:
            self._solver.tell(OverrideVerdict(live[number], accept=name == "keep"))

    def _guessed(self, name: str, arguments: list[str]) -> bool:
        near = get_close_matches(name, DURING_RUNS, n=1) if len(arguments) < 2 else []
        if near:
            self._say(f"There is no command {quoted(name)} in a run. Did you mean {near[0]}?")
        else:
            self._say("That line waits until the run is over.")
        return bool(near)


class Stopping:
    """Ctrl+C stops a run, twice in quick succession ends the program; SIGTERM ends it politely."""

    def __init__(self, solver: Solver, presses: Presses, say: Callable[[str], None]) -> None:
        self._solver, self._presses, self._say = solver, presses, say
        self._number: int | None = None

    def watch(self, events: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
        """Pass a run's events on; a signal from before the first one is not lost."""
        for position, event in enumerate(events):
            if position == 0 and self._number is not None:
                self._solver.cancel()  # asked for before the run could take note of it
            yield event

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Answer the two signals; ends with ``SystemExit`` when SIGTERM was one of them."""
        numbers = [signal.SIGINT]
        if hasattr(signal, "SIGTERM"):
            numbers.append(signal.SIGTERM)
        before = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)
            if self._number == signal.SIGTERM:
                sys.exit(EXIT_TERMINATED)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        twice = self._presses.again()
        if twice and self._number is not None:
            self._solver.kill()
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            sys.exit(EXIT_TERMINATED)
        self._number = number
        # In a thread, because the one interrupted here may hold a lock that these take.
        threading.Thread(target=self._stop, daemon=True).start()

    def _stop(self) -> None:
        with contextlib.suppress(OSError):
            self._say("Stopping. Ctrl+C twice within 2 seconds ends the program.")
        self._solver.cancel()
