"""Code that tries to break out, for real: nothing here is simulated."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ssr_local.bench.sandbox import CodeVerdict, judging, lockdown, obstacle
from ssr_local.core.errors import UsageError
from tests.unit.bench.sandbox.attempts import (
    QUICK,
    ROOT,
    attacked,
    contains,
    judged,
    nothing_left,  # noqa: F401 - a fixture
    on_linux,
)

pytestmark = [on_linux, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("the secret")
    return path


DENIED = "PermissionError: [Errno 1] Operation not permitted"
BY_NUMBER = "if ctypes.CDLL(None, use_errno=True).syscall({}) == -1: "
BY_NUMBER += "raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))"


class Listener:
    """Listens for whoever should not be able to connect."""

    def __init__(self, family: int, address: Any) -> None:
        self.socket = socket.socket(family)
        self.socket.bind(address)
        self.socket.listen()
        self.address = self.socket.getsockname()

    def heard(self) -> bool:
        self.socket.settimeout(0.05)
        with contextlib.closing(self.socket), contextlib.suppress(TimeoutError):
            self.socket.accept()
            return True
        return False


@pytest.mark.parametrize("kind", ["tcp", "unix", "abstract"])
@pytest.mark.parametrize("way", ["socket", "libc", "library"])
def test_no_connection_is_made(tmp_path: Path, kind: str, way: str) -> None:
    family = socket.AF_INET if kind == "tcp" else socket.AF_UNIX
    addresses = {"tcp": ("127.0.0.1", 0), "unix": str(tmp_path / "s"), "abstract": "\0ssr-test"}
    listener = Listener(family, addresses[kind])
    attack = {
        "socket": f"socket.socket({int(family)}).connect({listener.address!r})",
        "libc": BY_NUMBER.format(f"{41 if os.uname().machine == 'x86_64' else 198}, {family:d}, 1"),
        "library": f"socket.create_connection({listener.address!r}, 1)"
        if kind == "tcp"
        else "socket.socketpair()",
    }[way]
    assert attacked(attack).startswith(DENIED)
    assert not listener.heard()


@pytest.mark.parametrize(
    "attack",
    [
        "socket.getaddrinfo('example.org', 80)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9', timeout=1)",
        "import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', 9))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    ],
)
def test_nothing_of_the_network_is_left(attack: str) -> None:
    assert attacked(attack).split(":")[0] in {"PermissionError", "gaierror", "URLError"}


@pytest.mark.parametrize(
    "attack",
    [
        "os.fork()",
        "os.forkpty()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv(sys.executable, ['python', '-c', ''])",
        "os.execv('/bin/true', ['true'])",
        "subprocess.run(['true'])",
        "subprocess.run('true', shell=True)",
        "os.popen('true').read()",
        "import multiprocessing as m; p = m.Process(target=print); p.start(); p.join()",
        "import multiprocessing as m; m.get_context('spawn').Pool(1)",
        "import threading; threading.Thread(target=print).start()",
        "import _thread; _thread.start_new_thread(print, ())",
        "import concurrent.futures as c; c.ThreadPoolExecutor().submit(print).result()",
        "import concurrent.futures as c; c.ProcessPoolExecutor().submit(print).result()",
        BY_NUMBER.format("56 if os.uname().machine == 'x86_64' else 220, 17, 0, 0, 0, 0"),
        BY_NUMBER.format("435, bytes(88), 88"),  # clone3
    ],
)
def test_no_process_and_no_thread_is_started(attack: str) -> None:
    assert attacked(attack).partition(":")[0] in {"PermissionError", "RuntimeError", "OSError"}


def test_a_fork_bomb_is_a_single_process() -> None:
    bomb = """
        import os, time
        def solve():
            for _ in range(10_000):
                try: os.fork()
                except OSError: pass
            open("done", "w").close()
            time.sleep(60)
        """
    done = threading.Event()
    counts: list[int] = []

    def ours() -> int:
        mark, lines = f"lockdown.lock({os.getpid()},".encode(), Path("/proc").glob("[0-9]*/cmdline")
        return sum(contains(line, mark) for line in lines)

    def count() -> None:
        while not done.wait(0.02):
            counts.append(ours())

    counter = threading.Thread(target=count)
    counter.start()
    try:
        assert judged(bomb, QUICK).reason == "endless: stopped after 1 s"
    finally:
        done.set()
        counter.join()
    assert max(counts) == 2


def test_system_is_not_run() -> None:
    # libc's word for "no shell"
    assert attacked("raise ValueError(os.system('true') >> 8)") == "ValueError: 127"


@pytest.mark.parametrize(
    "attack",
    [
        "open({secret!r}).read()",
        "open({secret!r}, 'a').write('x')",
        "open({secret!r}, 'w')",
        "os.truncate({secret!r}, 0)",
        "os.unlink({secret!r})",
        "os.rename({secret!r}, 'here')",
        "os.link({secret!r}, 'here'); open('here').read()",
        "os.symlink({secret!r}, 'here'); open('here').read()",
        "os.chmod({secret!r}, 0o777)",
        "os.utime({secret!r}, (0, 0))",
        "os.chown({secret!r}, 0, 0)",
        "os.setxattr({secret!r}, 'user.a', b'x')",
        "os.listdir({folder!r})",
        "open({folder!r} + '/new', 'w')",
        "os.mkdir({folder!r} + '/new')",
        "os.mkfifo({folder!r} + '/new')",
        "os.open({folder!r}, os.O_TMPFILE | os.O_RDWR)",
        "open('../outside', 'w')",
        "os.listdir('..')",
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "open('/proc/self/mem', 'wb')",
        "open(f'/proc/{{os.getppid()}}/cmdline')",
        "open(f'/proc/{{os.getppid()}}/mem', 'r+b')",
        "os.listdir(f'/proc/{{os.getppid()}}/fd')",
        "os.listdir('/')",
        "os.listdir({home!r})",
        "open('/dev/tty')",
        "open('/dev/kmsg', 'w')",
        "open({package!r})",
        "os.chdir({folder!r})",
        "os.chroot('.')",
        # In its own folder: what could not be counted, or removed with it.
        "os.mkdir('deep')",
        "os.open('.', os.O_TMPFILE | os.O_RDWR)",
        "open('own', 'w'); os.unlink('own')",
        "open('own', 'w'); os.chmod('own', 0)",
        "os.chmod('.', 0)",
        "os.mkfifo('own')",
    ],
)
def test_no_file_outside_is_read_or_changed(secret: Path, attack: str) -> None:
    before = secret.stat()
    names = sorted(secret.parent.iterdir())
    result = attacked(
        attack.format(
            secret=str(secret),
            folder=str(secret.parent),
            package=judging.__file__,
            home=str(Path.home()),
        )
    )
    assert result.startswith("PermissionError: ")
    after = secret.stat()
    assert secret.read_text() == "the secret"
    assert (after.st_mode, after.st_uid, after.st_mtime) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime,
    )
    assert sorted(secret.parent.iterdir()) == names


def test_its_own_folder_can_be_used() -> None:
    code = """
        import os
        def solve():
            with open("notes.txt", "w") as file:
                file.write("den")
            with open("notes.txt", "a") as file:
                file.write("ied")
            assert os.listdir() == ["notes.txt"]
            return open("notes.txt").read()
        """
    assert judged(code) == CodeVerdict("right")


def test_the_environment_does_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_SECRET", "x")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shown = attacked("raise ValueError(sorted({*os.environ} - {'LC_CTYPE'}), sys.path)")
    assert shown.startswith("ValueError: (['PYTHONHASHSEED'], [")
    assert str(ROOT) not in shown
    assert "site-packages" not in shown


@pytest.mark.parametrize(
    "attack",
    [
        "os.kill(os.getppid(), 9)",
        "os.kill({judge}, 9)",
        "os.kill(-1, 9)",
        "os.killpg(0, 9)",
        "os.killpg(os.getpgid(os.getppid()), 9)",
        "import signal; signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)",
        "import fcntl; fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())",
        "import fcntl; fcntl.ioctl(0, 0x5412, b'x')",
        "os.setsid()",
        "os.nice(-5)",
        "os.sched_setaffinity(os.getppid(), [0])",
        BY_NUMBER.format("160 if os.uname().machine == 'x86_64' else 164, 9, bytes(16)"),
        "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (0, 0))",
        "os.setuid(1)",
        "os.sethostname(b'x') if hasattr(os, 'sethostname') else socket.sethostname('x')",
        "time.clock_settime(0, 0)",
        "os.memfd_create('x')",
        BY_NUMBER.format("101 if os.uname().machine == 'x86_64' else 117, 16, os.getppid(), 0, 0"),
        BY_NUMBER.format("425, 8, bytes(120)"),  # io_uring_setup
        BY_NUMBER.format("157 if os.uname().machine == 'x86_64' else 167, 1, 0, 0, 0, 0"),  # prctl
    ],
)
def test_nothing_is_done_to_other_processes_or_the_system(attack: str) -> None:
    assert attacked(attack.replace("{judge}", "os.getpid() + 1")).startswith("PermissionError: ")


# --- each layer for itself: the others would hide that one of them is gone ---

LAYER = """
import ctypes, os, socket, sys
sys.path.append({modules!r})
import lockdown
from pathlib import Path
os.chdir({folder!r})
{layer}
try:
    {attack}
