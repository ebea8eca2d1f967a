"""Events on their way from the thread that makes them to the one that draws, and their pace."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ssr_local.core.errors import ModelError, SSRError
from ssr_local.core.events import AnyEvent, Notice, read_events
from ssr_local_tui.feed import KEPT_LOGS, Feed, Pace, new_log
from tests.tui.pilot import TIMEOUT_S, wait_for


def notices(num: int, gap_s: float = 0.0) -> list[AnyEvent]:
    return [Notice(message=str(n), at_s=n * gap_s) for n in range(num)]


def finished(feed: Feed) -> Feed:
    feed.start()
    assert feed.wait(TIMEOUT_S)
    return feed


# Feed -----------------------------------------------------------------------------------


def test_what_came_before_an_error_stays_and_an_unforeseen_one_is_told_on_one_line() -> None:
    def source(error: Exception) -> Iterator[AnyEvent]:
        yield from notices(3)
        raise error

    feed = finished(Feed(lambda: source(ModelError("gone", "why", "what next"))))
    assert isinstance(feed.error, ModelError)
    assert len(feed.drain()) == 3
    feed = finished(Feed(lambda: source(ValueError("\x1b[31mbad\nthing" + "x" * 5000))))
    assert isinstance(feed.error, SSRError)
    assert "ValueError: bad thing" in feed.error.why
    assert len(feed.error.why) <= 300
    assert "\x1b" not in str(feed.error)
    assert len(feed.drain()) == 3


def test_the_log_holds_every_event_before_it_can_be_drained(tmp_path: Path) -> None:
    log = tmp_path / "new" / "log.jsonl"
    go_on, seen = threading.Semaphore(0), 0

    def source() -> Iterator[AnyEvent]:
        for event in notices(4):
            go_on.acquire()
            yield event

    feed = Feed(source, log)
    feed.start()
    for _ in range(4):
        go_on.release()
        seen += len(drained(feed))
        with log.open("rb") as file:
            assert len(list(read_events(file, ""))) >= seen
    assert feed.wait(TIMEOUT_S)
    with log.open("rb") as file:
        assert list(read_events(file, "")) == notices(4)


def drained(feed: Feed) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    wait_for(lambda: events.extend(feed.drain()) or events)
    return events


def test_a_log_that_cannot_be_opened_or_written_ends_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    feed = finished(Feed(lambda: notices(3), tmp_path / "file" / "log.jsonl"))
    assert feed.drain() == notices(3)
    assert (feed.error, feed.log) == (None, None)
    assert "cannot be written" in feed.log_error
    if Path("/dev/full").exists():
        feed = finished(Feed(lambda: notices(3), Path("/dev/full")))
        assert feed.drain() == notices(3)
        assert "No space left" in feed.log_error


def test_only_the_newest_logs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path))
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "mine.jsonl").write_text("")
    for n in range(KEPT_LOGS + 7):
        log = new_log()
        assert not log.exists()
        log.write_text("")
        os.utime(log, (n, n))
    kept = sorted(folder.glob("run-*.jsonl"), key=lambda one: one.stat().st_mtime)
    assert [one.stat().st_mtime for one in kept] == list(range(7, KEPT_LOGS + 7))
    assert (folder / "mine.jsonl").exists()


# Pace -----------------------------------------------------------------------------------


class Played:
    """A log being played in a thread; what of it has come."""

    def __init__(self, pace: Pace, events: list[AnyEvent], step_every: int = 1) -> None:
        def is_step(event: AnyEvent) -> bool:
            return isinstance(event, Notice) and int(event.message) % step_every == 0

        self.events: list[AnyEvent] = []
        play = partial(pace.play, events, is_step)
        self.thread = threading.Thread(target=lambda: self.events.extend(play()), daemon=True)
        self.thread.start()

    @property
    def num(self) -> int:
        return len(self.events)

    @property
    def is_over(self) -> bool:
        return not self.thread.is_alive()

    def stands_still(self) -> bool:
        before = self.num
        time.sleep(0.05)
        return self.num == before and not self.is_over


@pytest.mark.parametrize(("speed", "least_s"), [(0.0, 0.0), (1.0, 0.15), (4.0, 0.03), (0.5, 0.3)])
def test_events_keep_their_distance_times_the_speed(speed: float, least_s: float) -> None:
    gap_s = 0.05 if speed else 60.0
    started = time.monotonic()
    assert list(Pace(speed).play(notices(4, gap_s), lambda _: True)) == notices(4, gap_s)
    assert least_s <= time.monotonic() - started < least_s + 5


def test_times_that_go_back_or_jump_far_make_nobody_wait_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Pace, "LONGEST_WAIT_S", 0.05)
    events: list[AnyEvent] = [Notice(message="0", at_s=t) for t in (5.0, 1.0, 9e9, 3.0, 9e9)]
    started = time.monotonic()
    assert list(Pace(1.0).play(events, lambda _: True)) == events
    assert 0.05 <= time.monotonic() - started < 5


@pytest.mark.parametrize("every", [1, 3])
def test_a_step_ends_after_the_next_event_that_can_be_seen(every: int) -> None:
    pace = Pace(1.0)
    pace.toggle()
    played = Played(pace, notices(20, 3600.0), every)
    for steps in range(3):
        pace.step()
        wait_for(lambda steps=steps: played.num == steps * every + 1)
        assert played.stands_still()
    pace.step()
    pace.step()
    wait_for(lambda: played.num == 4 * every + 1)
    assert played.stands_still()
    assert pace.paused
    pace.faster(9)  # of two seconds an event at most, which counts at once
    pace.toggle()
    wait_for(lambda: played.num > 4 * every + 1)


@pytest.mark.parametrize(
    ("speed", "steps", "seen"),
    [
        (1.0, 1, 2.0),
        (1.0, -2, 0.25),
        (16.0, 1, 16.0),
        (3.0, 1, 4.0),
        (3.0, -1, 2.0),
        (0.1, -1, 0.1),
        (0.0, -1, 16.0),
    ],
)
def test_speeds_go_up_and_down_by_one(speed: float, steps: int, seen: float) -> None:
    pace = Pace(speed)
    pace.faster(steps)
    assert pace.speed == seen


@pytest.mark.parametrize("paused", [False, True])
def test_a_stopped_log_ends_at_once(paused: bool) -> None:
    pace = Pace(1.0)
    played = Played(pace, notices(3, 3600.0))
    wait_for(lambda: played.num == 1)
    if paused:
        pace.toggle()
    pace.stop()
    wait_for(lambda: played.is_over)
    assert played.num == 1
