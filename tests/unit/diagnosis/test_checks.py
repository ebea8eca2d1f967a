from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ssr_local.core.records import Calibration
from ssr_local.diagnosis import checks
from ssr_local.diagnosis.findings import Finding
from ssr_local.diagnosis.speed import EngineFacts, ModelSpeed
from ssr_local.engine.devices import Device
from ssr_local.engine.hardware import Graphics, Memory
from ssr_local.method.verification import Judge
from ssr_local.models.download import LocalModel
from ssr_local.models.models_file import FileSource, HubSource, ModelSpec

GB = 10**9
HUB = ModelSpec(name="m", file="m.gguf", sources=(HubSource(repo="a/b", file="m.gguf"),))
OWN = ModelSpec(name="m", file="m.gguf", sources=(FileSource(path="/m.gguf", in_place=True),))
SPEED = ModelSpeed(
    load_s=1.0,
    prefill=100.0,
    decode_one=30.0,
    decode_three=40.0,
    spread=1.1,
    processor_share=0.99,
    device="cpu",
    vocabulary="v",
)
CPU_LIBRARY = EngineFacts(
    version="1",
    system_info="CPU : AVX2 = 1 |",
    can_offload=False,
    devices=(Device("CPU", "Some processor", "cpu", GB, GB),),
)
GPU = Device("CUDA0", "Card", "gpu", 8 * GB, 8 * GB)
GPU_LIBRARY = replace(CPU_LIBRARY, can_offload=True, devices=(*CPU_LIBRARY.devices, GPU))
BLIND_LIBRARY = replace(CPU_LIBRARY, can_offload=True)
NVIDIA, AMD = Graphics("RTX", "nvidia"), Graphics("Radeon", "amd")
INTEL, APPLE = Graphics("UHD", "intel"), Graphics("M3 GPU", "apple")


def here(state: str, **changes: Any) -> LocalModel:
    return LocalModel(state=state, path=Path("/m.gguf"), **changes)  # type: ignore[arg-type]


def expect(finding: Finding, state: str, value: str, advice: str) -> None:
    assert finding.state == state, finding
    assert value in finding.value
    assert advice in finding.advice
    if state != "ok":
        assert finding.advice


@pytest.mark.parametrize(
    ("logical", "threads", "state", "value", "advice"),
    [
        (8, 4, "ok", "Chip, 4 cores, 4 threads used", ""),
        (8, 1, "ok", "1 thread used", ""),
        (8, 8, "ok", "8 threads used", ""),
        (8, 9, "warning", "9 threads used", "give 4"),
    ],
)
def test_processor(logical: int, threads: int, state: str, value: str, advice: str) -> None:
    expect(checks.processor("Chip\x1b[2J", 4, logical, threads), state, value, advice)


@pytest.mark.parametrize(("load", "state"), [(0.1, "ok"), (1.2, "ok"), (1.3, "warning")])
def test_processor_load(load: float, state: str) -> None:
    expect(checks.processor_load(load, 2), state, f"{load} programs running on 2 cores", "")


@pytest.mark.parametrize(
    ("memory", "value"),
    [(Memory(16 * GB, 4 * GB), "16.0 GB, 4.0 GB of it free"), (Memory(0, 0), "not known")],
)
def test_main_memory(memory: Memory, value: str) -> None:
    expect(checks.main_memory(memory), "ok", value, "")


@pytest.mark.parametrize(
    ("writable", "state", "advice"),
    [(True, "ok", ""), (False, "warning", "SSR_LOCAL_CACHE_DIR")],
)
def test_folder(writable: bool, state: str, advice: str) -> None:
    expect(checks.folder("cache", "/c", writable, "no logs"), state, "/c", advice)


@pytest.mark.parametrize(
    ("has", "info", "state", "value", "advice"),
    [
        (("avx", "avx2"), "CPU : AVX = 1 | AVX2 = 1 |", "ok", "uses avx, avx2", ""),
        (("neon", "i8mm"), "CPU : NEON = 1 | MATMUL_INT8 = 1", "ok", "uses neon, i8mm", ""),
        (("avx", "avx2"), "CPU : AVX = 1 |", "warning", "built without avx2", "GGML_NATIVE=on"),
        (("avx2", "avx512f"), "CPU : AVX2 = 1", "warning", "without avx512f", "--no-binary llama"),
        (("avx2",), "CPU : SSE3 = 1", "warning", "uses none; built without avx2", "Rebuild"),
        (("avx", "avx2"), "CPU : AVX = 1 | AVX2 = 1 | AVX512 = 1", "problem", "avx512f", "Rebuild"),
        # Not every system tells whether a processor has these.
        (("avx2",), "CPU : AVX2 = 1 | FMA = 1", "ok", "uses avx2", ""),
        (("avx2",), "CPU : AVX2 = 0 | SSE3 = 1", "warning", "built without avx2", "Rebuild"),
        ((), "CPU : AVX2 = 1", "ok", "not known", ""),
        (("avx2",), "", "ok", "not known", ""),
    ],
)
def test_instruction_sets(
    has: tuple[str, ...], info: str, state: str, value: str, advice: str
) -> None:
    expect(checks.instruction_sets(has, info), state, value, advice)


