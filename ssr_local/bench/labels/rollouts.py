"""Steps with process labels: what a step does to the rate of right answers.

From every position in a path the target goes on several times by itself (Monte-Carlo rollouts).
A step after which fewer rollouts are right than before it has done harm. Paths are walked as SSR
walks them: the draft writes; where its step did harm, the target's own replaces it. That step is
the first one of the first rollout there, whatever came of it, so it is a fair sample of the
rewrites that SSR trusts blindly.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.api import Solver
from ssr_local.bench.provenance import machine, now, prompt_hash
from ssr_local.bench.records import LabelledStep, Outcome, Problem, Rate, Walk
from ssr_local.bench.runner import MAX_FAILURES
from ssr_local.bench.scoring import Scorer
from ssr_local.core.errors import EngineError, ProblemError, SSRError
from ssr_local.core.line_file import LineFile
from ssr_local.core.options import SolveOptions, with_changes
from ssr_local.core.records import ModelRole, Models, ReasoningPath, RunResult
from ssr_local.version import VERSION


class RolloutOptions(Struct, frozen=True, kw_only=True):
    """``samples`` rollouts from every position; at most ``max_drafted`` drafted steps of one
    problem, so that long paths do not outweigh short ones. A drafted step is replaced when
    the rate of right answers falls by more than ``margin``. A walk goes on only from positions
    with a rate of at least ``min_rate``: where it is low already, a few rollouts cannot tell
    whether a step lowers it."""

    samples: int = 6
    max_drafted: int = 8
    margin: float = 0.25
    min_rate: float = 0.5
    seed: int = 0


class _Position(NamedTuple):
    """The rate of right answers from somewhere in a path, and the rollouts from there."""

    rate: Rate
    paths: tuple[ReasoningPath, ...] = ()


class _Written(NamedTuple):
    """A new step; ``ends`` when nothing follows it in its path, which then has ``answer``."""

    author: ModelRole
    text: str
    ends: bool
    answer: str | None


class Labeller:
    """Collects labelled steps with a solver's pair, one problem at a time."""

    def __init__(
        self, solver: Solver, scorer: Scorer, options: SolveOptions, rollouts: RolloutOptions
    ) -> None:
        self._solver, self._scorer = solver, scorer
        self._options, self._rollouts = options, rollouts
        self._models = Models()

    def walk(self, task: str, problem: Problem) -> Walk:
        """The labelled steps of one problem. Raises what ``Solver.solve`` raises."""
        started, begun = time.monotonic(), self._begun(task, problem)
        self._models = Models()
        start = self._at(problem, self._run(problem, (), "target", self._rollouts.samples, "start"))
        steps = tuple(self._steps(problem, start)) if self._is_clear(start) else ()
        elapsed_s = time.monotonic() - started
        return replace(
            begun, start=start.rate, steps=steps, models=self._models, elapsed_s=elapsed_s
        )

    def failed(self, task: str, problem: Problem, error: SSRError) -> Walk:
        """What is kept of a problem the models could not be run on."""
        return replace(self._begun(task, problem), models=self._models, error=str(error))

    def _begun(self, task: str, problem: Problem) -> Walk:
        return Walk(
            task=task,
            problem=problem.id,
            reference=problem.answer,
            samples=self._rollouts.samples,
            seed=self._rollouts.seed,
            start=Rate(0, 0),
            steps=(),
            models=Models(),
            elapsed_s=0.0,
            version=VERSION,
            prompt_hash=prompt_hash(self._options.strategies),
            machine=machine(),
            started_at=now(),
            subject=problem.subject,
            level=problem.level,
        )

    def _steps(self, problem: Problem, position: _Position) -> Iterator[LabelledStep]:
        prefix: tuple[str, ...] = ()
        for number in range(self._rollouts.max_drafted):
            written = self._drafted(problem, prefix, number)
            if written is None:
                return
            after = self._after(problem, prefix, written, f"draft {number}")
            if not after.rate.num:
                return
            yield self._labelled(problem, prefix, written, position, after)
            if position.rate.exceeds(after.rate, self._rollouts.margin):
                rewrite = _first_step(position.paths[0])
                if rewrite is None:
                    return
                written = rewrite
                after = self._after(problem, prefix, written, f"rewrite {number}")
                if not after.rate.num:
                    return
                yield self._labelled(problem, prefix, written, position, after)
            if written.ends or not self._is_clear(after):
                return
            prefix, position = (*prefix, written.text), after

    def _drafted(self, problem: Problem, prefix: Sequence[str], number: int) -> _Written | None:
        (path,) = self._run(problem, prefix, "draft", 1, f"step {number}", max_steps=1).paths
        return _first_step(path)

    def _after(
        self, problem: Problem, prefix: Sequence[str], written: _Written, purpose: str
    ) -> _Position:
        """The position after a new step."""
        if written.ends:
            return _Position(_rate([self._scorer.outcome(problem, written.answer)]))
        steps = (*prefix, written.text)
        return self._at(
            problem, self._run(problem, steps, "target", self._rollouts.samples, purpose)
        )

    def _at(self, problem: Problem, result: RunResult) -> _Position:
        outcomes = [self._scorer.outcome(problem, path.answer) for path in result.paths]
        return _Position(_rate(outcomes), result.paths)

    def _is_clear(self, position: _Position) -> bool:
        return position.rate.share >= self._rollouts.min_rate

    def _labelled(
        self,
        problem: Problem,
        prefix: tuple[str, ...],
        written: _Written,
        before: _Position,
        after: _Position,
    ) -> LabelledStep:
        (reading,) = self._solver.read_steps(
            problem.problem, [written.text], strategies=self._options.strategies, given=prefix
        )
        return LabelledStep(
            author=written.author,
            given=prefix,
            text=written.text,
            before=before.rate,
            after=after.rate,
            states_answer=written.answer is not None,
            log_probs=reading.log_probs,
            digits=reading.digits,
            probes=reading.probes,
        )

    def _run(
        self,
        problem: Problem,
        prefix: Sequence[str],
        writer: ModelRole,
        num_paths: int,
        purpose: str,
        **changes: int,
    ) -> RunResult:
        """Paths by one model alone after the prefix steps."""
        options = with_changes(
            self._options,
            method="draft" if writer == "draft" else "parallel",
            paths=num_paths,
            mode="full",
            seed=zlib.crc32(f"{self._rollouts.seed}/{problem.id}/{purpose}".encode()) % (2**32 - 1),
            **changes,
        )
        result = self._solver.solve(problem.problem, options, given=prefix)
        used = result.models
        self._models = Models(
            draft=used.draft or self._models.draft, target=used.target or self._models.target
        )
        return result


