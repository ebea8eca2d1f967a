"""Saving that never stands in the way: when it fails, that is said once and work goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from msgspec import Struct

from ssr_local.core.errors import HistoryError
from ssr_local.core.events import AnyEvent
from ssr_local.history.practice import Due, Practice
from ssr_local.history.preference import is_kept
from ssr_local.history.store import History, Kind, Recording

_T = TypeVar("_T")


class Saver:
    """One entry of the history; ``say`` hears why it could not be saved."""

    def __init__(self, say: Callable[[str], None], recording: Recording | None = None) -> None:
        self._say, self._recording = say, recording

    def event(self, event: AnyEvent) -> None:
        """Save an event of a run."""
        self._try(lambda recording: recording.event(event))

    def watch(self, events: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
        """Pass a run's events on, each saved first."""
        for event in events:
            self.event(event)
            yield event

    def so_far(self, result: Struct, *, body: str) -> None:
        """Save what there is of a check."""
        self._try(lambda recording: recording.so_far(result, body=body))

    def end(self, result: Struct, *, status: str, answer: str | None, body: str) -> None:
        """Save the result of a check or hint."""
        self._try(lambda one: one.end(result, status=status, answer=answer, body=body))

    def solved(self, problem: str, *, good: bool | None) -> Due | None:
        """Take note of a checked solution, for practice; what became of the problem there.

        None for ``good`` is no verdict, and changes nothing.
        """
        if good is None:
            return None
        return self._try(lambda one: Practice(one.history).solved(problem, good=good))

    def fail(self, error: Exception) -> None:
        """Save that it failed."""
        self._try(lambda recording: recording.fail(error))

    def _try(self, work: Callable[[Recording], _T]) -> _T | None:
        if self._recording is None:
            return None
        try:
            return work(self._recording)
        except HistoryError as error:
            self._recording = None
            self._say(f"Not saved: {error}")
            return None


@contextmanager
def saving(
    kind: Kind,
    problem: str,
    *,
    pair: str,
    method: str,
    say: Callable[[str], None],
    keep: bool = True,
) -> Iterator[Saver]:
    """A new entry of the history, unless nothing is to be kept.

    An error that ends the work is saved with it. Raises ``ConfigError`` when the settings
    file does not say clearly what is to be kept.
    """
    saver = Saver(say)
    with ExitStack() as stack:
        if keep and is_kept():
            try:
                history = stack.enter_context(History())
                if history.notice:
                    say(history.notice)
                saver = Saver(say, history.begin(kind, problem, pair=pair, method=method))
            except HistoryError as error:
                say(f"Not saved: {error}")
        try:
            yield saver
        except Exception as error:
            saver.fail(error)
            raise