except OSError as error:
    print(error.errno)
else:
    print("done")
"""
SHIELDS = {
    "calls": "lockdown._prctl(38, 1); lockdown._close_calls()",
    "files": "lockdown._prctl(38, 1); lockdown._close_files({folder!r})",
    "capabilities": "lockdown._drop_capabilities()",
    "namespaces": "lockdown._close_namespaces()",
}


def behind(layer: str, attack: str, folder: Path) -> str:
    done = subprocess.run(
        [
            sys.executable,
            *("-I", "-S", "-c"),
            LAYER.format(
                modules=str(Path(lockdown.__file__).parent),
                folder=str(folder),
                layer=SHIELDS[layer].format(folder=str(folder)),
                attack=attack,
            ),
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("layer", "attack", "error"),
    [
        ("calls", "socket.socket()", "1"),
        ("calls", "os.fork()", "1"),
        ("calls", "os.kill(os.getpid(), 0)", "1"),
        ("calls", "open('own', 'w').close(); os.unlink('own')", "1"),
        ("calls", "os.open('.', os.O_TMPFILE | os.O_RDWR)", "1"),
        ("calls", "import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, 1)", "1"),
        ("calls", "import fcntl; fcntl.fcntl(0, fcntl.F_GETFL)", "done"),
        ("calls", "open('own', 'w').close(); open('own').close()", "done"),
        ("files", "open('/etc/passwd')", "13"),
        ("files", "socket.create_connection(('127.0.0.1', 9))", "13"),
        ("files", "os.kill(os.getppid(), 0)", "1"),
        ("files", "open('../new', 'w')", "13"),
        ("files", "os.mkdir('own')", "13"),
        ("files", "os.symlink('a', 'own')", "13"),
        ("files", "open('own', 'w').close(); os.unlink('own')", "13"),
        ("files", "open('own', 'w').close(); open('own').close()", "done"),
        ("namespaces", "socket.create_connection(('127.0.0.1', 9))", "101"),
    ],
)
def test_every_layer_holds_alone(tmp_path: Path, layer: str, attack: str, error: str) -> None:
    if ("socket" in attack or "kill" in attack) and lockdown._landlock_version() < 6:
        pytest.skip("this kernel's Landlock keeps to files")
    if layer == "namespaces" and subprocess.run(["unshare", "-Un", "true"], check=False).returncode:
        pytest.skip("namespaces are not for everybody here")
    assert behind(layer, attack, tmp_path) == error


@pytest.mark.skipif(os.getuid() != 0, reason="only root has something to lose")
def test_root_loses_what_makes_it_root(tmp_path: Path) -> None:
    assert behind("capabilities", "os.chroot('/')", tmp_path) == "1"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="machine code")
def test_calls_by_the_numbers_of_32_bits_are_deadly() -> None:
    code = """
        import ctypes, mmap
        def solve():
            # getpid by interrupt 0x80, and return
            page = mmap.mmap(-1, 4096, prot=7)
            page.write(bytes.fromhex("b814000000cd80c3"))
            start = ctypes.addressof(ctypes.c_char.from_buffer(page))
            return "denied" if ctypes.CFUNCTYPE(ctypes.c_int)(start)() else ""
        """
    assert judged(code).reason == "it crashed: SIGSYS"


# --- systems that lack something ---

LACKING = """
import struct, sys
from ssr_local.core.errors import UsageError
from ssr_local.bench import sandbox
from ssr_local.bench.sandbox import lockdown
i = lockdown._instruction
code = i(0x20, 0)
for number, argument in {calls!r}:
    # refused when the first argument is that, or with any
    test = i(0x20, 16) + i(0x15, argument, 0, 1) if argument is not None else b""
    body = test + i(0x06, 0x00050000 | 1) + i(0x20, 0)
    code += i(0x15, number, 0, len(body) // 8) + body
code += i(0x06, 0x7FFF0000)
lockdown._filter = lambda machine: iter([code])
lockdown._prctl(38, 1)
lockdown._close_calls()
print(sandbox.obstacle())
try:
    verdict = sandbox.run_code("def f(x): open('ran', 'w'); return x", problem="",
        test="def check(f): assert f(1) == 1", entry_point="f")
    print(verdict.outcome)
except UsageError as error:
    print(error)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls")
@pytest.mark.parametrize(
    ("calls", "shown"),
    [
        pytest.param([], ["None", "right"], id="nothing"),
        pytest.param([(272, None)], ["None", "right"], id="namespaces, as in containers"),
        pytest.param([(444, None)], ["Landlock", "Code written by a model"], id="Landlock"),
        pytest.param([(446, None)], ["landlock_restrict_self", "Code written"], id="half of it"),
        pytest.param([(157, 22)], ["prctl 22", "Code written"], id="filters"),
        pytest.param([(157, 38)], ["prctl 38", "Code written"], id="no new privileges"),
        pytest.param([(126, None)], ["capset", "Code written"], id="capabilities"),
        pytest.param([(160, None), (302, None)], ["not permitted", "Code written"], id="limits"),
    ],
)
def test_what_cannot_be_locked_down_is_not_run(
    calls: list[tuple[int, int | None]], shown: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LACKING.format(calls=calls)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    for line, part in zip(done.stdout.splitlines(), shown, strict=False):
        assert part in line
    assert len(done.stdout.splitlines()) == (2 if shown[-1] == "right" else 4)


@pytest.mark.parametrize(("platform", "part"), [("win32", "win32"), ("darwin", "sandbox-exec")])
def test_other_systems(monkeypatch: pytest.MonkeyPatch, platform: str, part: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert part in (obstacle() or "")
    with pytest.raises(UsageError, match="Code written by a model cannot be run here"):
        judged("")


@pytest.mark.parametrize(
    ("layer", "still_open"),
    [
        ("capabilities", "the network cannot be closed"),
        ("files", "starting processes cannot be closed"),
        ("calls", "reading files cannot be closed"),
    ],
)
def test_a_lock_that_leaves_something_open_is_noticed(
    tmp_path: Path, layer: str, still_open: str
) -> None:
    check = (
        "lockdown._check(os.getppid(), '.')\n"
        "except OSError as error:\n    print(error)\n    sys.exit()\ntry:\n    pass"
    )
    assert behind(layer, check, tmp_path).startswith(still_open)
