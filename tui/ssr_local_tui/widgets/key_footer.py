"""The keys that do something now, at the bottom."""

from __future__ import annotations

from textual.widgets import Footer


class KeyFooter(Footer):
    """Textual's footer, but what it drew before can be forgotten.

    Textual binds every key it shows to the footer's ``compact`` and lets go of the keys that
    are gone only when that changes, which is never: a sitting would hold all it ever showed.
    """

    async def recompose(self) -> None:
        await super().recompose()
        self.mutate_reactive(KeyFooter.compact)
