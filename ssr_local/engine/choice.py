"""Which native engine runs a model, and why.

ik_llama.cpp, the fork that is faster on CPUs, where it is installed, nothing is put on a GPU,
and it has proved itself with this very file on this machine (``engine.selfcheck``); else
llama.cpp. The proof is remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
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
    INSTALL,
    KNOWN_IK_VERSIONS,
    PACKAGES,
    TITLES,
    EngineName,
    is_installed,
    version,
)
from ssr_local.engine.selfcheck import CheckRequest, SelfCheckResult
from ssr_local.models.gguf.header import GGUFHeader, read_header
from ssr_local.process.helper import Helper, HelperDied

FILE_NAME = "engine-checks.json"
CHECK_LIMIT_S = 1800.0
"""How long a self-check may take: about half a minute for a model of 1.5 B parameters."""

CHECK_VERSION = 2
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


class RememberedCheck(Struct, frozen=True, kw_only=True):
    """What a self-check found, "" nothing wrong. ``at`` is seconds since 1970.

    ``quick`` says that it was the quick check, and ``pending`` that a process is at it, or
    ended over it.
    """

    difference: str
    at: float
    quick: bool = False
    pending: bool = False


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
            is_suspect=known is not None and not _is_running(_key("ik", file, repack)),
            note=note,
        )
    if known.difference:
        why = _failure("ik", known.difference)
        return _llama(why, header, sha256, repack, explain=True)
    why = f"it passed {'a quick' if known.quick else 'its'} self-check with this file"
    return EngineChoice(engine="ik", why=why, repack=repack, note=note)


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
) -> SelfCheckResult:
    """Check an engine with a file, in a process of its own, and remember the outcome.

    ``reference`` is llama.cpp's perplexity of the text with this file, if known. Only what
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
        Helper(memory_limit_bytes=None, log=log) as helper,
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


@contextlib.contextmanager
def quick_check_remembered(
    chosen: EngineChoice, path: Path, sha256: str | None
) -> Iterator[Callable[[str], None]]:
    """Remember that this process tries an engine with a file, and then what it found.

    Yields what is to be told the difference. A process that a crash ends in between leaves
    the trial behind, and the next one is warned (``EngineChoice.is_suspect``).
    """
    file, found = identity(path, sha256), None

    def settle(difference: str) -> None:
        nonlocal found
        found = RememberedCheck(difference=difference, at=time.time(), quick=True)

    key = _key(chosen.engine, file, chosen.repack)
    begun = RememberedCheck(difference="", at=time.time(), pending=True)
    with contextlib.ExitStack() as held:
        with contextlib.suppress(filelock.Timeout, OSError):
            held.enter_context(_lock(key).acquire(timeout=0))  # dropped with the process
        _remember(chosen.engine, file, chosen.repack, begun)
        try:
            yield settle
        finally:
            _remember(chosen.engine, file, chosen.repack, found)


def identity(path: Path, sha256: str | None) -> str:
    """What a file is known by: its hash, or where it lies with its size and time."""
    if sha256 is not None:
        return sha256
    with contextlib.suppress(OSError):
        stat = path.stat()
        return f"{path.resolve()}, {stat.st_size} bytes of {stat.st_mtime_ns}"
    return str(path)


def known_check(engine: EngineName, file: str, repack: bool) -> RememberedCheck | None:
    """What is remembered of an engine with this file on this machine; ``file`` as ``identity``."""
    return _load().get(_key(engine, file, repack))


def remember_check(engine: EngineName, file: str, repack: bool, difference: str) -> None:
    """Remember what a whole check found."""
    _remember(engine, file, repack, RememberedCheck(difference=difference, at=time.time()))


def _remember(engine: EngineName, file: str, repack: bool, found: RememberedCheck | None) -> None:
    """Keep it, or forget what was kept; a cache folder that cannot be written to keeps nothing."""
    path, key = folders.cache_dir() / FILE_NAME, _key(engine, file, repack)
    with contextlib.suppress(OSError, filelock.Timeout), _lock(FILE_NAME).acquire(timeout=5):
        known = {name: one for name, one in _load().items() if name != key}
        if found is not None:
            known[key] = found
        folders.write_atomically(path, msgspec.json.format(msgspec.json.encode(known), indent=1))


def _is_running(key: str) -> bool:
    try:
        with _lock(key).acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return False


def _lock(key: str) -> filelock.BaseFileLock:
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    folders.cache_dir().mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(folders.cache_dir() / f".engine-check-{name}.lock")


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


def _key(engine: EngineName, file: str, repack: bool) -> str:
    """All that a check depends on: the reference's version and the check's own too."""
    parts = [file, engine, version(engine), "repacked" if repack else "as it is"]
    parts += [cpu_name(), f"llama {version('llama')}", f"check {CHECK_VERSION}"]
    return "|".join([*parts, *([FLASH_ATTENTION] if os.environ.get(FLASH_ATTENTION) else [])])


def _load() -> dict[str, RememberedCheck]:
    try:
        raw = (folders.cache_dir() / FILE_NAME).read_bytes()
        return msgspec.json.decode(raw, type=dict[str, RememberedCheck])
    except (OSError, ValueError):  # not there, or damaged
        return {}
