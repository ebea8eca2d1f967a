"""How a request reaches the session that works on it: in this process, or in another."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from ssr_local.core.commands import AnyCommand
from ssr_local.core.errors import SSRError
from ssr_local.core.events import AnyEvent, Event
from ssr_local.core.records import RunResult
from ssr_local.process.failed import Failed
from ssr_local.transport.requests import AnyRequest


class Outcome(Event, frozen=True, kw_only=True, tag=True):
    """How one of the problems that are solved together came out: ``run`` counts from 0.

    Sent among the events, of whose union and logs it is no part.
    """

    run: int
    result: RunResult | None = None
    failed: Failed | None = None

    def value(self) -> RunResult | SSRError:
        """The result, or the error instead of one."""
        if self.failed is not None:
            return self.failed.error()
        assert self.result is not None
        return self.result


RequestEvents = Generator[AnyEvent | Outcome, None, None]


class Transport(Protocol):
    """A session somewhere. One request at a time, from one thread; any may tell and kill."""

    @property
    def pid(self) -> int | None:
        """The id of the process with the models, if it is another one and lives."""

    def handle(self, request: AnyRequest) -> RequestEvents:
        """What happens when a ``validated`` request is worked on.

        Commands told from now on reach it. Closing the generator early cancels the work and
        waits for its end. Raises the error the work ended with, ``Interrupted`` when it was
        cancelled before anything had begun.
        """

    def tell(self, command: AnyCommand) -> None:
        """Steer the request that is worked on; nothing happens when there is none."""

    def kill(self) -> None:
        """End the work at once, with all the models where they have a process of their own."""

    def close(self) -> None:
        """Unload the models. The next request loads them again."""
