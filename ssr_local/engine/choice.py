"""Which native engine runs a model, and why.

llama.cpp everywhere, except where its faster fork ik_llama.cpp is installed, nothing is
put on a GPU, and the fork has proved itself with this very file on this machine
(``engine.selfcheck``). The proof is remembered.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from ssr_local.core import folders
from ssr_local.core.errors import EngineUnavailable, HelperError
from ssr_local.core.options import EngineOptions
from ssr_local.engine.base import EngineConfig
from ssr_local.engine.hardware import cpu_features, cpu_name, memory
from ssr_local.engine.loading import devices
from ssr_local.engine.packages import (
    FLASH_ATTENTION,
    KNOWN_IK_VERSIONS,
    PACKAGES,
    TITLES,
    EngineName,
    version,
)
from ssr_local.engine.selfcheck import SelfCheckResult
from ssr_local.models.gguf.header import GGUFHeader, read_header
from ssr_local.process.helper import Helper, HelperDied

FILE_NAME = "engine-checks.json"
CHECK_LIMIT_S = 1800.0
"""How long a self-check may take: about half a minute for a model of 1.5 B parameters."""

CHECK_VERSION = 2
_CRASHES = (4, 6, 7, 8, 11)  # illegal instruction, abort, bus error, arithmetic, segmentation
INSTALL_IK = "pip install 'ssr-local[ik]'"

# Architectures that the fork has, by what it says of itself, and that keep an ordinary KV
# cache. Others may work with --engine ik: the self-check decides.
KNOWN_ARCHITECTURES = frozenset(
    {"llama", "mistral3", "smollm3", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "phi3", "granite"}
    | {"gemma", "gemma2", "gemma3", "internlm2", "starcoder2", "olmo", "command-r"}
)
# Repacked weights lie in memory as a whole; this share of their size more must be free.
_REPACK_MARGIN = 1.15


class EngineChoice(Struct, frozen=True, kw_only=True):
    """The engine for a model, and why in words.

    ``unchecked`` says that it has still to prove itself; ``note`` is what a run's header
    should say, "" when there is nothing to explain.
    """

    engine: EngineName
    why: str
    repack: bool = True
    unchecked: bool = False
    note: str = ""


class RememberedCheck(Struct, frozen=True, kw_only=True):
    """What a self-check found, "" nothing wrong. ``at`` is seconds since 1970."""

    difference: str
    at: float


def choose_engine(path: Path, sha256: str | None, options: EngineOptions) -> EngineChoice:
    """The engine for a file on this machine.

    Raises ``ModelDamagedError``, and ``EngineUnavailable`` as ``choose`` does.
    """
    has_gpu = options.gpu_layers != 0 and any(one.kind in ("gpu", "igpu") for one in devices())
    return choose(read_header(path), sha256, options, has_gpu=has_gpu)


def choose(
    header: GGUFHeader,
    sha256: str | None,
    options: EngineOptions,
    *,
    has_gpu: bool,
    obstacle: str | None = None,
) -> EngineChoice:
    """The engine for a file, as far as is known now.

    ``obstacle`` says why ik_llama.cpp cannot be used at all; None: ``ik_obstacle()`` does.
    Raises ``EngineUnavailable`` when the user insists on one that cannot be had.
    """
    repack = _repacks(options, header)
    if options.engine == "llama":
        return _llama("asked for", sha256, repack)
    missing = ik_obstacle() if obstacle is None else obstacle
    if options.engine == "ik" and missing:
        raise EngineUnavailable(
            "The engine ik cannot be used.", f"{missing}.", f"Run: {INSTALL_IK}, or --engine auto."
        )
    against = _unsuitable(header, options, has_gpu) or missing
    if options.engine == "auto" and against:
        return _llama(against, sha256, repack)
    known = known_check("ik", sha256, repack)
    if known is None:
        return EngineChoice(engine="ik", why="not checked yet", repack=repack, unchecked=True)
    if known.difference:
        return _llama(_failure("ik", known.difference), sha256, repack, explain=True)
    return EngineChoice(engine="ik", why="it passed its self-check with this file", repack=repack)


def after_check(chosen: EngineChoice, result: SelfCheckResult) -> EngineChoice:
    """What follows from the check of an engine that was chosen and not checked yet."""
    if result.passed:
        return msgspec.structs.replace(chosen, unchecked=False, why="it passed its self-check")
    why = _failure(chosen.engine, result.difference)
    if result.obstacle:
        why = f"{TITLES[chosen.engine]} could not be checked: {result.obstacle}"
    return EngineChoice(engine="llama", why=why, repack=chosen.repack, note=_instead(why))


def _failure(engine: EngineName, difference: str) -> str:
    return f"{TITLES[engine]} failed its self-check with this file: {difference}"


def _instead(why: str) -> str:
    return f"{why}. {TITLES['llama']} is used."


def _llama(why: str, sha256: str | None, repack: bool, *, explain: bool = False) -> EngineChoice:
    note = _instead(why) if explain else ""
    known = known_check("llama", sha256, repack)
    if known is not None and known.difference:
        note += f" {_failure('llama', known.difference)}. Do not trust its answers."
    return EngineChoice(engine="llama", why=why, repack=repack, note=note.strip())


def ik_obstacle() -> str:
    """Why ik_llama.cpp cannot be used at all, "" when nothing is known against it.

    The library is not loaded for this: a check in a process of its own does that first.
    """
    if importlib.util.find_spec("ik_llama_cpp") is None:
        return f"{PACKAGES['ik']} is not installed"
    found = version("ik")
    if found not in KNOWN_IK_VERSIONS:
        known = ", ".join(KNOWN_IK_VERSIONS)
        return f"{PACKAGES['ik']} {found} is not a version this program knows ({known})"
    features = cpu_features()
    if features and not {"avx2", "neon"} & {feature.lower() for feature in features}:
        return f"{PACKAGES['ik']} needs AVX2, which this CPU does not have"
    return ""


def run_check(
    engine: EngineName,
    path: Path,
    sha256: str | None,
    options: EngineOptions,
    *,
    repack: bool,
    should_stop: Callable[[], bool] = lambda: False,
) -> SelfCheckResult:
    """Check an engine with a file, in a process of its own, and remember the outcome.

    Only what says something about the engine is remembered, and only of a file whose hash
    is known: a crash inside the library does; a check that was stopped, took too long or was
    killed from outside does not.
    """
    config = EngineConfig(
        engine=engine,
        path=str(path),
        name=path.stem,
        threads=options.threads,
        repack=repack,
        gpu_layers=options.gpu_layers,
        num_cells=1024,
    )
    with (
        tempfile.TemporaryFile() as log,
        Helper(memory_limit_bytes=None, log=log) as helper,
    ):
        try:
            result: SelfCheckResult = helper.call(
                "ssr_local.engine.selfcheck:check",
                config,
                timeout_s=CHECK_LIMIT_S,
                type=SelfCheckResult,
                should_stop=should_stop,
            )
        except HelperDied as error:
            words = f"{error.what} {error.why}".strip().rstrip(".")
            crashed = -(error.crash.code or 0) in _CRASHES and not error.crash.is_gpu_memory
            result = SelfCheckResult(
                difference=words if crashed else "", obstacle="" if crashed else words
            )
        except HelperError as error:
            result = SelfCheckResult(obstacle=f"{error.what} {error.why}".strip().rstrip("."))
    if sha256 is not None and not result.obstacle and not should_stop():
        remember_check(engine, sha256, repack, result.difference)
    return result


def known_check(engine: EngineName, sha256: str | None, repack: bool) -> RememberedCheck | None:
    """What is remembered of an engine with this file on this machine."""
    return _load().get(_key(engine, sha256, repack)) if sha256 else None


def remember_check(engine: EngineName, sha256: str, repack: bool, difference: str) -> None:
    """Remember what a check found; a cache folder that cannot be written to costs another one."""
    path = folders.cache_dir() / FILE_NAME
    found = RememberedCheck(difference=difference, at=time.time())
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        known = _load() | {_key(engine, sha256, repack): found}
        folders.write_atomically(path, msgspec.json.format(msgspec.json.encode(known), indent=1))


def _unsuitable(header: GGUFHeader, options: EngineOptions, has_gpu: bool) -> str:
    if has_gpu and options.gpu_layers != 0:
        return "layers are put on a GPU"
    if header.architecture not in KNOWN_ARCHITECTURES:
        return f"{TITLES['ik']} is not known to run the architecture {header.architecture}"
    return ""


def _repacks(options: EngineOptions, header: GGUFHeader) -> bool:
    if options.repack == "auto":
        return memory().available_bytes > header.file_bytes * _REPACK_MARGIN
    return options.repack == "on"


def _key(engine: EngineName, sha256: str, repack: bool) -> str:
    """All that a check depends on: the reference's version and the check's own too."""
    parts = [sha256, engine, version(engine), "repacked" if repack else "as it is"]
    parts += [cpu_name(), f"llama {version('llama')}", f"check {CHECK_VERSION}"]
    return "|".join([*parts, *([FLASH_ATTENTION] if os.environ.get(FLASH_ATTENTION) else [])])


def _load() -> dict[str, RememberedCheck]:
    try:
        raw = (folders.cache_dir() / FILE_NAME).read_bytes()
        return msgspec.json.decode(raw, type=dict[str, RememberedCheck])
    except (OSError, ValueError):  # not there, or damaged
        return {}
