"""The two native libraries: what they are called, and which versions are known.

ik_llama.cpp is a fork of llama.cpp with faster kernels for CPUs.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from typing import Literal

EngineName = Literal["llama", "ik"]

TITLES: dict[EngineName, str] = {"llama": "llama.cpp", "ik": "ik_llama.cpp"}
PACKAGES: dict[EngineName, str] = {"llama": "llama-cpp-python", "ik": "ik-llama-cpp-python"}

MODULES: dict[EngineName, str] = {"llama": "llama_cpp", "ik": "ik_llama_cpp"}

KNOWN_IK_VERSIONS = ("0.1.5",)
"""The struct layouts are the package's own and change with it; these were looked at."""

INSTALL: dict[EngineName, str] = {
    "llama": "pip install llama-cpp-python",
    "ik": f"pip install ik-llama-cpp-python=={KNOWN_IK_VERSIONS[-1]}",
}
"""How a package is had; the first may need a C++ compiler, the second has wheels only."""

FLASH_ATTENTION = "IK_FLASH_ATTENTION_FOR_TESTS"
"""For tests: attention as it is known to go wrong with forked sequences in ik 0.1.5."""


def is_installed(engine: EngineName) -> bool:
    """Whether the library's package is there. The library is not loaded for this."""
    return importlib.util.find_spec(MODULES[engine]) is not None


def version(engine: EngineName) -> str:
    """The version of the library's package, "" when it is not installed."""
    try:
        return importlib.metadata.version(PACKAGES[engine])
    except importlib.metadata.PackageNotFoundError:
        return ""


def build(engine: EngineName) -> str:
    """Engine, version and the platform its wheel was made for, "" when it is not installed.

    Whoever compiles it has another platform in the wheel than those that are downloaded.
    """
    try:
        wheel = importlib.metadata.distribution(PACKAGES[engine]).read_text("WHEEL")
    except importlib.metadata.PackageNotFoundError:
        return ""
    tags = re.findall(r"^Tag: \S+-(\S+)$", wheel or "", re.MULTILINE)
    return " ".join([engine, version(engine), *tags[-1:]])
