from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssr_local.core import errors
from ssr_local.core.commands import Cancel, DropPath, Pause, Resume
from ssr_local.core.errors import ConfigError, EngineCrashed, SSRError, UsageError
from ssr_local.core.events import (
    AnyEvent,
    PathEnded,
    RunEnded,
    RunPaused,
    RunResumed,
    StepDelta,
    StepVerified,
)
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.engine.demo import demo_pair
from ssr_local.process.channel import start_child
from ssr_local.transport import worker
from ssr_local.transport.session import ModelFile, Setup
from ssr_local.transport.worker import Failed, Mailbox, Solve, Worker

PAIR = demo_pair()
SETUP = Setup(
    models={"draft": ModelFile(PAIR.draft, ""), "target": ModelFile(PAIR.target, "")},
    engine=EngineOptions(pair=PAIR.name),
    calibrations=PAIR.calibrations,
    backend="fake",
)
OPTIONS = SolveOptions(seed=1)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "0")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of about half a second, so that there is time to interfere."""
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "12")


@pytest.fixture
def demo(folders: None) -> Iterator[Worker]:
    one = Worker(SETUP)
    yield one
    one.close()


def answer(events: list[AnyEvent]) -> str | None:
    last = events[-1]
    assert isinstance(last, RunEnded)
    return last.result.answer


def until(stream: Iterator[AnyEvent], kind: type[Any]) -> None:
    next(event for event in stream if isinstance(event, kind))


def test_one_worker_solves_problem_after_problem(demo: Worker) -> None:
    first = list(demo.work(Solve("farm", OPTIONS)))
    pid = demo.pid
    second = list(demo.work(Solve("farm", OPTIONS)))
    assert answer(first) == answer(second) == "18"
    assert demo.pid == pid is not None
    assert [type(e).__name__ for e in first[:4]] == ["ModelLoading", "ModelLoaded"] * 2
    assert type(second[0]).__name__ == "RunStarted"


def test_the_run_is_the_same_every_time(demo: Worker) -> None:
    def steps(events: list[AnyEvent]) -> object:
        last = events[-1]
        assert isinstance(last, RunEnded)
        return last.result.paths

    assert steps(list(demo.work(Solve("farm", OPTIONS)))) == steps(
        list(demo.work(Solve("farm", OPTIONS)))
    )


def test_a_killed_child_is_an_error_and_the_next_run_works(demo: Worker, slow: None) -> None:
    stream = demo.work(Solve("farm", OPTIONS))
    until(stream, StepDelta)
    pid = demo.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineCrashed, match="signal 9"):
        list(stream)
    assert demo.pid is None
    assert answer(list(demo.work(Solve("farm", OPTIONS)))) == "18"
    assert demo.pid != pid


def test_a_crash_carries_the_last_lines_of_its_log(demo: Worker, slow: None) -> None:
    stream = demo.work(Solve("farm", OPTIONS))
    until(stream, StepDelta)
    assert demo.log_path
    with demo.log_path.open("a") as log:
        log.write("older\n" * 50 + "ggml: \x1b[31mout of memory\n\n")
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
    monkeypatch.setattr(worker, "_KEPT_LOGS", 3)
    logs = []
    for _ in range(5):
        demo._start()
        logs.append(demo.log_path)
        demo.close()
    assert len(set(logs)) == 5
    assert demo.log_path
    assert sorted(demo.log_path.parent.iterdir()) == sorted(p for p in logs[2:] if p)


def test_without_a_place_for_logs_it_still_works(
    demo: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path / "file"))
    assert answer(list(demo.work(Solve("farm", OPTIONS)))) == "18"
    assert demo.log_path is None


@linux
def test_a_child_that_hangs_after_a_cancel_is_killed(
    demo: Worker, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CANCEL_GRACE_S", 0.2)
    stream = demo.work(Solve("farm", OPTIONS))
    until(stream, StepDelta)
    assert demo.pid
    os.kill(demo.pid, signal.SIGSTOP)
    demo.tell(Cancel())
    started = time.monotonic()
    with pytest.raises(EngineCrashed, match="did not answer"):
        list(stream)
    assert time.monotonic() - started < 5
    assert answer(list(demo.work(Solve("farm", OPTIONS)))) == "18"


def test_a_cancel_of_one_run_does_not_kill_the_next(
    demo: Worker, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CANCEL_GRACE_S", 0.1)
    stream = demo.work(Solve("farm", OPTIONS))
    until(stream, StepDelta)
    demo.tell(Cancel())
    list(stream)
    pid = demo.pid
    assert answer(list(demo.work(Solve("farm", OPTIONS)))) == "18"  # takes longer than the grace
    assert demo.pid == pid


def test_cancel_keeps_what_there_is(demo: Worker, slow: None) -> None:
    stream = demo.work(Solve("farm", OPTIONS))
    until(stream, StepVerified)
    demo.tell(Cancel())
    last = list(stream)[-1]
    assert isinstance(last, RunEnded)
    assert last.result.status == "cancelled"
    assert any(path.steps for path in last.result.paths)


def test_a_run_cancelled_before_it_began_to_run(demo: Worker, slow: None) -> None:
    last = list(demo.work(Solve("farm", OPTIONS), lambda: True))[-1]
    assert isinstance(last, RunEnded)
    assert last.result.status == "cancelled"


@pytest.mark.parametrize("taken", [0, 6, 40])
def test_a_consumer_that_stops_early(demo: Worker, slow: None, taken: int) -> None:
    stream = demo.work(Solve("farm", OPTIONS))
    for _, _ in zip(range(taken), stream, strict=False):
        pass
    stream.close()  # type: ignore[attr-defined]
    pid = demo.pid
    assert answer(list(demo.work(Solve("farm", OPTIONS)))) == "18"
    assert demo.pid == pid or taken == 0


def test_commands_from_another_thread(demo: Worker, slow: None) -> None:
    def steer() -> None:
        for command in (Pause(), DropPath(1), Resume()):
            time.sleep(0.02)
            demo.tell(command)

    events = []
    thread = threading.Thread(target=steer)
    for event in demo.work(Solve("farm", OPTIONS)):
        events.append(event)
        if isinstance(event, StepVerified) and not thread.ident:
            thread.start()
    thread.join()
    assert [e.path for e in events if isinstance(e, PathEnded) and e.reason == "dropped"] == [1]
    assert sum(isinstance(event, RunPaused | RunResumed) for event in events) == 2
    assert answer(events) in ("18", "21")


def test_a_worker_can_be_told_anything_when_nothing_runs(demo: Worker) -> None:
    demo.tell(Cancel())
    demo.kill()
    assert demo.pid is None
    list(demo.work(Solve("farm", OPTIONS)))
    demo.tell(Cancel())
    assert answer(list(demo.work(Solve("farm", OPTIONS)))) == "18"


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"strategies": "/nowhere/pool.toml"}, ConfigError, "/nowhere/pool.toml"),
        ({"strategies": "\udcff"}, UsageError, "not valid text"),
    ],
)
def test_errors_keep_their_class(
    demo: Worker, options: dict[str, Any], kind: type[SSRError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        list(demo.work(Solve("farm", SolveOptions(**options))))
    assert type(caught.value) is kind
    assert answer(list(demo.work(Solve("farm", OPTIONS)))) == "18"


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    file = tmp_path / "no.gguf"
    file.write_bytes(b"GGUF" + b"\xff" * 39)
    setup = Setup(models={"draft": ModelFile("no", str(file))}, engine=EngineOptions())
    one = Worker(setup)
    try:
        with pytest.raises(errors.ModelError):
            list(one.work(Solve("farm", SolveOptions(method="draft"))))
    finally:
        one.close()


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


def test_an_error_nobody_foresaw_is_a_crash_with_its_traceback() -> None:
    broken = Setup(models={}, engine=EngineOptions(), backend="fake")
    one = Worker(broken)
    try:
        with pytest.raises(EngineCrashed) as caught:
            list(one.work(Solve("farm", OPTIONS)))
        assert "exit code 1" in str(caught.value)
        assert any("KeyError" in line for line in caught.value.log_tail)
    finally:
        one.close()


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
    lines = [
        "import sys",
        "def main():",
        " o = sys.stdout.buffer",
        f" {BABBLE[case]}",
        " o.flush()",
    ]
    (tmp_path / "babble_child.py").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(worker, "start_child", lambda _, *rest: start_child("babble_child", *rest))
        with pytest.raises(EngineCrashed):
            list(demo.work(Solve("farm", OPTIONS)))
    assert answer(list(demo.work(Solve("farm", OPTIONS)))) == "18"


def test_a_child_that_cannot_be_started(demo: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(EngineCrashed, match="could not be started"):
        list(demo.work(Solve("farm", OPTIONS)))


def test_mailbox() -> None:
    box = Mailbox()
    assert list(box.poll()) == []
    box.put(DropPath(1))
    assert not box.should_stop()
    box.put(Cancel())
    assert box.should_stop()
    assert list(box.wait()) == [DropPath(1), Cancel()]
    box.clear()
    assert not box.should_stop()
    assert list(box.poll()) == []


def test_mailbox_waits() -> None:
    box = Mailbox()
    threading.Timer(0.05, box.put, [Resume()]).start()
    assert list(box.wait()) == [Resume()]
