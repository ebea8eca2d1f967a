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
from ssr_local.method.prediction import Speed
from ssr_local.method.verification import Judge
from ssr_local.models.download import LocalModel
from ssr_local.models.models_file import FileSource, HubSource, ModelSpec

GB = 10**9
HUB = ModelSpec(name="m", file="m.gguf", sources=(HubSource(repo="a/b", file="m.gguf"),))
OWN = ModelSpec(name="m", file="m.gguf", sources=(FileSource(path="/m.gguf", in_place=True),))
SPEED = ModelSpeed(
    load_s=1.0,
    prefill=100.0,
    decode=((1, 30.0), (3, 40.0)),
    spread=1.1,
    processor_share=0.99,
    device="cpu",
    vocabulary="v",
)
CPU_LIBRARY = EngineFacts(
    version="1",
    system_info="CPU : AVX2 = 1 |",
    can_offload=False,
    devices=(Device("CPU", "Some CPU", "cpu", GB, GB),),
)
GPU = Device("CUDA0", "Card", "gpu", 8 * GB, 8 * GB)
GPU_LIBRARY = replace(CPU_LIBRARY, can_offload=True, devices=(*CPU_LIBRARY.devices, GPU))
BLIND_LIBRARY = replace(CPU_LIBRARY, can_offload=True)
NVIDIA, AMD = Graphics("RTX", "nvidia"), Graphics("Radeon", "amd")
INTEL, APPLE = Graphics("UHD", "intel"), Graphics("M3 GPU", "apple")


def here(state: str, **changes: Any) -> LocalModel:
    return LocalModel(state=state, path=Path("/m.gguf"), **changes)  # type: ignore[arg-type]


CALIBRATED = {"likelihood": Calibration(knots=((0.0, 0.0), (1.0, 9.0)))}


def calibration(verifier: str, calibrations: dict[str, Calibration]) -> Finding:
    return checks.calibration(Judge(verifier, 7.0, calibrations), verifier, "bench calibrate")


def needed(num_gb: int, memory: Memory, gpu_gb: int = 0) -> Finding:
    return checks.memory_needed(num_gb * GB, ("draft", "target"), memory, gpu_gb * GB)


def drafting(draft: float, target: float, *, is_used: bool = False) -> Finding:
    own = Speed(prefill=40, decode=((1, target), (3, 3 * target)))
    one = Speed(prefill=40, decode=((1, draft), (3, draft)))
    return checks.drafting(one, own, asks=False, is_used=is_used)


HALF_FREE = Memory(8 * GB, 4 * GB)
sets, graphics, file = checks.instruction_sets, checks.graphics, checks.model_file

