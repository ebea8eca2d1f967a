"""The source of a running run's commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ssr_local.core.commands import AnyCommand, Resume


class CommandSource(Protocol):
    """Where the commands for a running run come from."""

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
