"""Which pairs a machine can hold, how fast their targets would be, and the best of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.core.display import human_bytes
from ssr_local.engine.devices import SPARE_BYTES, SPARE_SHARE
from ssr_local.engine.speeds import RememberedSpeed
from ssr_local.models.models_file import Accuracy, PairSpec

Fits = Literal["yes", "tight", "unknown", "no"]

SLOW_TOKENS_PER_S = 3.0
"""A target slower than this takes minutes for one answer; a lighter pair is recommended then."""
USUAL_BYTES_PER_S = 20e9
"""What a laptop's CPU reads of its memory: for the mark, where nothing was measured."""
SYSTEM_BYTES = 3 << 29
"""What a system without other programs keeps for itself, roughly."""


class Machine(Struct, frozen=True, kw_only=True):
    """What there is, in bytes; 0 for memory and None for the disk where that is not known.

    ``gpu_bytes`` is the free memory of GPUs that have their own; ``shares_gpu`` says that one
    works in main memory. ``speeds`` were measured here.
    """

    total_bytes: int
    available_bytes: int
    gpu_bytes: int = 0
    shares_gpu: bool = False
    disk_bytes: int | None = None
    speeds: tuple[RememberedSpeed, ...] = ()


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What is known of a model, here or not; None for what is not known.

    ``missing_bytes`` is still to be fetched, 0 when the file is here; ``is_approximate`` is
    said of both sizes.
    """

    path: str
    file_bytes: int | None
    kv_bytes_per_token: int | None
    missing_bytes: int | None
    is_approximate: bool = False
    parameters: int | None = None
    licence: str = ""
    gsm8k: Accuracy | None = None


class Candidate(Struct, frozen=True, kw_only=True):
    """A pair and its two models; ``obstacle`` is why they cannot be had, "" when they can."""

    pair: PairSpec
    models: tuple[ModelFacts, ...]
    obstacle: str = ""


class Recommendation(Struct, frozen=True, kw_only=True):
    """A pair on this machine. Sizes in bytes, None where not known.

    ``tokens_per_s`` is the target's with one path: of ``measured_with`` itself where that is
    the target, else predicted from it; too low where ``is_disturbed``. ``gsm8k`` is the target's.
    """

    pair: str
    draft: str
    target: str
    fits: Fits
    reason: str
    is_best: bool = False
    memory_bytes: int | None = None
    on_gpu: bool = False
    tokens_per_s: float | None = None
    measured_with: str = ""
    is_predicted: bool = False
    is_disturbed: bool = False
    missing_bytes: int | None = None
    is_approximate: bool = False
    licence: str = ""
    good_at: str = ""
    for_whom: str = ""
    gsm8k: Accuracy | None = None
    tested: bool = False
    calibrated: bool = False


def recommend(
    machine: Machine, candidates: Sequence[Candidate], num_cells: int
) -> tuple[Recommendation, ...]:
    """The pairs from best to lightest, and what does not fit last.

    The larger target is the better one; of two equally large ones that with the better
    published accuracy. ``num_cells`` is the size of each model's KV cache in tokens. The best that
    fits and is not slow is marked; where nothing was measured, a CPU counts as a usual one. Where
    none fits beside the programs that run, the one that needs least is.
    """
    judged = [_judged(machine, one, num_cells) for one in sorted(candidates, key=_rank)]
    judged.sort(key=lambda one: one.fits == "no")
    fitting = [one for one in judged if one.fits == "yes"]
    if not fitting and (tight := [one for one in judged if one.fits == "tight"]):
        fitting = [min(tight, key=lambda one: one.memory_bytes or 0)]
    sizes = {one.pair.name: one.models[-1].file_bytes for one in candidates if one.models}
    fast = (one for one in fitting if not _is_slow(one, sizes[one.pair]))
    best = next(fast, fitting[-1] if fitting else None)
    return tuple(replace(one, is_best=one is best) for one in judged)


def _is_slow(one: Recommendation, target_bytes: int | None) -> bool:
    speed = one.tokens_per_s
    if speed is None or one.is_disturbed:
        if one.on_gpu or target_bytes is None:
            return False
        speed = max(speed or 0.0, USUAL_BYTES_PER_S / target_bytes)
    return speed < SLOW_TOKENS_PER_S


def _rank(candidate: Candidate) -> tuple[int, float]:
    if not candidate.models:
        return 0, 0.0
    target = candidate.models[-1]
    return -(target.parameters or 0), -(target.gsm8k.percent if target.gsm8k else 0.0)


def _judged(machine: Machine, candidate: Candidate, num_cells: int) -> Recommendation:
    pair, models = candidate.pair, candidate.models
    needed = _sum(_memory(one, num_cells) for one in models)
    missing = _sum({one.path: one.missing_bytes for one in models}.values())
    fits, reason = _fits(machine, needed, missing)
    if candidate.obstacle:
        fits, reason = "no", candidate.obstacle
    own = Recommendation(
        pair=pair.name,
        draft=pair.draft,
        target=pair.target,
        fits=fits,
        reason=reason,
        good_at=pair.good_at,
        for_whom=pair.for_whom,
        tested=pair.tested,
        calibrated=bool(pair.calibrations),
    )
    if candidate.obstacle:
        return own
    target = models[-1]
    on_gpu = needed is not None and _is_on_gpu(machine, needed)
    like = _most_alike(machine.speeds, target, on_gpu)
    known = replace(
        own,
        memory_bytes=needed,
        on_gpu=on_gpu,
        missing_bytes=missing,
        is_approximate=any(one.is_approximate for one in models),
        licence=", ".join(dict.fromkeys(one.licence for one in models if one.licence)),
        gsm8k=target.gsm8k,
    )
    if like is None or target.file_bytes is None:
        return known
    # Writing a token reads all weights once: time goes with their size.
    return replace(
        known,
        tokens_per_s=like.tokens_per_s * like.file_bytes / target.file_bytes,
        measured_with=like.name,
        is_predicted=not _is_of(like, target),
        is_disturbed=like.disturbed,
    )


def _fits(machine: Machine, needed: int | None, missing: int | None) -> tuple[Fits, str]:
    """Whether a pair fits, and why not."""
    disk = machine.disk_bytes
    if missing is not None and disk is not None and missing > disk:
        return "no", f"{human_bytes(missing)} to fetch, {human_bytes(disk)} of disk are free"
    if needed is None:
        return "unknown", "how much memory it needs is not known until it is here"
    if not machine.total_bytes:
        return "unknown", "this system does not say how much memory there is"
    memory = f"{human_bytes(machine.total_bytes + machine.gpu_bytes)} of memory"
    if needed > machine.total_bytes + machine.gpu_bytes - SYSTEM_BYTES:
        return "no", f"needs {human_bytes(needed)} of {memory}, which the system uses too"
    free = machine.available_bytes + machine.gpu_bytes
    if needed > free:
        why = f"close other programs: needs {human_bytes(needed)}, {human_bytes(free)} are free"
        return "tight", why
    return "yes", ""


def _is_on_gpu(machine: Machine, needed: int) -> bool:
    usable = machine.gpu_bytes * (1 - SPARE_SHARE) - SPARE_BYTES
    return machine.shares_gpu or needed <= usable


def _most_alike(
    speeds: Sequence[RememberedSpeed], target: ModelFacts, on_gpu: bool
) -> RememberedSpeed | None:
    """The speed to go by: an undisturbed one, of this file, else of the one nearest in size."""
    size = target.file_bytes
    there = [one for one in speeds if one.on_gpu == on_gpu]
    if size is None or not there:
        return None

    def unlike(one: RememberedSpeed) -> tuple[bool, bool, float]:
        return one.disturbed, not _is_of(one, target), abs(math.log(one.file_bytes / size))

    return min(there, key=unlike)


def _is_of(speed: RememberedSpeed, model: ModelFacts) -> bool:
    return (speed.path, speed.file_bytes) == (model.path, model.file_bytes)


def _memory(model: ModelFacts, num_cells: int) -> int | None:
    if model.file_bytes is None or model.kv_bytes_per_token is None:
        return None
    return model.file_bytes + model.kv_bytes_per_token * num_cells


def _sum(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
