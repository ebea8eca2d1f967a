"""The values of the evaluation: problems, rows, labelled steps. Lines of its JSONL files."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ssr_local.core.records import ModelRole, Models, RunResult

Outcome = Literal["right", "wrong", "undecided", "not run", "missing", "failed"]
"""What an answer is worth. "undecided": nobody could tell whether it equals the reference;
"not run": a program that needs something of Python that the bench's interpreter does not have;
"missing": the run ended without an answer; "failed": the run ended with an error. Only
"right" counts for accuracy."""


class Problem(Struct, frozen=True, kw_only=True):
    """One problem with its reference answer. Code problems have ``test`` and ``entry_point``.

    ``level`` is the data's own difficulty, 1 the easiest.
    """

    id: str
    problem: str
    answer: str
    subject: str | None = None
    level: int | None = None
    entry_point: str | None = None
    test: str | None = None


class _Result(Struct, frozen=True, kw_only=True):
    """A line on one problem, with where and how it was made.

    ``prompt_hash`` changes when any text changes that models are sent; ``machine`` names CPU,
    cores and memory.
    """

    task: str
    problem: str
    reference: str
    seed: int
    elapsed_s: float
    version: str
    prompt_hash: str
    machine: str
    started_at: str
    subject: str | None = None
    level: int | None = None
    error: str = ""


class Row(_Result, frozen=True, kw_only=True):
    """One problem solved once by one method: a line of ``rows.jsonl``.

    ``seed`` is the same for all methods on one (problem, repeat). ``path_outcomes`` judges
    each path's own answer, in the order of ``result.paths``. ``elapsed_s`` is wall-clock
    seconds with the models loaded already; with ``concurrency`` problems at once it is an
    equal share of the time they all took. ``predicted_s`` is what its plan was predicted to take
    alone, from this machine's speeds. ``calibration_hash`` changes when what verifiers'
    values mean does. ``result`` is None only when the run failed, and ``error`` says why.
    """

    method: str
    repeat: int
    outcome: Outcome
    path_outcomes: tuple[Outcome, ...]
    result: RunResult | None
    concurrency: int
    calibration_hash: str = ""
    predicted_s: float | None = None

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What a row is about; one directory holds at most one row of each."""
        return (self.task, self.problem, self.method, self.repeat)


class Rate(Struct, frozen=True):
    """How often the target's rollouts from one position in a path gave the right answer.

    ``num`` rollouts, of which ``right`` were right; those whose answer nobody could judge are
    left out. Where the position already states an answer there is nothing to continue, and
    ``num`` is 1.
    """

    right: int
    num: int

    @property
    def share(self) -> float:
        """Right rollouts among all, 0 to 1."""
        return self.right / self.num if self.num else 0.0

    def exceeds(self, other: Rate, margin: float) -> bool:
        """Whether this rate is higher by more than ``margin``."""
        # Shares are quotients, and their differences not exact: 7/12 - 4/12 is more than 1/4.
        return self.share - other.share > margin + 1e-9


class LabelledStep(Struct, frozen=True, kw_only=True):
    """One step with what it did to the rate of right answers, and what verifiers can read.

    ``given`` are its prefix steps. ``log_probs`` are the target's log-probabilities
    (nats) of the step's tokens, ``digits`` the indices of those that hold a digit, None where
    nobody looked; ``probes`` maps "question/wording" to the log-probabilities of that question's
    words, in the question's order.
    """

    author: ModelRole
    given: tuple[str, ...]
    text: str
    before: Rate
    after: Rate
    states_answer: bool
    log_probs: tuple[float, ...]
    digits: tuple[int, ...] | None = None
    probes: dict[str, tuple[float, ...]]


class Walk(_Result, frozen=True, kw_only=True):
    """The labelled steps of one problem: a line of ``steps.jsonl``.

    ``samples`` rollouts were asked for at every position. No steps: the target found the
    right answer too seldom from the problem alone to tell what a step does to that, or, when
    there is an ``error``, the models could not be run on it.
    """

    samples: int
    start: Rate
    steps: tuple[LabelledStep, ...]
    models: Models

    @property
    def key(self) -> tuple[str, str]:
        """What a walk is about; one directory holds at most one of each."""
        return (self.task, self.problem)

    @property
    def num_drafted(self) -> int:
        """How many of the draft's steps are labelled."""
        return sum(step.author == "draft" for step in self.steps)
