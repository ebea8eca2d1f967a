"""The state of one run, which the phases of the method read and change.

Several runs can use one model: a run opens, extends and releases sequences through its own
methods, which remember what is its own and count its tokens.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

import msgspec

from ssr_local.coordinator.commands import Mailbox
from ssr_local.coordinator.path import PathState, State, StepInProgress, current_step
from ssr_local.coordinator.prompter import Prompter
from ssr_local.core.events import AnyEvent, Event, Notice, RunMeasured
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import (
    Comparison,
    ModelRole,
    Models,
    ModelUsage,
    OptionValues,
    PathForm,
    ProgramRun,
    RunResult,
    Status,
    StrategyScore,
    Timing,
    Usage,
    VoteGroup,
)
from ssr_local.engine.base import Engine, Extended, ExtendJob, Sampling, StepJob
from ssr_local.engine.prefixes import KeptPrefixes
from ssr_local.method import prompts
from ssr_local.method.plans import Plan, is_over
from ssr_local.method.pools import Pool
from ssr_local.method.steps import THINK_CLOSE, is_thinking
from ssr_local.method.verification import Judge

PhaseName = Literal["selection", "prefill", "draft", "verify", "rewrite", "write", "vote"]

_E = TypeVar("_E", bound=Event)
RunPart = tuple["Run", Iterator[AnyEvent]]
"""A run and the events of its own part in something that several runs did together."""


class SharedCall(NamedTuple):
    """One call to a model for several runs; ``make`` returns each run's part in the outcome."""

    runs: Sequence[Run]
    make: Callable[[], Sequence[RunPart]]


_MEASURED_EVERY_S = 1.0
_CONCLUSION_TOKENS = 48


