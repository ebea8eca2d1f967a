"""Driving an app in a test without a terminal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from textual import events
from textual.app import App
from textual.pilot import Pilot

_R = TypeVar("_R")

TIMEOUT_S = 20.0
"""Far beyond what anything takes, also on a machine with other work to do."""
_LOOK_S = 0.01


def piloted(
    app: App[Any],
    script: Callable[[Pilot[Any]], Awaitable[_R]],
    size: tuple[int, int] = (120, 40),
    *,
    notifications: bool = False,
) -> _R:
    """What ``script`` returns, run against the app in a terminal of columns x rows."""

    async def drive() -> _R:
        async with app.run_test(size=size, notifications=notifications) as pilot:
            await pilot.pause()
            return await script(pilot)

    return asyncio.run(drive())


async def until(
    pilot: Pilot[Any], condition: Callable[[], object], timeout_s: float = TIMEOUT_S
) -> None:
    """Wait for a condition; an app that has crashed or a deadline that passes fails the test."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if pilot.app._exception is not None:
            raise pilot.app._exception
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {timeout_s:g} s; the screen:\n{screen_text(pilot.app)}"
            )
        await asyncio.sleep(_LOOK_S)


def wait_for(condition: Callable[[], object]) -> None:
    """The same where no app runs."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys one after the other, each worked off before the next.

    Unlike ``pilot.press`` it does not wait for an idle process, which a run never lets be.
    """
    app = pilot.app
    for key in keys:
        character = key if len(key) == 1 else {"space": " "}.get(key)
        event = events.Key(_key_name(key), character)
        event.set_sender(app)
        app.post_message(event)
        await settled(pilot)


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until what was posted has gone from the app to the screen, its widgets and back."""
    for _ in range(3):
        await pilot._wait_for_screen()


async def paste(pilot: Pilot[Any], text: str) -> None:
    """Paste, as a terminal reports it."""
    pilot.app.post_message(events.Paste(text))
    await settled(pilot)


async def click(pilot: Pilot[Any], x: int, y: int) -> None:
    """Press and let go of the mouse's left button in a cell of the screen."""
    for kind in (events.MouseDown, events.MouseUp):
        pilot.app.post_message(
            kind(None, x, y, 0, 0, 1, False, False, False, screen_x=x, screen_y=y)
        )
        await settled(pilot)


def screen_lines(app: App[Any]) -> list[str]:
    """The characters on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def screen_text(app: App[Any]) -> str:
    """The characters on the screen, blanks at the end of lines left out."""
    return "\n".join(line.rstrip() for line in screen_lines(app))


def _key_name(key: str) -> str:
    names = {"?": "question_mark", "/": "slash", ".": "full_stop", "+": "plus", "-": "minus"}
    return names.get(key, key)
