"""What every transport promises, in this process and in another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ssr_local.core.commands import Cancel, DropPath, Pause, Resume
from ssr_local.core.errors import ConfigError, ProblemError
from ssr_local.core.events import (
    Event,
    PathEnded,
    Replied,
    RunEnded,
    RunPaused,
    RunResumed,
    StepDelta,
    StepRead,
    StepVerified,
)
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.engine.demo import demo_pair
from ssr_local.transport.base import Outcome, Transport
from ssr_local.transport.requests import (
    ReadStepsRequest,
    ReplyRequest,
    SolveRequest,
    SolveTogetherRequest,
)
from ssr_local.transport.session import Session
from ssr_local.transport.setup import ModelFile, Setup
from ssr_local.transport.worker import Worker

PAIR = demo_pair()
SETUP = Setup(
    models={"draft": ModelFile(PAIR.draft, ""), "target": ModelFile(PAIR.target, "")},
    engine=EngineOptions(pair=PAIR.name),
    calibrations=PAIR.calibrations,
    backend="fake",
)
FARM = SolveRequest("farm", SolveOptions(seed=1))


@pytest.fixture(params=[Worker, Session])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    one: Transport = request.param(SETUP)
    yield one
    one.close()


def ended(events: list[Event]) -> Any:
    last = events[-1]
    assert isinstance(last, RunEnded)
    return last.result


def until(stream: Iterator[Event], kind: type[Any]) -> None:
    next(event for event in stream if isinstance(event, kind))


def test_models_are_loaded_once_and_a_run_is_the_same_every_time(transport: Transport) -> None:
    first, pid = list(transport.handle(FARM)), transport.pid
    second = list(transport.handle(FARM))
    assert [type(e).__name__ for e in first[:4]] == ["ModelLoading", "ModelLoaded"] * 2
    assert type(second[0]).__name__ == "RunStarted"
    assert ended(first).answer == ended(second).answer == "18"
    assert ended(first).paths == ended(second).paths
    assert transport.pid == pid


def test_each_of_several_problems_has_its_outcome(transport: Transport) -> None:
    wrong = SolveRequest(" ", SolveOptions())
    outcomes = list(transport.handle(SolveTogetherRequest((FARM, wrong))))[-2:]
    assert [one.run for one in outcomes if isinstance(one, Outcome)] == [0, 1]
    good, bad = [one.value() for one in outcomes if isinstance(one, Outcome)]
    assert isinstance(bad, ProblemError)
    assert good.answer == "18"  # type: ignore[union-attr]


def test_the_target_is_asked_about_steps(transport: Transport) -> None:
    step, questions = "Let h be it.\n\n", (("digit", "rate"),)
    (read,) = [
        event
        for event in transport.handle(ReadStepsRequest("farm", (step,), "maths", questions))
        if isinstance(event, StepRead)
    ]
    assert (read.step, read.reading.text) == (0, step)
    *_, said = transport.handle(ReplyRequest("farm", "Why?", "maths", (step,), 20))
    assert isinstance(said, Replied)
    assert said.text


def test_an_error_keeps_its_class_and_the_next_request_works(transport: Transport) -> None:
    wrong = SolveRequest("farm", SolveOptions(strategies="/nowhere/pool.toml"))
    with pytest.raises(ConfigError, match="nowhere/pool"):
        list(transport.handle(wrong))
    assert ended(list(transport.handle(FARM))).answer == "18"


@pytest.mark.parametrize("seen", [None, StepVerified])
def test_a_cancel_keeps_what_there_is(
    transport: Transport, slow: None, seen: type[Event] | None
) -> None:
    """Also one that comes before anything has begun; and twice is as good as once."""
    list(transport.handle(FARM))
    stream = transport.handle(FARM)
    if seen is not None:
        until(stream, seen)
    transport.tell(Cancel())
    transport.tell(Cancel())
    result = ended(list(stream))
    assert result.status == "cancelled"
    assert any(path.steps for path in result.paths) == (seen is not None)
    assert ended(list(transport.handle(FARM))).status == "answered"


@pytest.mark.parametrize("taken", [0, 6])
def test_a_consumer_that_stops_early(transport: Transport, slow: None, taken: int) -> None:
    stream = transport.handle(FARM)
    for _, _ in zip(range(taken), stream, strict=False):
        pass
    stream.close()
    pid = transport.pid
    assert ended(list(transport.handle(FARM))).answer == "18"
    assert transport.pid == pid


def test_commands_from_another_thread(transport: Transport, slow: None) -> None:
    def steer() -> None:
        for command in (Pause(), DropPath(1), Resume()):
            time.sleep(0.02)
            transport.tell(command)

    events: list[Event] = []
    thread = threading.Thread(target=steer)
    for event in transport.handle(FARM):
        events.append(event)
        if isinstance(event, StepVerified) and not thread.ident:
            thread.start()
    thread.join()
    assert [e.path for e in events if isinstance(e, PathEnded) and e.reason == "dropped"] == [1]
    assert sum(isinstance(event, RunPaused | RunResumed) for event in events) == 2


def test_it_can_be_told_anything_when_nothing_runs(transport: Transport) -> None:
    for _ in range(2):
        transport.tell(Cancel())
        transport.tell(Pause())
        transport.kill()
        assert transport.pid is None
        assert ended(list(transport.handle(FARM))).answer == "18"
    transport.close()
    assert ended(list(transport.handle(FARM))).answer == "18"


def test_a_kill_ends_what_is_worked_on(transport: Transport, slow: None) -> None:
    stream = transport.handle(FARM)
    until(stream, StepDelta)
    transport.kill()
    if isinstance(transport, Session):
        assert ended(list(stream)).status == "cancelled"
    else:
        with pytest.raises(Exception, match="signal 9"):
            list(stream)
    assert ended(list(transport.handle(FARM))).answer == "18"
