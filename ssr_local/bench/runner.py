"""Solves a task's problems with several methods, in turn, and keeps every row.

Methods alternate problem by problem (A B C, then B C A ...), so that a machine that
drifts favours none. What a directory holds already is not done again.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from ssr_local.api import Solver
from ssr_local.bench.methods import MethodSpec
from ssr_local.bench.provenance import calibration_hash, machine, now, prompt_hash
from ssr_local.bench.records import Outcome, Problem, Row
from ssr_local.bench.scoring import Scorer
from ssr_local.core.display import printable
from ssr_local.core.errors import (
    EngineError,
    EngineUnavailable,
    Interrupted,
    ProblemError,
    SSRError,
    UsageError,
)
from ssr_local.core.line_file import LineFile
from ssr_local.core.options import SolveOptions, with_changes
from ssr_local.core.records import RunResult
from ssr_local.version import VERSION

MAX_FAILURES = 3
"""Problems, one after another, on which the engine fails before a bench gives up."""

_MAX_SEED = 2**32 - 2


class Job(Struct, frozen=True):
    """One row to make."""

    problem: Problem
    method: MethodSpec
    repeat: int


class Bench(Struct, frozen=True):
    """What is measured: a task's problems, methods, how often each, and how many at once."""

    task: str
    problems: tuple[Problem, ...]
    methods: tuple[MethodSpec, ...]
    repeats: int
    seed: int
    at_once: int = 1

    def keys(self) -> set[tuple[str, str, str, int]]:
        """The keys of all the rows."""
        jobs = (job for wave in self.waves() for job in wave)
        return {self._key(job) for job in jobs}

    def waves(self, done: Iterable[Row] = ()) -> list[tuple[Job, ...]]:
        """What is left to do, in the order it is done in; rows that failed are tried again, last.

        The jobs of one wave are done at once.
        """
        outcomes = {row.key: row.outcome for row in done}
        waves = list(schedule(self.problems, self.methods, self.repeats, self.at_once))
        return [
            left
            for wanted in (None, "failed")
            for wave in waves
            if (left := tuple(job for job in wave if outcomes.get(self._key(job)) == wanted))
        ]

    def _key(self, job: Job) -> tuple[str, str, str, int]:
        return (self.task, job.problem.id, job.method.name, job.repeat)


def latest(rows: Iterable[Row]) -> list[Row]:
    """Each row once: what was tried again after it had failed counts as it came out last."""
    return list({row.key: row for row in rows}.values())


def schedule(
    problems: Sequence[Problem], methods: Sequence[MethodSpec], repeats: int, at_once: int = 1
) -> Iterator[tuple[Job, ...]]:
    """Every problem by every method, a whole repeat before the next, ``at_once`` problems to a
    wave; each group of problems begins with the method after the one the last began with."""
    groups = [problems[start : start + at_once] for start in range(0, len(problems), at_once)]
    for repeat in range(repeats):
        for number, group in enumerate(groups):
            first = (number + repeat) % len(methods)
            for method in (*methods[first:], *methods[:first]):
                yield tuple(Job(problem, method, repeat) for problem in group)


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

    An engine that fails costs a row, which says why. When it fails on three problems, one
    after another, that is not the problems' fault, and its error is raised. ``UsageError``
    when the file's rows are of other problems under the same names.
    """
    _check_same(bench, file.lines)
    maker = _RowMaker(bench, solver, scorer, options)
    failing: set[str] = set()
    for wave in bench.waves(file.lines):
        done = _solved(bench, solver, options, wave)
        for job, one in zip(wave, done, strict=True):
            row = maker.row(job, one)
            file.append(row)
            yield row
        broken = [one.outcome for one in done if isinstance(one.outcome, EngineError)]
        failing = failing | {wave[0].problem.id} if broken else set()
        if len(failing) == MAX_FAILURES:
            raise broken[0]


def _check_same(bench: Bench, rows: Iterable[Row]) -> None:
    known = {problem.id: problem for problem in bench.problems}
    for row in rows:
        problem = known.get(row.problem) if row.task == bench.task else None
        if problem is None:
            continue
        text = row.result.problem if row.result else problem.problem.strip()
        if (row.reference, text) != (problem.answer, problem.problem.strip()):
            raise UsageError(
                f"The problem {printable(problem.id)} is not what it was when its rows were made.",
                "Its text or its reference answer has changed.",
                "Give the same data, or name another directory with --out.",
            )


class _Done(NamedTuple):
    """What became of a job. ``elapsed_s`` is its time, or its share of the wave's."""

    outcome: RunResult | SSRError
    elapsed_s: float
    started_at: str


