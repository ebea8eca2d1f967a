"""What a session hands to the runs it makes."""

from __future__ import annotations

from collections.abc import Callable

from ssr_local.core.events import PathEnded, StepVerified
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import ModelRole
from ssr_local.engine.base import Engine
from ssr_local.engine.fake import FakeEngine
from ssr_local.transport.requests import SolveRequest
from ssr_local.transport.session import Session
from ssr_local.transport.setup import ModelFile, Setup
from tests.unit.coordinator.scripted import Paths, Turn
from tests.unit.transport.test_transport import SETUP

WRONG = "So 7 + 8 = 3.\n\n"


def load(role: ModelRole, file: ModelFile, setup: Setup, should_stop: Callable[[], bool]) -> Engine:
    script = Paths([Turn(WRONG, 0.9, "So it is 15.\n\n"), Turn("So \\boxed{3}.\n\n")])
    return FakeEngine(script, role=role)


def test_runs_are_judged_by_algebra_that_knows_their_problem() -> None:
    options = SolveOptions(plan="prose:ssd + prose:target", verifier="digit", seed=1)
    session = Session(SETUP, load)
    for problem, verifier in (("How many?", "algebra"), ("Add modulo 12.", "digit")):
        events = list(session.handle(SolveRequest(problem, options)))
        verdicts = [event.verdict for event in events if isinstance(event, StepVerified)]
        assert verdicts[0].verifier == verifier
        refuted = {event.path: event.refuted for event in events if isinstance(event, PathEnded)}
        assert refuted == {0: "", 1: ""}
    session.close()
