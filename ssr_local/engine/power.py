"""Whether the machine runs on its battery."""

from __future__ import annotations

import psutil


def on_battery() -> bool:
    """Whether it is known to; False where the system does not tell."""
    try:
        battery = psutil.sensors_battery()
    except Exception:  # noqa: BLE001  whatever a driver's odd files make of it
        return False
    return battery is not None and battery.power_plugged is False
