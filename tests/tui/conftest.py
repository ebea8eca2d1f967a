from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of the test's own; the demonstration plays without waiting. Returns their parent."""
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"SSR_LOCAL_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "0")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
