"""What the doctor makes of the facts: each check a function that returns a finding. Pure."""

from __future__ import annotations

import platform
import re
import shlex
from collections.abc import Sequence
from typing import get_args

from ssr_local.core.display import human_bytes, one_line
from ssr_local.core.options import Method, SolveOptions
from ssr_local.core.records import ModelRole
from ssr_local.diagnosis.findings import Finding, State, advised, short
from ssr_local.diagnosis.speed import EngineFacts, ModelSpeed
from ssr_local.engine.devices import Device
from ssr_local.engine.hardware import Graphics, GraphicsMaker, Memory
from ssr_local.method.plans import plan_for
from ssr_local.method.prediction import Speed, break_even
from ssr_local.method.verification import VERIFIERS, Judge
from ssr_local.models.download import LocalModel
from ssr_local.models.models_file import ModelSpec

# llama.cpp's names of what it is built for -> the CPU's.
_LIBRARY_FEATURES = {
    **{"AVX": "avx", "AVX2": "avx2", "FMA": "fma", "F16C": "f16c", "AVX_VNNI": "avx_vnni"},
    **{"AVX512": "avx512f", "AVX512_VNNI": "avx512_vnni", "AVX512_BF16": "avx512_bf16"},
    **{"AMX_INT8": "amx_int8", "NEON": "neon", "DOTPROD": "dotprod"},
    **{"MATMUL_INT8": "i8mm", "SVE": "sve"},
}
# Every system tells whether the CPU has these; without them such a library dies.
_DEADLY = ("avx", "avx2", "avx512f")
_INSTALL = (
    "pip install --force-reinstall --no-cache-dir --no-binary llama-cpp-python llama-cpp-python"
)
# The library's back end and the folder of ready wheels, the fastest cards first.
_GPU_BUILDS: dict[GraphicsMaker, tuple[str, str]] = {
    "nvidia": ("CUDA", "cu124"),
    "amd": ("VULKAN", "vulkan"),
    "intel": ("VULKAN", "vulkan"),
    "apple": ("METAL", "metal"),
}
_WHEELS = "https://abetlen.github.io/llama-cpp-python/whl/"

_NOISY_SPREAD = 1.5
_FAIR_SHARE = 0.9
_BUSY_LOAD = 0.6


# The machine -------------------------------------------------------------------


def cpu(name: str, cores: int, logical: int, threads: int) -> Finding:
    """The CPU, and whether as many threads as asked for make sense; 0: the engine chooses."""
    used = _count(threads, "thread") if threads else f"up to {_count(cores, 'thread')}"
    value = f"{one_line(name, 80)}, {_count(cores, 'core')}, {used} used"
    advice = f"More threads than cores make it slower: leave --threads out, or give {cores}."
    return advised("CPU", value, advice if threads > logical else "")


def cpu_load(load_average: float, cores: int) -> Finding:
    """Whether other programs keep the CPU busy."""
    value = f"{load_average:.1f} programs running on {_count(cores, 'core')}"
    advice = "Close other programs: every speed measured now is too low."
    return advised("load", value, advice if load_average > _BUSY_LOAD * cores else "")


def main_memory(memory: Memory) -> Finding:
    """Main memory as the system tells it."""
    if not memory.total_bytes:
        return Finding("memory", "ok", "not known on this system")
    total, free = human_bytes(memory.total_bytes), human_bytes(memory.available_bytes)
    return Finding("memory", "ok", f"{total}, {free} of it free")


def folder(name: str, path: str, writable: bool, loss: str) -> Finding:
    """A folder of ours; ``loss`` is what does not work when it cannot be written to."""
    if writable:
        return Finding(f"{name} folder", "ok", path)
    advice = f"Set SSR_LOCAL_{name.upper()}_DIR to a folder you can write to."
    return advised(f"{name} folder", f"{path} cannot be written to: {loss}", advice)


# The engine --------------------------------------------------------------------


def instruction_sets(has: Sequence[str], system_info: str) -> Finding:
    """What the CPU can do against what the installed library is built for."""
    named = re.findall(r"(\w+) = 1", system_info)
    built = {_LIBRARY_FEATURES[name] for name in named if name in _LIBRARY_FEATURES}
    rebuild = f'Rebuild it here: CMAKE_ARGS="-DGGML_NATIVE=on" {_INSTALL}'
    if not named or not has:
        return Finding("instruction sets", "ok", "not known")
    if lacking := [name for name in _DEADLY if name in built and name not in has]:
        value = f"llama.cpp is built for {', '.join(lacking)}, which this CPU does not have"
        return Finding("instruction sets", "problem", value, rebuild)
    value = f"uses {', '.join(name for name in has if name in built) or 'none'}"
    if unused := [name for name in has if name not in built]:
        value += f"; built without {', '.join(unused)}, which this CPU has"
    return advised("instruction sets", value, rebuild if unused else "")