def num_labelled(file: LineFile[Walk], task: str) -> int:
    """How many of the draft's steps of this task a file holds."""
    return sum(walk.num_drafted for walk in file.lines if walk.task == task)


def collect(
    labeller: Labeller, file: LineFile[Walk], task: str, problems: Sequence[Problem], num: int
) -> Iterator[Walk]:
    """Label problem after problem until ``num`` of the draft's steps are labelled.

    Yields each walk when it has been written; problems the file has already are passed over.
    A problem the models cannot be run on costs its walk, which says why; when the engine
    fails on three of them, one after another, its error is raised.
    """
    done = {walk.key for walk in file.lines if not walk.error}
    labelled = num_labelled(file, task)
    failing = 0
    for problem in problems:
        if labelled >= num:
            return
        if (task, problem.id) in done:
            continue
        try:
            walk, failure = labeller.walk(task, problem), None
        except (EngineError, ProblemError) as error:
            walk, failure = labeller.failed(task, problem, error), error
        file.append(walk)
        labelled += walk.num_drafted
        yield walk
        failing = failing + 1 if isinstance(failure, EngineError) else 0
        if failure is not None and failing == MAX_FAILURES:
            raise failure


def _rate(outcomes: Sequence[Outcome]) -> Rate:
    """Right ones among those that could be told right or not; without any there is no label."""
    decided = [outcome for outcome in outcomes if outcome != "undecided"]
    if len(decided) == 1 < len(outcomes):
        return Rate(0, 0)  # a single one is how a rate that is known for sure is written
    return Rate(decided.count("right"), len(decided))


def _first_step(path: ReasoningPath) -> _Written | None:
    """A path's first own step; None when it has none."""
    if not path.steps:
        return None
    step = path.steps[0]
    own_end = path.end_reason in ("answered", "end_of_generation")
    ends = len(path.steps) == 1 and own_end
    return _Written(step.author, step.text, ends, path.answer if ends else None)
