"""Driving an app in a test without a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from textual.app import App
from textual.pilot import Pilot

_R = TypeVar("_R")


def piloted(
    app: App[Any],
    script: Callable[[Pilot[Any]], Awaitable[_R]],
    size: tuple[int, int] = (120, 40),
) -> _R:
    """What ``script`` returns, run against the app in a terminal of columns x rows."""

    async def drive() -> _R:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            return await script(pilot)

    return asyncio.run(drive())
