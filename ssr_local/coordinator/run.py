"""The state of one run, which the phases of the method read and change."""

from __future__ import annotations

import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, TypeVar

import msgspec

from ssr_local.coordinator.path import PathState, State, StepInProgress, current_step
from ssr_local.coordinator.plan import Plan
from ssr_local.coordinator.prompter import Prompter
from ssr_local.core.events import Event, RunMeasured
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import (
    Author,
    Comparison,
    Status,
    StrategyScore,
    Timing,
    Usage,
    VoteGroup,
)
from ssr_local.engine.base import Engine, Sampling, StepJob
from ssr_local.method.pools import Pool
from ssr_local.method.verification import Judge

PhaseName = Literal["selection", "prefill", "draft", "verify", "rewrite", "write", "vote"]

_E = TypeVar("_E", bound=Event)

_MEASURED_EVERY_S = 1.0


class Run:
    """One problem being solved: what was asked, the models, the paths, what was counted.

    ``engines`` has the models the plan names and ``prompters`` one for each of them;
    ``given`` are steps that every path has when it is opened. ``compare`` says whether two
    answers are equivalent. ``prefixes`` are the tokens that all
    prompts of a model begin with, ``roots`` the sequences that hold them.
    """

    def __init__(
        self,
        *,
        problem: str,
        options: SolveOptions,
        plan: Plan,
        pool: Pool,
        engines: Mapping[Author, Engine],
        prompters: Mapping[Author, Prompter],
        judge: Judge,
        compare: Callable[[str, str], Comparison],
        given: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem = problem
        self.options = options
        self.plan = plan
        self.pool = pool
        self.engines = engines
        self.prompters = prompters
        self.judge = judge
        self.compare = compare
        self.given = tuple(given)
        self.clock = clock
        self.started = clock()
        self.paused_s = 0.0
        self.paths: list[PathState] = []
        self.scores: tuple[StrategyScore, ...] = ()
        self.orders: tuple[tuple[str, ...], ...] = ()
        self.groups: tuple[VoteGroup, ...] = ()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.measured_s = self.started
        self.num_drafted = self.num_accepted = self.num_rewrites = 0
        self.cancelled = False
        self.usage = Usage()
        self.prefixes: dict[Author, list[int]] = {}
        self.roots: dict[Author, int] = {}
        self.probes: dict[bool, list[int]] = {}

    @property
    def status(self) -> Status:
        """How the run came out; valid when it is over."""
        if self.cancelled:
            return "cancelled"
        return "answered" if self.groups else "no_answer"

    @property
    def time_is_up(self) -> bool:
        """Whether the run has worked as long as it may; pauses do not count."""
        limit = self.options.time_limit
        return bool(limit) and self.clock() - self.started - self.paused_s >= limit

    def live(self) -> list[PathState]:
        """The paths that have not ended."""
        return [path for path in self.paths if path.live]

    def in_state(self, state: State, role: Author) -> dict[int, PathState]:
        """The paths in that state by the id of their sequence on that model."""
        return {path.sequences[role]: path for path in self.live() if path.state == state}

    def find(self, index: int) -> PathState | None:
        """The live path of that index."""
        return next((path for path in self.live() if path.index == index), None)

    @property
    def same_vocabulary(self) -> bool:
        """Whether token ids mean the same to both models."""
        prints = {engine.vocabulary.fingerprint for engine in self.engines.values()}
        return len(prints) == 1

    @property
    def asks_the_target(self) -> bool:
        """Whether selection needs the target."""
        return self.plan.selects and self.options.selection in ("logprob", "generate")

    def start_steps(
        self, role: Author, paths: Sequence[PathState], state: Literal["writing", "rewriting"]
    ) -> None:
        """Let a model begin a step on each of these paths."""
        engine = self.engines[role]
        jobs = []
        for path in paths:
            marks = {r: self.engines[r].num_tokens(seq) for r, seq in path.sequences.items()}
            path.current = StepInProgress(role, marks, self.clock())
            path.state = state
            left = max(1, self.options.max_tokens - path.num_tokens)
            sampling = Sampling(
                self.options.temperature,
                self.options.top_p,
                self.seed(f"{path.index}/{role}"),
            )
            jobs.append(
                StepJob(path.sequences[role], min(self.options.max_step_tokens, left), sampling)
            )
        if jobs:
            engine.start_steps(jobs)

    def hand_over(self, path: PathState, giver: Author, taker: Author) -> list[int]:
        """The current step as the other model's token ids."""
        step = current_step(path)
        if self.same_vocabulary:
            return self.engines[giver].tokens(path.sequences[giver], step.marks[giver])
        return self.engines[taker].tokenize(step.text)

    def truncate(self, path: PathState) -> None:
        """Forget the current step on both models."""
        for role, seq_id in path.sequences.items():
            self.engines[role].truncate(seq_id, current_step(path).marks[role])

    def read_usage(self) -> Usage:
        """Tokens worked through so far, by model."""
        used = {role: engine.usage() for role, engine in self.engines.items()}
        return Usage(**used)

    def kv_cells(self) -> dict[Author, int]:
        """How many KV-cache cells the paths take on each model, what they share counted once."""
        cells = {}
        for role, engine in self.engines.items():
            root = self.roots.get(role)
            shared = engine.num_tokens(root) if root is not None else 0
            own = [
                engine.num_tokens(path.sequences[role]) - shared
                for path in self.live()
                if role in path.sequences
            ]
            cells[role] = shared + sum(own)
        return cells

    def measure(self) -> Iterator[RunMeasured]:
        """What the run has cost so far, when it is time to say so again."""
        now = self.clock()
        if now - self.measured_s < _MEASURED_EVERY_S:
            return
        self.measured_s = now
        seconds = Timing(**self.seconds, total=now - self.started)
        yield self.at(
            RunMeasured(usage=self.read_usage(), timing_s=seconds, kv_cells=self.kv_cells())
        )

    def seed(self, purpose: str) -> int:
        """A seed of its own for every path and model, the same for the same run seed."""
        return zlib.crc32(f"{self.options.seed}/{purpose}".encode())

    def at(self, event: _E) -> _E:
        """The event with the time it happened."""
        return msgspec.structs.replace(event, at_s=self.clock() - self.started)

    @contextmanager
    def phase(self, name: PhaseName) -> Iterator[None]:
        """Count the time inside as that phase's."""
        started = self.clock()
        try:
            yield
        finally:
            self.seconds[name] += self.clock() - started
