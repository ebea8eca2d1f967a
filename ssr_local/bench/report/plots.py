"""The report's plots as PNG files. Needs matplotlib, of the extra ``bench``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from ssr_local.bench.report.figures import Report, TaskReport
from ssr_local.bench.report.markdown import has_interval
from ssr_local.bench.report.tradeoff import Cost, Point, front
from ssr_local.bench.statistics import bench_library
from ssr_local.core.display import one_line

# Colours that stay apart for the colour-blind (Okabe and Ito), and markers for print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
_MARKERS = "osD^vPX*<>hp"
_LABELS: dict[Cost, tuple[str, float]] = {
    "seconds": ("mean seconds of a problem", 1.0),
    "decode_flops": ("mean decode TFLOPs of a problem", 1e12),
    "total_flops": ("mean total TFLOPs of a problem", 1e12),
}
_MAX_LABEL_CHARS = 28
_MAX_SLUG_CHARS = 40
_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.3,
    "legend.fontsize": 8,
    "savefig.dpi": 144,
    "text.usetex": False,
}


class Picture(Struct, frozen=True, kw_only=True):
    """One PNG file: accuracy over each of ``costs``, a panel each.

    ``task`` is the index in ``Report.tasks``.
    """

    file: str
    title: str
    task: int
    points: tuple[Point, ...]
    costs: tuple[Cost, ...]


def write_plots(report: Report, folder: Path) -> tuple[Path, ...]:
    """Draw every plot the report has figures for into ``folder``; return the files.

    Raises ``UsageError`` when matplotlib is missing and ``OSError`` when a file cannot be
    written.
    """
    return tuple(_write(picture, folder / picture.file) for picture in pictures(report))


def pictures(report: Report) -> tuple[Picture, ...]:
    """The plots there are figures for; no two have the same file name."""
    kinds: dict[str, tuple[Cost, ...]] = {
        "time": ("seconds",),
        "FLOPs": ("decode_flops", "total_flops"),
    }
    found: list[Picture] = []
    slugs: set[str] = set()
    for index, task in enumerate(report.tasks):
        slug, points = _slug(task, slugs), task.tradeoff.points
        found += [
            Picture(
                file=f"accuracy-{name.lower()}-{slug}.png",
                title=f"{one_line(task.title, _MAX_SLUG_CHARS)}: accuracy against {name}",
                task=index,
                points=points,
                costs=costs,
            )
            for name, costs in kinds.items()
            if any(point.cost(costs[-1]) for point in points)
        ]
    return tuple(found)


def _slug(task: TaskReport, taken: set[str]) -> str:
    """A name that is safe in any folder, and new."""
    slug = re.sub(r"[^a-z0-9]+", "-", task.task.lower()).strip("-")[:_MAX_SLUG_CHARS] or "task"
    if task.concurrency != 1:
        slug += f"-at-once-{task.concurrency}"
    while slug in taken:
        slug += "-2"
    taken.add(slug)
    return slug


def _write(picture: Picture, path: Path) -> Path:
    """No global state, no display. Names come from files: a dollar sign starts no formula."""
    matplotlib = bench_library("matplotlib")
    figures = bench_library("matplotlib.figure")
    with matplotlib.rc_context(_STYLE):
        figure = figures.Figure(figsize=(2.4 + 4.8 * len(picture.costs), 4.2), layout="constrained")
        panels = figure.subplots(1, len(picture.costs), squeeze=False)[0]
        for axes, cost in zip(panels, picture.costs, strict=True):
            _draw(axes, picture.points, cost)
        figure.suptitle(_literal(picture.title), x=0.01, ha="left", fontsize=11)
        found: dict[str, Any] = {}
        for axes in figure.axes:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                found.setdefault(label, handle)
        figure.legend(list(found.values()), list(found), loc="outside center right", frameon=False)
        figure.savefig(path, format="png", metadata={"Software": None})
    return path


def _literal(text: str) -> str:
    return text.replace("$", r"\$")


def _draw(axes: Any, points: Sequence[Point], cost: Cost) -> None:
    """Accuracy over a cost with their intervals; the Pareto front as a line of steps."""
    label, unit = _LABELS[cost]
    for look, point in enumerate(points):
        if (price := point.cost(cost)) is None:
            continue
        colour, right = _COLOURS[look % len(_COLOURS)], point.accuracy
        axes.errorbar(
            [price / unit],
            [100 * right.value],
            yerr=[[100 * (right.value - right.low)], [100 * (right.high - right.value)]],
            fmt=_MARKERS[look % len(_MARKERS)],
            color=colour,
            capsize=3,
            label=_literal(one_line(point.method, _MAX_LABEL_CHARS)),
        )
        if cost == "seconds" and point.seconds and has_interval(point.seconds):
            ends = point.seconds.low, point.seconds.high
            axes.hlines(100 * right.value, *ends, color=colour)
    best = [(point.cost(cost) or 0.0, point) for point in front(points, cost)]
    xs = [price / unit for price, _ in best]
    ys = [100 * point.accuracy.value for _, point in best]
    axes.plot(xs, ys, drawstyle="steps-post", color="0.25", ls="--", label="Pareto front")
    axes.set_ylim(-3, 103)
    axes.set_ylabel("accuracy (%), 95 % interval")
    axes.set_xscale("log")
    axes.set_xlabel(f"{label}, log scale")
    ticker = bench_library("matplotlib.ticker")
    # Numbers such as 20 and 0.5, also within one power of ten.
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
