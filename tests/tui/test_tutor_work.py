"""What the models do for the tutor, one thing at a time, without a terminal or widgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from textual.message import Message

from ssr_local import Solver
from ssr_local.models.download import ToFetch
from ssr_local_tui import tutor_work
from ssr_local_tui.host import Host
from ssr_local_tui.tutor_work import TutorWork
from tests.tui.fake_host import FakeHost
from tests.tui.sitting import PROBLEM

STEPS = ["Heads give h + c = 30, and legs give 2h + 4c = 84."]


class Desk(TutorWork):
    def __init__(self) -> None:
        self.host, self.posted = FakeHost(), list[Message]()
        super().__init__(cast(Host, self.host), self.posted.append)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()
    desk.host.runs.close()


def test_a_hint_calls_off_the_marks_and_begins_once_that_is_noticed(desk: Desk) -> None:
    desk.judge(PROBLEM, STEPS)
    assert desk.state == "looking at your steps ..."
    for _ in range(3):  # asked for more than once while it is thought of
        desk.hint(PROBLEM, STEPS)
    assert len(desk.host.background) == 1
    desk.host.work()
    assert (desk.result, desk.level, desk.state, desk.is_working) == (None, 1, "", False)
    assert [type(one) for one in desk.posted].count(TutorWork.Hinted) == 1
    for _ in range(2):
        desk.hint(PROBLEM, STEPS)
    desk.host.background.pop(0)()
    assert (desk.level, desk.is_working) == (2, False)


def test_what_is_found_too_late_is_dropped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_slowly(*_: object, **__: object) -> str:
        desk.forget(hints=False)  # meanwhile
        return "marks of what stands there no more"

    monkeypatch.setattr(tutor_work, "check", check_slowly)
    desk.judge(PROBLEM, STEPS)
    desk.host.work()
    assert (desk.result, desk.state, desk.is_working) == (None, "", False)


@pytest.mark.parametrize(("is_other_step", "level"), [(True, 0), (False, 1)])
def test_what_is_written_drops_marks_and_hints_of_another_step(
    desk: Desk, is_other_step: bool, level: int
) -> None:
    desk.hint(PROBLEM, STEPS)
    desk.host.work()
    desk.judge(PROBLEM, STEPS)
    desk.host.work()
    assert desk.result is not None
    desk.judge(PROBLEM, STEPS)  # is under way
    desk.forget(hints=is_other_step)
    desk.host.work()
    assert (desk.result, desk.level, desk.state) == (None, level, "")


def test_models_that_are_missing_are_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Solver, "to_fetch", lambda *_: ToFetch(num_bytes=5))
    desk.explain(PROBLEM, STEPS)
    desk.host.work()
    assert "Models are missing." in desk.state
    assert desk.result is None
