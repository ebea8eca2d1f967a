"""What a session is made of: model files, engine options, and how a model is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec

from ssr_local.core.errors import SSRError
from ssr_local.core.events import AnyEvent, ModelLoaded, ModelLoading, Notice
from ssr_local.core.options import EngineOptions
from ssr_local.core.records import Calibration, ModelRole
from ssr_local.engine.base import SEQUENCES, Cancelled, Engine, EngineConfig
from ssr_local.engine.choice import (
    EngineChoice,
    after_check,
    choose_engine,
    has_verdict,
    prove,
    run_check,
    unproven,
)
from ssr_local.engine.demo import demo_engine
from ssr_local.engine.loading import load_engine
from ssr_local.engine.packages import TITLES, is_installed
from ssr_local.engine.remembered import identity, quick_check_remembered
from ssr_local.engine.selfcheck import SelfCheckResult, quick_check
from ssr_local.engine.speeds import speed_of


class ModelFile(msgspec.Struct, frozen=True):
    """A model on this machine: its name, the file, and what models.toml knows of it.

    ``perplexity`` and ``checked`` are as in ``models.models_file.ModelSpec``.
    """

    name: str
    path: str
    sha256: str | None = None
    num_parameters: int | None = None
    perplexity: tuple[float, float] | None = None
    checked: dict[str, tuple[str, ...]] = {}

    @property
    def reference(self) -> float | None:
        """llama.cpp's perplexity of all of the self-check's text, if known."""
        return self.perplexity[0] if self.perplexity else None


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a session needs to know before its first problem.

    ``to_calibrate`` says how the pair gets the calibrations it lacks; ``harmful`` names the
    strategies that are never selected with it;
    ``backend`` "fake" plays the shipped demonstration instead of running models;
    ``max_sequences`` is how many sequences a model can hold at once.
    """

    models: dict[ModelRole, ModelFile]
    engine: EngineOptions
    calibrations: dict[str, Calibration] = {}
    to_calibrate: str = ""
    harmful: tuple[str, ...] = ()
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
    started = time.monotonic()
    if loader is not None:
        engine = loader(role, file, setup, should_stop)
    elif setup.backend == "fake":
        engine = demo_engine(role, should_stop, setup.max_sequences)
    else:
        engine = yield from _load_proven(file, setup, should_stop)
    yield ModelLoaded(role=role, info=engine.info, elapsed_s=time.monotonic() - started)
    return engine


def load_chosen(
    chosen: EngineChoice,
    file: ModelFile,
    setup: Setup,
    should_stop: Callable[[], bool],
    *,
    may_guess: bool = True,
) -> Engine:
    """Load a GGUF file with this engine.

    ``may_guess`` switches prompt lookup on where the speeds measured here say that it gains.
    """
    options = setup.engine
    speed = speed_of(Path(file.path), options) if may_guess else None
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
        prompt_lookup=speed is not None and speed.guesses_pay,
        notes=(chosen.note,) if chosen.note else (),
    )
    return load_engine(config, should_stop)


def unproven_engine(setup: Setup) -> str:
    """The engine that has still to pass the whole self-check with a file of these, "" none."""
    files = setup.models.values() if setup.backend == "native" else ()
    is_unproven = any(unproven(Path(file.path), file.sha256) for file in files)
    return TITLES["ik"] if is_unproven else ""


def prove_engine(setup: Setup, should_stop: Callable[[], bool]) -> str:
    """Do those checks; what follows from one that failed, "" when none did."""
    for file in setup.models.values():
        path = Path(file.path)
        if said := prove(path, file.sha256, setup.engine, file.reference, should_stop):
            return f"{file.name}: {said}"
    return ""


def _load_proven(
    file: ModelFile, setup: Setup, should_stop: Callable[[], bool]
) -> Generator[AnyEvent, None, Engine]:
    """Load a file with the engine for it; one that has not met it here proves itself first."""
    path = Path(file.path)
    chosen = choose_engine(path, file.sha256, setup.engine)
    if chosen.is_suspect:
        yield Notice(
            message=f"{TITLES[chosen.engine]} is checked with {file.name} first, because a process"
            " that tried it has ended; that takes about as long as a short problem."
        )
        result = run_check(
            chosen.engine,
            path,
            file.sha256,
            setup.engine,
            repack=chosen.repack,
            reference=file.reference,
            should_stop=should_stop,
        )
        if should_stop():
            raise Cancelled
        return load_chosen(after_check(chosen, result), file, setup, should_stop)
    if not chosen.unchecked:
        return load_chosen(chosen, file, setup, should_stop)
    with quick_check_remembered(
        chosen.engine,
        identity(path, file.sha256),
        chosen.repack,
        shipped=has_verdict(chosen.engine, file.checked),
    ) as settle:
        engine, result = _try(chosen, file, setup, should_stop)
        if not result.obstacle:
            settle(result.difference)
    if engine is not None:
        return engine
    return load_chosen(after_check(chosen, result), file, setup, should_stop)


def _try(
    chosen: EngineChoice, file: ModelFile, setup: Setup, should_stop: Callable[[], bool]
) -> tuple[Engine | None, SelfCheckResult]:
    """The engine with the file loaded, if it passes the quick check, and what that found."""
    engine = None
    try:
        engine = load_chosen(chosen, file, setup, should_stop)
        difference = quick_check(engine, file.perplexity[1] if file.perplexity else None)
        result = SelfCheckResult(difference=difference)
        if result.passed:
            passed, engine = engine, None
            return passed, result
        return None, result
    except SSRError as error:
        if not is_installed("llama"):  # which would be tried next
            raise
        return None, SelfCheckResult(obstacle=f"{error.what} {error.why}".strip())
    finally:
        if engine is not None:
            engine.close()
