"""How many layers of a model fit on the devices there are.

The devices come from engine/llama.py, which asks ggml.

llama.cpp counts ``gpu_layers`` from the output backwards: 1 is the output layer alone, n + 1
is the whole of a model with n layers. Integrated GPUs are used only when there is no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

SPARE_SHARE = 0.10
SPARE_BYTES = 512 * 1024 * 1024
"""Of a device's free memory, this share and this much more are left alone: estimates are
rough, the driver allocates too, and a display may need some."""


DeviceKind = Literal["cpu", "gpu", "igpu", "accel"]


class Device(Struct, frozen=True):
    """A compute device as ggml describes it."""

    name: str
    description: str
    kind: DeviceKind
    free_bytes: int
    total_bytes: int


class Placement(Struct, frozen=True):
    """How many layers go to the GPU, and why, in words for the user."""

    gpu_layers: int
    reason: str


def place_layers(
    *,
    num_layers: int,
    file_bytes: int,
    kv_bytes: int,
    compute_bytes: int,
    devices: Sequence[Device],
    requested: int,
) -> Placement:
    """How many layers of one model go to the GPU.

    ``requested`` of -1 means as many as fit; another number is kept to as far as the model has
    layers and the machine has a GPU, and the reason says so when it will hardly fit. A pair is
    placed one model after the other, each in the memory that is free when it is loaded.
    """
    if requested == 0:
        return Placement(0, "Runs on the CPU, as asked.")
    gpus = _gpus(devices)
    if not gpus:
        return Placement(0, "No GPU was found; runs on the CPU.")
    whole = num_layers + 1
    rooms = [_usable(gpu) for gpu in gpus]
    if len(rooms) == 1:
        fitting = _fitting_on_one(num_layers, file_bytes, kv_bytes, rooms[0] - compute_bytes)
    else:
        # Every device holds whole layers and a compute buffer of its own.
        each = max(1, -(-file_bytes // whole) - (-kv_bytes // max(1, num_layers)))
        fitting = min(whole, sum(max(0, room - compute_bytes) // each for room in rooms))
    names = ", ".join(gpu.description or gpu.name for gpu in gpus)
    return _placement(requested, fitting, whole, names, f"{sum(rooms) / 2**30:.1f} GiB")


def step_down(gpu_layers: int) -> int | None:
    """What to try after loading with ``gpu_layers`` failed: half, at last 0, then None."""
    return gpu_layers // 2 if gpu_layers > 0 else None


def _gpus(devices: Sequence[Device]) -> list[Device]:
    own = [device for device in devices if device.kind == "gpu"]
    return own or [device for device in devices if device.kind == "igpu"]


def _usable(gpu: Device) -> int:
    return max(0, int(gpu.free_bytes * (1 - SPARE_SHARE)) - SPARE_BYTES)


def _fitting_on_one(num_layers: int, file_bytes: int, kv_bytes: int, left: int) -> int:
    """The largest k with weights * k / (n + 1) + KV * (k - 1) / n <= what is left."""
    n, whole = max(1, num_layers), num_layers + 1
    each = file_bytes * n + kv_bytes * whole
    if left < 0:
        return 0
    return min(whole, (left * n * whole + kv_bytes * whole) // max(1, each))


def _placement(requested: int, fitting: int, whole: int, names: str, room: str) -> Placement:
    """The decision, given how many of the ``whole`` layers fit."""
    if requested > 0:
        layers = min(requested, whole)
        doubt = f"; only {fitting} seem to fit" if layers > fitting else ""
        return Placement(layers, f"{layers} of {whole} layers on {names}, as asked{doubt}.")
    if fitting == whole:
        return Placement(whole, f"All {whole} layers on {names}.")
    if fitting == 0:
        return Placement(0, f"Runs on the CPU: {room} to spare on {names} is too little.")
    return Placement(
        fitting, f"{fitting} of {whole} layers on {names}: {room} to spare holds no more."
    )
