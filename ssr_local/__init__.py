"""Reason better offline: a draft and a target language model under the SSR method.

Names are imported when first used, so that ``import ssr_local`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ssr_local.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from ssr_local.api import Solver
    from ssr_local.core.commands import AddPath, Cancel, DropPath, OverrideVerdict, Pause, Resume
    from ssr_local.core.errors import (
        ConfigError,
        EngineCrashed,
        EngineError,
        Interrupted,
        ModelError,
        ProblemError,
        SSRError,
        UsageError,
    )
    from ssr_local.core.events import AnyEvent, read_events
    from ssr_local.core.options import EngineOptions, SolveOptions
    from ssr_local.core.records import ReasoningPath, RunResult, Step, Strategy, Verdict, VoteGroup
    from ssr_local.tutoring.checking import CheckedStep, CheckResult, check
    from ssr_local.tutoring.hints import Hint, hint

__all__ = [
    "AddPath",
    "AnyEvent",
    "Cancel",
    "CheckResult",
    "CheckedStep",
    "ConfigError",
    "DropPath",
    "EngineCrashed",
    "EngineError",
    "EngineOptions",
    "Hint",
    "Interrupted",
    "ModelError",
    "OverrideVerdict",
    "Pause",
    "ProblemError",
    "ReasoningPath",
    "Resume",
    "RunResult",
    "SSRError",
    "SolveOptions",
    "Solver",
    "Step",
    "Strategy",
    "UsageError",
    "Verdict",
    "VoteGroup",
    "__version__",
    "check",
    "hint",
    "read_events",
]

_HOMES = {
    "ssr_local.api": ("Solver",),
    "ssr_local.core.commands": (
        "AddPath",
        "Cancel",
        "DropPath",
        "OverrideVerdict",
        "Pause",
        "Resume",
    ),
    "ssr_local.core.errors": (
        "ConfigError",
        "EngineCrashed",
        "EngineError",
        "Interrupted",
        "ModelError",
        "ProblemError",
        "SSRError",
        "UsageError",
    ),
    "ssr_local.core.events": ("AnyEvent", "read_events"),
    "ssr_local.core.options": ("EngineOptions", "SolveOptions"),
    "ssr_local.core.records": (
        "ReasoningPath",
        "RunResult",
        "Step",
        "Strategy",
        "Verdict",
        "VoteGroup",
    ),
    "ssr_local.tutoring.checking": ("CheckResult", "CheckedStep", "check"),
    "ssr_local.tutoring.hints": ("Hint", "hint"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ssr_local' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
