"""Which native engine runs a model, and why.

llama.cpp everywhere, except where its faster fork ik_llama.cpp is installed, nothing is
put on a GPU, and the fork has proved itself with this very file on this machine
(``engine.selfcheck``). The proof is remembered.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from ssr_local.core import folders
from ssr_local.core.errors import EngineUnavailable, HelperError
from ssr_local.engine.hardware import memory, processor_features, processor_name
from ssr_local.engine.libraries import PACKAGES, TITLES, EngineName, load_with
from ssr_local.engine.selfcheck import CheckRequest, CheckResult
from ssr_local.models.gguf.header import GGUFHeader
from ssr_local.process.helper import Helper, HelperDied

if TYPE_CHECKING:
    from ssr_local.engine.native import NativeEngine

FILE_NAME = "engine-checks.json"
CHECK_LIMIT_S = 1800.0
"""How long a self-check may take: about half a minute for a model of 1.5 B parameters."""

KNOWN_IK_VERSIONS = ("0.1.5",)
"""The struct layouts are the package's own and change with it; these were looked at."""

FLASH_ATTENTION = "IK_FLASH_ATTENTION_FOR_TESTS"
"""For tests: attention as it is known to go wrong with forked sequences in ik 0.1.5."""

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


class Wish(Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    engine: Literal["auto", "llama", "ik"] = "auto"
    repack: Literal["auto", "on", "off"] = "auto"
    gpu_layers: int = -1
    threads: int = 0


class Pick(Struct, frozen=True, kw_only=True):
    """The engine for a model, and why in words.

    ``unchecked`` says that it has still to prove itself; ``note`` is what a run's header
    should say, "" when there is nothing to explain.
    """

    engine: EngineName
    why: str
    repack: bool = True
    unchecked: bool = False
    note: str = ""


class Verdict(Struct, frozen=True, kw_only=True):
    """The outcome of a self-check, as it is remembered. ``at`` is seconds since 1970."""

    difference: str
    at: float


def pick(
    header: GGUFHeader,
    sha256: str | None,
    wish: Wish,
    *,
    has_gpu: bool,
    obstacle: str | None = None,
) -> Pick:
    """The engine for a file, as far as is known now.

    ``obstacle`` says why ik_llama.cpp cannot be used at all; None: ``ik_obstacle()`` does.
    Raises ``EngineUnavailable`` when the user insists on one that cannot be had.
    """
    repack = _repacks(wish, header)
    if wish.engine == "llama":
        return _llama("asked for", sha256, repack)
    missing = ik_obstacle() if obstacle is None else obstacle
    if wish.engine == "ik" and missing:
        raise EngineUnavailable(
            "The engine ik cannot be used.", f"{missing}.", f"Run: {INSTALL_IK}, or --engine auto."
        )
    against = _unsuitable(header, wish, has_gpu) or missing
    if wish.engine == "auto" and against:
        return _llama(against, sha256, repack)
    verdict = known_verdict("ik", sha256, repack)
    if verdict is None:
        return Pick(engine="ik", why="not checked yet", repack=repack, unchecked=True)
    if verdict.difference:
        return _llama(_failure("ik", verdict.difference), sha256, repack, explain=True)
    return Pick(engine="ik", why="it passed its self-check with this file", repack=repack)


def after_check(picked: Pick, result: CheckResult) -> Pick:
    """What follows from the check of an engine that was picked and not checked yet."""
    if result.passed:
        return msgspec.structs.replace(picked, unchecked=False, why="it passed its self-check")
    why = _failure(picked.engine, result.difference)
    if result.obstacle:
        why = f"{TITLES[picked.engine]} could not be checked: {result.obstacle}"
    return Pick(engine="llama", why=why, repack=picked.repack, note=_instead(why))


def _failure(engine: EngineName, difference: str) -> str:
    return f"{TITLES[engine]} failed its self-check with this file: {difference}"


def _instead(why: str) -> str:
    return f"{why}. {TITLES['llama']} is used."


def _llama(why: str, sha256: str | None, repack: bool, *, explain: bool = False) -> Pick:
    note = _instead(why) if explain else ""
    verdict = known_verdict("llama", sha256, repack)
    if verdict is not None and verdict.difference:
        note += f" {_failure('llama', verdict.difference)}. Do not trust its answers."
    return Pick(engine="llama", why=why, repack=repack, note=note.strip())


def ik_obstacle() -> str:
    """Why ik_llama.cpp cannot be used at all, "" when nothing is known against it.

    The library is not loaded for this: a check in a process of its own does that first.
    """
    if importlib.util.find_spec("ik_llama_cpp") is None:
        return f"{PACKAGES['ik']} is not installed"
    version = _version("ik")
    if version not in KNOWN_IK_VERSIONS:
        known = ", ".join(KNOWN_IK_VERSIONS)
        return f"{PACKAGES['ik']} {version} is not a version this program knows ({known})"
    features = processor_features()
    if features and not {"avx2", "neon"} & {feature.lower() for feature in features}:
        return f"{PACKAGES['ik']} needs AVX2, which this processor does not have"
    return ""


def run_check(
    engine: EngineName,
    path: Path,
    sha256: str | None,
    wish: Wish,
    *,
    repack: bool,
    should_stop: Callable[[], bool] = lambda: False,
) -> CheckResult:
    """Check an engine with a file, in a process of its own, and remember the outcome.

    Only what says something about the engine is remembered, and only of a file whose hash
    is known: a crash inside the library does; a check that was stopped, took too long or was
    killed from outside does not.
    """
    request = CheckRequest(
        engine=engine,
        path=str(path),
        threads=wish.threads,
        repack=repack,
        gpu_layers=wish.gpu_layers,
    )
    with Helper(memory_limit_bytes=None) as helper:
        try:
            result: CheckResult = helper.call(
                "ssr_local.engine.selfcheck:check",
                request,
                timeout_s=CHECK_LIMIT_S,
                type=CheckResult,
                should_stop=should_stop,
            )
        except HelperDied as error:
            words = f"{error.what} {error.why}".strip().rstrip(".")
            crashed = any(f"signal {number}" in words for number in _CRASHES)
            result = CheckResult(
                difference=words if crashed else "", obstacle="" if crashed else words
            )
        except HelperError as error:
            result = CheckResult(obstacle=f"{error.what} {error.why}".strip().rstrip("."))
    if sha256 is not None and not result.obstacle and not should_stop():
        _remember(
            _key(engine, sha256, repack), Verdict(difference=result.difference, at=time.time())
        )
    return result


def known_verdict(engine: EngineName, sha256: str | None, repack: bool) -> Verdict | None:
    """What is remembered of an engine with this file on this machine."""
    return _load().get(_key(engine, sha256, repack)) if sha256 else None


def load(chosen: Pick, path: Path, wish: Wish, **options: Any) -> NativeEngine:
    """Load a file with the engine that was picked; the options are the bindings'."""
    return load_with(
        chosen.engine,
        path,
        gpu_layers=wish.gpu_layers,
        notes=(chosen.note,) if chosen.note else (),
        threads=wish.threads,
        repack=chosen.repack,
        **options,
    )


def _unsuitable(header: GGUFHeader, wish: Wish, has_gpu: bool) -> str:
    if has_gpu and wish.gpu_layers != 0:
        return "layers are put on a GPU"
    if header.architecture not in KNOWN_ARCHITECTURES:
        return f"{TITLES['ik']} is not known to run the architecture {header.architecture}"
    return ""


def _repacks(wish: Wish, header: GGUFHeader) -> bool:
    if wish.repack == "auto":
        return memory().available_bytes > header.file_bytes * _REPACK_MARGIN
    return wish.repack == "on"


def _key(engine: EngineName, sha256: str, repack: bool) -> str:
    """All that a verdict depends on: the reference's version and the check's own too."""
    parts = [sha256, engine, _version(engine), "repacked" if repack else "as it is"]
    parts += [processor_name(), f"llama {_version('llama')}", f"check {CHECK_VERSION}"]
    return "|".join([*parts, *([FLASH_ATTENTION] if os.environ.get(FLASH_ATTENTION) else [])])


def _version(engine: EngineName) -> str:
    return importlib.metadata.version(PACKAGES[engine])


def _remember(key: str, verdict: Verdict) -> None:
    path = folders.cache_dir() / FILE_NAME
    with contextlib.suppress(OSError):  # then the next start checks again
        path.parent.mkdir(parents=True, exist_ok=True)
        known = _load() | {key: verdict}
        folders.write_atomically(path, msgspec.json.format(msgspec.json.encode(known), indent=1))


def _load() -> dict[str, Verdict]:
    try:
        raw = (folders.cache_dir() / FILE_NAME).read_bytes()
        return msgspec.json.decode(raw, type=dict[str, Verdict])
    except (OSError, ValueError):  # not there, or damaged
        return {}
