from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from ssr_local.engine.power import on_battery


@pytest.mark.parametrize(("plugged", "expected"), [(True, False), (False, True), (None, False)])
def test_whether_it_runs_on_its_battery(
    monkeypatch: pytest.MonkeyPatch, plugged: bool | None, expected: bool
) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: SimpleNamespace(power_plugged=plugged))
    assert on_battery() is expected


def test_this_machine_can_be_asked() -> None:
    assert isinstance(on_battery(), bool)
