"""A run that is played from its log: step by step, faster, slower, standing still."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local_tui.widgets.items import Item
from tests.tui.sitting import Sitting, covers, demo_log, keys_of, sit, write_log

pytestmark = pytest.mark.usefixtures("folders")


@pytest.fixture
def log(folders: Path) -> Path:
    """A run of one path that takes an hour at its own speed, a second between two events."""
    events = [
        type(event)(
            **{name: getattr(event, name) for name in event.__struct_fields__} | {"at_s": n}
        )
        for n, event in enumerate(demo_log(paths=1))
    ]
    return write_log(events, folders / "slow.jsonl")


@covers("replay-step", "replay-faster", "replay-slower")
def test_a_replay_goes_on_event_by_event_at_any_speed_and_is_stopped(log: Path) -> None:
    async def script(at: Sitting) -> None:
        await at.press("escape")
        await at.press("full_stop")
        await at.until(lambda: at.tree.scores)  # the first event that can be seen
        await at.until_shows("stands still")
        counts = at.tree.counts
        assert (counts.drafted, len(at.tree.paths)) == (0, 0)
        await at.press("full_stop")
        await at.until(lambda: at.tree.paths and at.tree.paths[0].steps)
        await at.until(lambda: at.tree.paths[0].steps[0].state == "waiting")
        assert counts.drafted == 0
        await at.press("full_stop")
        await at.until(lambda: at.tree.paths[0].steps[0].state == "accepted")
        assert len(at.tree.paths[0].steps) == 1
        await at.put_cursor(Item("step", 0, 0))
        assert not any(at.main.check_action(a, ()) for a in ("drop", "add", "keep", "reject"))
        await at.press("p")
        await at.until(lambda: not at.shows("stands still"))
        await at.press("p")
        await at.until_shows("stands still")
        seen = []
        for key in (*keys_of("replay-faster"), "minus", "minus", "minus"):
            await at.press(key)
            assert at.app.runs.pace is not None
            seen.append(at.app.runs.pace.speed)
        assert seen == [2.0, 4.0, 2.0, 1.0, 0.5]
        await at.until_shows("[replay, 0.5 × as fast")
        await at.press("x")
        await at.until(lambda: not at.app.control.running)
        assert at.tree.phase != "ended"
        assert not any(at.main.check_action(a, ()) for a in ("replay_step", "faster", "slower"))
        await at.solve()  # a replay stands in no run's way
        await at.until_shows("Answer: 18")
        assert "replay" not in at.text()

    sit(script, replay=log, speed=1.0)
