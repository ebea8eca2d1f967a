"""How fast the demonstration writes."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "0")


@pytest.fixture
def slow(fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of about half a second, so that there is time to interfere."""
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "12")
