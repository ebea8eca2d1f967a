"""Child processes of ours, seen from programs that use the package."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ssr_local import Solver

ROOT = Path(__file__).parents[3]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def eventually(holds: Callable[[], bool], limit_s: float = 10.0) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


SCRIPT = """
import os, sys
from ssr_local import Solver
solver = Solver(pair="demo")
stream = solver.stream("farm", seed=1)
for event in stream:
    if type(event).__name__ == "StepVerified":
        print(solver.worker_pid, flush=True)
        break
if sys.argv[1:] == ["stay"]:
    sys.stdin.read()
elif sys.argv[1:] == ["leave"]:
    os._exit(0)
elif sys.argv[1:] == ["fall off"]:
    pass
else:
    for event in stream:
        pass
    print(event.result.answer)
    solver.close()
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "SSR_LOCAL_CACHE_DIR": str(folder), **more}


@linux
@pytest.mark.parametrize("how", ["kill", "leave", "fall off"])
def test_no_process_outlives_its_parent(tmp_path: Path, how: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen(
        [sys.executable, str(script), "stay" if how == "kill" else how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(tmp_path, SSR_LOCAL_DEMO_SPEED="1"),
    )
    try:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        family = [pid, *children(pid)]
        if how == "kill":
            assert len(family) == 2, "worker and its helper"
            parent.kill()
        parent.communicate(timeout=20)
        assert eventually(lambda: not any(map(alive, family)))
    finally:
        parent.kill()
        parent.wait()


@linux
def test_closing_ends_the_helper_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "0")
    with Solver(pair="demo") as solver:
        solver.solve("farm")
        assert solver.worker_pid
        family = [solver.worker_pid, *children(solver.worker_pid)]
        assert len(family) == 2
    assert eventually(lambda: not any(map(alive, family)))


EVIL = ("records", "numpy", "queue", "jinja2", "errors", "msgspec", "events", "sympy", "subprocess")


@pytest.mark.parametrize("evil", [(), EVIL])
def test_a_plain_script_in_a_folder_of_misleading_names(
    tmp_path: Path, evil: tuple[str, ...]
) -> None:
    """No ``__main__`` guard, and modules in the current folder that are not ours."""
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(SCRIPT)
    work = tmp_path / "work"
    work.mkdir()
    for name in evil:
        (work / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=work,
        env=environment(tmp_path, SSR_LOCAL_DEMO_SPEED="0"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split()[1:] == ["18"]


@pytest.mark.parametrize("where", ["script", "current"])
def test_the_child_finds_its_modules_before_a_scripts_neighbours(
    tmp_path: Path, where: str
) -> None:
    """Names the parent does not import but the child does."""
    for name in ("records", "numpy", "jinja2", "sympy", "secrets"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    if where == "script":
        (tmp_path / "script.py").write_text(SCRIPT)
        arguments = ["script.py"]
    else:
        arguments = ["-c", SCRIPT]
    # Loaded by the parent too, so that only the child meets the wrong ones.
    preload = "import sys; sys.path.pop(0) if sys.path[0] == '' else None\n"
    if where == "current":
        arguments[1] = f"{preload}import ssr_local.api\nsys.path.insert(0, '')\n{SCRIPT}"
    else:
        (tmp_path / "script.py").write_text(
            f"import sys; here = sys.path.pop(0)\nimport ssr_local.api\n"
            f"sys.path.insert(0, here)\n{SCRIPT}"
        )
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env=environment(tmp_path, SSR_LOCAL_DEMO_SPEED="0"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split()[1:] == ["18"]
