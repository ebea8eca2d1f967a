"""The native libraries by name: what they are called, and how a file is loaded with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ssr_local.engine.native import NativeEngine

EngineName = Literal["llama", "ik"]

TITLES: dict[EngineName, str] = {"llama": "llama.cpp", "ik": "ik_llama.cpp"}
PACKAGES: dict[EngineName, str] = {"llama": "llama-cpp-python", "ik": "ik-llama-cpp-python"}


def load_with(engine: EngineName, path: Path, *, gpu_layers: int, **options: Any) -> NativeEngine:
    """Load a GGUF file with that library, which is imported only now.

    The options are the bindings'; ``gpu_layers`` is llama.cpp's alone, ik runs on the processor.
    """
    if engine == "ik":
        from ssr_local.engine import ik

        return ik.load_engine(path, **options)
    from ssr_local.engine import llama

    return llama.load_engine(path, gpu_layers=gpu_layers, **options)
