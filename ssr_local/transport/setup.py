"""What a session is made of: model files, engine options, and how a model is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec

from ssr_local.core.events import AnyEvent, ModelLoaded, ModelLoading, Notice
from ssr_local.core.options import EngineOptions
from ssr_local.core.records import Calibration, ModelRole
from ssr_local.engine.base import SEQUENCES, Cancelled, Engine, EngineConfig
from ssr_local.engine.choice import EngineChoice, after_check, choose_engine, run_check
from ssr_local.engine.demo import demo_engine
from ssr_local.engine.loading import load_engine
from ssr_local.engine.packages import TITLES


class ModelFile(msgspec.Struct, frozen=True):
    """A model on this machine: its name, the file, and what models.toml knows of it."""

    name: str
    path: str
    sha256: str | None = None
    num_parameters: int | None = None


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a session needs to know before its first problem.

    ``backend`` "fake" plays the shipped demonstration instead of running models;
    ``max_sequences`` is how many sequences a model can hold at once.
    """

    models: dict[ModelRole, ModelFile]
    engine: EngineOptions
    calibrations: dict[str, Calibration] = {}
    backend: str = "native"
    max_sequences: int = SEQUENCES


Loader = Callable[[ModelRole, ModelFile, Setup, Callable[[], bool]], Engine]
"""Loads one model: role, file, setup, and what says that work must stop."""


def load_model(
    role: ModelRole, setup: Setup, should_stop: Callable[[], bool], loader: Loader | None
) -> Generator[AnyEvent, None, Engine]:
    """Load one model of the setup, with ``loader`` instead of its back end where there is one.

    Raises ``ModelError``, ``EngineError``, and ``Cancelled``.
    """
    file = setup.models[role]
    yield ModelLoading(role=role, name=file.name)
    chosen = None
    if setup.backend != "fake" and loader is None:
        chosen = yield from _chosen(file, setup.engine, should_stop)
    started = time.monotonic()
    if chosen is not None:
        engine: Engine = load_chosen(chosen, file, setup, should_stop)
    elif loader is not None:
        engine = loader(role, file, setup, should_stop)
    else:
        engine = demo_engine(role, should_stop, setup.max_sequences)
    yield ModelLoaded(role=role, info=engine.info, elapsed_s=time.monotonic() - started)
    return engine


def load_chosen(
    chosen: EngineChoice, file: ModelFile, setup: Setup, should_stop: Callable[[], bool]
) -> Engine:
    """Load a GGUF file with this engine."""
    options = setup.engine
    config = EngineConfig(
        engine=chosen.engine,
        path=file.path,
        name=file.name,
        sha256=file.sha256,
        num_parameters=file.num_parameters,
        threads=options.threads,
        gpu_layers=options.gpu_layers,
        repack=chosen.repack,
        num_cells=options.ctx or 1024,
        max_cells=options.ctx or None,
        max_sequences=setup.max_sequences,
        notes=(chosen.note,) if chosen.note else (),
    )
    return load_engine(config, should_stop)


def _chosen(
    file: ModelFile, options: EngineOptions, should_stop: Callable[[], bool]
) -> Generator[AnyEvent, None, EngineChoice]:
    """The engine for a file; one that has not met it here before proves itself first."""
    path = Path(file.path)
    chosen = choose_engine(path, file.sha256, options)
    if not chosen.unchecked:
        return chosen
    yield Notice(
        message=f"{TITLES[chosen.engine]} is checked with {file.name} first, once on this"
        " machine; that takes about as long as a short problem."
    )
    result = run_check(
        chosen.engine, path, file.sha256, options, repack=chosen.repack, should_stop=should_stop
    )
    if should_stop():
        raise Cancelled
    return after_check(chosen, result)
