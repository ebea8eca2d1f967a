"""Two reports side by side, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ssr_local.bench.report.figures import Report, TaskReport
from ssr_local.bench.report.material import Material
from ssr_local.bench.report.summary import MethodSummary
from ssr_local.bench.report.tables import (
    DASH,
    bullets,
    decimal,
    escaped,
    ratio_text,
    share_text,
    table,
)
from ssr_local.bench.report.tradeoff import FEWEST_RANKED

_MAX_CHARS = 160

_ABOUT = """\
The differences are second minus first, in points, and second over first for time. They are not
tested: the two hold different runs. Where intervals do not overlap a difference is likely real,
where they do it may be. FLOPs do not know the machine: where the ratios to target of FLOPs are the
same and those of time are not, the machines differ in what the same work costs."""

_FIELDS: tuple[tuple[str, str, Callable[[Material], Iterable[str]]], ...] = (
    ("Machine", "", lambda m: m.machines),
    ("Engine", "", lambda m: {file.engine or "unknown" for file in m.models}),
    ("Device", "", lambda m: {file.device for file in m.models}),
    ("Draft model", "models", lambda m: _hashes(m, "draft")),
    ("Target model", "models", lambda m: _hashes(m, "target")),
    ("Version", "", lambda m: m.versions),
    ("Prompts", "prompts", lambda m: {f"{h} ({task})" for task, h in m.prompt_hashes}),
    ("Options", "options", lambda m: [f"{s.name} {' or '.join(s.values)}" for s in m.settings]),
)
"""Row, what a difference makes incomparable, value."""


def compare_markdown(first: Report, second: Report, names: tuple[str, str]) -> str:
    """Both reports' material and methods in one table each; ``names`` are the directories'."""
    one, two = (escaped(name) for name in names)
    parts = [f"# {one} beside {two}"]
    warnings = list(_warnings(first, second))
    if warnings:
        parts.append("**Before you compare**\n\n" + bullets(warnings))
    rows = [
        (field, _joined(value(first.material)), _joined(value(second.material)))
        for field, _, value in _FIELDS
    ]
    parts.append(table(("", one, two), rows, num_left=3))
    pairs = list(_pairs(first, second))
    parts.extend(_task(a, b, (one, two)) for a, b in pairs)
    parts.append(_ABOUT if pairs else "The two have no task in common.")
    titles = [[task.title for task in report.tasks] for report in (first, second)]
    parts += _alone("Tasks", titles, (one, two))
    return "\n\n".join(parts) + "\n"


def _hashes(material: Material, role: str) -> list[str]:
    return [
        f"{file.name} {(file.sha256 or 'hash unknown')[:12]}"
        for file in material.models
        if file.role == role
    ]


def _joined(values: Iterable[str]) -> str:
    return escaped("; ".join(sorted(set(values))), _MAX_CHARS) or DASH


def _warnings(first: Report, second: Report) -> Iterable[str]:
    for field, what, value in _FIELDS:
        one, two = set(value(first.material)), set(value(second.material))
        if what == "options":
            changed = sorted({text.partition(" ")[0] for text in one ^ two})
            if changed:
                yield f"Different options: {escaped(', '.join(changed), 0)}."
        elif what == "prompts":
            # One directory may hold fewer tasks than the other.
            shared = _tasks(first) & _tasks(second)
            if any(
                dict(first.material.prompt_hashes).get(task)
                != dict(second.material.prompt_hashes).get(task)
                for task in shared
            ):
                yield "Different prompts: the models were not asked the same things."
        elif what and one != two:
            yield f"Different {what} ({field.lower()}): this is not one pair on two machines."
    for a, b in _pairs(first, second):
        if a.problems != b.problems:
            num = len({*a.problems} & {*b.problems})
            yield (
                f"{escaped(a.title)}: not the same problems ({num} in common of"
                f" {len(a.problems)} and {len(b.problems)})."
            )
    for report in (first, second):
        yield from (escaped(text, 0) for text in report.material.warnings)


def _tasks(report: Report) -> set[str]:
    return {task.task for task in report.tasks}


def _pairs(first: Report, second: Report) -> Iterable[tuple[TaskReport, TaskReport]]:
    others = {(task.task, task.concurrency): task for task in second.tasks}
    for task in first.tasks:
        other = others.get((task.task, task.concurrency))
        if other is not None:
            yield task, other


def _alone(what: str, both: Sequence[Sequence[str]], names: tuple[str, str]) -> list[str]:
    """A sentence on what stands on one side only; none where nothing does."""
    found = [
        f"only in {names[side]} {', '.join(missing)}"
        for side in (0, 1)
        if (missing := [escaped(name) for name in both[side] if name not in both[1 - side]])
    ]
    return [f"{what} on one side: {'; '.join(found)}."] if found else []


def _task(first: TaskReport, second: TaskReport, names: tuple[str, str]) -> str:
    others = {method.method: method for method in second.methods}
    shared = [
        (method, others[method.method]) for method in first.methods if method.method in others
    ]
    methods = [[method.method for method in task.methods] for task in (first, second)]
    missing = _alone("Methods", methods, names)
    parts = [f"## {escaped(first.title)}"]
    if shared:
        head = (
            "Method",
            *_both(("n", "Accuracy"), names),
            "Difference",
            *_both(("Mean s",), names),
            "Ratio",
        )
        parts.append(table(head, [_row(a, b) for a, b in shared]))
        parts += missing
        parts.append(_beside_target(first, second, shared, names))
        parts.append("\n".join(_correlations((first, second), names)))
    else:
        parts += ["No method in common.", *missing]
    return "\n\n".join(filter(None, parts))


def _both(figures: Iterable[str], names: tuple[str, str]) -> tuple[str, ...]:
    return tuple(f"{figure} {name}" for figure in figures for name in names)


def _row(first: MethodSummary, second: MethodSummary) -> tuple[str, ...]:
    points = (
        100 * (second.accuracy.value - first.accuracy.value)
        if first.accuracy and second.accuracy
        else None
    )
    slower = second.mean_s / first.mean_s if first.mean_s and second.mean_s is not None else None
    return (
        escaped(first.method),
        str(first.num_problems),
        str(second.num_problems),
        share_text(first.accuracy),
        share_text(second.accuracy),
        DASH if points is None else f"{points:+.0f}",
        decimal(first.mean_s),
        decimal(second.mean_s),
        decimal(slower),
    )


def _beside_target(
    first: TaskReport,
    second: TaskReport,
    shared: Sequence[tuple[MethodSummary, MethodSummary]],
    names: tuple[str, str],
) -> str:
    """What FLOPs foretold and what the clock said, on either side."""
    rates = [
        {rate.method: rate.gflops_per_s for rate in task.tradeoff.rates} for task in (first, second)
    ]
    rows = [
        (
            escaped(a.method),
            *(decimal(m.target.decode_flops if m.target else None) for m in (a, b)),
            *(decimal(m.target.total_flops if m.target else None) for m in (a, b)),
            *(ratio_text(m.target.time if m.target else None) for m in (a, b)),
            *(decimal(rate.get(a.method)) for rate in rates),
        )
        for a, b in shared
    ]
    figures = ("Decode FLOPs", "Total FLOPs", "Time", "GFLOP/s")
    return "Beside target, each on its own side; GFLOP/s with prefill.\n\n" + table(
        ("Method", *_both(figures, names)), rows
    )


def _correlations(tasks: tuple[TaskReport, TaskReport], names: tuple[str, str]) -> Iterable[str]:
    """How far FLOPs told the order of the methods' times, on either side."""
    yield "Rank correlation (Spearman's ρ) of the methods' mean FLOPs with their mean seconds:\n"
    for name, task in zip(names, tasks, strict=True):
        trade = task.tradeoff
        if trade.decode_correlation is None or trade.total_correlation is None:
            yield f"- {name}: none, that takes {FEWEST_RANKED} methods"
        else:
            yield (
                f"- {name}: {decimal(trade.decode_correlation)} for decode FLOPs,"
                f" {decimal(trade.total_correlation)} for total FLOPs,"
                f" over {len(trade.points)} methods"
            )
