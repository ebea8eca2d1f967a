"""The report's plots as PNG files. Needs matplotlib, of the extra ``bench``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from ssr_local.bench.labels.verifiers import VerifierReport, VerifierScore
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
    ``Report.tasks``, None where it is about labelled steps."""

    file: str
    title: str
    task: int | None
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
    for kind, title, draw, num in _of_steps(report.steps) if report.steps else ():
        file = f"verifiers-{kind}.png"
        found.append(Picture(file=file, title=title, task=None, draw=draw, num_panels=num))
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
    timed = [point for point in points if point.seconds is not None]
    costly = [point for point in points if point.cost("total_flops")]
    flops: tuple[Cost, ...] = ("decode_flops", "total_flops")
    if timed:
        yield "accuracy-time", "accuracy against time", partial(_costs, points, ("seconds",)), 1
    if costly:
        yield "accuracy-flops", "accuracy against FLOPs", partial(_costs, points, flops), 2
    if costly and len(timed) > 1:
        yield "flops-time", "time against FLOPs", partial(_costs, timed, flops, timed=True), 2
    if any(row.any_right for row in task.selection.rows):
        yield "selection", "what choosing strategies is worth", partial(_selection, task), 1
    if task.depth.verified or len(task.depth.target_alone or task.depth.draft_alone) > 1:
        yield "depth", "accuracy and acceptance by depth", partial(_depth, task), 2


def _of_steps(steps: VerifierReport) -> Iterable[_Plot]:
    scores = sorted(steps.verifiers, key=lambda score: -(score.auc or 0.0))
    if rocs := [score for score in scores if score.roc.points]:
        yield "roc", "false and true accepts of every verifier", partial(_roc, rocs), 1
    if binned := [score for score in scores if score.scores]:
        yield "calibration", "good steps by a verifier's score", partial(_calibration, binned), 1


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


def _costs(
    points: Sequence[Point], costs: Sequence[Cost], panels: Sequence[Any], *, timed: bool = False
) -> None:
    """Accuracy, or seconds where ``timed``, over each cost; the Pareto front as a line of steps."""
    for axes, cost in zip(panels, costs, strict=True):
        label, unit = _LABELS[cost]
        for look, point in enumerate(points):
            if (price := point.cost(cost)) is None:
                continue
            height, scale = (point.seconds, 1.0) if timed else (point.accuracy, 100.0)
            _bar(axes, look, price / unit, height, scale, _label(point.method))
            if cost == "seconds" and point.seconds and has_interval(point.seconds):
                ends = point.seconds.low, point.seconds.high
                axes.hlines(100 * point.accuracy.value, *ends, color=_COLOURS[look % len(_COLOURS)])
        if timed:
            axes.set_yscale("log")
            axes.set_ylabel(f"{_LABELS['seconds'][0]}, 95 % interval")
        else:
            best = [(point.cost(cost) or 0.0, point) for point in front(points, cost)]
            xs = [price / unit for price, _ in best]
            ys = [100 * point.accuracy.value for _, point in best]
            axes.plot(xs, ys, drawstyle="steps-post", color="0.25", ls="--", label="Pareto front")
            _percents(axes, "accuracy")
        axes.set_xscale("log")
        axes.set_xlabel(f"{label}, log scale")
        ticker = bench_library("matplotlib.ticker")
        for axis in (axes.xaxis, axes.yaxis) if timed else (axes.xaxis,):
            # Numbers such as 20 and 0.5, also within one power of ten.
            axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(ticker.NullFormatter())


def _selection(task: TaskReport, panels: Sequence[Any]) -> None:
    """How often a path is right and how often the vote, side by side for each method."""
    (axes,) = panels
    rows = [row for row in task.selection.rows if row.any_right]
    for index, row in enumerate(rows):
        told = index == 0
        _bar(axes, 0, index - 0.1, row.any_right, 100, "a path right" if told else None)
        _bar(axes, 1, index + 0.1, row.vote_right, 100, "vote right" if told else None)
    names = [f"{_label(row.method)}\n({_literal(row.selection)})" for row in rows]
    axes.set_xticks(range(len(rows)), names, rotation=30, ha="right")
    _percents(axes, "share of problems")


