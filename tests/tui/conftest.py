from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from ssr_local import Solver
from ssr_local_tui import runs


@pytest.fixture
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
def worker(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The models live in a worker process, as they do for users."""
    monkeypatch.setattr(runs, "Solver", Solver)


@pytest.fixture
def slow(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run takes a second or two, so that it can be met while it goes on."""
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "3")
