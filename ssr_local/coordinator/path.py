"""What the coordinator remembers of one path while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from ssr_local.core.records import (
    EndReason,
    ModelRole,
    PathKind,
    ProgramRun,
    ReasoningPath,
    Step,
    Strategy,
    Verdict,
    confidence,
)
from ssr_local.engine.base import StepEnd

State = Literal["ready", "writing", "drafted", "rewriting", "ended"]


@dataclass(slots=True)
class StepInProgress:
    """The step a path is writing or has waiting for its verdict.

    ``marks`` are the lengths of the path's sequences, in tokens, before the step.
    """

    author: ModelRole
    marks: dict[ModelRole, int]
    started_s: float
    text: str = ""
    num_tokens: int = 0
    log_probs: list[float] = field(default_factory=list)
    end: StepEnd | None = None

    @property
    def log_prob(self) -> float | None:
        """That of its tokens together (nats); None where one is unknown."""
        total = math.fsum(self.log_probs)
        is_known = len(self.log_probs) == self.num_tokens > 0 and math.isfinite(total)
        return total if is_known else None

    def record(self, **judged: Any) -> Step:
        """The step as the result shows it, with what its verdict adds."""
        return Step(
            text=self.text,
            author=self.author,
            num_tokens=self.num_tokens,
            log_prob=self.log_prob,
            **judged,
        )


@dataclass(slots=True)
class Judged:
    """The step verified last, kept so that its verdict can still be overridden."""

    step: StepInProgress
    tokens: dict[ModelRole, list[int]]
    verdict: Verdict
    num_steps: int
    exhausted: EndReason | None = None


@dataclass(slots=True)
class PathState:
    """One path while it runs. ``opening`` is what its prompt already holds of its text;
    ``exhausted`` is why it has been told to conclude."""

    index: int
    strategy: Strategy
    selection_score: float | None
    kind: PathKind
    wave: int
    opening: str = ""
    sequences: dict[ModelRole, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    num_tokens: int = 0
    state: State = "ready"
    current: StepInProgress | None = None
    judged: Judged | None = None
    exhausted: EndReason | None = None
    end_reason: EndReason | None = None
    answer: str | None = None
    program: ProgramRun | None = None
    refuted: str = ""

    @property
    def live(self) -> bool:
        return self.state != "ended"

    @property
    def step_index(self) -> int:
        """The index of the step being written."""
        return len(self.steps)

    @property
    def text(self) -> str:
        """The path's text so far, committed steps only."""
        return self.opening + "".join(step.text for step in self.steps)

    @property
    def confidence(self) -> float | None:
        """The mean probability of its tokens under who wrote them."""
        return confidence((step.log_prob, step.num_tokens) for step in self.steps)

    @property
    def mean_score(self) -> float | None:
        """Mean score of the scored steps, None without any."""
        scores = [step.score for step in self.steps if step.score is not None]
        return sum(scores) / len(scores) if scores else None

    def record(self) -> ReasoningPath:
        """The path as the result shows it."""
        return ReasoningPath(
            index=self.index,
            strategy=self.strategy.letter,
            strategy_name=self.strategy.name,
            selection_score=self.selection_score,
            steps=tuple(self.steps),
            end_reason=self.end_reason,
            answer=self.answer,
            mean_score=self.mean_score,
            confidence=self.confidence,
            kind=self.kind,
            wave=self.wave,
            program=self.program,
            refuted=self.refuted,
        )


def current_step(path: PathState) -> StepInProgress:
    """The step a path is writing; it is an error of ours when there is none."""
    if path.current is None:
        raise RuntimeError(f"path {path.index} is writing no step")
    return path.current


def last_judged(path: PathState) -> Judged:
    """The step verified last on a path; it is an error of ours when there is none."""
    if path.judged is None:
        raise RuntimeError(f"path {path.index} has no verdict yet")
    return path.judged
