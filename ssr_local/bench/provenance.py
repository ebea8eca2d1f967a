"""Where figures come from: the machine, and the texts the models were sent."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from datetime import datetime, timezone

import msgspec

from ssr_local.core.display import human_bytes, one_line
from ssr_local.core.records import Calibration
from ssr_local.engine.hardware import cpu_name, memory, physical_cores
from ssr_local.method import prompts
from ssr_local.method.pools import load_pool


def machine() -> str:
    """CPU, cores, memory and system in one line; no host or user name."""
    return one_line(
        f"{cpu_name()}, {physical_cores()} cores,"
        f" {human_bytes(memory().total_bytes)} memory, {platform.system()} {platform.machine()}"
    )


def prompt_hash(strategies: str, prompt: str = "") -> str:
    """Twelve hexadecimal digits that change with any text sent to a model over this pool.

    ``prompt`` names other words than the pool's, as in ``load_pool``, which says what it raises.
    """
    pool = load_pool(strategies, prompt)
    texts = (
        pool.system + pool.program_instruction,
        prompts.path_request("{problem}", "{advice}", pool.instruction),
        prompts.selection_request("{problem}", ["{letter}"], pool.strategies[:1], 1),
        prompts.selection_request("{problem}", ["{letter}"], pool.strategies[:1], 2),
        prompts.CONCLUSION,
        pool.examples,
        pool.typical,
        pool.strategies,
        sorted(prompts.QUESTIONS.items()),
    )
    return hashlib.sha256(msgspec.json.encode(texts)).hexdigest()[:12]


def calibration_hash(calibrations: Mapping[str, Calibration]) -> str:
    """Twelve hexadecimal digits that change with any of a pair's calibrations."""
    ordered = sorted(calibrations.items())
    return hashlib.sha256(msgspec.json.encode(ordered)).hexdigest()[:12]


def now() -> str:
    """The time in UTC, to the second (ISO 8601)."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
