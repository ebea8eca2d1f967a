from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from ssr_local import Solver
from ssr_local.core.config import config_file
from ssr_local_tui import runs


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of the test's own, and models in its process. Returns the folders' parent.

    The demonstration plays without waiting.
    """
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"SSR_LOCAL_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "0")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "Solver", partial(Solver, in_process=True))
    return tmp_path


@pytest.fixture
def file(folders: Path) -> Path:
    """Where the settings file is, in a folder that is there."""
    config_file().parent.mkdir()
    return config_file()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models live in a worker process, as they do for users."""
    monkeypatch.setattr(runs, "Solver", Solver)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run takes a second or two, so that it can be met while it goes on."""
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "3")