@pytest.mark.parametrize(
    ("info", "value"),
    [
        ("CPU : AVX = 1 | FMA = 1 | ", "CPU; none for a GPU"),
        ("CUDA : ARCHS = 890 | CPU : AVX = 1", "CUDA, CPU"),
        ("", "not known"),
    ],
)
def test_back_ends(info: str, value: str) -> None:
    assert checks.back_ends(info).value == value


@pytest.mark.parametrize(
    ("present", "engine", "layers", "state", "value", "advice"),
    [
        ((), CPU_LIBRARY, -1, "ok", "none found", ""),
        ((), CPU_LIBRARY, 0, "ok", "none found", ""),
        ((), CPU_LIBRARY, 5, "warning", "none found", "no effect"),
        ((NVIDIA,), CPU_LIBRARY, -1, "warning", "RTX; llama.cpp is built without", "GGML_CUDA=on"),
        ((NVIDIA,), CPU_LIBRARY, -1, "warning", "RTX", "whl/cu124 (see 'GPUs' in the README)"),
        ((NVIDIA,), CPU_LIBRARY, 0, "ok", "RTX", "GGML_CUDA"),
        ((AMD,), CPU_LIBRARY, -1, "warning", "Radeon", "GGML_VULKAN=on"),
        ((APPLE,), CPU_LIBRARY, -1, "warning", "M3 GPU", "GGML_METAL=on"),
        ((INTEL,), CPU_LIBRARY, -1, "ok", "UHD", "GGML_VULKAN=on"),
        ((INTEL, NVIDIA), CPU_LIBRARY, -1, "warning", "UHD, RTX", "GGML_CUDA=on"),
        ((NVIDIA,), GPU_LIBRARY, -1, "ok", "Card (8.0 GB free)", ""),
        ((NVIDIA,), GPU_LIBRARY, 0, "ok", "not used, as asked", ""),
        ((), GPU_LIBRARY, -1, "ok", "Card", ""),
        ((NVIDIA,), BLIND_LIBRARY, -1, "warning", "sees none", "driver"),
        ((), BLIND_LIBRARY, -1, "ok", "sees none", ""),
        ((), BLIND_LIBRARY, 5, "warning", "sees none", "leave it out"),
    ],
)
def test_graphics(
    present: tuple[Graphics, ...],
    engine: EngineFacts,
    layers: int,
    state: str,
    value: str,
    advice: str,
) -> None:
    expect(checks.graphics(present, engine, layers), state, value, advice)


@pytest.mark.parametrize(
    ("spec", "local", "known", "state", "value", "advice"),
    [
        (HUB, here("missing", total_bytes=GB), True, "problem", "missing (1.0 GB)", "pull m"),
        (HUB, here("missing"), True, "problem", "size not known", "models pull m"),
        (OWN, here("missing"), False, "problem", "missing", "Put it at /m.gguf"),
        (
            HUB,
            here("partial", present_bytes=GB, total_bytes=2 * GB),
            True,
            "problem",
            "1.0 GB of 2.0 GB fetched",
            "Go on: ssr-local models pull m",
        ),
        (HUB, here("partial", present_bytes=5), True, "problem", "5 B of ? fetched", "Go on"),
        (HUB, here("damaged"), True, "problem", "damaged", "Fetch it again"),
        (OWN, here("damaged"), True, "problem", "damaged", "Replace /m.gguf"),
        (HUB, here("present", present_bytes=GB, checked=True), True, "ok", "hash checked", ""),
        (HUB, here("present", checked=False), True, "warning", "not checked", "models verify m"),
        (OWN, here("present", checked=False), False, "ok", "no published hash", ""),
    ],
)  # fmt: skip
def test_model_file(
    spec: ModelSpec, local: LocalModel, known: bool, state: str, value: str, advice: str
) -> None:
    finding = checks.model_file("draft", spec, local, known)
    assert finding.name == "draft"
    expect(finding, state, value, advice)


