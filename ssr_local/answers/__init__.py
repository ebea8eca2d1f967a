"""Answers: finding them, writing them one way, and saying whether two are equal."""

from __future__ import annotations

from ssr_local.answers.compare import EQUIVALENT, compare
from ssr_local.core.records import Comparison
from ssr_local.mathtext.forms import normalise
from ssr_local.mathtext.text import AnswerKind, extract_answer

__all__ = [
    "EQUIVALENT",
    "AnswerKind",
    "Comparison",
    "compare",
    "extract_answer",
    "normalise",
]
