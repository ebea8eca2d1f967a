"""Where commands come from while a run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ssr_local.core.commands import AnyCommand, Resume


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
