"""Driving an app in a test without a terminal."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from textual import events
from textual.app import App
from textual.pilot import Pilot

_R = TypeVar("_R")
_A = TypeVar("_A", bound=App[Any])

TIMEOUT_S = 20.0
"""Far beyond what anything takes, also on a machine with other work to do."""
_LOOK_S = 0.01
_KEY_NAMES = {"?": "question_mark", "/": "slash", ".": "full_stop", "+": "plus", "-": "minus"}


@dataclasses.dataclass
class Hands(Generic[_A]):
    """An app, and the hands on its keys."""

    app: _A
    pilot: Pilot[Any]

    @property
    def lines(self) -> list[str]:
        """The characters on the screen, line by line."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    @property
    def dialog(self) -> str:
        """The name of the screen on top."""
        return type(self.app.screen).__name__

    def text(self) -> str:
        """The characters on the screen, blanks at the end of lines left out."""
        return "\n".join(line.rstrip() for line in self.lines)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition; a crash of the app or a deadline that passes fails the test."""
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            if self.app._exception is not None:
                raise self.app._exception
            assert time.monotonic() < deadline, f"not in time; the screen:\n{self.text()}"
            await asyncio.sleep(_LOOK_S)

    async def until_on(self, dialog: str) -> None:
        """Wait until a screen is on top, and whole."""
        await self.until(
            lambda: (
                self.dialog == dialog
                and all(one.is_mounted for one in self.app.screen.walk_children(with_self=True))
            )
        )
        await self.settle()

    async def press(self, *keys: str) -> None:
        """Press keys one after the other, each worked off before the next.

        Unlike ``pilot.press`` it does not wait for an idle process, which a run never lets be.
        """
        for key in keys:
            character = key if len(key) == 1 else {"space": " "}.get(key)
            await self._send(events.Key(_KEY_NAMES.get(key, key), character))

    async def paste(self, text: str) -> None:
        """Paste, as a terminal reports it."""
        await self._send(events.Paste(text))

    async def click(self, x: int, y: int) -> None:
        """Press and let go of the mouse's left button in a cell of the screen."""
        for kind in (events.MouseDown, events.MouseUp):
            await self._send(kind(None, x, y, 0, 0, 1, False, False, False, screen_x=x, screen_y=y))

    async def _send(self, event: events.Event) -> None:
        event.set_sender(self.app)
        self.app.post_message(event)
        await self.settle()

    async def settle(self) -> None:
        """Wait until what was posted has gone from the app to the screen, its widgets and back."""
        for _ in range(3):
            await self.pilot._wait_for_screen()


def piloted(
    app: App[Any],
    script: Callable[[Pilot[Any]], Awaitable[_R]],
    size: tuple[int, int] = (120, 40),
) -> _R:
    """What ``script`` returns, run against the app in a terminal of columns x rows."""

    async def drive() -> _R:
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            return await script(pilot)

    return asyncio.run(drive())


def wait_for(condition: Callable[[], object]) -> None:
    """Wait for a condition where no app runs."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)
