"""The report as Markdown: in plain words first, what was run, then the figures. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ssr_local.bench.report import sections
from ssr_local.bench.report.figures import Report, TaskReport
from ssr_local.bench.report.material import Material, ModelFile
from ssr_local.bench.report.pictures import Kind, pictures
from ssr_local.bench.report.steps_section import steps_section
from ssr_local.bench.report.tables import DASH, bullets, count, escaped, table

_MAX_SEEDS = 8

_MAIN = """\
Accuracy is pass@1: right runs of all runs, missing, undecided and failed ones included, as a mean
over problems. Its interval is Wilson's over problems (repeats of a problem are no independent
trials). The columns from points to time are beside `target`, over the problems and repeats both
have. Points are the difference in accuracy on the first repeat both have, with Newcombe's paired
interval; p is McNemar's exact one of it, and errs on the safe side: it may be above 0.05 where the
interval leaves 0 out. FLOPs (2 x parameters x tokens) are ratios of sums, decode FLOPs as the
paper counts them, total FLOPs with prefill; the time ratio has a bootstrap interval over problems,
none under ten, and leaves failed runs out as FLOPs do. Ratios below 1 are in favour of the method.
Steps accepted (of drafted ones), steps rewritten (of all) and decoded tokens (a mean run's) are the
method's own, over all its runs that have a result. \"-\" is what cannot be said."""

_TRADEOFF = """\
A method is on the Pareto front when no other is at least as accurate and at most as costly, and
better in one of the two. Intervals: Wilson's for accuracy, bootstrap over problems for seconds,
none under ten problems or where several were solved at once."""

_FLOPS = """\
If FLOPs foretold time, every method would do as many a second, and the correlations would be
near 1. No correlation is given of fewer than five."""

_SELECTION = """\
\"A path right\": at least one path came to the right answer, whatever the vote made of it. Ways of
choosing are compared on the problems all of their family have; p is McNemar's exact one against
the target's own choice, for a path being right. Paths stopped by an early exit count as not right
there. Of single strategies, \"choices\" are paths given to it, where one scored choice that several
methods or repeats made of a problem counts once; right paths are of all runs, those stopped from
outside and methods with an early exit left out, and intervals are over problems. The target gives a
strategy the problems it finds fit, so only strategies drawn at random can be compared with one
another."""

_DEPTH = """\
Over all methods' paths, those stopped from outside left out. Right ones are counted without methods
that have an early exit: the paths they let end are those that came first. Intervals draw whole
problems anew, since paths of one problem stand or fall together; none is given where all problems
agree or are fewer than ten. Harder problems take longer paths: a fall with depth need not come from
depth."""

_FAILURES = """\
Counted over all runs, or over their paths where it says so; \"of\" are those that could show the
signature. A signature tells what happened, and not that it was the reason."""


def report_markdown(report: Report, *, plots: bool = True) -> str:
    """The whole report; ``plots=False`` leaves out the pictures, for where none were drawn."""
    each: list[tuple[str, str, Callable[[TaskReport], str], tuple[Kind, ...]]] = [
        ("1. Methods", _MAIN, sections.main_table, ()),
        (
            "2. Accuracy against cost",
            _TRADEOFF,
            sections.tradeoff_table,
            ("accuracy-time", "accuracy-flops"),
        ),
        ("3. FLOPs against time", _FLOPS, sections.flops_table, ("flops-time",)),
        ("4. Selecting strategies", _SELECTION, sections.selection_tables, ("selection",)),
        ("6. Depth", _DEPTH, sections.depth_tables, ("depth",)),
        ("7. Failure signatures", _FAILURES, sections.failure_table, ()),
    ]
    parts = ["# Evaluation of ssr-local", *_in_plain_words(report), _material(report.material)]
    for title, about, render, kinds in each:
        if title.startswith("6."):
            shown = _embedded(report, ("roc", "calibration"), None) if plots else []
            parts += ["## 5. Verification", steps_section(report.steps), *shown]
        parts += [f"## {title}", *([about] if about else [])]
        for place, task in enumerate(report.tasks):
            parts += [f"### {escaped(task.title)}", render(task)]
            parts += _embedded(report, kinds, place) if plots else []
        if not report.tasks:
            parts.append("No rows.")
        if title.startswith("7.") and report.tasks:
            parts.append(_meanings(report.tasks[0]))
    return "\n\n".join(parts) + "\n"


def _in_plain_words(report: Report) -> Iterable[str]:
    """What it comes to stands first, above all when it does not flatter the method."""
    for task in report.tasks:
        yield f"**{escaped(task.title)}.** {escaped(task.plain.text, 0)}"


def _embedded(report: Report, kinds: tuple[Kind, ...], task: int | None) -> list[str]:
    return [
        f"![{escaped(picture.title)}]({picture.file})"
        for picture in pictures(report)
        if picture.kind in kinds and picture.task == task
    ]


def _meanings(task: TaskReport) -> str:
    return bullets(f"{found.name}: {found.meaning}; of {found.of_what}" for found in task.failures)


def _material(material: Material) -> str:
    parts = [
        "**Before you trust these figures**\n\n" + bullets(map(_plain, material.warnings))
        if material.warnings
        else "",
        "## What was run",
        _tasks(material),
        _models(material),
        bullets(_facts(material)),
    ]
    return "\n\n".join(filter(None, parts))


def _plain(text: str) -> str:
    return escaped(text, 0)


def _tasks(material: Material) -> str:
    rows = [
        (
            escaped(run.task),
            ", ".join(map(escaped, run.methods)),
            "one after another" if run.concurrency == 1 else f"{run.concurrency} at once",
            str(run.num_problems),
            str(run.num_repeats),
            str(run.num_runs),
        )
        for run in material.tasks
    ]
    head = ("Task", "Methods", "Problems run", "Problems", "Repeats", "Runs")
    return table(head, rows, num_left=3) if rows else ""


def _models(material: Material) -> str:
    rows = [_model(file) for file in material.models]
    head = ("Role", "Model", "File", "SHA-256", "Engine", "Device", "Parameters")
    return table(head, rows, num_left=6) if rows else ""


def _model(file: ModelFile) -> tuple[str, ...]:
    return (
        file.role,
        escaped(file.name),
        escaped(file.file) or DASH,
        escaped(file.sha256) if file.sha256 else "unknown",
        escaped(file.engine) or "unknown",
        escaped(file.device),
        count(file.num_parameters),
    )


def _facts(material: Material) -> Iterable[str]:
    if material.machines:
        yield f"Machine: {'; '.join(escaped(name, 200) for name in material.machines)}"
        yield f"Version of ssr-local: {', '.join(map(escaped, material.versions))}"
        hashes = ", ".join(f"{escaped(d)} ({escaped(task)})" for task, d in material.prompt_hashes)
        yield f"Hash of the prompts: {hashes}"
        yield f"Seeds: {_seeds(material.seeds)}"
        yield f"Begun from {escaped(material.first_at)} to {escaped(material.last_at)}"
    if material.settings:
        settings = (f"{s.name} {' or '.join(s.values)}" for s in material.settings)
        yield f"Options: {escaped(', '.join(settings), 0)}"
    if material.num_walks:
        yield f"Labelled steps: {material.num_steps}, from {material.num_walks} problems"


def _seeds(seeds: tuple[int, ...]) -> str:
    if len(seeds) <= _MAX_SEEDS:
        return ", ".join(map(str, seeds))
    return f"{len(seeds)} of them, from {seeds[0]} to {seeds[-1]}"