def _depth(task: TaskReport, panels: Sequence[Any]) -> None:
    depth = task.depth
    by_steps, by_position = panels
    series = (
        ("right, drafted and verified", depth.verified, [b.right for b in depth.verified]),
        ("right, target alone", depth.target_alone, [b.right for b in depth.target_alone]),
        ("right, draft alone", depth.draft_alone, [b.right for b in depth.draft_alone]),
        ("drafted steps accepted", depth.verified, [b.acceptance for b in depth.verified]),
    )
    for look, (label, bins, shares) in enumerate(series):
        for index, (found, share) in enumerate(zip(bins, shares, strict=True)):
            middle = (found.low + found.high) / 2
            _bar(by_steps, look, middle, share, 100, None if index else label)
    for step in depth.positions:
        _bar(by_position, 3, step.position, step.acceptance, 100, None)
    by_steps.set_xlabel("steps in the path (middle of the bin)")
    by_position.set_xlabel("position of the step in its path")
    for axes in panels:
        _percents(axes, "share")


def _roc(scores: Sequence[VerifierScore], panels: Sequence[Any]) -> None:
    (axes,) = panels
    for look, score in enumerate(scores):
        colour = _COLOURS[look % len(_COLOURS)]
        dash = ("-", "--", ":")[look // len(_COLOURS) % 3]
        xs = [100 * false for _, false, _ in score.roc.points]
        ys = [100 * true for _, _, true in score.roc.points]
        axes.plot(xs, ys, color=colour, ls=dash, lw=1.4, label=_name(score))
        if score.operating is not None:
            accepts, rejects = score.operating.false_accepts, score.operating.false_rejects
            kept = 100 * (accepts.share or 0.0), 100 - 100 * (rejects.share or 0.0)
            axes.plot(*kept, marker="o", color=colour)
    axes.plot([0, 100], [0, 100], color="0.6", lw=1, ls=":", label="chance")
    axes.set_xlabel("bad steps accepted (%); ● what the threshold does")
    axes.set_ylabel("good steps accepted (%)")


def _calibration(scores: Sequence[VerifierScore], panels: Sequence[Any]) -> None:
    """The share of good steps at a score, against what it should be: a ninth of the score."""
    (axes,) = panels
    for look, score in enumerate(scores):
        labels = [item.labels for item in score.scores]
        xs, ys = [one.mean_value for one in labels], [100 * one.mean_share for one in labels]
        style = _MARKERS[look % len(_MARKERS)] + "-"
        axes.plot(xs, ys, style, color=_COLOURS[look % len(_COLOURS)], lw=1, label=_name(score))
    axes.plot([0, 9], [0, 100], color="0.6", lw=1, ls=":", label="score / 9")
    axes.set_xlabel("score of the verifier (mean of a bin)")
    axes.set_ylabel("good steps (%), by their labels")


def _name(score: VerifierScore) -> str:
    return _label(score.name) + (f", AUC {score.auc:.2f}" if score.auc is not None else "")


def _bar(
    axes: Any, look: int, x: float, value: Share | Ratio | None, scale: float, label: str | None
) -> None:
    """One value with its interval, where it has one."""
    if value is None:
        return
    known = isinstance(value, Share) or has_interval(value)
    ends = (value.value - value.low, value.high - value.value) if known else (math.nan, math.nan)
    axes.errorbar(
        [x],
        [scale * value.value],
        yerr=[[scale * max(0.0, ends[0])], [scale * max(0.0, ends[1])]],
        fmt=_MARKERS[look % len(_MARKERS)],
        color=_COLOURS[look % len(_COLOURS)],
        capsize=3,
        label=label,
    )


def _percents(axes: Any, what: str) -> None:
    axes.set_ylim(-3, 103)
    axes.set_ylabel(f"{what} (%), 95 % interval")
