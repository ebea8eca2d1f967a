"""What the operating system says about the CPU, the memory and graphics cards."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import psutil
from msgspec import Struct

_ROOT = Path("/")

# In the order they are shown: what llama.cpp's kernels make use of.
_FEATURES = (
    *("avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16"),
    *("amx_int8", "neon", "dotprod", "i8mm", "sve"),
)
_OTHER_FEATURE_NAMES = {"asimd": "neon", "asimddp": "dotprod", "avx1.0": "avx"}


GraphicsMaker = Literal["nvidia", "amd", "intel", "apple"]

_MAKERS: dict[str, GraphicsMaker] = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
_MAKER_NAMES = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel", "apple": "Apple"}
_DISPLAY_CLASS = "0x03"


class Memory(Struct, frozen=True):
    """Main memory this process may use, limits of its container included."""

    total_bytes: int
    available_bytes: int


class Graphics(Struct, frozen=True):
    """A GPU that llama.cpp could use if it is built for it."""

    name: str
    maker: GraphicsMaker


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
    """Main memory, total and available."""
    found = psutil.virtual_memory()
    return _inside_limits(Memory(found.total, found.available), _ROOT)


def cpu_name() -> str:
    """The CPU's name as its maker writes it."""
    name = ""
    if sys.platform == "linux":
        fields = _cpuinfo(_ROOT)
        name = fields.get("model name") or fields.get("hardware") or ""
    elif sys.platform == "darwin":
        name = _sysctl("machdep.cpu.brand_string")
    elif sys.platform == "win32":
        name = _windows_processor_name()
    return " ".join((name or platform.processor() or platform.machine()).split())


def cpu_features() -> tuple[str, ...]:
    """Instruction sets that matter for inference, such as ``avx2`` or ``neon``."""
    if sys.platform == "linux":
        fields = _cpuinfo(_ROOT)
        return _known_features((fields.get("flags") or fields.get("features") or "").split())
    if sys.platform == "darwin":
        return _mac_features()
    if sys.platform == "win32":
        return _windows_features()
    return ()


def graphics() -> tuple[Graphics, ...]:
    """The GPUs of this machine, whatever llama.cpp is built for."""
    found: list[Graphics] = []
    if sys.platform == "linux":
        found = _linux_graphics(_ROOT)
    elif sys.platform == "darwin" and platform.machine() == "arm64":
        found = [Graphics(f"{cpu_name()} GPU", "apple")]
    elif sys.platform == "win32":
        found = _windows_graphics()
    if not any(one.maker == "nvidia" for one in found) and shutil.which("nvidia-smi"):
        # Inside WSL and some containers only the driver's own tool sees the card.
        names = _output_of(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])
        found += [Graphics(name.strip(), "nvidia") for name in names.splitlines() if name.strip()]
    return tuple(found)


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
    """CPUs' worth of time the control groups allow; None without a quota."""
    quotas = []
    for folder in _cgroup_folders(root, "cpu"):
        pair = (_read(folder / "cpu.max") or "max").split()
        if pair[0] == "max":
            pair = [_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")]
        if len(pair) == 2 and pair[0].isdigit() and pair[1].isdigit() and int(pair[1]):
            quotas.append(int(pair[0]) / int(pair[1]))
    return min(quotas, default=None)


def _inside_limits(machine: Memory, root: Path) -> Memory:
    total, available = machine.total_bytes, machine.available_bytes
    for folder in _cgroup_folders(root, "memory"):
        limit = _number(folder, "memory.max", "memory.limit_in_bytes")
        used = _number(folder, "memory.current", "memory.usage_in_bytes")
        if limit is None or limit >= machine.total_bytes:
            continue
        total = min(total, limit)
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


def _linux_graphics(root: Path) -> list[Graphics]:
    """Display controllers on the PCI bus; only NVIDIA's driver tells their names."""
    names = []
    for file in sorted(root.glob("proc/driver/nvidia/gpus/*/information")):
        fields = dict(line.partition(":")[::2] for line in _read(file).splitlines())
        names.append(fields.get("Model", "").strip())
    found = []
    for device in sorted(root.glob("sys/bus/pci/devices/*")):
        maker = _MAKERS.get(_read(device / "vendor"))
        if maker is None or not _read(device / "class").startswith(_DISPLAY_CLASS):
            continue
        name = names.pop(0) if maker == "nvidia" and names else ""
        found.append(Graphics(name or f"{_MAKER_NAMES[maker]} graphics", maker))
    return found + [Graphics(name or "NVIDIA graphics", "nvidia") for name in names]


def _number(folder: Path, *names: str) -> int | None:
    for name in names:
        if (text := _read(folder / name)).isdigit():
            return int(text)
    return None


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first CPU's fields, names in lower case; later ones fill what it lacks."""
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

    def _windows_cores() -> int:
        size = ctypes.c_ulong(0)
        ask = ctypes.windll.kernel32.GetLogicalProcessorInformation
        ask(None, ctypes.byref(size))
        cores = (_Core * (size.value // ctypes.sizeof(_Core)))()
        if not ask(cores, ctypes.byref(size)):
            return 0
        return sum(1 for core in cores if core.relationship == 0)

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

    def _windows_graphics() -> list[Graphics]:
        path = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
        found = []
        for number in range(16):
            try:
                with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, rf"{path}\{number:04}") as key:
                    name = str(winreg.QueryValueEx(key, "DriverDesc")[0])
            except OSError:
                continue
            if maker := _maker_in(name):
                found.append(Graphics(name, maker))
        return found

    def _maker_in(name: str) -> GraphicsMaker | None:
        words: dict[str, GraphicsMaker] = {
            "nvidia": "nvidia", "radeon": "amd", "amd": "amd", "intel": "intel",
        }  # fmt: skip
        return next((maker for word, maker in words.items() if word in name.lower()), None)
