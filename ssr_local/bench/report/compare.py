"""Two reports side by side, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ssr_local.bench.report.figures import Report, TaskReport
from ssr_local.bench.report.markdown import bullets, cell, decimal, escaped, table
from ssr_local.bench.report.material import Material
from ssr_local.bench.statistics import Share

_ABOUT = """\
Points of accuracy are second less first, seconds second over first; neither is tested, as the two
hold different runs. Time and FLOPs are beside each one's baseline, first and second: FLOPs do not
know the machine, so where theirs are the same and those of time are not, the machines differ."""

_HEAD = ("Task", "Method", "Points", "Seconds", "Accuracy", "Time", "Decode FLOPs", "Total FLOPs")


def compare_markdown(first: Report, second: Report, names: tuple[str, str]) -> str:
    """Every method that both reports have; ``names`` are the directories'."""
    tasks = {task.title: task for task in second.tasks}
    pairs = [(task, tasks[task.title]) for task in first.tasks if task.title in tasks]
    rows = [row for pair in pairs for row in _rows(*pair)]
    parts = [
        "# {} beside {}".format(*map(escaped, names)),
        bullets(escaped(text, 0) for text in _warnings(first, second, pairs)),
        *([table(_HEAD, rows, num_left=2), _ABOUT] if rows else ["No method in common."]),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _rows(first: TaskReport, second: TaskReport) -> Iterable[Sequence[str]]:
    others = {method.method: method for method in second.methods}
    for one in first.methods:
        if (two := others.get(one.method)) is None:
            continue
        seconds = two.mean_s / one.mean_s if one.mean_s and two.mean_s else None
        yield (
            escaped(first.title),
            escaped(one.method),
            cell(_points(one.accuracy, two.accuracy)),
            decimal(seconds),
            f"{cell(one.accuracy)}, {cell(two.accuracy)}",
            *(
                ", ".join(cell(getattr(side.target, name, None)) for side in (one, two))
                for name in ("time", "decode_flops", "total_flops")
            ),
        )


def _points(first: Share | None, second: Share | None) -> float | None:
    return 100 * (second.value - first.value) if first and second else None


def _warnings(
    first: Report, second: Report, pairs: Sequence[tuple[TaskReport, TaskReport]]
) -> Iterable[str]:
    """What makes the two incomparable. One may hold fewer tasks, and so fewer prompts."""
    a, b = first.material, second.material
    for role in ("draft", "target"):
        if _hashes(a, role) != _hashes(b, role):
            yield f"Different models ({role} model): this is not one pair on two machines."
    tasks = {task.task for task, _ in pairs}
    mine, theirs = (
        {pair for pair in material.prompt_hashes if pair[0] in tasks} for material in (a, b)
    )
    if mine != theirs:
        yield "Different prompts: the models were not asked the same things."
    changed = {setting.name for setting in {*a.settings} ^ {*b.settings}}
    if changed:
        yield f"Different options: {', '.join(sorted(changed))}."
    for one, two in pairs:
        if one.baseline != two.baseline:
            yield f"{one.title}: different baselines ({one.baseline}, {two.baseline})."
        if one.problems != two.problems:
            yield (
                f"{one.title}: not the same problems ({len({*one.problems} & {*two.problems})}"
                f" in common of {len(one.problems)} and {len(two.problems)})."
            )
    yield from (*a.warnings, *b.warnings)


def _hashes(material: Material, role: str) -> set[tuple[str, str | None]]:
    return {(file.name, file.sha256) for file in material.models if file.role == role}
