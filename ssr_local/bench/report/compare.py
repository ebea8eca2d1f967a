"""Two reports side by side, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from ssr_local.bench.report.figures import Report, TaskReport
from ssr_local.bench.report.markdown import bullets, escaped, table_of
from ssr_local.bench.report.material import Material
from ssr_local.bench.report.summary import MethodSummary

_ABOUT = """\
Points of accuracy are second less first, seconds second over first; neither is tested, as the two
hold different runs. FLOPs do not know the machine: where their ratios to target are the same and
those of time are not, the machines differ in what the same work costs."""


class Change(Struct, frozen=True, kw_only=True):
    """What lies between a method's figures in the first directory and in the second."""

    method: str
    points: float | None
    seconds: float | None


def compare_markdown(first: Report, second: Report, names: tuple[str, str]) -> str:
    """Both reports' material and methods; ``names`` are the directories'."""
    one, two = map(escaped, names)
    others = {task.title: task for task in second.tasks}
    pairs = [(task, others[task.title]) for task in first.tasks if task.title in others]
    titles = [[task.title for task in report.tasks] for report in (first, second)]
    materials = (first.material, second.material)
    models = [(name, file) for name, m in zip(names, materials, strict=True) for file in m.models]
    parts = [
        f"# {one} beside {two}",
        bullets(escaped(text, 0) for text in _warnings(first, second, pairs)),
        table_of(materials, "tasks", "models", "settings", "warnings", names=names),
        table_of([file for _, file in models], names=[name for name, _ in models]),
        *(part for a, b in pairs for part in _task(a, b, names)),
        _ABOUT if pairs else "The two have no task in common.",
        _alone("Tasks", titles, names),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _warnings(
    first: Report, second: Report, pairs: Sequence[tuple[TaskReport, TaskReport]]
) -> Iterable[str]:
    """What makes the two incomparable. One may hold fewer tasks, and so fewer prompts."""
    a, b = first.material, second.material
    for role in ("draft", "target"):
        if _hashes(a, role) != _hashes(b, role):
            yield f"Different models ({role} model): this is not one pair on two machines."
    mine, theirs = (
        {task.task: dict(material.prompt_hashes)[task.task] for task, _ in pairs}
        for material in (a, b)
    )
    if mine != theirs:
        yield "Different prompts: the models were not asked the same things."
    changed = {setting.name for setting in {*a.settings} ^ {*b.settings}}
    if changed:
        yield f"Different options: {', '.join(sorted(changed))}."
    for one, two in pairs:
        if one.problems != two.problems:
            yield (
                f"{one.title}: not the same problems ({len({*one.problems} & {*two.problems})}"
                f" in common of {len(one.problems)} and {len(two.problems)})."
            )
    yield from (*a.warnings, *b.warnings)


def _hashes(material: Material, role: str) -> set[tuple[str, str | None]]:
    return {(file.name, file.sha256) for file in material.models if file.role == role}


def _alone(what: str, both: Sequence[Sequence[str]], names: tuple[str, str]) -> str:
    """A sentence on what stands on one side only; nothing where nothing does."""
    found = [
        f"only in {escaped(names[side])} {', '.join(missing)}"
        for side in (0, 1)
        if (missing := [escaped(name) for name in both[side] if name not in both[1 - side]])
    ]
    return f"{what} on one side: {'; '.join(found)}." if found else ""


def _task(first: TaskReport, second: TaskReport, names: tuple[str, str]) -> Iterable[str]:
    others = {method.method: method for method in second.methods}
    shared = [(one, others[one.method]) for one in first.methods if one.method in others]
    methods = [[method.method for method in task.methods] for task in (first, second)]
    sides = [(side, one) for pair in shared for side, one in zip(names, pair, strict=True)]
    beside = [(side, one.method, one.target) for side, one in sides if one.target]
    yield f"## {escaped(first.title)}"
    yield table_of([_change(*pair) for pair in shared]) or "No method in common."
    yield _alone("Methods", methods, names)
    yield table_of([one for _, one in sides], "target", names=[side for side, _ in sides])
    yield table_of(
        [found for *_, found in beside],
        title="Beside target",
        names=[f"{method}, {side}" for side, method, _ in beside],
    )
    yield table_of(
        [first.tradeoff, second.tradeoff],
        "points",
        title="FLOPs against time, between the methods (Spearman's ρ)",
        names=names,
    )


def _change(first: MethodSummary, second: MethodSummary) -> Change:
    one, two = first.accuracy, second.accuracy
    return Change(
        method=first.method,
        points=100 * (two.value - one.value) if one and two else None,
        seconds=second.mean_s / first.mean_s if first.mean_s and second.mean_s else None,
    )
