"""The two native libraries: what they are called, and which versions are known.

ik_llama.cpp is a fork of llama.cpp with faster kernels for CPUs.
"""

from __future__ import annotations

import importlib.metadata
from typing import Literal

EngineName = Literal["llama", "ik"]

TITLES: dict[EngineName, str] = {"llama": "llama.cpp", "ik": "ik_llama.cpp"}
PACKAGES: dict[EngineName, str] = {"llama": "llama-cpp-python", "ik": "ik-llama-cpp-python"}

KNOWN_IK_VERSIONS = ("0.1.5",)
"""The struct layouts are the package's own and change with it; these were looked at."""

FLASH_ATTENTION = "IK_FLASH_ATTENTION_FOR_TESTS"
"""For tests: attention as it is known to go wrong with forked sequences in ik 0.1.5."""


def version(engine: EngineName) -> str:
    """The version of the library's package."""
    return importlib.metadata.version(PACKAGES[engine])
