"""The whole app in a test: a sitting in front of it, live on the demonstration or on a log."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

from textual.pilot import Pilot

from ssr_local import Solver
from ssr_local.core.commands import Pause
from ssr_local.core.config import load_settings
from ssr_local.core.events import AnyEvent, encode_event, read_events
from ssr_local.core.tree import Tree
from ssr_local_tui.app import SSRApp
from ssr_local_tui.preferences import Preferences
from ssr_local_tui.screens.main import MainScreen
from ssr_local_tui.widgets.items import Item
from ssr_local_tui.widgets.problem import ProblemInput
from tests.tui.pilot import Hands, piloted

PROBLEM = "A farm has hens and cows."
WELCOMED = Preferences(welcomed=True)


class Sitting(Hands[SSRApp]):
    """The whole app and the hands on its keys."""

    @property
    def main(self) -> MainScreen:
        return self.app.main

    @property
    def tree(self) -> Tree:
        return self.app.main.tree_state

    @property
    def input(self) -> ProblemInput:
        return self.main.query_one(ProblemInput)

    def said(self, words: str) -> bool:
        """Whether a message in the corner has these words."""
        return any(words in one.message for one in self.app._notifications)

    def shows(self, words: str) -> bool:
        """Whether the words can be read on the screen."""
        return words in self.text()

    async def until_shows(self, words: str) -> None:
        await self.until(lambda: self.shows(words))

    async def until_said(self, words: str) -> None:
        await self.until(lambda: self.said(words))

    async def type(self, text: str) -> None:
        """Type a text, key by key."""
        await self.press(*("space" if sign == " " else sign for sign in text))

    async def ask(self, problem: str = PROBLEM) -> None:
        """Put a problem into the input and press Enter."""
        self.input.focus()
        self.input.load_text("")
        await self.paste(problem)
        await self.press("enter")

    async def ended(self) -> None:
        """Wait for the end of the run, all of it drawn."""
        await self.until(lambda: self.tree.phase == "ended" and not self.app.control.running)
        await self.settle()

    async def solve(self, problem: str = PROBLEM) -> None:
        before = self.tree
        await self.ask(problem)
        await self.until(lambda: self.tree is not before)
        await self.ended()

    async def ask_paused(self, condition: Callable[[Tree], object], problem: str = PROBLEM) -> None:
        """Solve a problem, and make it stand still as soon as something holds of its tree."""
        solver, tree = self.app.runs.solver, Tree()
        stream = solver.stream

        def until_it_holds(*arguments: Any, **more: Any) -> Iterator[AnyEvent]:
            events = stream(*arguments, **more)
            for event in events:
                tree.apply(event)
                holds = condition(tree)
                if holds:
                    solver.tell(Pause())
                yield event
                if holds:
                    break
            yield from events

        with mock.patch.object(solver, "stream", until_it_holds):
            await self.ask(problem)
            await self.until(lambda: self.tree.phase == "paused")
        await self.settle()

    async def put_cursor(self, item: Item) -> None:
        assert self.main.run_tree.reveal(item), f"{item} is not in the tree"
        await self.settle()

    async def click_on(self, words: str) -> None:
        """Click on the first place where the words stand on the screen."""
        await self.until_shows(words)
        await self.pilot.pause()  # what has just opened may still be moved
        for y, line in enumerate(self.lines):
            x = line.find(words)
            if x >= 0:
                await self.click(x, y)
                return
        raise AssertionError(f"{words!r} is not on the screen:\n{self.text()}")


def sit(
    script: Callable[[Sitting], Awaitable[None]],
    *,
    size: tuple[int, int] = (120, 40),
    preferences: Preferences = WELCOMED,
    problem: str | None = None,
    replay: Path | None = None,
    speed: float = 0.0,
    **options: Any,
) -> SSRApp:
    """Run the script in front of the app; ``options`` are settings, the demonstration's pair."""
    given = {"pair": "demo", "seed": 1, **options}
    app = SSRApp(
        load_settings(given, env={}),
        preferences,
        problem=problem,
        replay=replay,
        speed=speed,
        overrides=given,
    )

    async def run(pilot: Pilot[Any]) -> None:
        await script(Sitting(app, pilot))

    piloted(app, run, size)
    return app


def watch(
    events: Iterable[AnyEvent],
    script: Callable[[Sitting], Awaitable[None]],
    **how: Any,
) -> SSRApp:
    """The same, on a log of these events that has been played to its end."""

    async def after_the_end(sitting: Sitting) -> None:
        await sitting.until(lambda: not sitting.app.control.running)
        await sitting.settle()
        await script(sitting)

    return sit(after_the_end, replay=write_log(events, Path("made.jsonl")), **how)


def write_log(events: Iterable[AnyEvent], file: Path) -> Path:
    """A file that holds the events; returns its path."""
    file.write_bytes(b"".join(encode_event(event) + b"\n" for event in events))
    return file


@lru_cache
def demo_log(seed: int = 1, paths: int = 3) -> tuple[AnyEvent, ...]:
    """The events of the demonstration, its times made even: no two machines are as fast."""
    with Solver(pair="demo", in_process=True) as solver:
        lines = [encode_event(one) for one in solver.stream(PROBLEM, seed=seed, paths=paths)]
    events = read_events(io.BytesIO(b"\n".join(lines) + b"\n"), "the demonstration")
    return tuple(events)