@pytest.mark.parametrize(
    ("length", "state", "advice"),
    [(2048, "ok", ""), (2047, "warning", "--max-tokens, at most 1023")],
)
def test_context(length: int, state: str, advice: str) -> None:
    expect(checks.context("draft", length, 2048), state, f"{length} tokens", advice)


@pytest.mark.parametrize(("present", "state"), [(True, "ok"), (False, "warning")])
def test_chat_template(present: bool, state: str) -> None:
    expect(checks.chat_template("draft", present), state, "", "")


def test_kv_cache_is_said_once_or_twice() -> None:
    assert checks.kv_cache("draft", (100, GB), (100, GB)).value == (
        "1.0 GB for 100 cells, with the default options"
    )
    assert checks.kv_cache("draft", (100, GB), (200, 2 * GB)).value == (
        "1.0 GB for 100 cells, with the default options;"
        " 2.0 GB for 200 cells, with the present options"
    )


@pytest.mark.parametrize(
    ("needed", "memory", "gpu", "state", "value", "advice"),
    [
        (4, Memory(8 * GB, 4 * GB), 0, "ok", "4.0 GB for both", ""),
        (5, Memory(8 * GB, 4 * GB), 0, "warning", "4.0 GB are free", "Close programs"),
        (5, Memory(8 * GB, 4 * GB), GB, "ok", "5.0 GB", ""),
        (9, Memory(8 * GB, 4 * GB), 0, "problem", "this machine has 8.0 GB", "--ctx"),
        (9, Memory(8 * GB, 4 * GB), 2 * GB, "warning", "6.0 GB are free", "smaller pair"),
        (99, Memory(0, 0), 0, "ok", "99.0 GB", ""),
    ],
)
def test_memory_needed(
    needed: int, memory: Memory, gpu: int, state: str, value: str, advice: str
) -> None:
    expect(checks.memory_needed(needed * GB, memory, gpu), state, value, advice)


@pytest.mark.parametrize(
    ("missing", "state", "value", "advice"),
    [
        (0, "ok", "2.0 GB free in /d", ""),
        (2 * GB, "ok", "2.0 GB to fetch", ""),
        (2 * GB + 1, "problem", "2.0 GB to fetch", "SSR_LOCAL_DATA_DIR"),
    ],
)
def test_disk_space(missing: int, state: str, value: str, advice: str) -> None:
    expect(checks.disk_space("/d", 2 * GB, missing), state, value, advice)


CALIBRATED = {"min-likelihood": Calibration(knots=((0.0, 0.0), (1.0, 9.0)))}


@pytest.mark.parametrize(
    ("verifier", "calibrations", "state", "value", "advice"),
    [
        ("min-likelihood", CALIBRATED, "ok", "verifier min-likelihood", ""),
        ("min-likelihood", {}, "warning", "no calibration", "number-likelihood, digit"),
        ("digit", {}, "ok", "verifier digit", ""),
    ],
)
def test_calibration(
    verifier: str, calibrations: dict[str, Calibration], state: str, value: str, advice: str
) -> None:
    judge = Judge(verifier, 7.0, calibrations)
    expect(checks.calibration(judge, verifier), state, value, advice)


@pytest.mark.parametrize(
    ("draft", "target", "state", "value"),
    [
        (SPEED, SPEED, "ok", "equal"),
        (SPEED, replace(SPEED, vocabulary="w"), "warning", "different"),
        (None, SPEED, "ok", "not compared"),
        (SPEED, None, "ok", "not compared"),
    ],
)
def test_vocabularies(
    draft: ModelSpeed | None, target: ModelSpeed | None, state: str, value: str
) -> None:
    expect(checks.vocabularies(draft, target), state, value, "")


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "ok"),
        ({"spread": 1.6}, "warning"),
        ({"processor_share": 0.8}, "warning"),
        ({"processor_share": None, "device": "CUDA0 (29/29 layers)"}, "ok"),
    ],
)
def test_speed_says_when_it_was_disturbed(changes: dict[str, Any], state: str) -> None:
    measured = replace(SPEED, **changes)
    finding = checks.speed("draft", measured)
    expect(finding, state, "prefill 100, decode 30.0 (1 path), 40.0 (3 paths) tokens/s", "")
    assert ("in the way" in finding.value) is (state == "warning")
    assert checks.is_disturbed(measured) is (state == "warning")
