"""What ``ssr-local doctor`` does: gather the facts of this machine, have them judged, report.

Whatever can end a process, llama.cpp above all, is asked in a child (``speed``). Nothing is
fetched; nothing is hashed or written but the outcome of a self-check that was asked for, and
speeds for predictions.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ssr_local.core import folders
from ssr_local.core.config import Settings, config_file, load_settings
from ssr_local.core.display import one_line
from ssr_local.core.errors import ConfigError, SSRError
from ssr_local.core.options import EngineOptions, SolveOptions, validate
from ssr_local.core.records import ModelRole
from ssr_local.diagnosis import checks, speculation
from ssr_local.diagnosis.engines import look_at_choice, measured_other
from ssr_local.diagnosis.findings import Book, Finding, Section, SectionName, State, short
from ssr_local.diagnosis.pair_facts import (
    ROLES,
    PairModel,
    cells_of,
    look_at_pair,
    needed_bytes,
)
from ssr_local.diagnosis.pair_speeds import remember
from ssr_local.diagnosis.speculation import Speculation
from ssr_local.diagnosis.speed import EngineFacts, ModelSpeed, engine_facts, measure_model
from ssr_local.engine import hardware
from ssr_local.engine.choice import EngineChoice
from ssr_local.engine.packages import PACKAGES, version
from ssr_local.method.verification import Judge
from ssr_local.models.download import file_sha256
from ssr_local.transport.setup import ModelFile, Setup
from ssr_local.version import VERSION


class ModelReport(Struct, frozen=True, kw_only=True):
    """One model of the pair. Sizes are in bytes, ``kv_bytes`` under the options in force.

    What only a whole file tells is None without one, ``speed`` when it was not measured.
    """

    role: ModelRole
    name: str
    path: str
    state: str
    hash_checked: bool
    file_bytes: int
    architecture: str | None = None
    quantisation: str | None = None
    context_length: int | None = None
    kv_bytes: int | None = None
    kv_bytes_default: int | None = None
    engine: str | None = None
    engine_why: str | None = None
    speed: ModelSpeed | None = None
    other_engine_speed: ModelSpeed | None = None


class Report(Struct, frozen=True, kw_only=True):
    """What the doctor found; ``ssr-local doctor --json`` prints exactly this.

    ``memory_needed_bytes`` is for both files and their KV caches of ``num_cells`` cells each,
    None when a file is not there. ``engine`` is None when no engine can start.
    """

    version: str
    pair: str
    sections: tuple[Section, ...]
    engine: EngineFacts | None
    models: tuple[ModelReport, ...]
    num_cells: int
    num_cells_default: int
    memory_needed_bytes: int | None
    speculation: tuple[Speculation, ...]

    def count(self, state: State, section: SectionName | None = None) -> int:
        """How many findings are in that state, in one section or in all."""
        return sum(
            finding.state == state
            for one in self.sections
            if section is None or one.name == section
            for finding in one.findings
        )


def diagnose(
    overrides: Mapping[str, Any],
    *,
    with_speed: bool = True,
    self_check: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Look at everything a run needs.

    With ``self_check`` the engines prove themselves with the models again. ``overrides`` are
    options given by hand, as ``load_settings`` takes them; ``on_progress``
    is told in words what takes long. Raises ``UsageError`` for a wrong override; everything
    else that is wrong becomes a finding.
    """
    book = Book()
    settings = _settings(overrides, book)
    _look_at_folders(book)
    _look_at_machine(settings, book, with_speed)
    engine = _look_at_engine(settings, book)
    cells = cells_of(settings)
    pair, models = look_at_pair(settings, cells, book)
    needed = needed_bytes(models)
    gpu_bytes = checks.gpu_bytes(engine, settings.engine.gpu_layers)
    if needed is not None:
        book.add("models", checks.memory_needed(needed, hardware.memory(), gpu_bytes))
    picks = look_at_choice(models, engine, settings, book, on_progress, with_check=self_check)
    speeds: dict[ModelRole, ModelSpeed] = {}
    others: dict[ModelRole, ModelSpeed] = {}
    if with_speed and engine is not None:
        has_other = bool(engine.version) and not engine.ik_obstacle
        speeds, others = _measure(models, picks, settings, gpu_bytes, has_other, book, on_progress)
    for model in models:
        if (speed := speeds.get(model.role)) is not None:
            here = model.here
            remember(model.spec.name, here.path, here.present_bytes, speed, settings.engine)
    estimates = _look_at_speeds(speeds, settings, book)
    if pair is not None:
        solve = settings.solve
        judge = Judge(solve.verifier, solve.threshold, pair.calibrations)
        book.add("models", checks.vocabularies(speeds.get("draft"), speeds.get("target")))
        book.add("models", checks.calibration(judge, solve.verifier, pair.to_calibrate))
    return Report(
        version=VERSION,
        pair=short(pair.name if pair else settings.engine.pair),
        sections=book.sections(),
        engine=engine,
        models=tuple(
            _model_report(
                model, picks.get(model.role), speeds.get(model.role), others.get(model.role)
            )
            for model in models
        ),
        num_cells=cells.own,
        num_cells_default=cells.default,
        memory_needed_bytes=needed,
        speculation=estimates,
    )


# Configuration -----------------------------------------------------------------