FOUND: list[tuple[Finding, str, str, str]] = [
    (checks.cpu("Chip\x1b[2J", 4, 8, 4), "ok", "Chip, 4 cores, 4 threads used", ""),
    (checks.cpu("Chip", 4, 8, 1), "ok", "1 thread used", ""),
    (checks.cpu("Chip", 4, 8, 8), "ok", "8 threads used", ""),
    (checks.cpu("Chip", 4, 8, 9), "warning", "9 threads used", "give 4"),
    (checks.cpu_load(0.1, 2), "ok", "0.1 programs running on 2 cores", ""),
    (checks.cpu_load(1.2, 2), "ok", "1.2 programs", ""),
    (checks.cpu_load(1.3, 2), "warning", "1.3 programs", "Close"),
    (checks.main_memory(Memory(16 * GB, 4 * GB)), "ok", "16.0 GB, 4.0 GB of it free", ""),
    (checks.main_memory(Memory(0, 0)), "ok", "not known", ""),
    (checks.folder("cache", "/c", True, "no logs"), "ok", "/c", ""),
    (checks.folder("cache", "/c", False, "no logs"), "warning", "/c", "SSR_LOCAL_CACHE_DIR"),
    (checks.back_ends("CPU : AVX = 1 | FMA = 1 | "), "ok", "CPU; none for a GPU", ""),
    (checks.back_ends("CUDA : ARCHS = 890 | CPU : AVX = 1"), "ok", "CUDA, CPU", ""),
    (checks.back_ends(""), "ok", "not known", ""),
    (sets(("avx", "avx2"), "CPU : AVX = 1 | AVX2 = 1 |"), "ok", "uses avx, avx2", ""),
    (sets(("neon", "i8mm"), "CPU : NEON = 1 | MATMUL_INT8 = 1"), "ok", "uses neon, i8mm", ""),
    (sets(("avx", "avx2"), "CPU : AVX = 1 |"), "warning", "built without avx2", "GGML_NATIVE=on"),
    (sets(("avx2", "avx512f"), "CPU : AVX2 = 1"), "warning", "without avx512f", "--no-binary"),
    (sets(("avx2",), "CPU : SSE3 = 1"), "warning", "uses none; built without avx2", "Rebuild"),
    (sets(("avx",), "CPU : AVX = 1 | AVX512 = 1"), "problem", "avx512f", "Rebuild"),
    # Not every system tells whether a CPU has these.
    (sets(("avx2",), "CPU : AVX2 = 1 | FMA = 1"), "ok", "uses avx2", ""),
    (sets(("avx2",), "CPU : AVX2 = 0 | SSE3 = 1"), "warning", "built without avx2", "Rebuild"),
    (sets((), "CPU : AVX2 = 1"), "ok", "not known", ""),
    (sets(("avx2",), ""), "ok", "not known", ""),
    (graphics((), CPU_LIBRARY, -1), "ok", "none found", ""),
    (graphics((), CPU_LIBRARY, 0), "ok", "none found", ""),
    (graphics((), CPU_LIBRARY, 5), "warning", "none found", "no effect"),
    (graphics((NVIDIA,), CPU_LIBRARY, -1), "warning", "RTX; llama.cpp is built without", "CUDA=on"),
    (graphics((NVIDIA,), CPU_LIBRARY, 0), "ok", "RTX", "GGML_CUDA"),
    (graphics((AMD,), CPU_LIBRARY, -1), "warning", "Radeon", "GGML_VULKAN=on"),
    (graphics((APPLE,), CPU_LIBRARY, -1), "warning", "M3 GPU", "GGML_METAL=on"),
    (graphics((INTEL,), CPU_LIBRARY, -1), "ok", "UHD", "GGML_VULKAN=on"),
    (graphics((INTEL, NVIDIA), CPU_LIBRARY, -1), "warning", "UHD, RTX", "GGML_CUDA=on"),
    (graphics((NVIDIA,), GPU_LIBRARY, -1), "ok", "Card (8.0 GB free)", ""),
    (graphics((NVIDIA,), GPU_LIBRARY, 0), "ok", "not used, as asked", ""),
    (graphics((), GPU_LIBRARY, -1), "ok", "Card", ""),
    (graphics((NVIDIA,), BLIND_LIBRARY, -1), "warning", "sees none", "driver"),
    (graphics((), BLIND_LIBRARY, -1), "ok", "sees none", ""),
    (graphics((), BLIND_LIBRARY, 5), "warning", "sees none", "leave it out"),
    (file("m", HUB, here("missing", total_bytes=GB), True), "problem", "(1.0 GB)", "pull m"),
    (file("m", HUB, here("missing"), True), "problem", "size not known", "models pull m"),
    (file("m", OWN, here("missing"), False), "problem", "missing", "Put it at /m.gguf"),
    (
        file("m", HUB, here("partial", present_bytes=GB, total_bytes=2 * GB), True),
        "problem",
        "1.0 GB of 2.0 GB fetched",
        "Go on: ssr-local models pull m",
    ),
    (file("m", HUB, here("partial", present_bytes=5), True), "problem", "5 B of ?", "Go on"),
    (file("m", HUB, here("damaged"), True), "problem", "damaged", "Fetch it again"),
    (file("m", OWN, here("damaged"), True), "problem", "damaged", "Replace /m.gguf"),
    (file("m", HUB, here("present", checked=True), True), "ok", "hash checked", ""),
    (file("m", HUB, here("present", checked=False), True), "warning", "not checked", "verify m"),
    (file("m", OWN, here("present", checked=False), False), "ok", "no published hash", ""),
    (
        checks.unneeded(file("draft", HUB, here("missing"), True), "draft"),
        "ok",
        "needed by --method ssr, draft, specreason",
        "models pull m",
    ),
    (
        checks.unneeded(file("target", HUB, here("damaged"), True), "target"),
        "ok",
        "damaged; needed by --method ssr, target, parallel, parallel-spm, specreason",
        "Fetch it again",
    ),
    (file("m", replace(HUB, name="a b"), here("missing"), True), "problem", "a b", "pull 'a b'"),
    (checks.context("draft", 2048, 2048), "ok", "2048 tokens", ""),
    (checks.context("draft", 2047, 2048), "warning", "2047", "--max-tokens, at most 1023"),
    (checks.chat_template("draft", True), "ok", "", ""),
    (checks.chat_template("draft", False), "warning", "", ""),
    (checks.kv_cache("draft", 200, 2 * GB), "ok", "2.0 GB for 200 cells", ""),
    (needed(4, HALF_FREE), "ok", "4.0 GB for the draft and the target", ""),
    (needed(5, HALF_FREE), "warning", "4.0 GB are free", "Close programs"),
    (needed(5, HALF_FREE, 1), "ok", "5.0 GB", ""),
    (needed(9, HALF_FREE), "problem", "this machine has 8.0 GB", "--ctx"),
    (needed(9, HALF_FREE, 2), "warning", "6.0 GB are free", "smaller pair"),
    (needed(99, Memory(0, 0)), "ok", "99.0 GB", ""),
    (checks.disk_space("/d", 2 * GB, 0), "ok", "2.0 GB free in /d", ""),
    (checks.disk_space("/d", 2 * GB, 2 * GB), "ok", "2.0 GB to fetch", ""),
    (checks.disk_space("/d", 2 * GB, 2 * GB + 1), "problem", "to fetch", "SSR_LOCAL_DATA_DIR"),
    (calibration("likelihood", CALIBRATED), "ok", "verifier likelihood", ""),
    (calibration("likelihood", {}), "warning", "no calibration", "To get one: bench calibrate."),
    (calibration("likelihood", {}), "warning", "no calibration", "digit"),
    (calibration("digit", {}), "ok", "verifier digit", ""),
    (checks.vocabularies(SPEED, SPEED), "ok", "equal", ""),
    (checks.vocabularies(SPEED, replace(SPEED, vocabulary="w")), "warning", "different", ""),
    (checks.vocabularies(None, SPEED), "ok", "not compared", ""),
    (checks.vocabularies(SPEED, None), "ok", "not compared", ""),
    (checks.speed("draft", SPEED), "ok", "prefill 100, decode 30.0 (1 path), 40.0 (3 paths)", ""),
    (checks.speed("draft", replace(SPEED, spread=1.6)), "warning", "in the way", ""),
    (checks.speed("draft", replace(SPEED, processor_share=0.8)), "warning", "in the way", ""),
    (checks.speed("draft", replace(SPEED, processor_share=None, device="CUDA0")), "ok", "CUDA", ""),
    # A drafted token costs 0.225 s with its verification, a rewritten one 0.525 more; the target's
    # own 0.5, and of three paths 0.167.
    (drafting(5, 2), "ok", "1 path: from 48% of its tokens kept; 3 paths: never", ""),
    (drafting(5, 9), "ok", "1 path: never; 3 paths: never", ""),
    (drafting(5, 9, is_used=True), "warning", "never", "--effort quick"),
]


@pytest.mark.parametrize(("finding", "state", "value", "advice"), FOUND)
def test_what_is_made_of_a_fact(finding: Finding, state: str, value: str, advice: str) -> None:
    assert finding.state == state, finding
    assert value in finding.value
    assert advice in finding.advice
    assert finding.advice or state == "ok"
