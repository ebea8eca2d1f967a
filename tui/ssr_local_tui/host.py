"""What screens may ask of the app they are part of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from textual.screen import Screen

from ssr_local.core.config import Settings
from ssr_local.core.errors import SSRError
from ssr_local.models.download import Progress
from ssr_local_tui.runs import Runs

_T = TypeVar("_T")


class Host(Protocol):
    """The app, as its screens know it. ``progress`` is the last word of a download."""

    settings: Settings
    runs: Runs
    progress: Progress | None

    @property
    def checking(self) -> str:
        """What is checked while nobody does anything, in words; "" nothing."""

    @property
    def pair_name(self) -> str:
        """The models in use, in a word."""

    def in_background(
        self,
        work: Callable[[], _T],
        then: Callable[[_T], object],
        failed: Callable[[SSRError], object],
    ) -> None:
        """Do work in a thread, then go on in the app's own with what it gave, or its error."""

    def key_of(self, binding_id: str) -> str:
        """The key that does something, as it is shown to the user."""

    def open_settings(self) -> None:
        """Show every option."""


def host_of(screen: Screen[Any]) -> Host:
    """The app of a screen."""
    return cast(Host, screen.app)
