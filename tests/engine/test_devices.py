"""Placement as tables of cases; the probes on written system trees and on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.engine import hardware
from ssr_local.engine.devices import Device, place_layers, step_down
from ssr_local.engine.hardware import Memory, memory, physical_cores

GIB = 2**30
MIB = 2**20
CPU = Device("CPU", "Some CPU", "cpu", 16 * GIB, 16 * GIB)


def gpu(free: float, name: str = "GPU0", kind: str = "gpu") -> Device:
    """A GPU with ``free`` GiB after the margin (10 % and 512 MiB) is taken off."""
    total = int((free * GIB + 512 * MIB) / 0.9) + 2
    return Device(name, f"Card {name}", kind, total, total)  # type: ignore[arg-type]


# 9 layers and the output: 100 MiB each, 20 MiB of KV a layer, 80 MiB of buffers.
SIZE = {
    "num_layers": 9,
    "file_bytes": 1000 * MIB,
    "kv_bytes": 180 * MIB,
    "compute_bytes": 80 * MIB,
}
WHOLE = (1000 + 180 + 80) / 1024


def place(devices: list[Device], requested: int, size: dict[str, int] = SIZE) -> tuple[int, str]:
    placed = place_layers(devices=devices, requested=requested, **size)
    return placed.gpu_layers, placed.reason


@pytest.mark.parametrize(
    ("devices", "requested", "layers", "words"),
    [
        ([], -1, 0, "No GPU"),
        ([CPU], -1, 0, "No GPU"),
        ([CPU], 5, 0, "No GPU"),
        ([CPU, gpu(8)], 0, 0, "as asked"),
        ([CPU, gpu(8)], -1, 10, "All 10 layers on Card GPU0"),
        ([CPU, gpu(WHOLE)], -1, 10, "All 10"),
        ([CPU, gpu(WHOLE - 1 / 1024)], -1, 9, "9 of 10"),
        # k layers need 100 k + 20 (k - 1) + 80 MiB
        ([CPU, gpu((100 * 5 + 20 * 4 + 80) / 1024)], -1, 5, "5 of 10 layers on Card GPU0"),
        ([CPU, gpu((100 * 5 + 20 * 4 + 79) / 1024)], -1, 4, "4 of 10"),
        ([CPU, gpu(180 / 1024)], -1, 1, "1 of 10"),
        ([CPU, gpu(179 / 1024)], -1, 0, "too little"),
        ([CPU, Device("G", "", "gpu", 0, 8 * GIB)], -1, 0, "0.0 GiB to spare on G"),
        ([CPU, Device("G", "", "gpu", 512 * MIB, 8 * GIB)], -1, 0, "CPU"),
        ([CPU, gpu(8)], 3, 3, "3 of 10 layers on Card GPU0, as asked."),
        ([CPU, gpu(8)], 500, 10, "10 of 10"),
        ([CPU, gpu(0.5)], 10, 10, "only 3 seem to fit"),
        # An integrated GPU counts only when there is no other.
        ([CPU, gpu(8, "IGPU", "igpu")], -1, 10, "Card IGPU"),
        ([CPU, gpu(8, "IGPU", "igpu"), gpu(180 / 1024)], -1, 1, "Card GPU0"),
        ([CPU, gpu(8, "BLAS", "accel")], -1, 0, "No GPU"),
        # Each of two devices holds whole layers of 120 MiB and a buffer of its own.
        ([CPU, gpu(0.5), gpu(0.5, "GPU1")], -1, 6, "Card GPU0, Card GPU1"),
        ([CPU, gpu(4), gpu(4, "GPU1")], -1, 10, "All 10"),
        ([CPU, gpu(0.5), gpu(0, "GPU1")], -1, 3, "3 of 10"),
    ],
)
def test_place_layers(devices: list[Device], requested: int, layers: int, words: str) -> None:
    placed, reason = place(devices, requested)
    assert placed == layers
    assert words in reason


@given(
    st.integers(1, 2**64),
    st.integers(0, 2**50),
    st.integers(0, 2**40),
    st.integers(0, 2**34),
    st.lists(st.integers(0, 2**37), max_size=3),
    st.integers(-1, 200),
)
def test_auto_never_exceeds_the_free_memory(
    num_layers: int, file_bytes: int, kv: int, compute: int, free: list[int], requested: int
) -> None:
    size = {
        "num_layers": num_layers,
        "file_bytes": file_bytes,
        "kv_bytes": kv,
        "compute_bytes": compute,
    }
    devices = [Device(f"G{i}", "", "gpu", f, f) for i, f in enumerate(free)]
    layers, reason = place(devices, requested, size)
    assert 0 <= layers <= num_layers + 1
    assert reason
    if requested == -1 and layers > 0:
        weights = file_bytes * layers // (num_layers + 1)
        assert weights + kv * (layers - 1) // num_layers <= 0.9 * sum(free)


@pytest.mark.parametrize(
    ("start", "tried"),
    [(29, [14, 7, 3, 1, 0]), (1, [0]), (0, []), (-1, [])],
)
def test_step_down_halves_then_zero_then_gives_up(start: int, tried: list[int]) -> None:
    layers, seen = step_down(start), []
    while layers is not None:
        seen.append(layers)
        layers = step_down(layers)
    assert seen == tried


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def topology(*cores: tuple[int, int]) -> dict[str, str]:
    """(package, core) of each CPU in turn."""
    files = {}
    for cpu, (package, core) in enumerate(cores):
        folder = f"sys/devices/system/cpu/cpu{cpu}/topology"
        files[f"{folder}/physical_package_id"] = f"{package}\n"
        files[f"{folder}/core_id"] = f"{core}\n"
    return files


HYPER_THREADED = topology((0, 0), (0, 1), (0, 2), (0, 3), (0, 0), (0, 1), (0, 2), (0, 3))
FAST_CORES = {"sys/devices/cpu_core/cpus": "0-1,4-5\n"}
ALL = set(range(8))
V2 = {"proc/self/cgroup": "0::/box/inner\n"}
V1 = {"proc/self/cgroup": "5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n"}


def quota_v2(text: str) -> dict[str, str]:
    return HYPER_THREADED | V2 | {"sys/fs/cgroup/box/cpu.max": text}


def quota_v1(text: str) -> dict[str, str]:
    folder = "sys/fs/cgroup/cpu,cpuacct/box"
    files = {f"{folder}/cpu.cfs_quota_us": text, f"{folder}/cpu.cfs_period_us": "100000"}
    return HYPER_THREADED | V1 | files


@pytest.mark.parametrize(
    ("files", "allowed", "cores"),
    [
        ({}, {0, 1, 2}, 3),
        (HYPER_THREADED, ALL, 4),
        (HYPER_THREADED, {0, 4}, 1),
        (HYPER_THREADED, {0, 1, 5}, 2),
        (topology((0, 0), (0, 1), (1, 0), (1, 1)), {0, 1, 2, 3}, 4),
        (HYPER_THREADED | V2, ALL, 4),
        (quota_v2("200000 100000\n"), ALL, 2),
        (quota_v2("max 100000\n"), ALL, 4),
        (quota_v2("50000 100000\n"), ALL, 1),
        (quota_v2("900000 100000\n"), ALL, 4),
        (quota_v2("nonsense"), ALL, 4),
        (quota_v1("300000"), ALL, 3),
        (quota_v1("-1"), ALL, 4),
        (HYPER_THREADED | FAST_CORES, ALL, 2),
        (HYPER_THREADED | FAST_CORES, {2, 3}, 2),
    ],
)
def test_cores_on_linux(
    tmp_path: Path, files: dict[str, str], allowed: set[int], cores: int
) -> None:
    assert hardware._linux_cores(write_tree(tmp_path, files), allowed) == cores


MACHINE = Memory(8192 * 1024, 6144 * 1024)


def box_v2(limit: str, **files: str) -> dict[str, str]:
    named = {f"sys/fs/cgroup/box/memory.{name}": text for name, text in files.items()}
    return V2 | {"sys/fs/cgroup/box/memory.max": limit} | named


def box_v1(limit: int, usage: int) -> dict[str, str]:
    folder = "sys/fs/cgroup/memory/box"
    files = {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": usage}
    return V1 | {f"{folder}/{name}": str(value) for name, value in files.items()}


STAT = f"anon 5\ninactive_file {512 * 1024}\nactive_file 1024\n"


@pytest.mark.parametrize(
    ("files", "total_kib", "available_kib"),
    [
        ({}, 8192, 6144),
        (box_v2("max"), 8192, 6144),
        (box_v2(str(4 * MIB), current=str(3 * MIB), stat=STAT), 4096, 1024 + 512 + 1),
        (box_v1(4 * MIB, 4 * MIB), 4096, 0),
        (box_v1(2**63 - 4096, 0), 8192, 6144),
    ],
)
def test_memory_inside_the_limits_of_a_container(
    tmp_path: Path, files: dict[str, str], total_kib: int, available_kib: int
) -> None:
    found = hardware._inside_limits(MACHINE, write_tree(tmp_path, files))
    assert found == Memory(total_kib * 1024, available_kib * 1024)


@pytest.mark.parametrize(
    ("words", "features"),
    [
        ("fpu sse2 avx2 fma avx avx512_vnni f16c", ("avx", "avx2", "fma", "f16c", "avx512_vnni")),
        ("fp asimd asimddp i8mm sve", ("neon", "dotprod", "i8mm", "sve")),
        ("AVX1.0 AVX2 FMA", ("avx", "avx2", "fma")),
        ("", ()),
    ],
)
def test_features(words: str, features: tuple[str, ...]) -> None:
    assert hardware._known_features(words.split()) == features


def pci(slot: str, vendor: str, kind: str) -> dict[str, str]:
    folder = f"sys/bus/pci/devices/0000:{slot}"
    return {f"{folder}/vendor": f"{vendor}\n", f"{folder}/class": f"{kind}\n"}


NVIDIA_NAMED = {"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t RTX 4090\nIRQ: 5\n"}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, []),
        (pci("00:02.0", "0x8086", "0x030000"), [("Intel graphics", "intel")]),
        (pci("03:00.0", "0x1002", "0x038000"), [("AMD graphics", "amd")]),
        (pci("01:00.0", "0x10de", "0x030200"), [("NVIDIA graphics", "nvidia")]),
        (pci("01:00.0", "0x10de", "0x030200") | NVIDIA_NAMED, [("RTX 4090", "nvidia")]),
        (NVIDIA_NAMED, [("RTX 4090", "nvidia")]),
        # A network card, a card's sound, and a virtual machine's display.
        (pci("00:1f.6", "0x8086", "0x020000"), []),
        (pci("01:00.1", "0x10de", "0x040300"), []),
        (pci("00:01.0", "0x1234", "0x030000"), []),
        (
            pci("00:02.0", "0x8086", "0x030000") | pci("01:00.0", "0x10de", "0x030000"),
            [("Intel graphics", "intel"), ("NVIDIA graphics", "nvidia")],
        ),
    ],
)
def test_graphics_on_linux(
    tmp_path: Path, files: dict[str, str], found: list[tuple[str, str]]
) -> None:
    graphics = hardware._linux_graphics(write_tree(tmp_path, files))
    assert [(one.name, one.maker) for one in graphics] == found


def test_this_machine_answers() -> None:
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)
    found = memory()
    assert 0 < found.available_bytes <= found.total_bytes
    assert hardware.cpu_name().strip()
    assert isinstance(hardware.cpu_features(), tuple)
    assert isinstance(hardware.graphics(), tuple)


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_affinity_limits_the_cores() -> None:
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one}])\n"
        "from ssr_local.engine.hardware import physical_cores\n"
        "assert physical_cores() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
