"""From rows and labelled steps to one report, and the report as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from ssr_local.bench.labels.process_labels import THRESHOLD
from ssr_local.bench.labels.verifiers import VerifierReport, score_verifiers
from ssr_local.bench.records import Row, Walk
from ssr_local.bench.report.arrangement import TARGET, Runs, arrange
from ssr_local.bench.report.decision import Decision, decide
from ssr_local.bench.report.depth import Depth, depth
from ssr_local.bench.report.failures import Signature, failures
from ssr_local.bench.report.material import Material, gather
from ssr_local.bench.report.selection import SelectionFigures, selection_figures
from ssr_local.bench.report.summary import MethodSummary, summarise
from ssr_local.bench.report.tradeoff import Tradeoff, trade
from ssr_local.core.records import Calibration


class TaskReport(Struct, frozen=True, kw_only=True):
    """All figures of one task at one concurrency."""

    task: str
    concurrency: int
    baseline: str | None
    problems: tuple[str, ...]
    methods: tuple[MethodSummary, ...]
    tradeoff: Tradeoff
    selection: SelectionFigures
    depth: Depth
    failures: tuple[Signature, ...]
    decision: Decision = msgspec.field(name="plain")  # as reports of 0.1.0 name it

    @property
    def title(self) -> str:
        """The task, and how many problems ran at once where that is not one."""
        together = f", {self.concurrency} problems at once" if self.concurrency != 1 else ""
        return self.task + together


class Report(Struct, frozen=True, kw_only=True):
    """Everything ``report.json`` holds; ``steps`` is None without labelled steps."""

    material: Material
    tasks: tuple[TaskReport, ...]
    steps: VerifierReport | None


def build_report(
    rows: Sequence[Row],
    walks: Sequence[Walk] = (),
    *,
    calibrations: Mapping[str, Calibration] | None = None,
    threshold: float = THRESHOLD,
    baseline: str = TARGET,
) -> Report:
    """The report on these rows, of any tasks, methods and directories.

    ``calibrations`` and ``threshold`` are what ``score_verifiers`` takes; ``baseline`` is the
    method that the others are compared with. Raises ``UsageError`` without scipy, and for a
    baseline that no task has.
    """
    groups, num_twice = arrange(rows, baseline)
    return Report(
        material=gather(groups, walks, num_twice),
        tasks=tuple(map(_task, groups)),
        steps=score_verifiers(walks, calibrations=calibrations, threshold=threshold)
        if walks
        else None,
    )


def _task(runs: Runs) -> TaskReport:
    summaries, tradeoff = summarise(runs), trade(runs)
    return TaskReport(
        task=runs.task,
        concurrency=runs.concurrency,
        baseline=runs.baseline,
        problems=runs.problems,
        methods=summaries,
        tradeoff=tradeoff,
        selection=selection_figures(runs),
        depth=depth(runs),
        failures=failures(runs),
        decision=decide(summaries, tradeoff),
    )


def report_json(report: Report) -> bytes:
    """The report as indented JSON; what could not be computed is null."""
    return msgspec.json.format(msgspec.json.encode(report)) + b"\n"
