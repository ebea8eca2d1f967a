"""Which native engine runs a model, and why.

ik_llama.cpp, the fork that is faster on CPUs, where it is installed, nothing is put on a GPU,
and it has proved itself with this very file on this machine (``engine.selfcheck``); else
llama.cpp. The proof is remembered.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from ssr_local.core.errors import EngineUnavailable, HelperError, ModelError
from ssr_local.core.options import EngineOptions
from ssr_local.engine.base import EngineConfig
from ssr_local.engine.hardware import cpu_features, memory
from ssr_local.engine.loading import devices
from ssr_local.engine.packages import (
    INSTALL,
    KNOWN_IK_VERSIONS,
    PACKAGES,
    TITLES,
    EngineName,
    build,
    is_installed,
    version,
)
from ssr_local.engine.power import on_battery
from ssr_local.engine.remembered import (
    RememberedCheck,
    claimed,
    identity,
    is_abandoned,
    known_check,
    remember_check,
)
from ssr_local.engine.selfcheck import CheckRequest, SelfCheckResult
from ssr_local.models.gguf.header import GGUFHeader, read_header
from ssr_local.process.helper import Helper, HelperDied

CHECK_LIMIT_S = 1800.0
"""How long a self-check may take: about half a minute for a model of 1.5 B parameters."""

_CRASHES = (4, 6, 7, 8, 11)  # illegal instruction, abort, bus error, arithmetic, segmentation
_NO_LLAMA = f"{PACKAGES['llama']} is not installed"

# Architectures that the fork has, by what it says of itself, and that keep an ordinary KV
# cache. Others may work with --engine ik: the self-check decides.
KNOWN_ARCHITECTURES = frozenset(
    {"llama", "mistral3", "smollm3", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "phi3", "granite"}
    | {"gemma", "gemma2", "gemma3", "internlm2", "starcoder2", "olmo", "command-r"}
)
# Repacked weights lie in memory as a whole; this share of their size more must be free.
_REPACK_MARGIN = 1.15
# A whole check holds the file once more, llama.cpp's and the fork's one after the other.
_CHECK_MARGIN = 1.5


class EngineChoice(Struct, frozen=True, kw_only=True):
    """The engine for a model, and why in words.

    ``unchecked`` says that it has still to prove itself, and ``is_suspect`` that a process in
    which it tried to has ended; ``note`` is what a run's header should say, "" when there is
    nothing to explain.
    """

    engine: EngineName
    why: str
    repack: bool = True
    unchecked: bool = False
    is_suspect: bool = False
    note: str = ""


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
        need_llama("--engine llama asks for it")
        return _llama("asked for", header, sha256, repack)
    missing = ik_obstacle() if obstacle is None else obstacle
    if options.engine == "ik" and missing:
        raise EngineUnavailable(
            "The engine ik cannot be used.",
            f"{missing}.",
            f"Run: {INSTALL['ik']}, or take --engine auto.",
        )
    against = missing or _unsuitable(header, options, has_gpu)
    if options.engine == "auto" and against:
        return _llama(against, header, sha256, repack)
    note = ""
    if options.gpu_layers > 0 and not is_installed("llama"):
        note = f"Layers go to a GPU only with {PACKAGES['llama']}: {INSTALL['llama']}."
    file = identity(header.path, sha256)
    known = known_check("ik", file, repack)
    if known is None or known.pending:
        return EngineChoice(
            engine="ik",
            why="not checked yet",
            repack=repack,
            unchecked=True,
            is_suspect=known is not None and is_abandoned("ik", file, repack),
            note=note,
        )
    if known.difference:
        why = _failure("ik", known.difference)
        return _llama(why, header, sha256, repack, explain=True)
    return EngineChoice(engine="ik", why=_passed(known), repack=repack, note=note)


def after_check(chosen: EngineChoice, result: SelfCheckResult) -> EngineChoice:
    """What follows from the check of an engine that was chosen and not checked yet.

    Raises ``EngineUnavailable`` when it must not be used and there is no other.
    """
    if result.passed:
        return EngineChoice(
            engine=chosen.engine, why="it passed its self-check", repack=chosen.repack
        )
    why = _failure(chosen.engine, result.difference)
    if result.obstacle:
        why = f"{TITLES[chosen.engine]} could not be checked: {result.obstacle}"
    need_llama(why)
    return EngineChoice(engine="llama", why=why, repack=chosen.repack, note=_instead(why))


def _passed(known: RememberedCheck) -> str:
    if known.shipped:
        return (
            "it passed a quick self-check with this file here, and the whole one on a CPU with the"
            " same instruction sets"
        )
    return f"it passed {'a quick' if known.quick else 'its'} self-check with this file"


def _failure(engine: EngineName, difference: str) -> str:
    return f"{TITLES[engine]} failed its self-check with this file: {difference}"


def _instead(why: str) -> str:
    return f"{why}. {TITLES['llama']} is used."


def need_llama(why: str) -> None:
    """Raise ``EngineUnavailable`` where llama.cpp is not installed; ``why`` it is needed."""
    if is_installed("llama"):
        return
    if not is_installed("ik"):
        raise EngineUnavailable(
            "No engine is installed.",
            f"Neither {PACKAGES['ik']} nor {PACKAGES['llama']} is here.",
            f"Run: {INSTALL['ik']} (CPU, nothing is compiled), or: {INSTALL['llama']}"
            " (also GPUs; may need a C++ compiler).",
        )
    raise EngineUnavailable(
        f"{TITLES['llama']} is needed: {why}.", f"{_NO_LLAMA}.", f"Run: {INSTALL['llama']}."
    )


def _llama(
    why: str, header: GGUFHeader, sha256: str | None, repack: bool, *, explain: bool = False
) -> EngineChoice:
    need_llama(why)
    note = _instead(why) if explain else ""
    known = known_check("llama", identity(header.path, sha256), repack)
    if known is not None and known.difference:
        note += f" {_failure('llama', known.difference)}. Do not trust its answers."
    return EngineChoice(engine="llama", why=why, repack=repack, note=note.strip())


def ik_obstacle() -> str:
    """Why ik_llama.cpp cannot be used at all, "" when nothing is known against it.

    The library is not loaded for this: a check in a process of its own does that first.
    """
    if not is_installed("ik"):
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
    reference: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    gives_way: bool = False,
) -> SelfCheckResult:
    """Check an engine with a file, in a process of its own, and remember the outcome.

    ``reference`` is llama.cpp's perplexity of the text with this file, if known; ``gives_way``
    says that everything else on this machine comes first. Only what
    says something about the engine is remembered: a crash inside the library does; a check
    that was stopped, took too long or was killed from outside does not.
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
        Helper(memory_limit_bytes=None, log=log, gives_way=gives_way) as helper,
    ):
        try:
            result: SelfCheckResult = helper.call(
                "ssr_local.engine.selfcheck:check",
                CheckRequest(config, reference),
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
    if not result.obstacle and not should_stop():
        remember_check(engine, identity(path, sha256), repack, result.difference)
    return result


def has_verdict(engine: EngineName, checked: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a verdict that came with the program is of this build and this CPU's kernels.

    ``checked`` is as in ``models.models_file.ModelSpec``.
    """
    needed = checked.get(build(engine))
    return needed is not None and {*needed} <= {*cpu_features()}


def unproven(path: Path, sha256: str | None) -> tuple[bool, ...]:
    """With which ``repack`` ik_llama.cpp has passed the quick check alone with a file.

    Empty too where the whole one cannot be done beside what goes on: the file would not fit into
    memory once more, or the machine runs on its battery.
    """
    file = identity(path, sha256)
    known = {repack: known_check("ik", file, repack) for repack in (True, False)}
    found = tuple(repack for repack, one in known.items() if one and one.lacks_whole)
    if found and (not _has_room(path) or on_battery()):
        return ()
    return found


def prove(
    path: Path,
    sha256: str | None,
    options: EngineOptions,
    reference: float | None,
    should_stop: Callable[[], bool],
) -> str:
    """Do the whole checks that are ``unproven``, behind all that goes on, with one thread.

    Returns what follows from one that failed, in words; "" when none did or it was stopped.
    """
    options = msgspec.structs.replace(options, threads=1)
    for repack in unproven(path, sha256):
        with claimed("ik", identity(path, sha256), repack) as is_ours:
            if not is_ours or should_stop():
                continue
            result = run_check(
                "ik",
                path,
                sha256,
                options,
                repack=repack,
                reference=reference,
                should_stop=should_stop,
                gives_way=True,
            )
        if result.difference:
            why = _failure("ik", result.difference)
            try:
                need_llama(why)
            except EngineUnavailable as error:
                return str(error)
            return f"{why}. From the next run on {TITLES['llama']} is used."
    return ""


def _has_room(path: Path) -> bool:
    try:
        return memory().available_bytes > read_header(path).file_bytes * _CHECK_MARGIN
    except (OSError, ModelError):
        return False


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
