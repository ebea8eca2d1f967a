"""The report's plots as PNG files. Needs matplotlib, of the extra ``bench``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from ssr_local.bench.report.figures import Report, TaskReport
from ssr_local.bench.report.markdown import has_interval
from ssr_local.bench.report.tradeoff import Cost, Point, front
from ssr_local.bench.statistics import Ratio, Share, bench_library
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
    """One PNG file: ``draw`` fills ``num_panels`` axes. ``task`` is the index in
    ``Report.tasks``."""

    file: str
    title: str
    task: int
    draw: Callable[[Sequence[Any]], None]
    num_panels: int = 1


def write_plots(report: Report, folder: Path) -> tuple[Path, ...]:
    """Draw every plot the report has figures for into ``folder``; return the files.

    Raises ``UsageError`` when matplotlib is missing and ``OSError`` when a file cannot be
    written.
    """
    return tuple(_write(picture, folder / picture.file) for picture in pictures(report))


def pictures(report: Report) -> tuple[Picture, ...]:
    """The plots there are figures for; no two have the same file name."""
    found: list[Picture] = []
    slugs: set[str] = set()
    for index, task in enumerate(report.tasks):
        slug = _slug(task, slugs)
        for kind, title, draw, num in _of_task(task):
            title = f"{one_line(task.title, _MAX_SLUG_CHARS)}: {title}"
            file = f"{kind}-{slug}.png"
            found.append(Picture(file=file, title=title, task=index, draw=draw, num_panels=num))
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


_Plot = tuple[str, str, Callable[[Sequence[Any]], None], int]


def _of_task(task: TaskReport) -> Iterable[_Plot]:
    points = task.tradeoff.points
    flops: tuple[Cost, ...] = ("decode_flops", "total_flops")
    if any(point.seconds is not None for point in points):
        yield "accuracy-time", "accuracy against time", partial(_costs, points, ("seconds",)), 1
    if any(point.cost("total_flops") for point in points):
        yield "accuracy-flops", "accuracy against FLOPs", partial(_costs, points, flops), 2
    if task.depth.verified or len(task.depth.target_alone or task.depth.draft_alone) > 1:
        yield "depth", "accuracy and acceptance by depth", partial(_depth, task), 1


def _write(picture: Picture, path: Path) -> Path:
    """No global state, no display. Names come from files: a dollar sign starts no formula."""
    matplotlib = bench_library("matplotlib")
    figures = bench_library("matplotlib.figure")
    with matplotlib.rc_context(_STYLE):
        figure = figures.Figure(figsize=(2.4 + 4.8 * picture.num_panels, 4.2), layout="constrained")
        picture.draw(figure.subplots(1, picture.num_panels, squeeze=False)[0])
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


def _label(text: str) -> str:
    return _literal(one_line(text, _MAX_LABEL_CHARS))


def _costs(points: Sequence[Point], costs: Sequence[Cost], panels: Sequence[Any]) -> None:
    """Accuracy over each cost; the Pareto front as a line of steps."""
    for axes, cost in zip(panels, costs, strict=True):
        label, unit = _LABELS[cost]
        for look, point in enumerate(points):
            if (price := point.cost(cost)) is None:
                continue
            _bar(axes, look, price / unit, point.accuracy, _label(point.method))
            if cost == "seconds" and point.seconds and has_interval(point.seconds):
                ends = point.seconds.low, point.seconds.high
                axes.hlines(100 * point.accuracy.value, *ends, color=_COLOURS[look % len(_COLOURS)])
        best = [(point.cost(cost) or 0.0, point) for point in front(points, cost)]
        xs = [price / unit for price, _ in best]
        ys = [100 * point.accuracy.value for _, point in best]
        axes.plot(xs, ys, drawstyle="steps-post", color="0.25", ls="--", label="Pareto front")
        _percents(axes, "accuracy")
        axes.set_xscale("log")
        axes.set_xlabel(f"{label}, log scale")
        ticker = bench_library("matplotlib.ticker")
        # Numbers such as 20 and 0.5, also within one power of ten.
        axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(ticker.NullFormatter())


def _depth(task: TaskReport, panels: Sequence[Any]) -> None:
    depth = task.depth
    (axes,) = panels
    series = (
        ("right, drafted and verified", depth.verified, [b.right for b in depth.verified]),
        ("right, target alone", depth.target_alone, [b.right for b in depth.target_alone]),
        ("right, draft alone", depth.draft_alone, [b.right for b in depth.draft_alone]),
        ("drafted steps accepted", depth.verified, [b.acceptance for b in depth.verified]),
    )
    for look, (label, bins, shares) in enumerate(series):
        for index, (found, share) in enumerate(zip(bins, shares, strict=True)):
            middle = (found.low + found.high) / 2
            _bar(axes, look, middle, share, None if index else label)
    axes.set_xlabel("steps in the path (middle of the bin)")
    _percents(axes, "share")


def _bar(axes: Any, look: int, x: float, value: Share | Ratio | None, label: str | None) -> None:
    """A share with its interval, where it has one."""
    if value is None:
        return
    known = isinstance(value, Share) or has_interval(value)
    ends = (value.value - value.low, value.high - value.value) if known else (math.nan, math.nan)
    axes.errorbar(
        [x],
        [100 * value.value],
        yerr=[[100 * max(0.0, ends[0])], [100 * max(0.0, ends[1])]],
        fmt=_MARKERS[look % len(_MARKERS)],
        color=_COLOURS[look % len(_COLOURS)],
        capsize=3,
        label=label,
    )


def _percents(axes: Any, what: str) -> None:
    axes.set_ylim(-3, 103)
    axes.set_ylabel(f"{what} (%), 95 % interval")
