"""What hardware there is, and how many layers of a model fit on it.

The devices come from engine/llama.py, which asks ggml; this module decides what to put on
them, and asks the operating system about the processor and the memory.

llama.cpp counts ``gpu_layers`` from the output backwards: 1 is the output layer alone, n + 1
is the whole of a model with n layers. Integrated GPUs are used only when there is no other.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

SPARE_SHARE = 0.10
SPARE_BYTES = 512 * 1024 * 1024
"""Of a device's free memory, this share and this much more are left alone: estimates are
rough, the driver allocates too, and a display may need some."""

_ROOT = Path("/")

# In the order they are shown: what llama.cpp's kernels make use of.
_FEATURES = (
    *("avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16"),
    *("amx_int8", "neon", "dotprod", "i8mm", "sve"),
)
_OTHER_FEATURE_NAMES = {"asimd": "neon", "asimddp": "dotprod", "avx1.0": "avx"}


class Device(Struct, frozen=True):
    """A compute device as ggml describes it."""

    name: str
    description: str
    kind: Literal["cpu", "gpu", "igpu", "accel"]
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


class Memory(Struct, frozen=True):
    """Main memory this process may use, limits of its container included."""

    total_bytes: int
    available_bytes: int


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


def physical_cores() -> int:
    """Cores to compute on, at least 1: no hyper-threads, no slow cores where the system tells
    them apart, not more than this process may use (affinity, container quota)."""
    if sys.platform == "linux":
        return _linux_cores(_ROOT, os.sched_getaffinity(0))
    if sys.platform == "darwin":
        for name in ("hw.perflevel0.physicalcpu", "hw.physicalcpu"):
            if (value := _sysctl(name)).isdigit():
                return max(1, int(value))
    if sys.platform == "win32":
        return _windows_cores() or os.cpu_count() or 1
    return os.cpu_count() or 1


def memory() -> Memory:
    """Main memory, total and available; (0, 0) where the system does not tell."""
    if sys.platform == "linux":
        return _linux_memory(_ROOT)
    if sys.platform == "darwin":
        return _mac_memory(_sysctl("hw.memsize"), _output_of(["vm_stat"]))
    if sys.platform == "win32":
        return _windows_memory()
    return Memory(0, 0)


def processor_name() -> str:
    """The processor's name as its maker writes it."""
    name = ""
    if sys.platform == "linux":
        fields = _cpuinfo(_ROOT)
        name = fields.get("model name") or fields.get("hardware") or ""
    elif sys.platform == "darwin":
        name = _sysctl("machdep.cpu.brand_string")
    elif sys.platform == "win32":
        name = _windows_processor_name()
    return " ".join((name or platform.processor() or platform.machine()).split())


def processor_features() -> tuple[str, ...]:
    """Instruction sets that matter for inference, such as ``avx2`` or ``neon``."""
    if sys.platform == "linux":
        fields = _cpuinfo(_ROOT)
        return _known_features((fields.get("flags") or fields.get("features") or "").split())
    if sys.platform == "darwin":
        return _mac_features()
    if sys.platform == "win32":
        return _windows_features()
    return ()


