"""Which engine each model would use, why, and how fast the other one is."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence

from ssr_local.core.config import Settings
from ssr_local.core.display import one_line
from ssr_local.core.errors import SSRError
from ssr_local.core.records import ModelRole
from ssr_local.diagnosis import checks
from ssr_local.diagnosis.findings import Book, Finding, short
from ssr_local.diagnosis.pair_facts import PairModel
from ssr_local.diagnosis.speed import EngineFacts, ModelSpeed, measure_model
from ssr_local.engine import choice
from ssr_local.engine.choice import EngineChoice
from ssr_local.engine.packages import INSTALL, PACKAGES, TITLES, EngineName, is_installed
from ssr_local.models.download import file_sha256, verified_path
from ssr_local.transport.setup import Setup

_WITH_WHEELS = ("x86_64", "amd64", "aarch64", "arm64")


def look_at_choice(
    models: Sequence[PairModel],
    engine: EngineFacts | None,
    settings: Settings,
    book: Book,
    on_progress: Callable[[str], None],
    *,
    with_check: bool,
) -> Mapping[ModelRole, EngineChoice]:
    """The engine each model would use; with ``with_check`` those here are checked again."""
    picks: dict[ModelRole, EngineChoice] = {}
    if engine is None:
        return picks
    missing = engine.ik_obstacle
    for model in models:
        if model.header is None:
            continue
        try:
            if with_check:
                for name in PACKAGES:
                    if is_installed(name) and not (name == "ik" and missing):
                        _check(model, name, settings, book, on_progress)
            picked = choice.choose(
                model.header,
                file_sha256(model.spec),
                settings.engine,
                has_gpu=bool(checks.usable_gpus(engine)),
                obstacle=missing,
            )
        except SSRError as error:
            book.add_error(f"{model.role} engine", error, model.fault)
            continue
        picks[model.role] = picked
        book.add("engine", _choice(model, picked, missing))
    return picks


def _choice(model: PairModel, picked: EngineChoice, missing: str) -> Finding:
    why = "to be checked in the first run" if picked.unchecked else picked.why
    value = f"{TITLES[picked.engine]}: {one_line(why)}"
    advice = ""
    if picked.note and picked.engine == "llama":
        advice = "Try another version of the engine's package, then --self-check."
    elif missing and picked.why == missing and platform.machine().lower() in _WITH_WHEELS:
        advice = f"On a CPU ik_llama.cpp is usually faster: {INSTALL['ik']}"
    return Finding(f"{model.role} engine", "warning" if picked.note else "ok", value, advice)


def _check(
    model: PairModel,
    name: EngineName,
    settings: Settings,
    book: Book,
    on_progress: Callable[[str], None],
) -> None:
    title, label = TITLES[name], f"{model.role} self-check"
    on_progress(f"Checking {title} with the {model.role}, {short(model.spec.name)} ...")
    verified_path(model.spec)  # the verdict is remembered for this very file
    result = choice.run_check(
        name,
        model.here.path,
        file_sha256(model.spec),
        settings.engine,
        repack=settings.engine.repack != "off",
        reference=model.spec.perplexity[0] if model.spec.perplexity else None,
    )
    if result.passed:
        value = f"{title} passed in {result.elapsed_s:.0f} s, perplexity {result.perplexity:.3f}"
        found = Finding(label, "ok", value)
    elif result.obstacle:
        value = f"{title} could not be checked: {result.obstacle}"
        found = Finding(label, "warning", value, "Try again.")
    else:
        advice = "Runs use llama.cpp meanwhile."
        if not is_installed("llama"):
            advice = f"Run: {INSTALL['llama']}."
        if name == "llama":
            advice = "Do not trust its answers. Build llama-cpp-python again, or try --engine ik."
        found = Finding(label, model.fault, f"{title} failed: {result.difference}", advice)
    book.add("engine", found)


def measured_other(
    model: PairModel, picked: EngineChoice, setup: Setup, book: Book
) -> ModelSpeed | None:
    """The speed of the engine that is not used; None where it does not run this model."""
    assert model.header is not None
    if model.header.architecture not in choice.KNOWN_ARCHITECTURES:
        return None
    other: EngineName = "ik" if picked.engine == "llama" else "llama"
    title = TITLES[other]
    try:
        speed = measure_model(
            setup, model.role, EngineChoice(engine=other, why="", repack=picked.repack)
        )
    except SSRError as error:
        why = one_line(f"{error.what} {error.why}", 200)
        book.add("speed", Finding(f"{model.role} with {title}", "warning", why))
        return None
    found = checks.speed(model.role, speed)
    book.add("speed", Finding(f"{model.role} with {title}", found.state, found.value))
    return speed
