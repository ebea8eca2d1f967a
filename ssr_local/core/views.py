"""The parts of a run as they are shown, which ``core.tree`` keeps up to date."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ssr_local.core.records import (
    EndReason,
    ModelInfo,
    ModelRole,
    PathKind,
    ProgramRun,
    Strategy,
    Verdict,
    confidence,
)

StepState = Literal["writing", "waiting", "accepted", "rewriting", "rewritten", "unverified"]
"""How far a step is: its author writes; it waits for its verdict; it was kept; the target
writes its own; that replaces it; nobody judges steps, or it was cut off before."""


@dataclass(slots=True)
class StepView:
    """One step as it is shown.

    ``text`` is what stands in the path; ``rejected`` the draft's version that does not any
    more, None when nothing was rejected.
    """

    author: ModelRole
    text: str = ""
    state: StepState = "writing"
    rejected: str | None = None
    verdict: Verdict | None = None
    overridden: bool = False
    num_tokens: int = 0
    elapsed_s: float = 0.0
    log_prob: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is still to come for it."""
        return self.state in ("writing", "waiting", "rewriting")


@dataclass(slots=True)
class PathView:
    """One path as it is shown; ``end_reason`` is None while it lives."""

    index: int
    strategy: Strategy
    selection_score: float | None
    steps: list[StepView] = field(default_factory=list)
    end_reason: EndReason | None = None
    answer: str | None = None
    mean_score: float | None = None
    kind: PathKind = field(default_factory=PathKind)
    wave: int = 0
    program: ProgramRun | None = None
    refuted: str = ""

    @property
    def confidence(self) -> float | None:
        """The mean probability of its tokens, as ``ReasoningPath`` has it."""
        return confidence((step.log_prob, step.num_tokens) for step in self.steps)

    @property
    def is_program(self) -> bool:
        """Whether its text is code."""
        return self.kind.form == "program"


@dataclass(slots=True)
class ModelView:
    """One model: ``info`` is None until it is loaded."""

    name: str
    info: ModelInfo | None = None


@dataclass(slots=True)
class Counts:
    """What the run has done so far, counted from its events."""

    drafted: int = 0
    accepted: int = 0
    rewritten: int = 0
    draft_tokens: int = 0
    target_tokens: int = 0

    @property
    def acceptance_rate(self) -> float | None:
        """Accepted among judged steps, 0 to 1; None when none was judged."""
        return self.accepted / self.drafted if self.drafted else None
