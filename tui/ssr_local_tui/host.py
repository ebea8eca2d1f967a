"""What screens may ask of the app they are part of."""

from __future__ import annotations

from typing import Any, Protocol, cast

from textual.screen import Screen

from ssr_local.core.config import Settings
from ssr_local.models.download import Progress
from ssr_local_tui.background import Background
from ssr_local_tui.runs import Runs


class Host(Protocol):
    """The app, as its screens know it. ``progress`` is the last word of a download."""

    settings: Settings
    runs: Runs
    in_background: Background
    progress: Progress | None

    @property
    def pair_name(self) -> str:
        """The models in use, in a word."""

    def key_of(self, binding_id: str) -> str:
        """The key that does something, as it is shown to the user."""

    def open_help(self) -> None:
        """Show what every key does."""

    def open_settings(self) -> None:
        """Show every option."""


def host_of(screen: Screen[Any]) -> Host:
    """The app of a screen."""
    return cast(Host, screen.app)
