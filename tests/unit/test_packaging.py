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


@pytest.mark.parametrize(
    "name",
    [
        "ssr_local/models.toml",
        "ssr_local/py.typed",
        "ssr_local/method/pools/maths.toml",
        "ssr_local/method/pools/logic.toml",
        "ssr_local/method/pools/code.toml",
        "ssr_local/answers/equivalence.py",
        "ssr_local_tui/__init__.py",
    ],
)
def test_wheel_holds(wheel_names: list[str], name: str) -> None:
    assert name in wheel_names


def test_every_module_is_in_the_wheel(wheel_names: list[str]) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ssr_local").rglob("*.py")}
    assert modules <= set(wheel_names)
