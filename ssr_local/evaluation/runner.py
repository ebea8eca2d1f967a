"""Solves a task's problems with several methods, in turn, and keeps every row.

Methods alternate problem by problem (A B C, then B C A ...), so that a machine that
drifts favours none. What a directory holds already is not done again.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from ssr_local.api import Solver
from ssr_local.errors import EngineError, ProblemError
from ssr_local.evaluation.methods import MethodSpec
from ssr_local.evaluation.provenance import machine, now, prompt_hash
from ssr_local.evaluation.records import Outcome, Problem, Row
from ssr_local.evaluation.scoring import Scorer
from ssr_local.evaluation.store import LineFile
from ssr_local.options import SolveOptions
from ssr_local.records import RunResult
from ssr_local.version import VERSION

_MAX_SEED = 2**32 - 2


class Job(Struct, frozen=True):
    """One row to make."""

    problem: Problem
    method: MethodSpec
    repeat: int


class Bench(Struct, frozen=True):
    """What is measured: a task's problems, methods, and how often each."""

    task: str
    problems: tuple[Problem, ...]
    methods: tuple[MethodSpec, ...]
    repeats: int
    seed: int

    def jobs(self, done: Iterable[Row] = ()) -> list[Job]:
        """What is left to do, in the order it is done in; rows that failed are tried again."""
        keys = {row.key for row in done if row.outcome != "failed"}
        return [
            job
            for job in schedule(self.problems, self.methods, self.repeats)
            if (self.task, job.problem.id, job.method.name, job.repeat) not in keys
        ]


def latest(rows: Iterable[Row]) -> list[Row]:
    """Each row once: what was tried again after it had failed counts as it came out last."""
    return list({row.key: row for row in rows}.values())


def schedule(
    problems: Sequence[Problem], methods: Sequence[MethodSpec], repeats: int
) -> Iterator[Job]:
    """Every problem by every method, a whole repeat before the next; each problem begins with
    the method after the one its predecessor began with."""
    for repeat in range(repeats):
        for number, problem in enumerate(problems):
            first = (number + repeat) % len(methods)
            for method in (*methods[first:], *methods[:first]):
                yield Job(problem, method, repeat)


def seed_of(seed: int, problem: str, repeat: int) -> int:
    """The seed of one problem and repeat, the same for every method."""
    return zlib.crc32(f"{seed}/{problem}/{repeat}".encode()) % (_MAX_SEED + 1)


def run_bench(
    bench: Bench,
    solver: Solver,
    scorer: Scorer,
    options: SolveOptions,
    file: LineFile[Row],
) -> Iterator[Row]:
    """Do what is left and yield each row when it has been written.

    An engine that fails costs one row, which says why; everything else is raised, as is
    the third failure in a row: then it is not the problem's fault.
    """
    place = _Place(bench, solver, scorer, options)
    failed = 0
    for job in bench.jobs(file.lines):
        row = place.row(job)
        file.append(row)
        yield row
        failed = failed + 1 if row.outcome == "failed" else 0
        if failed == _MAX_FAILURES and place.error is not None:
            raise place.error


_MAX_FAILURES = 3


class _Place:
    """What all rows of a bench have in common, and what makes one."""

    def __init__(self, bench: Bench, solver: Solver, scorer: Scorer, options: SolveOptions) -> None:
        self._bench, self._solver, self._scorer, self._options = bench, solver, scorer, options
        self._machine, self._prompt_hash = machine(), prompt_hash(options.strategies)
        self.error: EngineError | ProblemError | None = None

    def row(self, job: Job) -> Row:
        problem, seed = job.problem, seed_of(self._bench.seed, job.problem.id, job.repeat)
        options = job.method.options(self._options)
        started_at, clock = now(), _Stopwatch()
        result: RunResult | None = None
        outcome: Outcome = "failed"
        path_outcomes: tuple[Outcome, ...] = ()
        error = ""
        try:
            result = self._solver.solve(problem.problem, options, seed=seed)
        except (EngineError, ProblemError) as failure:
            self.error, error = failure, str(failure)
        elapsed_s = clock.read()
        if result is not None:
            elapsed_s = result.timing_s.total  # loading a model is no part of solving
            outcome, path_outcomes = self._scorer.judge(problem, result)
        return Row(
            task=self._bench.task,
            problem=problem.id,
            method=job.method.name,
            repeat=job.repeat,
            seed=seed,
            reference=problem.answer,
            outcome=outcome,
            path_outcomes=path_outcomes,
            result=result,
            elapsed_s=elapsed_s,
            concurrency=1,
            version=VERSION,
            prompt_hash=self._prompt_hash,
            machine=self._machine,
            started_at=started_at,
            subject=problem.subject,
            level=problem.level,
            error=error,
        )


class _Stopwatch:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._started = clock, clock()

    def read(self) -> float:
        return self._clock() - self._started