def _settings(overrides: Mapping[str, Any], book: Book) -> Settings:
    """The settings in force; where they are wrong, the defaults and the overrides."""
    file = config_file()
    try:
        settings = load_settings(overrides)
    except ConfigError as error:
        book.add_error("settings", error)
        given = {name: value for name, value in overrides.items() if value is not None}
        solve = {n: given.pop(n) for n in SolveOptions.__struct_fields__ if n in given}
        return Settings(validate(SolveOptions, solve), validate(EngineOptions, given), ())
    shown = one_line(str(file))
    book.add(
        "configuration",
        Finding("settings", "ok", shown if file.exists() else f"defaults; there is no {shown}"),
        *(
            Finding("environment", "warning", one_line(warning), "Correct its name, or unset it.")
            for warning in settings.warnings
        ),
    )
    return settings


def _look_at_folders(book: Book) -> None:
    for name, folder, loss in (
        ("data", folders.data_dir(), "models cannot be fetched"),
        ("cache", folders.cache_dir(), "no logs and no prefilled prompts are kept"),
        ("config", folders.config_dir(), "settings cannot be changed"),
    ):
        nearest = folders.existing(folder)
        writable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
        book.add("configuration", checks.folder(name, one_line(str(folder)), writable, loss))


# The machine and the engine ----------------------------------------------------


def _look_at_machine(settings: Settings, book: Book, with_speed: bool) -> None:
    cores = hardware.physical_cores()
    name = hardware.cpu_name()
    book.add(
        "machine",
        Finding("ssr-local", "ok", VERSION),
        Finding("python", "ok", f"{platform.python_version()} on {one_line(platform.platform())}"),
        checks.cpu(name, cores, os.cpu_count() or cores, settings.engine.threads),
        checks.main_memory(hardware.memory()),
    )
    if with_speed and hasattr(os, "getloadavg"):
        book.add("machine", checks.cpu_load(os.getloadavg()[0], cores))


def _look_at_engine(settings: Settings, book: Book) -> EngineFacts | None:
    try:
        engine = engine_facts()
    except SSRError as error:
        book.add_error("llama.cpp", error)
        return None
    for name in PACKAGES:
        found = short(version(name)) or "not installed"
        book.add("engine", Finding(PACKAGES[name], "ok", found))
    if engine.version:
        book.add(
            "engine",
            checks.back_ends(engine.system_info),
            checks.instruction_sets(hardware.cpu_features(), engine.system_info),
        )
    gpu_layers = settings.engine.gpu_layers
    book.add("engine", checks.graphics(hardware.graphics(), engine, gpu_layers))
    return engine


# Speed -------------------------------------------------------------------------


def _measure(
    models: Sequence[PairModel],
    picks: Mapping[ModelRole, EngineChoice],
    settings: Settings,
    gpu_bytes: int,
    has_other: bool,
    book: Book,
    on_progress: Callable[[str], None],
) -> tuple[dict[ModelRole, ModelSpeed], dict[ModelRole, ModelSpeed]]:
    """Time the models that are here one after the other, with both engines where there are two."""
    speeds: dict[ModelRole, ModelSpeed] = {}
    others: dict[ModelRole, ModelSpeed] = {}
    for model in models:
        picked = picks.get(model.role)
        if model.header is None or picked is None:
            continue
        memory = hardware.memory()
        if memory.total_bytes and model.needed_bytes > memory.available_bytes + gpu_bytes:
            why = "not measured: there is not enough free memory to load it"
            found = Finding(f"{model.role} speed", "warning", why, "Close other programs.")
            book.add("speed", found)
            continue
        shown = short(model.spec.name)
        on_progress(f"Loading and timing the {model.role}, {shown} ...")
        file = ModelFile(model.spec.name, str(model.here.path), file_sha256(model.spec))
        setup = Setup(models={model.role: file}, engine=settings.engine)
        try:
            measured = speeds[model.role] = measure_model(setup, model.role, picked)
            if not has_other or measured.device != "cpu":
                continue
            other = measured_other(model, picked, setup, book)
            if other is not None:
                others[model.role] = other
        except SSRError as error:
            book.add_error(f"{model.role} run", error)
    return speeds, others


def _look_at_speeds(
    speeds: Mapping[ModelRole, ModelSpeed], settings: Settings, book: Book
) -> tuple[Speculation, ...]:
    for role, measured in speeds.items():
        book.add("speed", checks.speed(role, measured))
        book.add(
            "speed",
            *(Finding(f"{role} note", "warning", one_line(note)) for note in measured.notes),
        )
    if len(speeds) < len(ROLES):
        return ()
    disturbed = any(checks.is_disturbed(measured) for measured in speeds.values())
    estimates = tuple(
        speculation.estimate(speeds["draft"], speeds["target"], num_paths, settings.solve.verifier)
        for num_paths in (1, 3)
    )
    book.add("speed", *(speculation.judge(estimate, disturbed) for estimate in estimates))
    return estimates


def _model_report(
    model: PairModel,
    picked: EngineChoice | None,
    measured: ModelSpeed | None,
    other: ModelSpeed | None,
) -> ModelReport:
    header = model.header
    return ModelReport(
        role=model.role,
        name=model.spec.name,
        path=str(model.here.path),
        state=model.here.state,
        hash_checked=model.here.checked,
        file_bytes=model.here.present_bytes,
        architecture=one_line(header.architecture, 40) if header else None,
        quantisation=header.file_type if header else None,
        context_length=header.context_length if header else None,
        kv_bytes=model.kv_bytes if header else None,
        kv_bytes_default=model.default_kv_bytes if header else None,
        engine=picked.engine if picked else None,
        engine_why=one_line(picked.why) if picked else None,
        speed=measured,
        other_engine_speed=other,
    )
