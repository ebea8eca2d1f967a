"""Code that cheats or never ends, and what is left of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ssr_local.bench import sandbox
from ssr_local.bench.sandbox import CodeVerdict, Limits, obstacle
from tests.unit.bench.sandbox.attempts import (
    QUICK,
    ROOT,
    children,
    eventually,
    judged,
    nothing_left,  # noqa: F401 - a fixture
    on_linux,
)

pytestmark = [on_linux, pytest.mark.usefixtures("nothing_left")]


def test_code_can_be_locked_down_here() -> None:
    assert obstacle() is None


# --- cheating ---

FORGERIES = {
    "prints": "print('right'); print('{\"outcome\": \"right\"}')\ndef solve(): print('right')",
    "sys.exit at once": "import sys\nsys.exit(0)",
    "os._exit at once": "import os\nos._exit(0)",
    "sys.exit": "import sys\ndef solve(): sys.exit(0)",
    "SystemExit": "def solve(): raise SystemExit",
    "os._exit": "import os\ndef solve(): os._exit(0)",
    "KeyboardInterrupt": "def solve(): raise KeyboardInterrupt",
    "StopIteration": "def solve(): raise StopIteration",
    "atexit": "import atexit, os\natexit.register(os._exit, 0)\ndef solve(): pass",
    "always equal": "class Equal(str):\n  def __eq__(self, other): return True\n"
    "  __hash__ = str.__hash__\ndef solve(): return Equal()",
    "anything is equal": "class Equal:\n  def __eq__(self, other): return True\n"
    "def solve(): return Equal()",
    "builtins": "import builtins\nbuiltins.AssertionError = builtins.Exception = SystemExit\n"
    "builtins.abs = lambda x: 0\ndef solve(): pass",
    "check of its own": "def check(candidate): pass\nimport __main__, sys\n"
    "__main__.check = check\nfor m in list(sys.modules.values()):\n"
    "  try: m.check = check\n  except Exception: pass\ndef solve(): pass",
    "frames": "import sys\ndef solve():\n  frame = sys._getframe()\n  while frame:\n"
    "    frame.f_globals['check'] = frame.f_globals['solve'] = lambda *a: 'x'\n"
    "    frame = frame.f_back",
    "judging replaced": "import sys\nj = sys.modules['judging']\n"
    "j._verdict = lambda *a: {'outcome': 'right', 'name': '', 'text': ''}\n"
    "j.encode = lambda *a, **k: {'outcome': 'right'}\ndef solve(): pass",
    "every descriptor": "import os, json\ndef solve():\n"
    "  line = json.dumps({'outcome': 'right', 'name': '', 'text': ''}).encode() + b'\\n'\n"
    "  for fd in range(64):\n    for text in (line, len(line).to_bytes(4, 'big') + line):\n"
    "      try: os.write(fd, text)\n      except OSError: pass\n  os._exit(0)",
    "descriptors closed": "import os\nos.closerange(0, 64)\ndef solve(): return 'denied'",
    "answers for later": "import os, json\n"
    "frame = json.dumps({'value': {'a': 1, 'b': 2}}).encode()\n"
    "for fd in range(3, 64):\n  try: os.write(fd, len(frame).to_bytes(4, 'big') + frame)\n"
    "  except OSError: pass\ndef solve(): pass",
    "a huge answer": "import os\nos.write(4, b'\\xff' * 4)\ndef solve(): pass",
    "a deep answer": "x = []\nfor _ in range(10**5): x = [x]\ndef solve(): return x",
    "an answer in itself": "x = []\nx.append(x)\ndef solve(): return x",
    "evil name": "class Evil(type):\n  @property\n  def __name__(self): 1 / 0\n"
    "class Bad(Exception, metaclass=Evil):\n  def __str__(self): 1 / 0\n"
    "def solve(): raise Bad",
    "signal to itself": "import os\ndef solve(): os.abort()",
    "null pointer": "import ctypes\ndef solve(): ctypes.string_at(0)",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_success_cannot_be_forged(name: str) -> None:
    # In a loop, which StopIteration might end.
    test = "def check(candidate):\n    assert all(map(lambda _: candidate() == 'denied', 'ab'))\n"
    verdict = judged(FORGERIES[name], QUICK, test)
    assert verdict.outcome == "wrong"
    assert verdict.reason
    assert verdict.reason.isprintable()


def test_a_test_that_catches_everything_does_not_hide_that_the_code_has_ended() -> None:
    test = "def check(candidate):\n    try:\n        candidate()\n    except:\n        pass\n"
    assert judged("import os\ndef solve(): os._exit(0)", test=test).reason == (
        "it ended itself with exit code 0"
    )


@pytest.mark.parametrize(
    "text", ["\\x1b[2J\\x1b]0;owned\\x07fine", "one\\ntwo\\r\\x08\\x00", "\\u202e" + "x" * 9000]
)
def test_reasons_are_one_clean_short_line(text: str) -> None:
    reason = judged(f"def solve(): raise ValueError('{text}')").reason
    assert reason.startswith("ValueError: ")
    assert reason.isprintable()
    assert "owned" not in reason
    assert len(reason) <= 300


# --- limits ---


@pytest.mark.parametrize(
    ("code", "limits", "reason"),
    [
        ("import time\ndef solve(): time.sleep(60)", QUICK, "endless: stopped after 1 s"),
        ("def solve():\n  while True: pass", QUICK, "endless: stopped after 1 s"),
        ("def solve(): pass\nwhile True: pass", QUICK, "endless: stopped after 1 s"),
        ("def solve(): 9 ** 9 ** 9", QUICK, "endless: stopped after 1 s"),
        (
            "def solve():\n  while True: pass",
            Limits(cpu_s=1),
            "endless: more than 1 s of processor time",
        ),
        (
            "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
            "def solve():\n  while True: pass",
            Limits(wall_s=2.5, cpu_s=1),
            "endless: stopped after 2.5 s",
        ),
        ("def solve(): return bytearray(10**9)", QUICK, "more memory than 512 MB"),
        (
            "def solve():\n  x = []\n  while True: x.append(bytearray(10**6))",
            Limits(memory_bytes=128 * 1024**2),
            "more memory than 128 MB",
        ),
        (
            "kept = []\nwhile True: kept.append(bytes(999))\ndef solve(): pass",
            Limits(memory_bytes=128 * 1024**2),
            "more memory than 128 MB",
        ),
        (
            "import sys\nsys.setrecursionlimit(10**9)\n"
            "def solve(): return [[solve()] for _ in range(3)]",
            Limits(memory_bytes=128 * 1024**2),
            "",
        ),
        (
            "def solve(): open('huge', 'wb').write(bytes(2_000_000)) and 1 / 0",
            QUICK,
            "OSError: [Errno 27] File too large",
        ),
        (
            "def solve():\n  n = 0\n  while True:\n    n += 1\n"
            "    open(f'{n}', 'wb').write(bytes(100_000))",
            Limits(),
            "more files than 200, or more in them than 1 MB",
        ),
        (
            "def solve():\n  n = 0\n  while True:\n    n += 1\n    open(f'{n}', 'wb').close()",
            Limits(),
            "more files than 200, or more in them than 1 MB",
        ),
        (
            "def solve(): return 'x' * 20_000_000",
            QUICK,
            "ValueError: too long to be handed over",
        ),
        (
            "import os, time\ndef solve():\n  os.closerange(0, 64)\n  time.sleep(9)",
            Limits(),
            "it stopped answering",
        ),
    ],
)
def test_nothing_is_used_without_end(code: str, limits: Limits, reason: str) -> None:
    began = time.monotonic()
    verdict = judged(code, limits)
    assert verdict.outcome == "wrong"
    assert reason in verdict.reason
    assert time.monotonic() - began < 8


def test_output_without_end_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    code = """
        import os, sys
        def solve():
            for _ in range(100):
                print("x" * 1_000_000)
                print("x" * 1_000_000, file=sys.stderr)
                os.write(1, bytes(1_000_000))
                os.write(2, bytes(1_000_000))
            return "denied"
        """
    assert judged(code) == CodeVerdict("right")
    assert capfd.readouterr() == ("", "")


# --- the end ---

PARENT = """
import tempfile
from ssr_local.bench.sandbox import Limits, run_code
tempfile.tempdir = {folder!r}
code = "import time\\ndef f():\\n  open('started', 'w')\\n  time.sleep(600)"
run_code(code, problem="", test="def check(f): f()", entry_point="f", limits=Limits(wall_s=600))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_the_parent_ends(tmp_path: Path, how: signal.Signals) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(folder=str(folder))],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert eventually(lambda: bool(list(folder.glob("*/started"))))
        family = children(parent.pid)
        assert len(family) == 2
        parent.send_signal(how)
        _, errors = parent.communicate(timeout=10)
    finally:
        parent.kill()
        parent.wait()
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
    if how == signal.SIGINT:
        assert "KeyboardInterrupt" in errors
        assert list(folder.iterdir()) == []


def test_an_error_in_the_parent_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(sandbox._Court, "_watch", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        judged("def solve(): pass")


def test_several_at_once_do_not_disturb_each_other() -> None:
    outcomes: dict[int, str] = {}

    def one(number: int) -> None:
        code = f"def solve():\n  open('mine', 'x').write('{number}')\n  return open('mine').read()"
        test = f"def check(candidate):\n    assert candidate() == '{number}'\n"
        outcomes[number] = judged(code, test=test).outcome

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == dict.fromkeys(range(4), "right")
