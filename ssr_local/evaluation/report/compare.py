"""Two reports side by side, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ssr_local.evaluation.report.figures import Report, TaskReport
from ssr_local.evaluation.report.material import Material
from ssr_local.evaluation.report.summary import MethodSummary
from ssr_local.evaluation.report.tables import (
    DASH,
    bullets,
    decimal,
    escaped,
    ratio_text,
    share_text,
    table,
)

_MAX_CHARS = 160

_ABOUT = """\
The differences are second minus first, in points, and second over first for time. They are not
tested: the two hold different runs. Where intervals do not overlap a difference is likely real,
where they do it may be."""

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


def _task(first: TaskReport, second: TaskReport, names: tuple[str, str]) -> str:
    one, two = names
    others = {method.method: method for method in second.methods}
    shared = [
        (method, others[method.method]) for method in first.methods if method.method in others
    ]
    head = (
        "Method",
        f"n {one}",
        f"n {two}",
        f"Accuracy {one}",
        f"Accuracy {two}",
        "Difference",
        f"Mean s {one}",
        f"Mean s {two}",
        "Ratio",
        f"Time to target {one}",
        f"Time to target {two}",
    )
    if not shared:
        return f"## {escaped(first.title)}\n\nNo method in common."
    return f"## {escaped(first.title)}\n\n" + table(head, [_row(a, b) for a, b in shared])


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
        ratio_text(first.target.time if first.target else None),
        ratio_text(second.target.time if second.target else None),
    )
