"""What ``recommend`` decides on: this machine, and what is known of each pair's models.

Nothing is loaded, hashed or fetched here.
"""

from __future__ import annotations

import shutil

from msgspec.structs import replace

from ssr_local.core import folders
from ssr_local.core.config import Settings
from ssr_local.core.errors import EngineError, ModelError
from ssr_local.diagnosis.checks import gpu_bytes, usable_gpus
from ssr_local.diagnosis.pair_facts import cells_of
from ssr_local.diagnosis.recommend import (
    Candidate,
    Machine,
    ModelFacts,
    Recommendation,
    recommend,
)
from ssr_local.diagnosis.speed import engine_facts
from ssr_local.engine import hardware
from ssr_local.engine.speeds import remembered_speeds
from ssr_local.models.download import local_state
from ssr_local.models.gguf.header import estimate_kv_bytes, read_header
from ssr_local.models.models_file import ModelSpec, PairSpec
from ssr_local.models.registry import Registry, load_registry


def look_around(settings: Settings) -> tuple[Machine, tuple[Recommendation, ...]]:
    """This machine, and all pairs from best to lightest on it, with the settings in force."""
    registry, machine = load_registry(), _machine(settings)
    candidates = [candidate_of(registry, pair) for pair in registry.pairs.values()]
    cells = cells_of(settings.solve, settings.engine.ctx)
    return machine, recommend(machine, candidates, max(cells.values()))


def _machine(settings: Settings) -> Machine:
    gpu_layers = settings.engine.gpu_layers
    try:
        engine = engine_facts()
    except EngineError:  # the doctor says why; memory can be told without
        engine = None
    gpus = usable_gpus(engine) if engine is not None and gpu_layers != 0 else ()
    own = gpu_bytes(engine, gpu_layers)
    memory = hardware.memory()
    try:
        disk = shutil.disk_usage(folders.existing(folders.models_dir())).free
    except OSError:
        disk = None
    return Machine(
        total_bytes=memory.total_bytes,
        available_bytes=memory.available_bytes,
        gpu_bytes=own,
        shares_gpu=bool(gpus) and not own,
        disk_bytes=disk,
        speeds=remembered_speeds(settings.engine),
    )


def candidate_of(registry: Registry, pair: PairSpec) -> Candidate:
    """A pair and what is known of its models."""
    try:
        models = tuple(_facts(registry.model(name)) for name in (pair.draft, pair.target))
    except ModelError as error:
        return Candidate(pair=pair, models=(), obstacle=error.what.rstrip("."))
    return Candidate(pair=pair, models=models)


def _facts(spec: ModelSpec) -> ModelFacts:
    """Of a file that is here what it says itself, else what models.toml says of it."""
    here = local_state(spec)
    size = here.total_bytes or spec.approximate_bytes
    facts = ModelFacts(
        path=str(here.path),
        file_bytes=size,
        kv_bytes_per_token=spec.kv_bytes_per_token,
        missing_bytes=_missing(size, here.present_bytes if here.state == "partial" else 0),
        is_approximate=here.total_bytes is None,
        parameters=spec.parameters,
        licence=spec.licence,
        gsm8k=spec.gsm8k,
    )
    if here.state != "present":
        return facts
    header = read_header(here.path)
    return replace(
        facts,
        missing_bytes=0,
        kv_bytes_per_token=estimate_kv_bytes(header, 1),
        parameters=spec.parameters or header.num_parameters,
    )


def _missing(size: int | None, present: int) -> int | None:
    return None if size is None else max(0, size - present)
