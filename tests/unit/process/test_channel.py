"""Child processes of ours, seen from programs that use the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssr_local.transport.worker import CANCEL_GRACE_S
from tests.unit.process.processes import alive, children, until

ROOT = Path(__file__).parents[3]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


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
        parent.communicate(timeout=CANCEL_GRACE_S - 1)  # nobody waits for the child
        until(lambda: not any(map(alive, family)))
    finally:
        parent.kill()
        parent.wait()


EVIL = ("records", "numpy", "queue", "jinja2", "errors", "msgspec", "events", "sympy", "subprocess")
# Names that the child imports and the parent does not.
OF_THE_CHILD = ("records", "numpy", "jinja2", "sympy", "secrets")
# So that the parent has found its modules before it meets the misleading ones.
PRELOADED = "import sys; here = sys.path.pop(0)\nimport ssr_local.api\nsys.path.insert(0, here)\n"


@pytest.mark.parametrize(
    ("start", "misleading", "beside"),
    [
        ("", EVIL, "current"),
        (PRELOADED, OF_THE_CHILD, "script"),
        (PRELOADED, OF_THE_CHILD, "inline"),
    ],
)
def test_a_plain_script_beside_misleading_modules(
    tmp_path: Path, start: str, misleading: tuple[str, ...], beside: str
) -> None:
    """No ``__main__`` guard, and modules in the script's or current folder that are not ours."""
    script = tmp_path / ("" if beside == "script" else "elsewhere") / "script.py"
    work = tmp_path / ("work" if beside == "current" else "")
    for folder in (script.parent, work):
        folder.mkdir(exist_ok=True)
    script.write_text(start + SCRIPT)
    for name in misleading:
        (work / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    arguments = ["-c", start + SCRIPT] if beside == "inline" else [str(script)]
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=work,
        env=environment(tmp_path, SSR_LOCAL_DEMO_SPEED="0"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split()[1:] == ["18"]
