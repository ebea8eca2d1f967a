"""Loads a native library, and a file with it, when it is needed and not before.

The only place that imports a library's module inside a function: to import one takes a
second, and may fail or crash where the library was built for another CPU.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from msgspec import Struct

from ssr_local.core.errors import EngineUnavailable
from ssr_local.engine.base import EngineConfig
from ssr_local.engine.devices import Device
from ssr_local.engine.library_log import write_log_to
from ssr_local.engine.packages import PACKAGES, is_installed

if TYPE_CHECKING:
    from ssr_local.engine.binding import GGUFBinding
    from ssr_local.engine.native import NativeEngine


def load_engine(
    config: EngineConfig, should_stop: Callable[[], bool] = lambda: False
) -> NativeEngine:
    """Load a GGUF file.

    Raises ``ModelDamagedError`` for a file that is not a sound GGUF file,
    ``ModelUnusableError`` when the library refuses it, ``EngineUnavailable`` when the library
    is not one that this program can use, and ``Cancelled``.
    """
    from ssr_local.engine.native import NativeEngine

    return NativeEngine(_binding(config, should_stop), should_stop, config.prompt_lookup)


class LibraryFacts(Struct, frozen=True, kw_only=True):
    """What the installed llama.cpp says of itself."""

    system_info: str
    can_offload: bool
    devices: tuple[Device, ...]


def start_backend(log: IO[str]) -> None:
    """Start llama.cpp, where it is installed; what the libraries log goes to ``log``."""
    write_log_to(log)
    if is_installed("llama"):
        with contextlib.suppress(EngineUnavailable):  # said when an engine is chosen
            _llama().start_backend()


def library_facts() -> LibraryFacts:
    """What the installed llama.cpp says of itself, once it is started."""
    from ssr_local.engine import llama

    return LibraryFacts(
        system_info=llama.system_info(),
        can_offload=llama.supports_gpu_offload(),
        devices=llama.devices(),
    )


def devices() -> tuple[Device, ...]:
    """The compute devices that llama.cpp sees, the CPU included; none where it is missing.

    Raises ``EngineUnavailable`` for an installation that cannot be loaded.
    """
    if not is_installed("llama"):
        return ()
    found: tuple[Device, ...] = _llama().devices()
    return found


def _llama() -> Any:
    try:
        from ssr_local.engine import llama
    except Exception as error:  # a damaged installation fails in any way there is
        raise EngineUnavailable(
            f"{PACKAGES['llama']} cannot be loaded.",
            f"{type(error).__name__}: {error}.",
            f"Install it again: pip install --force-reinstall {PACKAGES['llama']}",
        ) from error
    return llama


def _binding(config: EngineConfig, should_stop: Callable[[], bool]) -> GGUFBinding:
    if config.engine == "ik":
        from ssr_local.engine.ik import IkBinding

        return IkBinding(config, should_stop)
    from ssr_local.engine.llama import LlamaBinding

    return LlamaBinding(config, should_stop)
