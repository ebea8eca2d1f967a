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

from ssr_local.coordinator.choosing import known_of
from ssr_local.core import folders
from ssr_local.core.config import Settings, config_file, load_settings
from ssr_local.core.display import one_line
from ssr_local.core.errors import ConfigError, SSRError
from ssr_local.core.options import EngineOptions, SolveOptions, validate
from ssr_local.core.records import ModelRole
from ssr_local.diagnosis import checks
from ssr_local.diagnosis.engines import look_at_choice, measured_other
from ssr_local.diagnosis.findings import Book, Finding, Section, SectionName, State, short
from ssr_local.diagnosis.pair_facts import PairFacts, PairModel, look_at_pair
from ssr_local.diagnosis.pair_speeds import remember
from ssr_local.diagnosis.plans import PlanRow, plan_rows, seconds_of, taken
from ssr_local.diagnosis.speed import EngineFacts, ModelSpeed, engine_facts, measure_model
from ssr_local.engine import hardware
from ssr_local.engine.choice import EngineChoice
from ssr_local.engine.packages import PACKAGES, version
from ssr_local.method.verification import VERIFIERS, Judge
from ssr_local.models.download import file_sha256
from ssr_local.models.registry import load_registry
from ssr_local.transport.setup import ModelFile, Setup
from ssr_local.version import VERSION


class ModelReport(Struct, frozen=True, kw_only=True):
    """One model of the pair, and whether the settings in force need it. Sizes are in bytes.

    What only a whole file tells is None without one, ``speed`` when it was not measured;
    ``num_cells`` and ``kv_bytes`` are 0 where it is not needed.
    """

    role: ModelRole
    name: str
    path: str
    state: str
    is_needed: bool
    hash_checked: bool
    file_bytes: int
    architecture: str | None = None
    quantisation: str | None = None
    context_length: int | None = None
    num_cells: int
    kv_bytes: int | None = None
    engine: str | None = None
    engine_why: str | None = None
    speed: ModelSpeed | None = None
    other_engine_speed: ModelSpeed | None = None


class Report(Struct, frozen=True, kw_only=True):
    """What the doctor found; ``ssr-local doctor --json`` prints exactly this.

    ``memory_needed_bytes`` is for the models that are needed and their KV caches, None when a
    file is not there. ``engine`` is None when no engine can start. ``plans`` are those of the
    efforts and of the settings in force.
    """

    version: str
    pair: str
    sections: tuple[Section, ...]
    engine: EngineFacts | None
    models: tuple[ModelReport, ...]
    memory_needed_bytes: int | None
    plans: tuple[PlanRow, ...]

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
    facts = look_at_pair(settings, book)
    models = facts.models if facts else ()
    needed = facts.needed_bytes if facts else None
    gpu_bytes = checks.gpu_bytes(engine, settings.engine.gpu_layers)
    if facts and needed is not None:
        roles = tuple(facts.cells)
        book.add("models", checks.memory_needed(needed, roles, hardware.memory(), gpu_bytes))
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
    _look_at_speeds(speeds, book)
    rows = _look_at_plans(facts, speeds, settings, book) if facts else ()
    return Report(
        version=VERSION,
        pair=short(facts.pair.name if facts else settings.engine.pair),
        sections=book.sections(),
        engine=engine,
        models=tuple(
            _model_report(
                model, picks.get(model.role), speeds.get(model.role), others.get(model.role)
            )
            for model in models
        ),
        memory_needed_bytes=needed,
        plans=rows,
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
            book.add_error(f"{model.role} run", error, model.fault)
    return speeds, others


def _look_at_speeds(speeds: Mapping[ModelRole, ModelSpeed], book: Book) -> None:
    for role, measured in speeds.items():
        book.add("speed", checks.speed(role, measured))
        book.add(
            "speed",
            *(Finding(f"{role} note", "warning", one_line(note)) for note in measured.notes),
        )


def _look_at_plans(
    facts: PairFacts, speeds: Mapping[ModelRole, ModelSpeed], settings: Settings, book: Book
) -> tuple[PlanRow, ...]:
    """What drafting needs and whether it pays, and what the plans take."""
    solve, pair = settings.solve, facts.pair
    draft, target = speeds.get("draft"), speeds.get("target")
    if facts.is_verified:
        judge = Judge(solve.verifier, solve.threshold, pair.calibrations)
        book.add("models", checks.vocabularies(draft, target))
        book.add("models", checks.calibration(judge, solve.verifier, pair.to_calibrate))
    if draft and target:
        asks = VERIFIERS[solve.verifier].question is not None
        book.add("speed", checks.drafting(draft, target, asks=asks, is_used=facts.is_verified))
    known = known_of(load_registry(), pair, settings.engine)  # with what was measured just now
    rows = plan_rows(known, solve, taken(facts.specs, solve))
    rows = tuple(row for row in rows if row.is_default or row.why)  # those of an effort say why
    book.add("speed", *(seconds_of(row) for row in rows if row.seconds or row.took_s))
    return rows


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
        is_needed=bool(model.num_cells),
        hash_checked=model.here.checked,
        file_bytes=model.here.present_bytes,
        architecture=one_line(header.architecture, 40) if header else None,
        quantisation=header.file_type if header else None,
        context_length=header.context_length if header else None,
        num_cells=model.num_cells,
        kv_bytes=model.kv_bytes if header else None,
        engine=picked.engine if picked else None,
        engine_why=one_line(picked.why) if picked else None,
        speed=measured,
        other_engine_speed=other,
    )