@dataclass(kw_only=True, eq=False)
class Run:
    """One problem being solved: what was asked, the models, the paths, what was counted.

    ``engines`` has the models the plan names and ``prompters`` one for each of them;
    ``prefix_steps`` are steps that every path has when it is opened. ``compare`` says whether
    two answers are equivalent, ``run_program`` runs the program in a path's text, ``refute``
    finds the first equation that algebra refutes in the prose of a step ("" for none),
    ``note`` is a remark to begin with, ``option_values`` what the result says was in force, and
    nobody fills the ``commands`` unless they are given. ``kept`` holds what was prefilled for
    earlier problems, ``harmful`` names the strategies that are never selected.
    ``waves`` says why each wave was opened, ``letters`` are what the target has selected, and
    ``num_followed`` how many of them paths follow already.
    ``prefixes`` are the tokens that all prompts of a form begin with on a model, ``roots`` the
    sequences that hold them, ``root_cells`` how many KV-cache cells these take.
    ``prefilled`` and ``decoded`` count the tokens each model has evaluated for
    this run, those that were evaluated again included. Afterwards there is a ``result``, or
    the ``failure`` that ended the run.
    """

    problem: str
    options: SolveOptions
    plan: Plan
    pool: Pool
    engines: Mapping[ModelRole, Engine]
    prompters: Mapping[ModelRole, Prompter]
    judge: Judge
    compare: Callable[[str, str], Comparison]
    run_program: Callable[[str], ProgramRun]
    refute: Callable[[str], str]
    prefix_steps: tuple[str, ...] = ()
    note: str = ""
    option_values: OptionValues = field(default_factory=dict)
    commands: Mailbox = field(default_factory=Mailbox)
    kept: KeptPrefixes = field(default_factory=KeptPrefixes)
    harmful: tuple[str, ...] = ()
    clock: Callable[[], float] = time.monotonic
    paused_s: float = 0.0
    paths: list[PathState] = field(default_factory=list)
    waves: list[str] = field(default_factory=list)
    letters: tuple[str, ...] | None = None
    num_followed: int = 0
    scores: tuple[StrategyScore, ...] = ()
    orders: tuple[tuple[str, ...], ...] = ()
    groups: tuple[VoteGroup, ...] = ()
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    num_drafted: int = 0
    num_accepted: int = 0
    num_rewrites: int = 0
    cancelled: bool = False
    notices: list[str] = field(default_factory=list)
    failure: Exception | None = None
    result: RunResult | None = None
    prefixes: dict[tuple[ModelRole, PathForm], list[int]] = field(default_factory=dict)
    room_needed: dict[ModelRole, int] = field(default_factory=dict)
    roots: dict[tuple[ModelRole, PathForm], int] = field(default_factory=dict)
    root_cells: Counter[ModelRole] = field(default_factory=Counter)
    probes: dict[bool, list[int]] = field(default_factory=dict)
    prefilled: Counter[ModelRole] = field(default_factory=Counter)
    decoded: Counter[ModelRole] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.started = self.measured_s = self.clock()
        self._open: dict[ModelRole, set[int]] = {role: set() for role in self.engines}

    @property
    def status(self) -> Status:
        """How the run came out; valid when it is over."""
        if self.cancelled:
            return "cancelled"
        return "answered" if self.groups else "no_answer"

    @property
    def num_waves(self) -> int:
        """How many waves were opened."""
        return len(self.waves)

    @property
    def has_more(self) -> bool:
        """Whether the plan has another wave, and what the waves so far have is not enough."""
        if self.failure or self.cancelled or self.time_is_up or not self.num_waves:
            return False
        return self.num_waves < len(self.plan.waves) and not self.is_decided

    @property
    def is_decided(self) -> bool:
        """Whether the rule of the wave that is open holds."""
        wave = self.plan.waves[self.num_waves - 1] if self.num_waves else None
        return wave is not None and is_over(wave.rule, self.groups, len(self.live()))

    @property
    def time_is_up(self) -> bool:
        """Whether the run has worked as long as it may; pauses do not count."""
        limit = self.options.time_limit
        return bool(limit) and self.clock() - self.started - self.paused_s >= limit

    def live(self) -> list[PathState]:
        """The paths that have not ended; none in a run that failed."""
        return [path for path in self.paths if path.live and self.failure is None]

    def in_state(self, *states: State) -> list[PathState]:
        """The live paths in one of these states."""
        return [path for path in self.live() if path.state in states]

    def find(self, index: int) -> PathState | None:
        """The live path of that index."""
        return next((path for path in self.live() if path.index == index), None)

    @property
    def same_vocabulary(self) -> bool:
        """Whether token ids mean the same to both models."""
        prints = {engine.vocabulary.fingerprint for engine in self.engines.values()}
        return len(prints) == 1

    def can_conclude(self, path: PathState) -> bool:
        """Whether a path can be told to state its answer when its budget is used up.

        Who asks for a single step wants no answer.
        """
        is_boxed = path.kind.form != "program" and self.pool.answer == "boxed"
        return is_boxed and self.options.max_steps > 1

    def max_tokens(self, path: PathState) -> int:
        """A path's token budget; what it needs to conclude is kept back until then."""
        most = self.options.budget
        if path.exhausted or not self.can_conclude(path):
            return most
        return most - min(_CONCLUSION_TOKENS, most // 4)

    def _begin_conclusion(self, role: ModelRole, path: PathState) -> None:
        """Begin the step in which a path states its answer."""
        text = prompts.CONCLUSION
        if is_thinking(path.text):
            text = f"\n{THINK_CLOSE}\n\n{text}"
        elif not path.text.endswith("\n\n"):
            text = f"\n\n{text}"
        job = ExtendJob(seq_id=path.sequences[role], tokens=self.prompters[role].step(text))
        if not self.extend(role, [job])[0].no_room:
            current_step(path).text = text

    def start_steps(
        self, role: ModelRole, paths: Sequence[PathState], state: Literal["writing", "rewriting"]
    ) -> None:
        """Let a model begin a step on each of these paths."""
        engine = self.engines[role]
        jobs = []
        for path in paths:
            marks = {r: self.engines[r].num_tokens(seq) for r, seq in path.sequences.items()}
            path.current = StepInProgress(role, marks, self.clock())
            path.state = state
            if path.exhausted:
                self._begin_conclusion(role, path)
            left = max(1, self.max_tokens(path) - path.num_tokens)
            sampling = Sampling(
                0.0 if path.kind.greedy else self.options.temperature,
                self.options.top_p,
                self.seed(f"{path.index}/{role}"),
            )
            jobs.append(
                StepJob(path.sequences[role], min(self.options.max_step_tokens, left), sampling)
            )
        if jobs:
            engine.start_steps(jobs)

    # Sequences -----------------------------------------------------------------

    def open(self, role: ModelRole, tokens: Sequence[int]) -> int:
        """Prefill a new sequence of this run on a model; its id."""
        with counted(role, [(self, len(tokens))]):
            seq_id = self.engines[role].open(tokens)
        self._open[role].add(seq_id)
        return seq_id

    def restore(self, role: ModelRole, tokens: Sequence[int], state: bytes) -> int | None:
        """A new sequence of this run from a state that was kept; its id, None if it cannot be."""
        seq_id = self.engines[role].restore(tokens, state)
        if seq_id is not None:
            self._open[role].add(seq_id)
        return seq_id

    def fork(self, role: ModelRole, seq_id: int) -> int:
        """A new sequence of this run that shares everything so far with another."""
        new_id = self.engines[role].fork(seq_id)
        self._open[role].add(new_id)
        return new_id

    def extend(self, role: ModelRole, jobs: Sequence[ExtendJob]) -> list[Extended]:
        """Prefill known tokens after sequences of this run."""
        return extend_together(role, [(self, job) for job in jobs])

    def release(self, role: ModelRole, seq_id: int) -> None:
        """Give a sequence of this run back."""
        self._open[role].discard(seq_id)
        self.engines[role].release(seq_id)

    def release_all(self) -> None:
        """Give back every sequence of this run."""
        for role, seq_ids in self._open.items():
            for seq_id in list(seq_ids):
                self.release(role, seq_id)

    def fail(self, error: Exception) -> None:
        """End the run with an error."""
        self.failure = error
        self.release_all()

    def transfer_tokens(self, path: PathState, giver: ModelRole, taker: ModelRole) -> list[int]:
        """The current step as the other model's token ids."""
        step = current_step(path)
        if self.same_vocabulary:
            return self.engines[giver].tokens(path.sequences[giver], step.marks[giver])
        return self.engines[taker].tokenize(step.text)

    def truncate(self, path: PathState) -> None:
        """Forget the current step on both models."""
        for role, seq_id in path.sequences.items():
            self.engines[role].truncate(seq_id, current_step(path).marks[role])

    # What is said of it -------------------------------------------------------------

    @property
    def usage(self) -> Usage:
        """Tokens each model has prefilled and decoded for this run."""
        return Usage(
            **{
                role: ModelUsage(
                    self.prefilled[role], self.decoded[role], engine.info.num_parameters
                )
                for role, engine in self.engines.items()
            }
        )

    def models(self) -> Models:
        """The models as they are loaded now, the size of their KV caches included."""
        return Models(**{role: engine.info for role, engine in self.engines.items()})

    def notice(self, message: str) -> Notice:
        """A remark as an event; the result repeats it."""
        self.notices.append(message)
        return self.at(Notice(message=message))

    @property
    def timing(self) -> Timing:
        """Where the seconds went until now."""
        return Timing(**self.seconds, paused=self.paused_s, total=self.clock() - self.started)

    def kv_cells(self) -> dict[ModelRole, int]:
        """How many KV-cache cells the paths take on each model, what they share counted once."""
        cells = {}
        for role, engine in self.engines.items():
            own = [
                engine.num_tokens(path.sequences[role])
                - engine.num_tokens(self.roots[role, path.kind.form])
                for path in self.live()
                if role in path.sequences
            ]
            cells[role] = self.root_cells[role] + sum(own)
        return cells

    def measure(self) -> Iterator[RunMeasured]:
        """What the run has cost so far, when it is time to say so again."""
        now = self.clock()
        if now - self.measured_s < _MEASURED_EVERY_S:
            return
        self.measured_s = now
        yield self.at(
            RunMeasured(
                usage=self.usage,
                timing_s=self.timing,
                kv_cells=self.kv_cells(),
                num_threads=max(engine.num_threads for engine in self.engines.values()),
            )
        )

    def seed(self, purpose: str) -> int:
        """A seed of its own for every path and model, the same for the same run seed."""
        return zlib.crc32(f"{self.options.seed}/{purpose}".encode())

    def at(self, event: _E) -> _E:
        """The event with the time it happened."""
        return msgspec.structs.replace(event, at_s=self.clock() - self.started)

    def phase(self, name: PhaseName) -> AbstractContextManager[None]:
        """Count the time inside as that phase's."""
        return phase_of([(self, name)])


@contextmanager
def phase_of(phases: Sequence[tuple[Run, PhaseName]]) -> Iterator[None]:
    """Count the time inside as each run's in that phase: all of them wait for it."""
    clock = phases[0][0].clock
    started = clock()
    try:
        yield
    finally:
        elapsed = clock() - started
        for run, name in phases:
            run.seconds[name] += elapsed


@contextmanager
def counted(role: ModelRole, shares: Sequence[tuple[Run, int]]) -> Iterator[None]:
    """Count what a model prefills inside for these runs, in proportion to their shares."""
    engine = shares[0][0].engines[role]
    before = engine.usage().prefill_tokens
    try:
        yield
    finally:
        num_tokens = engine.usage().prefill_tokens - before
        total = sum(share for _, share in shares) or 1
        so_far = 0
        for run, share in shares:
            run.prefilled[role] -= num_tokens * so_far // total
            so_far += share
            run.prefilled[role] += num_tokens * so_far // total


def extend_together(role: ModelRole, jobs: Sequence[tuple[Run, ExtendJob]]) -> list[Extended]:
    """Prefill known tokens after sequences of several runs, in as few calls as fit."""
    if not jobs:
        return []
    with counted(role, [(run, len(job.tokens) + len(job.suffix)) for run, job in jobs]):
        return jobs[0][0].engines[role].extend([job for _, job in jobs])
