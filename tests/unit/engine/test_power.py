from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local.engine import power


@pytest.mark.parametrize(
    ("supplies", "on_battery"),
    [
        ({}, False),
        ({"AC": ("Mains", ""), "BAT0": ("Battery", "Charging")}, False),
        ({"AC": ("Mains", ""), "BAT0": ("Battery", "Not charging")}, False),
        ({"AC": ("Mains", ""), "BAT0": ("Battery", "Discharging")}, True),
        ({"mouse": ("Battery", "Discharging", "Device")}, False),
    ],
)
def test_whether_linux_runs_on_its_battery(
    tmp_path: Path, supplies: dict[str, tuple[str, ...]], on_battery: bool
) -> None:
    for name, values in supplies.items():
        (tmp_path / name).mkdir()
        for file, value in zip(("type", "status", "scope"), values, strict=False):
            (tmp_path / name / file).write_text(f"{value}\n")
    assert power._linux_battery(tmp_path) == on_battery


def test_this_machine_can_be_asked() -> None:
    assert isinstance(power.on_battery(), bool)
