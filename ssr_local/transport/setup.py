"""What a session is made of: model files, engine options, and how a model is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec

from ssr_local.core.events import AnyEvent, ModelLoaded, ModelLoading, Notice
from ssr_local.core.options import EngineOptions
from ssr_local.core.records import Author, Calibration
from ssr_local.engine import choice
from ssr_local.engine.base import SEQUENCES, Cancelled, Engine
from ssr_local.engine.demo import demo_engine
from ssr_local.engine.libraries import TITLES
from ssr_local.models.gguf.header import read_header


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

    models: dict[Author, ModelFile]
    engine: EngineOptions
    calibrations: dict[str, Calibration] = {}
    backend: str = "native"
    max_sequences: int = SEQUENCES


Loader = Callable[[Author, ModelFile, Setup, Callable[[], bool]], Engine]
"""Loads one model: role, file, setup, and what says that work must stop."""


def wish_of(options: EngineOptions) -> choice.Wish:
    """What the options say about the choice of an engine."""
    return choice.Wish(
        engine=options.engine,
        repack=options.repack,
        gpu_layers=options.gpu_layers,
        threads=options.threads,
    )


def load_model(
    role: Author, setup: Setup, should_stop: Callable[[], bool], loader: Loader | None
) -> Generator[AnyEvent, None, Engine]:
    """Load one model of the setup, with ``loader`` instead of its back end where there is one.

    Raises ``ModelError``, ``EngineError``, and ``Cancelled``.
    """
    file = setup.models[role]
    yield ModelLoading(role=role, name=file.name)
    picked = None
    if setup.backend != "fake" and loader is None:
        picked = yield from _picked(file, setup.engine, should_stop)
    started = time.monotonic()
    if picked is not None:
        engine: Engine = load_picked(picked, file, setup, should_stop)
    elif loader is not None:
        engine = loader(role, file, setup, should_stop)
    else:
        engine = demo_engine(role, should_stop, setup.max_sequences)
    yield ModelLoaded(role=role, info=engine.info, elapsed_s=time.monotonic() - started)
    return engine


def load_picked(
    picked: choice.Pick, file: ModelFile, setup: Setup, should_stop: Callable[[], bool]
) -> Engine:
    """Load a GGUF file with this engine."""
    options = setup.engine
    return choice.load(
        picked,
        Path(file.path),
        wish_of(options),
        name=file.name,
        sha256=file.sha256,
        num_parameters=file.num_parameters,
        num_cells=options.ctx or 1024,
        max_cells=options.ctx or None,
        max_sequences=setup.max_sequences,
        should_stop=should_stop,
    )


def _picked(
    file: ModelFile, options: EngineOptions, should_stop: Callable[[], bool]
) -> Generator[AnyEvent, None, choice.Pick]:
    """The engine for a file; one that has not met it here before proves itself first."""
    from ssr_local.engine.llama import devices

    path, wish = Path(file.path), wish_of(options)
    has_gpu = any(device.kind in ("gpu", "igpu") for device in devices())
    picked = choice.pick(read_header(path), file.sha256, wish, has_gpu=has_gpu)
    if not picked.unchecked:
        return picked
    yield Notice(
        message=f"{TITLES[picked.engine]} is checked with {file.name} first, once on this"
        " machine; that takes about as long as a short problem."
    )
    result = choice.run_check(
        picked.engine, path, file.sha256, wish, repack=picked.repack, should_stop=should_stop
    )
    if should_stop():
        raise Cancelled
    return choice.after_check(picked, result)
