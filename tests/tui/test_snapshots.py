"""The main states as they look, character by character, in three sizes of terminal.

The screens are stored as plain text in ``snapshots/``. After an intended change, accept
them anew with ``SSR_LOCAL_ACCEPT_SNAPSHOTS=1 pytest tests/tui/test_snapshots.py`` and look
at the difference git shows.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from ssr_local.core.errors import EngineCrashed
from ssr_local.core.events import (
    AnyEvent,
    Event,
    ModelLoaded,
    RunEnded,
    RunMeasured,
    RunStarted,
    StepDrafted,
    StepRewritten,
    StepVerified,
)
from ssr_local.core.records import Timing
from ssr_local_tui.preferences import Preferences
from ssr_local_tui.widgets.items import Item
from tests.tui.sitting import WELCOMED, Sitting, demo_log, sit, watch
from tests.unit.core.test_tree import LOGS

FOLDER = Path(__file__).parent / "snapshots"
ACCEPT = "SSR_LOCAL_ACCEPT_SNAPSHOTS"
HOW = f"If that is meant: {ACCEPT}=1 pytest tests/tui/test_snapshots.py"
SETTLING_S, BUSY_S = 1.0, 20.0  # the latter on a machine that does something else as well
SIZES = [(80, 24), (120, 40), (200, 60)]
TIMING = Timing(
    selection=0.5, prefill=1.0, draft=6.0, verify=1.5, rewrite=2.0, write=0.0, vote=0.0, total=11.0
)


def even(events: Iterable[AnyEvent]) -> list[AnyEvent]:
    """The events with times that do not depend on the machine they were recorded on."""
    return [timed(event, index * 0.02) for index, event in enumerate(events)]


def timed(event: AnyEvent, at_s: float) -> AnyEvent:
    more: dict[str, object] = {"at_s": at_s}
    if isinstance(event, ModelLoaded | StepDrafted | StepRewritten):
        more["elapsed_s"] = 0.5
    if isinstance(event, RunMeasured):
        more["timing_s"] = TIMING
    if isinstance(event, RunEnded):
        more["result"] = msgspec.structs.replace(event.result, timing_s=TIMING)
    if isinstance(event, RunStarted):
        more["version"] = "0"
    return msgspec.structs.replace(event, **more)


def up_to(kind: type[Event], number: int) -> list[AnyEvent]:
    """The run until that many events of a kind have come; what was measured is left out."""
    events = [event for event in even(demo_log()) if not isinstance(event, RunMeasured)]
    indices = [index for index, event in enumerate(events) if isinstance(event, kind)]
    return events[: indices[number - 1] + 1]


# States ---------------------------------------------------------------------------------


async def as_it_is(at: Sitting) -> None: ...


async def running(at: Sitting) -> None:
    at.tree.phase = "running"  # the log ends here, the run did not
    at.main.draw_all()


async def on_a_rejected_step(at: Sitting) -> None:
    await at.put_cursor(Item("step", 0, 2))


def opened(dialog: str, *keys: str) -> Callable[[Sitting], Awaitable[None]]:
    async def script(at: Sitting) -> None:
        await at.press(*keys)
        await at.until_on(dialog)

    return script


async def error(at: Sitting) -> None:
    at.app.control.fail(
        EngineCrashed(
            "The worker process that runs the models has ended.",
            "It was killed by signal 9.",
            "Try again; its whole log is in worker.log.",
        )
    )


class State(NamedTuple):
    """How the app comes to look that way; without events it has just been started."""

    script: Callable[[Sitting], Awaitable[None]]
    events: Callable[[], list[AnyEvent]] | None = None
    preferences: Preferences = WELCOMED


def whole() -> list[AnyEvent]:
    return even(demo_log())


STATES = {
    "empty": State(as_it_is),
    "welcome": State(as_it_is, None, Preferences()),
    "settings": State(opened("SettingsScreen", "escape", "s")),
    "running": State(running, lambda: up_to(StepVerified, 8)),
    "ended": State(as_it_is, whole),
    "waves": State(as_it_is, lambda: even(LOGS[-1])),
    "rejected": State(on_a_rejected_step, whole),
    "comparison": State(opened("ComparisonScreen", "v"), whole),
    "help": State(opened("HelpScreen", "question_mark"), whole),
    "error": State(error, lambda: up_to(StepVerified, 5)),
}


@pytest.mark.parametrize("name", STATES)
def test_the_screen_looks_as_it_did(name: str, folders: Path) -> None:
    state, seen = STATES[name], dict[Path, str]()

    async def script(at: Sitting) -> None:
        await state.script(at)
        for size in SIZES:
            file = FOLDER / f"{name}-{size[0]}x{size[1]}.txt"
            await at.pilot.resize_terminal(*size)
            await at.until(lambda size=size: at.main.size == size)
            await at.settle()
            at.main.draw_all()
            seen[file] = await final(at, folders, file)

    how = {"size": SIZES[0], "preferences": state.preferences}
    if state.events is None:
        sit(script, **how)  # type: ignore[arg-type]
    else:
        watch(state.events(), script, **how)
    for file, screen in seen.items():
        if os.environ.get(ACCEPT):
            file.write_text(screen, encoding="utf-8")
        assert screen.splitlines() == stored(file).splitlines(), HOW


def stored(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


async def final(at: Sitting, folders: Path, file: Path) -> str:
    """The screen once it is the stored one, or has had the time to become it."""
    deadline = time.monotonic() + (SETTLING_S if os.environ.get(ACCEPT) else BUSY_S)
    while time.monotonic() < deadline:
        await at.settle()
        if not os.environ.get(ACCEPT) and normal(at.text(), folders) == stored(file):
            break
    return normal(at.text(), folders)


def normal(text: str, folders: Path) -> str:
    """Without what differs from one test run, or one machine, to the next."""
    text = text.replace(str(folders), "FOLDER")
    return re.sub(r"\bseed \d+", "seed N", text) + "\n"


def test_no_snapshot_is_left_over() -> None:
    expected = {f"{name}-{width}x{height}.txt" for name in STATES for width, height in SIZES}
    assert {file.name for file in FOLDER.iterdir()} == expected
