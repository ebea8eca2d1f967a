"""Saving that never stands in the way: when it fails, that is said once and work goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from ssr_local.core.config import config_file, existing_text, suggestion
from ssr_local.core.errors import ConfigError, HistoryError
from ssr_local.core.events import AnyEvent
from ssr_local.core.toml_file import parse_toml, printable, quoted
from ssr_local.history.practice import Due, Practice
from ssr_local.history.store import History, Kind, Recording

_SAVE = "save"

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


def is_kept() -> bool:
    """Whether runs, checks and hints are to be saved: ``save`` in the settings' ``[history]``.

    They are unless the file says no. Raises ``ConfigError`` naming the file and the key.
    """
    shown = printable(str(config_file()))
    table = parse_toml(existing_text(config_file()), shown).get("history", {})
    subject = f"{shown}: key 'history"
    if not isinstance(table, dict):
        raise ConfigError(f"{subject}' cannot be {quoted(table)}.", "Accepted: a table.")
    if unknown := next((str(name) for name in table if name != _SAVE), None):
        raise ConfigError(
            f"{subject}.{printable(unknown[:60])}' is unknown.",
            f"Accepted: {_SAVE}.",
            suggestion(unknown, (_SAVE,)),
        )
    value = table.get(_SAVE, True)
    if not isinstance(value, bool):
        raise ConfigError(
            f"{subject}.{_SAVE}' cannot be {quoted(value)}.", "Accepted: true, false."
        )
    return value
