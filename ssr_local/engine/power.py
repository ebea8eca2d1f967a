"""Whether the machine runs on its battery."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

_SUPPLIES = Path("/sys/class/power_supply")


def on_battery() -> bool:
    """Whether it is known to; False where the system does not tell."""
    if sys.platform == "linux":
        return _linux_battery(_SUPPLIES)
    try:
        if sys.platform == "darwin":
            said = subprocess.run(
                ["pmset", "-g", "batt"], capture_output=True, timeout=5, check=False
            )
            return b"Battery Power" in said.stdout
        if sys.platform == "win32":
            status = ctypes.create_string_buffer(12)  # SYSTEM_POWER_STATUS, mains first
            return bool(ctypes.windll.kernel32.GetSystemPowerStatus(status)) and (
                status.raw[0] == 0
            )
    except (OSError, subprocess.TimeoutExpired):
        pass
    return False


def _linux_battery(supplies: Path) -> bool:
    return any(
        _read(supply / "type") == "Battery"
        and _read(supply / "scope") != "Device"  # a mouse's
        and _read(supply / "status") == "Discharging"
        for supply in supplies.glob("*")
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
