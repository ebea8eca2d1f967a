"""What begins, steers and ends a run, without a terminal or widgets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from textual.message import Message

from ssr_local import AddPath, DropPath, Interrupted, OverrideVerdict, Pause, Resume, SSRError
from ssr_local.core.commands import AnyCommand, Cancel
from ssr_local.core.events import AnyEvent, PathOpened, StepVerified
from ssr_local.core.options import SolveOptions
from ssr_local.core.views import PathView
from ssr_local.models.download import ToFetch
from ssr_local_tui import runs
from ssr_local_tui.controller import LOOKING, STARTING, RunController
from ssr_local_tui.host import Host
from tests.tui.fake_host import FakeHost
from tests.tui.pilot import TIMEOUT_S, wait_for
from tests.tui.sitting import PROBLEM, demo_log, write_log

NOTHING = ToFetch(num_bytes=0)


class FakeSolver:
    """Gives the events it was made with, the last once it is free, and then fails."""

    worker_pid = 1

    def __init__(self) -> None:
        self.events: tuple[AnyEvent, ...] = demo_log()
        self.error: SSRError | None = None
        self.missing: ToFetch | SSRError = NOTHING
        self.free = threading.Event()
        self.free.set()
        self.asked: list[tuple[str, SolveOptions, tuple[str, ...]]] = []
        self.told: list[AnyCommand] = []

    def to_fetch(self, options: SolveOptions) -> ToFetch:
        if isinstance(self.missing, SSRError):
            raise self.missing
        return self.missing

    def stream(
        self, problem: str, options: SolveOptions, *, given: tuple[str, ...]
    ) -> Iterator[AnyEvent]:
        self.asked.append((problem, options, given))
        yield from self.events[:-1]
        self.free.wait(TIMEOUT_S)
        yield self.events[-1]
        if self.error is not None:
            raise self.error

    def tell(self, command: AnyCommand) -> None:
        self.told.append(command)

    def cancel(self) -> None:
        self.tell(Cancel())


class Table:
    """A controller, what it stands on, and the messages it has posted."""

    def __init__(self, solver: FakeSolver) -> None:
        self.solver, self.host, self.posted = solver, FakeHost(), list[Message]()
        self.control = RunController(cast(Host, self.host), self.posted.append)

    def said(self) -> list[str]:
        """The kinds of messages since the last time."""
        kinds = [type(message).__name__ for message in self.posted]
        self.posted.clear()
        return kinds

    def take_all(self) -> None:
        """Take in what comes until the run is over."""

        def is_over() -> bool:
            self.control.take_in()
            return not self.control.running

        wait_for(is_over)

    def solve(self, problem: str = PROBLEM, **more: Any) -> None:
        self.control.begin(problem, **more)
        self.host.work()
        self.take_all()

    def stand_at(self, *events: AnyEvent) -> PathView | None:
        """Make a run that goes on stand there; its first path."""
        self.control.begin(PROBLEM)
        self.host.work()
        self.control.tree.apply_all(events)
        return self.control.tree.paths.get(0)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Table:
    solver = FakeSolver()
    monkeypatch.setattr(runs, "Solver", lambda **_: solver)
    return Table(solver)


def up_to(kind: type[AnyEvent]) -> list[AnyEvent]:
    events = demo_log()
    return list(events[: next(n for n, one in enumerate(events) if isinstance(one, kind)) + 1])


def test_a_run_begins_is_taken_in_and_ends(at: Table) -> None:
    at.solver.free.clear()
    at.control.begin(PROBLEM, prefix_steps=["One."])
    assert (at.control.busy, at.said()) == (LOOKING, ["Began"])
    at.host.work()
    assert (at.control.busy, at.control.running, at.said()) == (STARTING, True, ["Changed"])
    while not at.control.tree.paths:
        at.control.take_in()
    assert (at.control.busy, at.control.running) == ("", True)
    at.solver.free.set()
    at.take_all()
    assert at.control.tree.result == demo_log()[-1].result  # type: ignore[union-attr]
    assert (at.control.busy, at.control.is_going, at.said()) == ("", False, ["Ended"])
    assert at.solver.asked == [(PROBLEM, at.host.settings.solve, ("One.",))]


def test_models_that_stay_loaded_are_shown_from_the_beginning(at: Table) -> None:
    at.solve()
    models = at.control.tree.models
    at.control.begin("another")
    assert at.control.tree.models == models != {}
    at.host.pair_name = "another pair"
    at.control.stop()
    at.control.begin("a third")
    assert at.control.tree.models == {}


@pytest.mark.parametrize("fetched", [True, False])
def test_what_is_missing_is_fetched_first_or_nothing_starts(at: Table, fetched: bool) -> None:
    at.solver.missing = ToFetch(num_bytes=5)
    at.control.begin(PROBLEM)
    at.host.work()
    assert at.said() == ["Began", "ModelsMissing"]
    assert at.control.is_going
    at.control.go_on(fetched)
    assert at.control.is_going == at.control.running == fetched


@pytest.mark.parametrize("missing", [NOTHING, SSRError("No such pair.")])
def test_what_is_found_after_it_was_called_off_starts_nothing(
    at: Table, missing: ToFetch | SSRError
) -> None:
    at.solve()
    at.solver.missing = missing
    at.control.begin("called off")
    at.control.stop()
    assert not at.control.is_going
    assert at.host.runs.feed is None  # no events of the one before
    at.host.background.pop(0)()
    assert (at.control.is_going, at.control.error) == (False, None)
    at.control.begin("called off, too")
    at.control.stop()
    at.control.begin("another")
    at.host.background.pop(0)()  # the one before comes late
    assert (at.control.busy, at.control.running, at.control.error) == (LOOKING, False, None)


@pytest.mark.parametrize(
    ("error", "is_shown"), [(SSRError("It crashed."), True), (Interrupted("Stopped."), False)]
)
def test_what_there_is_of_a_run_stays_after_an_error(
    at: Table, error: SSRError, is_shown: bool
) -> None:
    at.solver.events, at.solver.error = tuple(up_to(StepVerified)), error
    at.solve()
    assert (at.control.error is error) == is_shown
    assert at.control.tree.phase == "cut off"
    assert at.control.tree.counts.drafted == 1
    assert at.said() == ["Began", "Changed", "Changed", "Ended"]


def test_what_a_run_is_told(at: Table) -> None:
    path = at.stand_at(*up_to(StepVerified))
    assert path is not None
    at.control.drop(path)
    at.control.add("B")
    at.control.override(path, accept=True)
    at.control.pause()
    assert at.control.playing == "[will pause]"
    at.control.pause()  # called off before it began
    assert at.control.playing == ""
    at.control.stop()
    assert at.control.busy == "stopping"
    assert at.solver.told == [
        *(DropPath(0), AddPath("B"), OverrideVerdict(0, True)),
        *(Pause(), Resume(), Cancel()),
    ]


IDLE = frozenset(("settings", "open", "history", "tutor", "practice", "source", "help"))
GOING = frozenset(("stop", "pause", "follow", "export", "copy"))
ACTIONS = IDLE | GOING | frozenset(("drop", "add", "keep", "reject", "again", "compare"))
ALWAYS = frozenset(("source", "help"))


def offered(at: Table, path: PathView | None = None) -> frozenset[str]:
    actions = ACTIONS | frozenset(("replay_step", "faster", "slower"))
    return frozenset(action for action in actions if at.control.can(action, path))


def test_what_can_be_done_when(at: Table, folders: Path) -> None:
    assert offered(at) == IDLE
    assert offered(at, at.stand_at()) == GOING | ALWAYS
    at.control.tree.apply_all(up_to(PathOpened))
    path = at.control.tree.paths[0]
    assert offered(at) == GOING | ALWAYS | {"add"}
    assert offered(at, path) == GOING | ALWAYS | {"add", "drop"}
    verified = next(one for one in demo_log() if isinstance(one, StepVerified))
    at.control.tree.apply_all(up_to(StepVerified))
    path = at.control.tree.paths[verified.path]
    assert offered(at, path) >= {"reject", "drop", "compare"}
    assert "keep" not in offered(at, path)
    at.take_all()
    done = IDLE | {"again", "export", "copy", "compare"}
    assert offered(at, at.control.tree.paths[0]) == done
    at.control.play(write_log(demo_log(), folders / "log.jsonl"), 0.01)
    at.control.tree.apply_all(up_to(StepVerified))
    playing = GOING | ALWAYS | {"compare", "replay_step", "faster", "slower"}
    assert offered(at, at.control.tree.paths[0]) == playing
    assert (at.control.models_state, at.control.is_live) == ("recorded", False)
    at.control.add("B")
    at.control.stop()
    at.take_all()
    assert at.solver.told == []  # a replay takes no commands
