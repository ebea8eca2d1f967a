"""Saving that never stands in the way: when it fails, that is said once and work goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Concatenate, ParamSpec, TypeVar

from msgspec import Meta, Struct

from ssr_local.core.config import load_table
from ssr_local.core.errors import HistoryError
from ssr_local.core.events import AnyEvent
from ssr_local.history.practice import Due, Practice
from ssr_local.history.store import History, Kind, Recording

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Saver:
    """One entry of the history; ``say`` hears why it could not be saved."""

    def __init__(self, say: Callable[[str], None], recording: Recording | None = None) -> None:
        self._say, self._recording = say, recording

    def watch(self, events: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
        """Pass a run's events on, each saved first."""
        for event in events:
            self.save(Recording.event, event)
            yield event

    def solved(self, problem: str, *, good: bool | None) -> Due | None:
        """Take note of a checked solution, for practice; what became of the problem there.

        None for ``good`` is no verdict, and changes nothing.
        """
        if good is None:
            return None
        return self.save(lambda one: Practice(one.history).solved(problem, good=good))

    def save(
        self, work: Callable[Concatenate[Recording, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T | None:
        """Do something to the entry, such as ``Recording.end``; None when that cannot be saved."""
        if self._recording is None:
            return None
        try:
            return work(self._recording, *args, **kwargs)
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
            saver.save(Recording.fail, error)
            raise


class Preference(Struct, frozen=True):
    """The table ``[history]`` of the settings file."""

    save: Annotated[bool, Meta(description="true, false")] = True


def is_kept() -> bool:
    """Whether runs, checks and hints are to be saved; they are unless the settings say no.

    Raises ``ConfigError`` naming the file and the key.
    """
    return load_table("history", Preference).save
