"""Which native engine runs a model, and why.

llama.cpp everywhere, except where its faster fork ik_llama.cpp is installed, nothing is
put on a GPU, and the fork has proved itself with this very file on this machine
(``engine.selfcheck``). The proof is remembered.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from ssr_local import folders
from ssr_local.engine.hardware import memory, processor_features, processor_name
from ssr_local.engine.selfcheck import CheckRequest, CheckResult, EngineName
from ssr_local.errors import EngineUnavailable, HelperError
from ssr_local.gguf.header import GGUFHeader
from ssr_local.isolation import Helper

if TYPE_CHECKING:
    from ssr_local.engine.native import NativeEngine

FILE_NAME = "engine-checks.json"
CHECK_LIMIT_S = 1800.0
"""How long a self-check may take: about half a minute for a model of 1.5 B parameters."""

TITLES: dict[EngineName, str] = {"llama": "llama.cpp", "ik": "ik_llama.cpp"}
PACKAGES: dict[EngineName, str] = {"llama": "llama-cpp-python", "ik": "ik-llama-cpp-python"}
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
    obstacle: Callable[[], str] | None = None,
) -> Pick:
    """The engine for a file, as far as is known now.

    ``obstacle`` says why ik_llama.cpp cannot be used at all, ``ik_obstacle`` by default.
    Raises ``EngineUnavailable`` when the user insists on one that cannot be had.
    """
    repack = _repacks(wish, header)
    if wish.engine == "llama":
        return Pick(engine="llama", why="asked for", repack=repack)
    missing = (obstacle or ik_obstacle)()
    if wish.engine == "ik" and missing:
        raise EngineUnavailable(
            "The engine ik cannot be used.", f"{missing}.", f"Run: {INSTALL_IK}, or --engine auto."
        )
    against = missing or _unsuitable(header, wish, has_gpu)
    if wish.engine == "auto" and against:
        return Pick(engine="llama", why=against, repack=repack)
    verdict = known_verdict("ik", header, sha256, repack)
    if verdict is None:
        return Pick(engine="ik", why="not checked yet", repack=repack, unchecked=True)
    if verdict.difference:
        why = f"{TITLES['ik']} failed its self-check with this file: {verdict.difference}"
        return Pick(engine="llama", why=why, repack=repack, note=f"{why}. llama.cpp is used.")
    return Pick(engine="ik", why="it passed its self-check with this file", repack=repack)


def ik_obstacle() -> str:
    """Why ik_llama.cpp cannot be used at all, "" when it can."""
    if importlib.util.find_spec("ik_llama_cpp") is None:
        return f"{PACKAGES['ik']} is not installed"
    features = processor_features()
    if features and not {"avx2", "neon"} & {feature.lower() for feature in features}:
        return f"{PACKAGES['ik']} needs AVX2, which this processor does not have"
    try:
        from ssr_local.engine.ik import start_backend

        start_backend()
    except EngineUnavailable as error:
        return error.what.rstrip(".")
    except Exception as error:  # noqa: BLE001 - a damaged installation fails in any way there is
        return f"{PACKAGES['ik']} cannot be loaded ({type(error).__name__}: {error})"
    return ""


def run_check(
    engine: EngineName,
    path: Path,
    header: GGUFHeader,
    sha256: str | None,
    wish: Wish,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> CheckResult:
    """Check an engine with a file, in a process of its own, and remember the outcome.

    A check that was stopped proves nothing and is not remembered; one that crashed or
    never ended has failed.
    """
    repack = _repacks(wish, header)
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
        except HelperError as error:
            result = CheckResult(difference=f"{error.what} {error.why}".strip().rstrip("."))
    if not should_stop():
        _remember(
            _key(engine, header, sha256, repack),
            Verdict(difference=result.difference, at=time.time()),
        )
    return result


def known_verdict(
    engine: EngineName, header: GGUFHeader, sha256: str | None, repack: bool
) -> Verdict | None:
    """What is remembered of an engine with this file on this machine."""
    return _load().get(_key(engine, header, sha256, repack))


def load(chosen: Pick, path: Path, wish: Wish, **options: Any) -> NativeEngine:
    """Load a file with the engine that was picked; the options are the bindings'."""
    options |= {"threads": wish.threads, "repack": chosen.repack}
    if chosen.engine == "ik":
        from ssr_local.engine import ik

        return ik.load_engine(path, **options)
    from ssr_local.engine import llama

    notes = (chosen.note,) if chosen.note else ()
    return llama.load_engine(path, gpu_layers=wish.gpu_layers, notes=notes, **options)


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


def _key(engine: EngineName, header: GGUFHeader, sha256: str | None, repack: bool) -> str:
    version = importlib.metadata.version(PACKAGES[engine])
    file = sha256 or f"{header.title}/{header.file_bytes}"
    return "|".join((file, engine, version, "repacked" if repack else "as it is", processor_name()))


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
    except (OSError, msgspec.DecodeError):
        return {}
