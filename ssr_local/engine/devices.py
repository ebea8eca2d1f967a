"""How many layers of a model fit on the devices there are.

The devices come from engine/llama.py, which asks ggml; the processor and the memory are
engine/hardware.py's, and what it finds can be imported from here too.

llama.cpp counts ``gpu_layers`` from the output backwards: 1 is the output layer alone, n + 1
is the whole of a model with n layers. Integrated GPUs are used only when there is no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from ssr_local.engine.hardware import (
    Memory,
    memory,
    physical_cores,
    processor_features,
    processor_name,
)

__all__ = [
    "Device",
    "Memory",
    "ModelSize",
    "PairPlacement",
    "Placement",
    "memory",
    "physical_cores",
    "place_layers",
    "place_pair",
    "processor_features",
    "processor_name",
    "step_down",
]

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


class ModelSize(Struct, frozen=True, kw_only=True):
    """What one model needs: bytes of its file, its KV cache and its compute buffers."""

    num_layers: int
    file_bytes: int
    kv_bytes: int
    compute_bytes: int


class PairPlacement(Struct, frozen=True):
    """Where both models of a pair go."""

    draft: Placement
    target: Placement


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

    ``requested`` of -1 means as many as fit; another number is obeyed as far as the model has
    layers and the machine has a GPU, and the reason says so when it will hardly fit.
    """
    size = ModelSize(
        num_layers=num_layers,
        file_bytes=file_bytes,
        kv_bytes=kv_bytes,
        compute_bytes=compute_bytes,
    )
    return _place(size, _gpus(devices), [_usable(gpu) for gpu in _gpus(devices)], requested)


def place_pair(
    draft: ModelSize, target: ModelSize, devices: Sequence[Device], requested: int
) -> PairPlacement:
    """The same for two models that share the devices: the draft first, the target after it.

    Both are whole on the GPU when both fit. Else the draft has precedence: it is read once
    for every drafted token and small enough to fit whole, where a part of the target would
    still wait for the processor at every step; the target gets what is left.
    """
    gpus = _gpus(devices)
    rooms = [_usable(gpu) for gpu in gpus]
    first = _place(draft, gpus, rooms, requested)
    left = _rooms_after(draft, first.gpu_layers, rooms)
    return PairPlacement(draft=first, target=_place(target, gpus, left, requested))


def step_down(gpu_layers: int) -> int | None:
    """What to try after loading with ``gpu_layers`` failed: half, at last 0, then None."""
    return gpu_layers // 2 if gpu_layers > 0 else None


def _gpus(devices: Sequence[Device]) -> list[Device]:
    own = [device for device in devices if device.kind == "gpu"]
    return own or [device for device in devices if device.kind == "igpu"]


def _usable(gpu: Device) -> int:
    return max(0, int(gpu.free_bytes * (1 - SPARE_SHARE)) - SPARE_BYTES)


def _place(
    size: ModelSize, gpus: Sequence[Device], rooms: Sequence[int], requested: int
) -> Placement:
    if requested == 0:
        return Placement(0, "Runs on the processor, as asked.")
    if not gpus:
        return Placement(0, "No GPU was found; runs on the processor.")
    whole = size.num_layers + 1
    fitting = _fitting(size, rooms)
    names = ", ".join(gpu.description or gpu.name for gpu in gpus)
    if requested > 0:
        layers = min(requested, whole)
        doubt = f"; only {fitting} seem to fit" if layers > fitting else ""
        return Placement(layers, f"{layers} of {whole} layers on {names}, as asked{doubt}.")
    if fitting == whole:
        return Placement(whole, f"All {whole} layers on {names}.")
    room = f"{sum(rooms) / 2**30:.1f} GiB"
    if fitting == 0:
        return Placement(0, f"Runs on the processor: {room} to spare on {names} is too little.")
    return Placement(
        fitting, f"{fitting} of {whole} layers on {names}: {room} to spare holds no more."
    )


def _fitting(size: ModelSize, rooms: Sequence[int]) -> int:
    """Layers that fit; every device holds whole layers and a compute buffer of its own."""
    whole = size.num_layers + 1
    if len(rooms) == 1:
        return _fitting_on_one(size, rooms[0])
    each = -(-size.file_bytes // whole) - (-size.kv_bytes // max(1, size.num_layers))
    return min(whole, sum(max(0, room - size.compute_bytes) // max(1, each) for room in rooms))


def _fitting_on_one(size: ModelSize, room: int) -> int:
    """The largest k with weights * k / (n + 1) + KV * (k - 1) / n + buffers <= room."""
    n, whole = max(1, size.num_layers), size.num_layers + 1
    left = room - size.compute_bytes
    each = size.file_bytes * n + size.kv_bytes * whole
    if left < 0:
        return 0
    return min(whole, (left * n * whole + size.kv_bytes * whole) // max(1, each))


def _bytes_on_gpu(size: ModelSize, gpu_layers: int) -> int:
    """Weights, KV cache and compute buffer; the first layer to go is the output, without KV."""
    if gpu_layers <= 0:
        return 0
    weights = size.file_bytes * gpu_layers // (size.num_layers + 1)
    kv = size.kv_bytes * (gpu_layers - 1) // max(1, size.num_layers)
    return weights + kv + size.compute_bytes


def _rooms_after(size: ModelSize, gpu_layers: int, rooms: Sequence[int]) -> list[int]:
    """What a placed model leaves; llama.cpp splits it in proportion to the free memory."""
    if gpu_layers <= 0 or not sum(rooms):
        return list(rooms)
    buffers = size.compute_bytes * (len(rooms) - 1)
    used = _bytes_on_gpu(size, gpu_layers) + buffers
    return [max(0, room - used * room // sum(rooms)) for room in rooms]