def back_ends(system_info: str) -> Finding:
    """What the installed library can compute on."""
    names = dict.fromkeys(re.findall(r"(\w+) : ", system_info))
    gpu = "" if set(names) - {"CPU", "BLAS"} else "; none for a GPU"
    return Finding("back ends", "ok", (", ".join(names) or "not known") + (gpu if names else ""))


def graphics(present: Sequence[Graphics], engine: EngineFacts, gpu_layers: int) -> Finding:
    """The GPUs there are against those the installed library can use."""
    usable = usable_gpus(engine)
    names = ", ".join(short(one.name) for one in present)
    if usable:
        seen = ", ".join(
            f"{one.description or one.name} ({human_bytes(one.free_bytes)} free)" for one in usable
        )
        asked = "; not used, as asked (--gpu-layers 0)" if gpu_layers == 0 else ""
        return Finding("graphics", "ok", f"{seen}{asked}")
    blind = "; llama.cpp is built for one but sees none" if engine.can_offload else ""
    if not present:
        value = f"none found{blind}; models run on the CPU"
        advice = "--gpu-layers has no effect: leave it out." if gpu_layers > 0 else ""
        return advised("graphics", value, advice)
    if engine.can_offload:
        return advised("graphics", f"{names}{blind}", "Install or repair its driver.")
    # What shares the main memory with the CPU is rarely faster than it, save Apple's.
    best = min(present, key=lambda one: list(_GPU_BUILDS).index(one.maker))
    state: State = "ok" if best.maker == "intel" or gpu_layers == 0 else "warning"
    why = "llama.cpp is built without GPU support" if engine.version else "llama.cpp is needed"
    return Finding("graphics", state, f"{names}; {why}", _gpu_build(best))


def usable_gpus(engine: EngineFacts) -> tuple[Device, ...]:
    """The GPUs the library can put layers on."""
    if not engine.can_offload:
        return ()
    return tuple(device for device in engine.devices if device.kind in ("gpu", "igpu"))


def gpu_bytes(engine: EngineFacts | None, gpu_layers: int) -> int:
    """Free memory of graphics cards that have their own; Apple's and integrated ones share ours."""
    if engine is None or gpu_layers == 0 or platform.system() == "Darwin":
        return 0
    return sum(card.free_bytes for card in usable_gpus(engine) if card.kind == "gpu")


def _gpu_build(gpu: Graphics) -> str:
    back_end, folder = _GPU_BUILDS[gpu.maker]
    return (
        f'To use it: CMAKE_ARGS="-DGGML_{back_end}=on" {_INSTALL}, or take a ready wheel from'
        f" {_WHEELS}{folder} (docs/gpu.md)"
    )


# The models --------------------------------------------------------------------


def model_file(role: str, spec: ModelSpec, here: LocalModel, known_hash: bool) -> Finding:
    """Whether a model's file is here and whole."""
    name = short(spec.name)
    pull = f"ssr-local models pull {shlex.quote(one_line(spec.name))}"
    if here.state == "missing":
        advice = f"Fetch it: {pull}" if spec.in_place is None else f"Put it at {here.path}."
        size = human_bytes(here.total_bytes) if here.total_bytes else "size not known"
        return Finding(role, "problem", f"{name}: missing ({size})", advice)
    if here.state == "partial":
        total = human_bytes(here.total_bytes) if here.total_bytes else "?"
        value = f"{name}: {human_bytes(here.present_bytes)} of {total} fetched"
        return Finding(role, "problem", value, f"Go on: {pull}")
    if here.state == "damaged":
        advice = f"Fetch it again: {pull}"
        if spec.in_place is not None:
            advice = f"Replace {here.path}, or give another file."
        return Finding(role, "problem", f"{name}: its file is damaged", advice)
    checked, advice = "hash checked", ""
    if not here.checked and known_hash:
        checked, advice = "hash not checked", f"Check it: ssr-local models verify {name}"
    elif not here.checked:
        checked = "no published hash to check"
    return advised(role, f"{name}: present, {human_bytes(here.present_bytes)}, {checked}", advice)


def unneeded(found: Finding, role: ModelRole) -> Finding:
    """What is wrong with the file of a model that the settings in force do not need."""
    methods = [method for method in get_args(Method) if method != "auto"]
    those = (one for one in methods if role in plan_for(SolveOptions(method=one)).roles)
    value = f"{found.value}; needed by --method {', '.join(those)}"
    return Finding(found.name, "ok", value, found.advice)


def context(role: str, context_length: int, wanted: int) -> Finding:
    """Whether one path's budget fits into what the model was trained for, in tokens."""
    value, advice = f"{context_length} tokens", ""
    if context_length < wanted:
        value += f"; a path may need {wanted}"
        advice = f"Give a smaller --max-tokens, at most {max(1, context_length // 2)} or so."
    return advised(f"{role} context", value, advice)


