"""What can happen to a process with models, and to nothing else."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ssr_local.core import errors
from ssr_local.core.commands import Cancel
from ssr_local.core.errors import EngineCrashed, SSRError, UsageError
from ssr_local.core.events import Event, RunEnded, StepDelta
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.process import child, log_tail
from ssr_local.process.channel import start_child
from ssr_local.process.failed import Failed
from ssr_local.transport import worker
from ssr_local.transport.requests import SolveRequest
from ssr_local.transport.setup import ModelFile, Setup
from ssr_local.transport.worker import Worker
from tests.unit.transport.test_transport import FARM, SETUP, until

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals")


@pytest.fixture
def demo() -> Iterator[Worker]:
    one = Worker(SETUP)
    yield one
    one.close()


def answer(demo: Worker) -> str | None:
    *_, last = demo.handle(FARM)
    assert isinstance(last, RunEnded)
    return last.result.answer


def test_a_crash_carries_the_last_lines_of_its_log(demo: Worker, slow: None) -> None:
    stream = demo.handle(FARM)
    until(stream, StepDelta)
    assert demo.log_path
    with demo.log_path.open("a") as log:
        log.write(
            "older\n" * 50 + "ggml: \x1b[31mout of memory\n\n" + "lib.so(+0x3293b)[0x7f31]\n" * 40
        )
    demo.kill()
    with pytest.raises(EngineCrashed) as caught:
        list(stream)
    assert caught.value.log_tail[-1] == "ggml: out of memory"
    assert len(caught.value.log_tail) == 12
    assert "out of memory" in str(caught.value)
    assert str(demo.log_path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


def test_each_child_has_a_log_of_its_own_and_few_are_kept(
    demo: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "_KEPT_LOGS", 3)
    logs = []
    for _ in range(5):
        demo._ready_child()
        logs.append(demo.log_path)
        demo.close()
    assert len(set(logs)) == 5
    assert demo.log_path
    assert sorted(demo.log_path.parent.iterdir()) == sorted(p for p in logs[2:] if p)


def test_without_a_folder_for_logs_it_still_works(
    demo: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path / "file"))
    assert answer(demo) == "18"
    assert demo.log_path is None


@linux
@pytest.mark.parametrize("leaves", [False, True])
def test_a_child_that_hangs_after_a_cancel_is_killed(
    demo: Worker, slow: None, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    monkeypatch.setattr(worker, "CANCEL_GRACE_S", 0.2)
    stream = demo.handle(FARM)
    until(stream, StepDelta)
    assert demo.pid
    os.kill(demo.pid, signal.SIGSTOP)
    started = time.monotonic()
    if leaves:
        stream.close()
    else:
        demo.tell(Cancel())
        with pytest.raises(EngineCrashed, match="did not answer"):
            list(stream)
    assert time.monotonic() - started < 5
    assert answer(demo) == "18"


def test_a_cancel_of_one_run_does_not_kill_the_next(
    demo: Worker, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CANCEL_GRACE_S", 0.1)
    stream = demo.handle(FARM)
    until(stream, StepDelta)
    demo.tell(Cancel())
    list(stream)
    pid = demo.pid
    assert answer(demo) == "18"  # takes longer than the grace
    assert demo.pid == pid


def test_an_option_that_is_no_text(demo: Worker) -> None:
    with pytest.raises(UsageError, match="not valid text"):
        demo.handle(SolveRequest("farm", SolveOptions(strategies="\udcff")))
    assert answer(demo) == "18"


@pytest.mark.parametrize(
    "kind", [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, SSRError)]
)
def test_every_error_of_the_tree_crosses_the_pipe(kind: type[SSRError]) -> None:
    error = Failed(kind.__name__, "what", "why", "next").error()
    assert type(error) is kind
    assert (error.what, error.why, error.next_step) == ("what", "why", "next")


@pytest.mark.parametrize("name", ["Nonsense", "ClassVar", "annotations", "__name__"])
def test_an_error_of_another_name_is_still_an_error(name: str) -> None:
    assert type(Failed(name, "what", "", "").error()) is SSRError


def events_of(setup: Setup, request: SolveRequest) -> list[Event]:
    one = Worker(setup)
    try:
        return list(one.handle(request))
    finally:
        one.close()


def test_a_model_that_cannot_be_loaded(demo: Worker, tmp_path: Path) -> None:
    file = tmp_path / "no.gguf"
    file.write_bytes(b"GGUF" + b"\xff" * 39)
    setup = Setup(models={"draft": ModelFile("no", str(file))}, engine=EngineOptions())
    with pytest.raises(errors.ModelError):
        events_of(setup, SolveRequest("farm", SolveOptions(method="draft", seed=1)))


def test_an_error_nobody_foresaw_is_a_crash_with_its_traceback(demo: Worker) -> None:
    broken = Setup(models={}, engine=EngineOptions(), backend="fake")
    with pytest.raises(EngineCrashed) as caught:
        events_of(broken, FARM)
    assert "exit code 1" in str(caught.value)
    assert any("KeyError" in line for line in caught.value.log_tail)


# Children that do not speak our language, in place of the real one.
BABBLE = {
    "not a message": "o.write((4).to_bytes(4, 'big') + b'\\xff' * 4)",
    "a huge frame": "o.write(b'\\xff' * 4)",
    "half a frame": "o.write((99).to_bytes(4, 'big') + b'x')",
    "nothing": "",
}


@pytest.mark.parametrize("case", BABBLE)
def test_a_child_that_talks_nonsense(
    demo: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    code = f"import sys\ndef main():\n o = sys.stdout.buffer\n {BABBLE[case]}\n o.flush()\n"
    (tmp_path / "babble_child.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)

    def start(_: str, *rest: Any) -> Any:
        return start_child("babble_child", *rest)

    with monkeypatch.context() as patch:
        patch.setattr(child, "start_child", start)
        with pytest.raises(EngineCrashed):
            list(demo.handle(FARM))
    assert answer(demo) == "18"


def test_a_child_that_cannot_be_started(demo: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(EngineCrashed, match="could not be started"):
        list(demo.handle(FARM))


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process in its tracks")
def test_a_request_the_child_cannot_read_is_a_crash_and_no_endless_wait(demo: Worker) -> None:
    """As when a child runs another version of this package than its parent."""
    assert answer(demo) == "18"
    assert demo._child is not None
    assert demo.pid is not None
    asleep = psutil.Process(demo.pid)
    asleep.suspend()  # or it might have ended before it is asked again
    while asleep.status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    demo._child.send({"request": "Unknown"})
    awake = threading.Timer(1.0, asleep.resume)
    awake.start()
    with pytest.raises(EngineCrashed, match=r"(?s)exit code 1.*ValidationError"):
        list(demo.handle(FARM))
    awake.join()
    assert answer(demo) == "18"


def test_a_request_larger_than_a_message_may_be_is_refused(demo: Worker) -> None:
    with pytest.raises(UsageError, match="65 MB"):
        demo.handle(SolveRequest("farm", SolveOptions(), ("x" * (65 << 20),)))
    assert answer(demo) == "18"
