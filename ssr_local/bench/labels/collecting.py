"""Collects labelled steps until there are enough, and keeps each problem's as it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssr_local.bench.labels.rollouts import Labeller
from ssr_local.bench.records import Problem, Walk
from ssr_local.bench.runner import MAX_FAILURES
from ssr_local.bench.store import LineFile
from ssr_local.core.errors import EngineError, ProblemError


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