def chat_template(role: str, present: bool) -> Finding:
    """Whether the model's file says how it wants to be spoken to."""
    name = f"{role} chat template"
    if present:
        return Finding(name, "ok", "present")
    value = "none in its file; the one for its family built into ssr-local is used"
    return advised(name, value, "Take an 'instruct' or 'chat' version of the model.")


def kv_cache(role: str, num_cells: int, num_bytes: int) -> Finding:
    """Memory of the KV cache."""
    return Finding(f"{role} KV cache", "ok", f"{human_bytes(num_bytes)} for {num_cells} cells")


def memory_needed(
    needed: int, roles: Sequence[ModelRole], memory: Memory, gpu_bytes: int
) -> Finding:
    """Whether the files of these models and their KV caches fit into main memory and the GPU's."""
    name = "memory needed"
    value = f"{human_bytes(needed)} for the {' and the '.join(roles)}, with KV cache"
    if not memory.total_bytes:
        return Finding(name, "ok", value)
    smaller = "Take a smaller pair (ssr-local models recommend), or give a smaller --ctx"
    if needed > memory.total_bytes + gpu_bytes:
        total = human_bytes(memory.total_bytes + gpu_bytes)
        return Finding(name, "problem", f"{value}; this machine has {total}", f"{smaller}.")
    if needed > memory.available_bytes + gpu_bytes:
        free = human_bytes(memory.available_bytes + gpu_bytes)
        return advised(name, f"{value}; {free} are free", f"Close programs. {smaller}.")
    return Finding(name, "ok", value)


def disk_space(path: str, free: int, missing: int) -> Finding:
    """Whether what is still to be fetched fits into the models folder."""
    value = f"{human_bytes(free)} free in {path}"
    if not missing:
        return Finding("disk space", "ok", value)
    value += f", {human_bytes(missing)} to fetch"
    if missing <= free:
        return Finding("disk space", "ok", value)
    advice = "Free some space, or set SSR_LOCAL_DATA_DIR to a folder with more of it."
    return Finding("disk space", "problem", value, advice)


def calibration(judge: Judge, verifier: str, to_calibrate: str) -> Finding:
    """Whether the scores of the verifier in force mean something for this pair."""
    if not judge.notice:
        return Finding("calibration", "ok", f"there is one for the verifier {verifier}")
    free = [name for name in VERIFIERS if not Judge(name, 0.0, {}).notice]
    advice = f"To get one: {to_calibrate}. These verifiers need none: {', '.join(free)}."
    return advised("calibration", judge.notice, advice)


def vocabularies(draft: ModelSpeed | None, target: ModelSpeed | None) -> Finding:
    """Whether the models can exchange tokens; only loading both tells."""
    if draft is None or target is None:
        return Finding("vocabularies", "ok", "not compared: that needs both models loaded")
    if draft.vocabulary == target.vocabulary:
        return Finding("vocabularies", "ok", "equal: draft and target exchange tokens")
    value = "different: steps are handed over as text and tokenized again"
    advice = "It works and costs time; two models of one family exchange tokens."
    return advised("vocabularies", value, advice)


# Speed -------------------------------------------------------------------------


def speed(role: str, measured: ModelSpeed) -> Finding:
    """How fast a model is here."""
    value = (
        f"loaded in {measured.load_s:.1f} s; prefill {measured.prefill:.0f}, decode"
        f" {measured.decode_rate(1):.1f} (1 path), {measured.decode_rate(3):.1f} (3 paths) tokens/s"
        f" on {one_line(measured.device, 80)}, {_count(measured.num_threads, 'thread')}"
    )
    advice = ""
    if is_disturbed(measured):
        value += "; other programs were in the way"
        advice = (
            "Close them and measure again: these speeds are too low, and so are a run's meanwhile."
        )
    return advised(f"{role} speed", value, advice)


def drafting(draft: Speed, target: Speed, *, asks: bool, is_used: bool) -> Finding:
    """From which acceptance rate SSD paths are faster than as many by the target."""
    even = {num: break_even(draft, target, num, asks=asks) for num in (1, 3)}
    shown = (
        f"{_count(num, 'path')}: {'never' if one is None else f'from {one:.0%} of its tokens kept'}"
        for num, one in even.items()
    )
    slow = is_used and all(one is None for one in even.values())
    value = f"faster than the target alone: {'; '.join(shown)}"
    return advised("drafting", value, "For speed take --effort quick." if slow else "")


def is_disturbed(measured: ModelSpeed) -> bool:
    """Whether other programs took time from the measurement.

    llama.cpp's threads wait for one another at every layer: one that has to share its core
    with another program can make all of them a hundred times slower.
    """
    share = measured.processor_share
    return measured.spread > _NOISY_SPREAD or (share is not None and share < _FAIR_SHARE)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
