"""Which plots a report has, by name; what draws them is in ``plots``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from ssr_local.bench.report.figures import Report, TaskReport

Kind = Literal[
    "accuracy-time", "accuracy-flops", "flops-time", "selection", "depth", "roc", "calibration"
]

_MAX_SLUG_CHARS = 40


class Picture(Struct, frozen=True, kw_only=True):
    """One PNG file. ``task`` is the place in ``Report.tasks``, None where it is about steps."""

    kind: Kind
    task: int | None
    file: str
    title: str


def pictures(report: Report) -> tuple[Picture, ...]:
    """The plots there are figures for; no two have the same file name."""
    found: list[Picture] = []
    names: set[str] = set()
    for place, task in enumerate(report.tasks):
        slug = _slug(task, names)
        found.extend(
            Picture(kind=kind, task=place, file=f"{kind}-{slug}.png", title=title)
            for kind, title in _of_task(task)
        )
    scores = report.steps.verifiers if report.steps else ()
    if any(score.roc.points for score in scores):
        found.append(_of_steps("roc", "false and true accepts of every verifier"))
    if any(score.scores for score in scores):
        found.append(_of_steps("calibration", "what a verifier's score comes to"))
    return tuple(found)


def _of_steps(kind: Kind, title: str) -> Picture:
    return Picture(kind=kind, task=None, file=f"verifiers-{kind}.png", title=title)


def _of_task(task: TaskReport) -> Iterable[tuple[Kind, str]]:
    points = task.tradeoff.points
    if any(point.seconds is not None for point in points):
        yield "accuracy-time", "accuracy against time"
    if any(point.cost("total_flops") for point in points):
        yield "accuracy-flops", "accuracy against FLOPs"
        if sum(point.seconds is not None for point in points) > 1:
            yield "flops-time", "FLOPs against time"
    if any(row.any_right for row in task.selection.rows):
        yield "selection", "what choosing strategies is worth"
    if task.depth.verified or len(task.depth.single) > 1:
        yield "depth", "accuracy and acceptance by depth"


def _slug(task: TaskReport, names: set[str]) -> str:
    """A name that is safe in any folder, and new."""
    slug = re.sub(r"[^a-z0-9]+", "-", task.task.lower()).strip("-")[:_MAX_SLUG_CHARS] or "task"
    if task.concurrency != 1:
        slug += f"-at-once-{task.concurrency}"
    while slug in names:
        slug += "-2"
    names.add(slug)
    return slug