def _solved(
    bench: Bench, solver: Solver, options: SolveOptions, wave: Sequence[Job]
) -> list[_Done]:
    chosen = [
        with_changes(
            job.method.options(options), seed=seed_of(bench.seed, job.problem.id, job.repeat)
        )
        for job in wave
    ]
    started_at, started = now(), time.monotonic()
    outcomes: list[RunResult | SSRError]
    try:
        if len(wave) == 1:
            outcomes = [solver.solve(wave[0].problem.problem, chosen[0])]
        else:
            outcomes = solver.solve_together([job.problem.problem for job in wave], chosen)
    except SSRError as error:
        outcomes = [error] * len(wave)
    for outcome in outcomes:
        if isinstance(outcome, SSRError) and (
            isinstance(outcome, EngineUnavailable)
            or not isinstance(outcome, EngineError | ProblemError)
        ):
            raise outcome  # no other problem, and no other try, would do better
        if isinstance(outcome, RunResult) and outcome.status == "cancelled":
            raise Interrupted("The bench was stopped.")
    # Loading a model is no part of solving: runs count from when their models were there.
    totals = [one.timing_s.total for one in outcomes if isinstance(one, RunResult)]
    elapsed_s = max(totals, default=time.monotonic() - started) / len(wave)
    return [_Done(outcome, elapsed_s, started_at) for outcome in outcomes]


class _RowMaker:
    """Judges what became of jobs, and knows what all rows of a bench have in common."""

    def __init__(self, bench: Bench, solver: Solver, scorer: Scorer, options: SolveOptions) -> None:
        self._bench, self._scorer, self._solver = bench, scorer, solver
        self._machine = machine()
        self._prompt_hash = prompt_hash(options.strategies, options.prompt)
        self._calibration_hash = calibration_hash(solver.calibrations)

    def row(self, job: Job, done: _Done) -> Row:
        problem, bench = job.problem, self._bench
        result: RunResult | None = None
        outcome: Outcome = "failed"
        path_outcomes: tuple[Outcome, ...] = ()
        if isinstance(done.outcome, RunResult):
            result = done.outcome
            outcome, path_outcomes = self._scorer.judge(problem, result)
        return Row(
            task=bench.task,
            problem=problem.id,
            method=job.method.name,
            repeat=job.repeat,
            seed=seed_of(bench.seed, problem.id, job.repeat),
            reference=problem.answer,
            outcome=outcome,
            path_outcomes=path_outcomes,
            result=result,
            elapsed_s=done.elapsed_s,
            concurrency=bench.at_once,
            version=VERSION,
            prompt_hash=self._prompt_hash,
            machine=self._machine,
            started_at=done.started_at,
            subject=problem.subject,
            level=problem.level,
            error="" if result else str(done.outcome),
            calibration_hash=self._calibration_hash,
            predicted_s=self._predicted_s(result) if result and bench.at_once == 1 else None,
        )

    def _predicted_s(self, result: RunResult) -> float | None:
        verifier, strategies = (str(result.options[name]) for name in ("verifier", "strategies"))
        predicted = self._solver.predict(
            result.plan, verifier, problem=result.problem, strategies=strategies
        )
        return predicted.seconds if predicted else None
