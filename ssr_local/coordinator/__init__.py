"""The loop: select, draft, verify, rewrite, end. Yields everything that happens as events.

It owns the order of things and nothing else: texts come from ``prompter``, decisions from
the pure modules, tokens from the engines. Drafting is continuous: a path whose step was
accepted joins the draft's running batch again while others still write or are rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ssr_local.coordinator.ending import count_votes, end_all, stop_early
from ssr_local.coordinator.run import Run
from ssr_local.coordinator.spm import make_room, open_paths, prepare, select
from ssr_local.coordinator.ssd import rewrite, verify, write
from ssr_local.coordinator.steering import obey
from ssr_local.core.commands import AnyCommand, Resume
from ssr_local.core.events import AnyEvent
from ssr_local.engine.base import Cancelled

__all__ = ["CommandSource", "NoCommands", "Run", "make_room", "solve"]


class CommandSource(Protocol):
    """Where commands come from while a run goes on."""

    def poll(self) -> Sequence[AnyCommand]:
        """What has come since the last look; does not wait."""

    def wait(self) -> Sequence[AnyCommand]:
        """The next commands; waits for them. Used while paused."""


class NoCommands:
    """Nobody interferes."""

    def poll(self) -> Sequence[AnyCommand]:
        return ()

    def wait(self) -> Sequence[AnyCommand]:
        return (Resume(),)


def solve(run: Run, commands: CommandSource | None = None) -> Iterator[AnyEvent]:
    """Solve the run's problem; afterwards ``run`` holds what it came to.

    Sequences are released however this ends, also when the consumer stops early.
    """
    commands = commands or NoCommands()
    try:
        yield from prepare(run)
        chosen = yield from select(run)
        yield from open_paths(run, chosen)
        while run.live():
            yield from run.measure()
            yield from obey(run, commands.poll(), commands.wait)
            yield from write(run)
            yield from verify(run)
            yield from rewrite(run)
            yield from stop_early(run)
    except Cancelled:
        run.cancelled = True
        yield from end_all(run, "cancelled")
    finally:
        run.usage = run.read_usage()
        for engine in run.engines.values():
            engine.clear()
    yield from count_votes(run)
