from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import ssr_local
from ssr_local.core.errors import HelperError
from ssr_local.process import helper as helper_module
from ssr_local.process.helper import Helper, HelperDied, HelperRaised, HelperTimeout
from tests.unit.process.processes import alive, until

PROBE = """
from __future__ import annotations
import os, sys, time
from msgspec import Struct

class Point(Struct):
    x: int
    y: int = 7

def total(point: Point) -> int:
    return point.x + point.y

def echo(text: str) -> str:
    print("noise on stdout"); print("noise on stderr", file=sys.stderr)
    os.write(1, b"raw noise"); os.system("echo more noise")
    return text

def pid(_: None) -> int:
    return os.getpid()

def session(_: None) -> int:
    return os.getsid(0)

def sleep(seconds: float) -> None:
    time.sleep(seconds)

def spin(exponent: int) -> int:
    return len(str(9 ** 9 ** exponent))

def fail(message: str) -> None:
    raise LookupError(message)

def leave(code: int) -> None:
    os._exit(code)

def allocate(size: int) -> int:
    return len(bytearray(size))

def read_stdin(_: None) -> str:
    return sys.stdin.read()

def limits(_: None) -> list[int]:
    import resource
    return [resource.getrlimit(resource.RLIMIT_CORE)[1], resource.getrlimit(resource.RLIMIT_AS)[0]]

def _hidden(_: None) -> int:
    return 1

from os import getcwd
"""


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of test functions that the child, through the path alone, sees as ours."""
    package = tmp_path / "ssr_local"
    package.mkdir()
    real = str(Path(ssr_local.__file__).parent)
    package.joinpath("__init__.py").write_text(f"__path__.append({real!r})\n")
    package.joinpath("probe.py").write_text(PROBE)
    monkeypatch.syspath_prepend(tmp_path)
    return "ssr_local.probe:"


@pytest.fixture
def helper(probe: str) -> Iterator[Helper]:
    before = _threads()
    with Helper() as helper:
        yield helper
    assert helper.pid is None
    until(lambda: _threads() <= before)


def _threads() -> int:
    return sum(
        thread.name.startswith(("ssr-helper", "ssr-child")) for thread in threading.enumerate()
    )


def test_a_struct_goes_in_and_a_value_comes_out(helper: Helper, probe: str) -> None:
    assert helper.call(probe + "total", {"x": 5}, timeout_s=5, type=int) == 12


def test_one_child_serves_many_calls_in_a_session_of_its_own(helper: Helper, probe: str) -> None:
    assert helper.pid is None, "starts with the first call only"
    first = helper.call(probe + "pid", None, timeout_s=5)
    assert first == helper.call(probe + "pid", None, timeout_s=5) == helper.pid != os.getpid()
    assert helper.call(probe + "session", None, timeout_s=5) == first


def test_prints_do_not_reach_the_protocol(helper: Helper, probe: str) -> None:
    for text in ("a", "ü" * 200_000):
        assert helper.call(probe + "echo", text, timeout_s=10, type=str) == text


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_one_that_gives_way_runs_when_nobody_else_wants_to(probe: str) -> None:
    with Helper(gives_way=True) as helper:
        helper.call(probe + "pid", None, timeout_s=30)
        assert helper.pid is not None
        threads = [int(task.name) for task in Path(f"/proc/{helper.pid}/task").iterdir()]
        assert len(threads) > 1
        for one in threads:
            assert os.sched_getscheduler(one) == os.SCHED_IDLE
            assert os.getpriority(os.PRIO_PROCESS, one) == 19


def test_standard_input_is_empty(helper: Helper, probe: str) -> None:
    assert helper.call(probe + "read_stdin", None, timeout_s=5) == ""


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        pytest.param("sleep", 60.0, id="asleep"),
        pytest.param("spin", 9, id="one operation that never lets another thread run"),
    ],
)
def test_a_hanging_function_is_killed_and_the_next_call_works(
    helper: Helper, probe: str, function: str, argument: float
) -> None:
    old = helper.call(probe + "pid", None, timeout_s=5)
    began = time.monotonic()
    with pytest.raises(HelperTimeout):
        helper.call(probe + function, argument, timeout_s=0.5)
    assert 0.4 < time.monotonic() - began < 5
    assert not alive(old)
    assert helper.call(probe + "pid", None, timeout_s=5) != old


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_child_that_reads_nothing_is_killed(helper: Helper, probe: str) -> None:
    pid = helper.call(probe + "pid", None, timeout_s=5)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(HelperTimeout):
        helper.call(probe + "echo", "more than the pipe holds" * 100_000, timeout_s=0.5)
    assert not alive(pid)


def test_a_child_that_dies_in_a_call_is_replaced(helper: Helper, probe: str) -> None:
    with pytest.raises(HelperDied, match="exit code 3"):
        helper.call(probe + "leave", 3, timeout_s=5)
    assert helper.call(probe + "total", {"x": 1}, timeout_s=5) == 8


def test_a_child_killed_between_calls_is_replaced(helper: Helper, probe: str) -> None:
    pid = helper.call(probe + "pid", None, timeout_s=5)
    os.kill(pid, signal.SIGKILL)
    until(lambda: helper.pid is None)
    assert helper.call(probe + "pid", None, timeout_s=5) != pid


def test_a_raised_exception_names_itself_and_the_child_lives(helper: Helper, probe: str) -> None:
    pid = helper.call(probe + "pid", None, timeout_s=5)
    with pytest.raises(HelperRaised, match="LookupError: no such thing"):
        helper.call(probe + "fail", "no such thing", timeout_s=5)
    with pytest.raises(HelperRaised, match="ValidationError"):
        helper.call(probe + "total", {"x": "five"}, timeout_s=5)
    assert helper.call(probe + "pid", None, timeout_s=5) == pid


def test_a_result_of_another_type_is_refused(helper: Helper, probe: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        helper.call(probe + "total", {"x": 5}, timeout_s=5, type=str)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits as Linux keeps them")
def test_memory_is_limited_and_no_core_is_dumped(helper: Helper, probe: str) -> None:
    assert helper.call(probe + "limits", None, timeout_s=5) == [0, helper_module.MEMORY_LIMIT_BYTES]
    with pytest.raises(HelperDied):
        helper.call(probe + "allocate", 4 * helper_module.MEMORY_LIMIT_BYTES, timeout_s=10)
    assert helper.call(probe + "allocate", 1000, timeout_s=5) == 1000


@pytest.mark.parametrize(
    "name",
    ["os:system", "ssr_local:x", "probe:total", "ssr_local.probe:_hidden", "ssr_local.probe", ""],
)
def test_only_public_functions_of_this_package_can_be_named(helper: Helper, name: str) -> None:
    with pytest.raises(ValueError, match="not a function of ssr_local"):
        helper.call(name, None, timeout_s=5)
    with pytest.raises(ValueError, match="not a function of ssr_local"):
        helper.warm(name)
    assert helper.pid is None


@pytest.mark.parametrize("function", ["getcwd", "absent"])
def test_a_name_the_module_does_not_define_is_refused(
    helper: Helper, probe: str, function: str
) -> None:
    with pytest.raises(HelperRaised):
        helper.call(probe + function, None, timeout_s=5)


def test_warm_returns_at_once_and_loads_the_module(helper: Helper, probe: str) -> None:
    began = time.monotonic()
    helper.warm(probe + "total")
    assert time.monotonic() - began < 0.2
    until(lambda: helper.pid is not None)
    pid = helper.pid
    assert helper.call(probe + "pid", None, timeout_s=5) == pid


def test_warm_keeps_a_failure_for_the_call(helper: Helper) -> None:
    helper.warm("ssr_local.no_such_module:function")
    with pytest.raises(HelperRaised, match="ModuleNotFoundError"):
        helper.call("ssr_local.no_such_module:function", None, timeout_s=5)


def test_importing_does_not_count_against_the_time_limit(
    helper: Helper, probe: str, tmp_path: Path
) -> None:
    tmp_path.joinpath("ssr_local", "slow.py").write_text(
        "import time; time.sleep(1.5)\ndef one(_: None) -> int:\n    return 1\n"
    )
    assert helper.call("ssr_local.slow:one", None, timeout_s=0.7) == 1


def test_threads_take_turns(helper: Helper, probe: str) -> None:
    results: list[int] = []

    def work(x: int) -> None:
        for _ in range(20):
            results.append(helper.call(probe + "total", {"x": x, "y": 0}, timeout_s=20) - x)

    threads = [threading.Thread(target=work, args=(x,)) for x in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0] * 80


def test_the_child_outlives_the_thread_that_first_called(helper: Helper, probe: str) -> None:
    pids: list[int] = []
    thread = threading.Thread(
        target=lambda: pids.append(helper.call(probe + "pid", None, timeout_s=5))
    )
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert helper.call(probe + "pid", None, timeout_s=5) == pids[0]


def test_close_ends_a_call_under_way(probe: str) -> None:
    helper = Helper()
    pid = helper.call(probe + "pid", None, timeout_s=5)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            helper.call(probe + "sleep", 60.0, timeout_s=60)
        except HelperError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.3)
    helper.close()
    thread.join(10)
    assert [type(error) for error in errors] == [HelperDied]
    assert not alive(pid)
    with pytest.raises(HelperError, match="closed"):
        helper.call(probe + "pid", None, timeout_s=5)


def test_close_while_warming_leaves_nothing_behind(probe: str, tmp_path: Path) -> None:
    tmp_path.joinpath("ssr_local", "stuck.py").write_text("import time; time.sleep(30)\n")
    helper = Helper()
    helper.warm("ssr_local.stuck:x")
    until(lambda: helper.pid is not None)
    pid = helper.pid
    assert pid is not None
    helper.close()
    assert not alive(pid)
    until(lambda: _threads() == 0)


def test_a_forgotten_helper_takes_its_child_with_it(probe: str) -> None:
    helper = Helper()
    pid = helper.call(probe + "pid", None, timeout_s=5)
    del helper
    gc.collect()
    until(lambda: not alive(pid))


def test_a_child_that_cannot_start_is_a_named_error(
    helper: Helper, probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(HelperError, match="cannot be started") as caught:
        helper.call(probe + "pid", None, timeout_s=5)
    assert type(caught.value) is HelperError
    assert len(str(caught.value).splitlines()) <= 3


SCRIPT = """
import sys
sys.path[:] = {path!r}
from ssr_local.process.helper import Helper
helper = Helper()
print(helper.call("ssr_local.probe:pid", None, timeout_s=20), flush=True)
helper.call("ssr_local.probe:spin", 9, timeout_s=60)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the time limit helps there")
def test_a_child_that_blocks_every_thread_dies_with_its_parent(probe: str, tmp_path: Path) -> None:
    """Also when that is a script without a main guard."""
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(SCRIPT.format(path=[str(p) for p in sys.path]))
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        time.sleep(0.5)
        assert alive(pid)
        process.kill()
        process.wait(20)
    until(lambda: not alive(pid))
