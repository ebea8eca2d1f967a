"""The report as Markdown: one table and three sentences, then every figure as a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ssr_local.bench.labels.verifiers import VerifierReport
from ssr_local.bench.report.figures import Report, TaskReport
from ssr_local.bench.report.markdown import (
    DASH,
    bullets,
    cell,
    escaped,
    p_text,
    table,
    table_of,
)
from ssr_local.bench.report.material import Material
from ssr_local.bench.report.plots import pictures
from ssr_local.bench.report.summary import AgainstBaseline, MethodSummary

_HEAD = """\
Accuracy is pass@1 over problems; points, exact McNemar p, time and FLOPs are beside the baseline
({}) on the problems both have, and ratios below 1 are in favour of the method. A decision counts
a difference in accuracy as shown below p = 0.05 (not corrected for the number of methods) and one
in time when its interval leaves out 1. "use" is the fastest method that could not be told apart
from the most accurate one."""

_STEPS = """\
A step is bad where the target's own rate of right answers fell by more than the margin from before
to after it; no human labelled any. False accepts are of the bad steps, false rejects of the good
ones; where they are not held out they are by the calibration in force, which flatters if it was
fitted to these steps."""


def report_markdown(report: Report, *, plots: bool = True) -> str:
    """The whole report; ``plots=False`` leaves out the pictures, for where none were drawn."""
    parts = ["# Evaluation of ssr-local", report_head(report)]
    for index, task in enumerate(report.tasks):
        parts += [f"## {escaped(task.title)}", *_task(task)]
        shown = [one for one in pictures(report) if plots and one.task == index]
        parts += [f"![{escaped(one.title)}]({one.file})" for one in shown]
    if report.steps:
        parts += ["## Verification", steps_markdown(report.steps)]
    parts += ["## What was run", *_material(report.material)]
    return "\n\n".join(filter(None, parts)) + "\n"


def report_head(report: Report) -> str:
    """The result: one table, three sentences, and what should not have been mixed."""
    rows = [_head_row(task, method) for task in report.tasks for method in task.methods]
    heads = ("Task", "Method", "Decision", "Problems", "Accuracy [95 %]")
    beside = ("Points [95 %]", "p", "Time [95 %]", "Decode FLOPs", "Total FLOPs")
    warnings = bullets(escaped(text, 0) for text in report.material.warnings)
    named = sorted({task.baseline for task in report.tasks if task.baseline})
    baselines = " or ".join(map(escaped, named)) or "none here, --baseline names one"
    shown = (
        [table((*heads, *beside), rows, num_left=3), _HEAD.format(baselines)]
        if rows
        else ["No rows."]
    )
    return "\n\n".join(filter(None, (*shown, warnings)))


def _head_row(task: TaskReport, method: MethodSummary) -> Sequence[str]:
    beside, decision = method.target, task.decision
    said = ["baseline"] if task.baseline == method.method else []
    said += [one.worth for one in decision.findings if one.method == method.method]
    said += ["use"] if decision.use == method.method else []
    return (
        escaped(task.title),
        escaped(method.method),
        ", ".join(said) or DASH,
        str(method.num_problems),
        cell(method.accuracy),
        _points(beside) if beside else DASH,
        p_text(beside.p if beside else None),
        *(cell(getattr(beside, name, None)) for name in ("time", "decode_flops", "total_flops")),
    )


def _points(beside: AgainstBaseline) -> str:
    """The difference in accuracy on the first repeat both have, as its p looks at it."""
    if beside.difference is None:
        return DASH
    low, high = (round(100 * end) for end in (beside.difference.low, beside.difference.high))
    return f"{round(100 * beside.gain / beside.num_problems):+d} [{low}, {high}]"


def _task(task: TaskReport) -> Iterable[str]:
    trade, choice, depth = task.tradeoff, task.selection, task.depth
    if task.concurrency > 1:
        yield "Seconds are each problem's equal share of the time its batch took."
    yield table_of(task.methods, "target", title="Methods")
    yield table_of(trade.points, title="Accuracy against cost, where all of these have tried")
    yield table_of(choice.rows, title="Strategies chosen by the target, at random, and none")
    yield table_of(choice.parts, title="The same by subject and level")
    yield table_of(depth.verified, title="Depth: paths drafted and verified, by number of steps")
    yield table_of(depth.target_alone, title="Depth: paths of the target alone")
    yield table_of(depth.draft_alone, title="Depth: paths of the draft alone")
    seen = [signature for signature in task.failures if signature.of]
    yield table_of(seen, title="Failure signatures")


def steps_markdown(report: VerifierReport) -> str:
    """What verifiers are worth on labelled steps: false accepts and false rejects first."""
    scores = [score for score in report.verifiers if score.num_good + score.num_bad]
    fallback = [report.fallback] if report.fallback else []
    parts = [
        table_of(scores, "threshold", title="Verifiers"),
        table_of(fallback, title="The likelihood without a calibration"),
        table_of([report], "verifiers", "fallback", title="Labelled steps"),
        _STEPS,
    ]
    return "\n\n".join(filter(None, parts))


def _material(material: Material) -> Iterable[str]:
    yield table_of(material.models, title="Models")
    yield table_of([material], "models", "settings", "warnings", title="Rows")
    yield table_of(material.settings, title="Options")
