"""A run's events, from the thread that makes them to the one that draws.

One thread reads the events and keeps them; the app takes all that have come whenever it
draws, so a fast model costs one drawing, not one for every token. What comes is written to
a log first: whatever happens to the app, the run can be opened again.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

from ssr_local.core.display import one_line
from ssr_local.core.errors import SSRError
from ssr_local.core.events import AnyEvent, StepDelta, encode_event
from ssr_local.core.folders import cache_dir

_T = TypeVar("_T")

KEPT_LOGS = 20
"""Logs of runs that are kept in the cache folder."""


class Feed:
    """The events of one run, made by ``source`` in a thread of its own.

    ``log`` is where they are written, ``recorded`` the log that they come from. ``error`` is
    what ended them, None when they ended by themselves; valid when ``is_over``.
    """

    def __init__(
        self,
        source: Callable[[], Iterable[AnyEvent]],
        log: Path | None = None,
        *,
        recorded: Path | None = None,
    ) -> None:
        self._source = source
        self.recorded = recorded
        self.stopping = False
        self._events: deque[AnyEvent] = deque()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.log = log
        self.error: SSRError | None = None
        self.log_error = ""

    def start(self) -> None:
        """Begin to make events."""
        self._thread.start()

    def drain(self) -> list[AnyEvent]:
        """All events that have come since the last call."""
        return [self._events.popleft() for _ in range(len(self._events))]

    @property
    def is_over(self) -> bool:
        """Whether nothing is to come any more; ``drain`` may still have something."""
        return self._over.is_set()

    @property
    def kept_in(self) -> Path | None:
        """The log that holds these events, if any does."""
        return self.log or self.recorded

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end; whether it has come."""
        return self._over.wait(timeout_s)

    def _run(self) -> None:
        file = self._on_log(self._opened)
        try:
            for event in self._source():
                if file is not None and self.log is not None:
                    self._on_log(partial(_write, file, event))
                self._events.append(event)
        except SSRError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost
            self.error = unexpected(error)
        finally:
            if file is not None:
                self._on_log(file.close)  # what could not be written is tried once more
            self._over.set()

    def _opened(self) -> IO[bytes] | None:
        if self.log is None:
            return None
        self.log.parent.mkdir(parents=True, exist_ok=True)
        return self.log.open("wb")

    def _on_log(self, work: Callable[[], _T]) -> _T | None:
        """Do something with the log, or give it up: a full disk must not end a run."""
        try:
            return work()
        except OSError as error:
            if self.log is not None:
                self.log_error = f"{self.log} cannot be written: {error.strerror or error}."
                self.log = None
            return None


def _write(file: IO[bytes], event: AnyEvent) -> None:
    file.write(encode_event(event) + b"\n")
    if not isinstance(event, StepDelta):  # its step comes as a whole too
        file.flush()


def unexpected(error: Exception) -> SSRError:
    """An error that nobody foresaw, as one that can be shown."""
    return SSRError(
        "The work ended with an error that should not happen.",
        one_line(f"{type(error).__name__}: {error}", 300),
        "Please report it, with the logs that 'ssr-local tui --log' names.",
    )


def recent_logs() -> list[Path]:
    """The logs of runs, the newest first."""
    logs = (cache_dir() / "runs").glob("run-*.jsonl")
    try:
        return sorted(logs, key=lambda path: -path.stat().st_mtime)
    except OSError:
        return []  # another program tidies up there too


def new_log() -> Path:
    """Where the events of a new run go; the oldest logs beyond a few are removed."""
    with suppress(OSError):
        for path in recent_logs()[KEPT_LOGS - 1 :]:
            path.unlink(missing_ok=True)
    return (
        cache_dir()
        / "runs"
        / f"run-{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 10**6:06}.jsonl"
    )


class Pace:
    """How fast a log is played: at a speed, standing still, or event by event.

    ``speed`` is 1 as it was, 2 twice as fast, 0 at once; with ``paused`` the log stands still.
    Every method may be called from any thread.
    """

    LONGEST_WAIT_S = 2.0
    SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)

    def __init__(self, speed: float = 1.0) -> None:
        self._changed = threading.Condition()
        self.speed = speed
        self.paused = False
        self._steps = 0
        self._stopped = False

    def toggle(self) -> None:
        """Stand still, or go on."""
        with self._changed:
            self.paused = not self.paused
            self._changed.notify_all()

    def step(self) -> None:
        """Stand still after the next event that can be seen."""
        with self._changed:
            self.paused = True
            self._steps += 1
            self._changed.notify_all()

    def faster(self, steps: int = 1) -> None:
        """The next speed up, or down for negative ``steps``."""
        with self._changed:
            for _ in range(abs(steps)):
                speed = self.speed or math.inf  # nothing is faster than at once
                above = [one for one in self.SPEEDS if one > speed]
                below = [one for one in reversed(self.SPEEDS) if one < speed]
                self.speed = (*(above if steps > 0 else below), self.speed)[0]
            self._changed.notify_all()

    def stop(self) -> None:
        """Play no further."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def play(
        self, events: Iterable[AnyEvent], is_step: Callable[[AnyEvent], bool]
    ) -> Iterator[AnyEvent]:
        """The events, each at its time; ``is_step`` says after which ``step`` stops."""
        before: float | None = None
        for event in events:
            gap = 0.0 if before is None else max(0.0, event.at_s - before)
            before = event.at_s if before is None else max(before, event.at_s)
            if not self._waited(min(gap, self.LONGEST_WAIT_S)):
                return
            yield event
            if is_step(event):
                with self._changed:
                    self._steps = max(0, self._steps - 1)

    def _waited(self, gap_s: float) -> bool:
        """Wait for an event's turn; False when nothing more is to be played."""
        with self._changed:
            started = time.monotonic()
            while not self._stopped:
                if self.paused and self._steps == 0:
                    self._changed.wait()
                    started = time.monotonic()
                    continue
                wait_s = gap_s / self.speed if self.speed and not self.paused else 0.0
                left = started + wait_s - time.monotonic()
                if left <= 0:
                    return True
                self._changed.wait(left)
            return False
