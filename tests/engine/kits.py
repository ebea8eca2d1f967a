"""The engines that the protocol tests run on. A new one joins by a line in ``KITS``.

The two special texts are all that a kit must arrange: after ``BEFORE_BLANK`` the model
finishes its paragraph (a full stop, a blank line), after ``BEFORE_END`` it ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from ssr_local.core.records import ModelRole
from ssr_local.engine.base import Engine
from ssr_local.engine.fake import FakeEngine, Script
from tests.engine.harness import HAS_IK, watched
from tests.tiny_gguf import TURN_END, ids, token_id

PROMPT = "What is the sum of 12 and 30? "
BEFORE_BLANK = "So that is all|"
BEFORE_END = "That was the end#"

_WORDS = ("the", "sum", "is", "twelve", "and", "thirty", "?", "!")

CHAINS = (
    (*ids(BEFORE_BLANK[-1] + "."), token_id("\n\n")),
    (*ids(BEFORE_END[-1]), token_id(TURN_END)),
)
"""What makes a tiny model do so."""


class PlainScript(Script):
    """Words that follow from the text before them, and from nothing else."""

    def continuation(self, role: ModelRole, text: str) -> str:
        if text.endswith(BEFORE_END[-1]):
            return ""
        if text.endswith(BEFORE_BLANK[-1]):
            return ".\n\n"
        if text.endswith((".", ".\n")):
            return "\n"
        if text[-1].isalnum():
            return " "
        return _WORDS[hashlib.sha256(text.encode()).digest()[0] % len(_WORDS)]

    def probe(self, text: str) -> Mapping[str, float]:
        return {"Yes": 0.5, "No": 0.25, "the": 0.125}


Kit = Callable[[Callable[..., Path], int, Callable[[], bool]], Engine]
"""Makes an engine: what writes tiny models, KV cells, what says that work must stop."""


def _fake(tiny: Callable[..., Path], num_cells: int, should_stop: Callable[[], bool]) -> Engine:
    return FakeEngine(PlainScript(), num_cells=num_cells, should_stop=should_stop)


def _native(library: str, **options: bool) -> Kit:
    def kit(tiny: Callable[..., Path], num_cells: int, should_stop: Callable[[], bool]) -> Engine:
        path = tiny(chains=CHAINS, context=4096)
        cells = {"num_cells": num_cells, "max_cells": num_cells}
        return watched(path, should_stop, library, **cells, **options)[0]

    return kit


KITS: dict[str, Kit] = {
    "fake": _fake,
    "llama": _native("llama"),
    "llama with prompt lookup": _native("llama", prompt_lookup=True),
} | ({"ik": _native("ik")} if HAS_IK else {})
