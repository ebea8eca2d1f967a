"""How fast a pair's models are here: remembered, or measured once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ssr_local.core.options import EngineOptions
from ssr_local.core.records import ModelRole
from ssr_local.diagnosis import checks
from ssr_local.diagnosis.findings import short
from ssr_local.diagnosis.speed import ModelSpeed, engine_facts, measure_model
from ssr_local.engine.choice import choose
from ssr_local.engine.speeds import RememberedSpeed, pair_speeds, remember_speed
from ssr_local.models.download import file_sha256, local_state
from ssr_local.models.gguf.header import read_header
from ssr_local.models.models_file import ModelSpec
from ssr_local.transport.setup import ModelFile, Setup


def measured_speeds(
    specs: Mapping[ModelRole, ModelSpec],
    options: EngineOptions,
    *,
    anew: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
) -> dict[ModelRole, RememberedSpeed]:
    """The speeds of the models that are here; those not remembered, or all ``anew``, are timed.

    ``on_progress`` is told in words what takes long. Raises ``ModelError`` and ``EngineError``.
    """
    known = {} if anew else pair_speeds(specs, options)
    found = {role: local_state(spec) for role, spec in specs.items() if role not in known}
    there = {role: here for role, here in found.items() if here.state == "present"}
    engine = engine_facts() if there else None
    for role, here in there.items():
        spec = specs[role]
        assert engine is not None
        on_progress(f"Loading and timing the {role}, {short(spec.name)} ...")
        sha256 = file_sha256(spec)
        setup = Setup(models={role: ModelFile(spec.name, str(here.path), sha256)}, engine=options)
        picked = choose(
            read_header(here.path),
            sha256,
            options,
            has_gpu=bool(checks.usable_gpus(engine)),
            obstacle=engine.ik_obstacle,
        )
        speed = measure_model(setup, role, picked)
        remember(spec.name, here.path, here.present_bytes, speed, options)
        known |= pair_speeds({role: spec}, options)
    return known


def remember(
    name: str, path: Path, file_bytes: int, speed: ModelSpeed, options: EngineOptions
) -> None:
    """Keep what was measured, and whether other programs were in the way."""
    remember_speed(
        name,
        path,
        speed,
        options,
        file_bytes=file_bytes,
        on_gpu=speed.device != "cpu",
        disturbed=checks.is_disturbed(speed),
    )
