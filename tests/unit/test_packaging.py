"""What a user installs: nothing but our two packages and the metadata."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    done = subprocess.run([*command, ROOT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_wheel_holds_our_packages_and_nothing_else(wheel_names: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "ssr_local",
        "ssr_local_tui",
    }


def test_every_module_and_what_it_reads_is_in_the_wheel(wheel_names: list[str]) -> None:
    folders = {"ssr_local": ROOT, "ssr_local_tui": ROOT / "tui"}
    modules = {
        path.relative_to(home).as_posix()
        for name, home in folders.items()
        for pattern in ("*.py", "*.toml", "*.jsonl", "*.tcss")
        for path in (home / name).rglob(pattern)
    }
    assert {"ssr_local/method/pools/maths.toml", "ssr_local_tui/app.py"} <= modules
    modules |= {"ssr_local/models.toml", "ssr_local/py.typed"}
    assert modules <= set(wheel_names)
