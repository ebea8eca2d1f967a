"""The whole self-check while the app idles, on real engines and a tiny model."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from ssr_local.engine import choice, remembered
from ssr_local.engine.packages import is_installed
from ssr_local.engine.remembered import RememberedCheck
from ssr_local.process.helper import Helper
from ssr_local_tui import idle_check
from tests.tiny_gguf import write_tiny_model
from tests.tui.pilot import wait_for
from tests.tui.sitting import Sitting, sit
from tests.unit.process.processes import alive

pytestmark = pytest.mark.skipif(not is_installed("ik"), reason="needs ik-llama-cpp-python")

CHECKING = "checking ik_llama.cpp"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.gguf")


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_check, "IDLE_S", 0.3)


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> list[Helper]:
    """The helpers that checks have started."""
    made: list[Helper] = []

    class Seen(Helper):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(choice, "Helper", Seen)
    return made


def options_for(model: Path) -> dict[str, Any]:
    name = str(model)
    few = {"method": "target", "max_tokens": 16, "threads": 1, "repack": "on"}
    return {"pair": "default", "draft": name, "target": name, **few}


def found() -> RememberedCheck:
    (known,) = remembered._load().values()
    return known


def test_an_idle_app_completes_the_check(model: Path, idle: None) -> None:
    async def script(at: Sitting) -> None:
        await at.solve()
        await at.until(lambda: not found().lacks_whole)
        await at.until(lambda: not at.app.checking)
        assert not at.app._notifications
        await at.solve("Once more.")

    sit(script, **options_for(model))
    assert not found().quick


def test_keys_put_it_off(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_check, "IDLE_S", 1.0)

    async def script(at: Sitting) -> None:
        await at.solve()
        for _ in range(12):
            await at.pilot.pause(0.15)
            await at.press("down")
            assert not at.app.checking
        assert found().lacks_whole
        await at.until(lambda: at.app.checking)

    sit(script, **options_for(model))


@pytest.mark.skipif(sys.platform != "linux", reason="stops a process in its tracks")
@pytest.mark.parametrize("by", ["a run", "leaving"])
def test_a_check_is_ended_by(model: Path, idle: None, helpers: list[Helper], by: str) -> None:
    pids = []

    async def script(at: Sitting) -> None:
        await at.solve()
        await at.until_shows(CHECKING)
        await at.until(lambda: helpers and helpers[0].pid)
        assert helpers[0].pid is not None
        os.kill(helpers[0].pid, signal.SIGSTOP)  # it would be over in a moment
        pids.append(helpers[0].pid)
        if by == "a run":
            await at.solve("Another problem.")
            await at.until(lambda: not alive(pids[0]))
            await at.until(lambda: not at.shows(CHECKING))

    sit(script, **options_for(model))
    wait_for(lambda: not alive(pids[0]))
    assert found().lacks_whole


def test_an_engine_that_fails_is_not_used_again(
    model: Path, idle: None, helpers: list[Helper]
) -> None:
    async def script(at: Sitting) -> None:
        await at.solve()
        transport = at.app.runs.solver._transport
        await at.until(lambda: helpers and helpers[0].pid)
        assert helpers[0].pid is not None
        os.kill(helpers[0].pid, signal.SIGILL)  # as code that was built for another CPU does
        await at.until_said("failed its self-check")
        await at.ask("Another problem.")
        await at.until(lambda: at.app.runs.solver._transport is not transport)
        if is_installed("llama"):
            await at.ended()
            info = at.tree.models["target"].info
            assert info is not None
            assert info.engine.startswith("llama.cpp")
        else:
            await at.until_shows("llama.cpp is needed")

    sit(script, **options_for(model))
    assert found().difference