# Placement ----------------------------------------------------------------------------


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
        layers = whole
        while layers and _bytes_on_gpu(size, layers) > rooms[0]:
            layers -= 1
        return layers
    each = -(-size.file_bytes // whole) - (-size.kv_bytes // max(1, size.num_layers))
    return min(whole, sum(max(0, room - size.compute_bytes) // max(1, each) for room in rooms))


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


# Linux --------------------------------------------------------------------------------


def _linux_cores(root: Path, allowed: Iterable[int]) -> int:
    cpus = set(allowed)
    fast = _cpu_list(_read(root / "sys/devices/cpu_core/cpus"))  # beside slow ones, on Intel
    cpus = cpus & fast or cpus
    cores = set()
    for cpu in cpus:
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        package, core = _read(topology / "physical_package_id"), _read(topology / "core_id")
        cores.add((package, core) if core else ("cpu", str(cpu)))
    quota = _cgroup_cpus(root)
    limit = len(cores) if quota is None else min(len(cores), int(quota))
    return max(1, limit)


def _cpu_list(text: str) -> set[int]:
    """``0-3,8`` -> {0, 1, 2, 3, 8}."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit() and (last or first).isdigit():
            cpus |= set(range(int(first), int(last or first) + 1))
    return cpus


def _cgroup_cpus(root: Path) -> float | None:
    """Processors' worth of time the control groups allow; None without a quota."""
    quotas = []
    for folder in _cgroup_folders(root, "cpu"):
        pair = (_read(folder / "cpu.max") or "max").split()
        if pair[0] == "max":
            pair = [_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")]
        if len(pair) == 2 and pair[0].isdigit() and pair[1].isdigit() and int(pair[1]):
            quotas.append(int(pair[0]) / int(pair[1]))
    return min(quotas, default=None)


def _linux_memory(root: Path) -> Memory:
    fields = {}
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if value.split()[:1] and value.split()[0].isdigit():
            fields[name] = int(value.split()[0]) * 1024
    total = fields.get("MemTotal", 0)
    available = fields.get("MemAvailable", fields.get("MemFree", 0))
    for folder in _cgroup_folders(root, "memory"):
        limit = _number(folder, "memory.max", "memory.limit_in_bytes")
        used = _number(folder, "memory.current", "memory.usage_in_bytes")
        if limit is None or limit >= total:
            continue
        total = limit
        if used is not None:
            available = min(available, max(0, limit - used + _reclaimable(folder)))
    return Memory(total, min(total, available))


def _reclaimable(folder: Path) -> int:
    """File cache: counted as used, given back on demand."""
    wanted = {"inactive_file", "active_file"}
    pairs = [line.split() for line in _read(folder / "memory.stat").splitlines()]
    return sum(int(p[1]) for p in pairs if len(p) == 2 and p[0] in wanted and p[1].isdigit())


def _cgroup_folders(root: Path, controller: str) -> list[Path]:
    """This process's control groups for a controller, innermost first, of both versions."""
    folders = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, inside = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        mounts = (controller, names) if names else ("", "unified")
        for mount in dict.fromkeys(mounts):
            top = root / "sys/fs/cgroup" / mount
            group = top / inside.strip().lstrip("/")
            folders += [group, *(parent for parent in group.parents if parent.is_relative_to(top))]
    return [folder for folder in dict.fromkeys(folders) if ".." not in folder.parts]


def _number(folder: Path, *names: str) -> int | None:
    for name in names:
        if (text := _read(folder / name)).isdigit():
            return int(text)
    return None


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first processor's fields, names in lower case; later ones fill what it lacks."""
    fields: dict[str, str] = {}
    for line in _read(root / "proc/cpuinfo").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def _read(path: Path) -> str:
    """A small file of the system's, stripped; empty when it is not there."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _known_features(names: Iterable[str]) -> tuple[str, ...]:
    lower = [name.lower() for name in names]
    found = {_OTHER_FEATURE_NAMES.get(name, name) for name in lower}
    return tuple(name for name in _FEATURES if name in found)


# macOS --------------------------------------------------------------------------------


def _output_of(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def _sysctl(name: str) -> str:
    return _output_of(["/usr/sbin/sysctl", "-n", name])


def _mac_memory(memsize: str, vm_stat: str) -> Memory:
    """``vm_stat`` begins with the page size and then counts pages by kind."""
    total = int(memsize) if memsize.isdigit() else 0
    first, *lines = vm_stat.splitlines() or [""]
    page = next((int(word) for word in first.split() if word.isdigit()), 4096)
    pages = 0
    for line in lines:
        name, _, value = line.partition(":")
        number = value.strip().rstrip(".")
        if name in ("Pages free", "Pages inactive", "Pages speculative") and number.isdigit():
            pages += int(number)
    return Memory(total, min(total, pages * page))


def _mac_features() -> tuple[str, ...]:
    if platform.machine() == "arm64":
        optional = {"dotprod": "FEAT_DotProd", "i8mm": "FEAT_I8MM"}
        has = [name for name, key in optional.items() if _sysctl(f"hw.optional.arm.{key}") == "1"]
        return _known_features(["neon", *has])
    words = f"{_sysctl('machdep.cpu.features')} {_sysctl('machdep.cpu.leaf7_features')}"
    return _known_features(words.split())


# Windows ------------------------------------------------------------------------------

if sys.platform == "win32":
    import winreg

    class _Core(ctypes.Structure):
        """SYSTEM_LOGICAL_PROCESSOR_INFORMATION; relationship 0 is a core."""

        _fields_ = (
            ("mask", ctypes.c_size_t),
            ("relationship", ctypes.c_int),
            ("details", ctypes.c_ulonglong * 2),
        )

    class _MemoryStatus(ctypes.Structure):
        """MEMORYSTATUSEX."""

        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            ("available", ctypes.c_ulonglong),
            ("others", ctypes.c_ulonglong * 5),
        )

    def _windows_cores() -> int:
        size = ctypes.c_ulong(0)
        ask = ctypes.windll.kernel32.GetLogicalProcessorInformation
        ask(None, ctypes.byref(size))
        cores = (_Core * (size.value // ctypes.sizeof(_Core)))()
        if not ask(cores, ctypes.byref(size)):
            return 0
        return sum(1 for core in cores if core.relationship == 0)

    def _windows_memory() -> Memory:
        status = _MemoryStatus()
        status.length = ctypes.sizeof(status)
        if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            return Memory(0, 0)
        return Memory(status.total, status.available)

    def _windows_processor_name() -> str:
        path = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
                return str(winreg.QueryValueEx(key, "ProcessorNameString")[0])
        except OSError:
            return ""

    def _windows_features() -> tuple[str, ...]:
        numbers = {"neon": 19, "avx": 39, "avx2": 40, "avx512f": 41, "dotprod": 43}
        present = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return _known_features(name for name, number in numbers.items() if present(number))
