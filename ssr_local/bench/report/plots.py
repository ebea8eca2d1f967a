"""The report's plots as PNG files. Needs matplotlib, of the extra ``bench``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssr_local.bench.labels.verifiers import VerifierReport, VerifierScore
from ssr_local.bench.report.depth import MAX_POSITION, DepthBin
from ssr_local.bench.report.figures import Report, TaskReport
from ssr_local.bench.report.pictures import Kind, Picture, pictures
from ssr_local.bench.report.selection_figures import SelectionRow
from ssr_local.bench.report.shares import Share
from ssr_local.bench.report.tables import has_interval
from ssr_local.bench.report.tradeoff import Cost, Point, front
from ssr_local.bench.statistics import Ratio, bench_library
from ssr_local.core.display import one_line
from ssr_local.method.verification import MAX_SCORE

# Colours that stay apart for the colour-blind (Okabe and Ito), and markers for print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
_MARKERS = "osD^vPX*<>hp"
_LABELS: dict[Cost, tuple[str, float]] = {
    "seconds": ("mean wall-clock time of a problem (s)", 1.0),
    "decode_flops": ("mean decode FLOPs of a problem (10$^{12}$)", 1e12),
    "total_flops": ("mean total FLOPs of a problem (10$^{12}$)", 1e12),
}
_MAX_LABEL_CHARS = 28
_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.3,
    "legend.fontsize": 8,
    "savefig.dpi": 144,
    # Names come from files: a dollar sign starts no formula.
    "text.usetex": False,
}


def write_plots(report: Report, folder: Path) -> tuple[Path, ...]:
    """Draw every plot the report has figures for into ``folder``; return the files.

    Raises ``UsageError`` when matplotlib is missing and ``OSError`` when a file cannot be
    written.
    """
    found = pictures(report)
    return tuple(_draw(report, picture, folder / picture.file) for picture in found)


def _draw(report: Report, picture: Picture, path: Path) -> Path:
    steps = report.steps
    with _figure(path, _SIZES[picture.kind]) as figure:
        if picture.task is not None:
            task = report.tasks[picture.task]
            _OF_TASKS[picture.kind](figure, task)
            _title(figure, f"{one_line(task.title, 40)}: {picture.title}")
        elif steps is not None:
            _OF_STEPS[picture.kind](figure, steps)
            _title(figure, f"{picture.title}, {steps.num_judged} drafted steps")
    return path


@contextmanager
def _figure(path: Path, size: tuple[float, float]) -> Iterator[Any]:
    """A figure that is written when the block ends; no global state, no display."""
    matplotlib = bench_library("matplotlib")
    figures = bench_library("matplotlib.figure")
    backend = bench_library("matplotlib.backends.backend_agg")
    with matplotlib.rc_context(_STYLE):
        figure = figures.Figure(figsize=size, layout="constrained")
        backend.FigureCanvasAgg(figure)
        yield figure
        figure.savefig(path, format="png", metadata={"Software": None})


def _title(figure: Any, text: str) -> None:
    figure.suptitle(_literal(text), x=0.01, ha="left", fontsize=11)


def _literal(text: str) -> str:
    return text.replace("$", r"\$")


def _label(text: str) -> str:
    return _literal(one_line(text, _MAX_LABEL_CHARS))


def _accuracy_time(figure: Any, task: TaskReport) -> None:
    _against(figure.subplots(), task.tradeoff.points, "seconds")
    _legend(figure)


def _accuracy_flops(figure: Any, task: TaskReport) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    _against(left, task.tradeoff.points, "decode_flops")
    _against(right, task.tradeoff.points, "total_flops")
    right.set_ylabel("")
    _legend(figure)


def _against(axes: Any, points: Sequence[Point], cost: Cost) -> None:
    """Accuracy over one cost, the Pareto front as a line of steps."""
    label, unit = _LABELS[cost]
    for place, point in enumerate(points):
        price = point.cost(cost)
        if price is None:
            continue
        axes.errorbar(
            [price / unit],
            [100 * point.accuracy.value],
            xerr=_bars([point.seconds], 1 / unit) if cost == "seconds" else None,
            yerr=_bars([point.accuracy], 100),
            **_look(place, point.method),
        )
    best = front(points, cost)
    prices = [(point.cost(cost) or 0.0) / unit for point in best]
    heights = [100 * point.accuracy.value for point in best]
    if best:
        axes.plot(
            prices, heights, drawstyle="steps-post", color="0.25", lw=1.6, ls="--", zorder=2,
            label="Pareto front",
        )  # fmt: skip
    axes.set_xscale("log")
    _plain_log(axes.xaxis)
    axes.set_ylim(-3, 103)
    axes.set_xlabel(f"{label}, log scale")
    axes.set_ylabel(f"accuracy (%), 95 % interval, n = {_num(points)}")


def _num(points: Sequence[Point]) -> int:
    return max((point.accuracy.num for point in points), default=0)


def _flops_time(figure: Any, task: TaskReport) -> None:
    panels = figure.subplots(1, 2, sharey=True)
    trade = task.tradeoff
    costs: tuple[tuple[Cost, float | None], ...] = (
        ("decode_flops", trade.decode_correlation),
        ("total_flops", trade.total_correlation),
    )
    for axes, (cost, correlation) in zip(panels, costs, strict=True):
        label, unit = _LABELS[cost]
        for place, point in enumerate(trade.points):
            price = point.cost(cost)
            if price is not None and point.seconds is not None:
                axes.errorbar(
                    [price / unit],
                    [point.seconds.value],
                    yerr=_bars([point.seconds], 1),
                    **_look(place, point.method),
                )
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_log(axes.xaxis)
        _plain_log(axes.yaxis)
        axes.set_xlabel(f"{label}, log scale")
        told = "not defined" if correlation is None else f"{correlation:.2f}"
        axes.set_title(f"rank correlation over methods: {told}", fontsize=9)
    panels[0].set_ylabel(f"{_LABELS['seconds'][0]},\n95 % interval, log scale")
    _legend(figure)


def _selection(figure: Any, task: TaskReport) -> None:
    """How often a path is right and how often the vote, side by side for each method."""
    rows = [row for row in task.selection.rows if row.any_right and row.vote_right]
    axes = figure.subplots()
    figure.set_size_inches(7.2, max(2.4, 1.2 + 0.55 * len(rows)))
    shares: tuple[tuple[str, Callable[[SelectionRow], Share | None]], ...] = (
        ("at least one path right", lambda row: row.any_right),
        ("vote right", lambda row: row.vote_right),
    )
    for place, (label, share) in enumerate(shares):
        found = [value for row in rows if (value := share(row)) is not None]
        axes.errorbar(
            [100 * value.value for value in found],
            [height + 0.14 - 0.28 * place for height in range(len(rows), 0, -1)],
            xerr=_bars(found, 100),
            fmt=_MARKERS[place],
            color=_COLOURS[place],
            capsize=3,
            label=label,
        )
    axes.set_yticks(range(len(rows), 0, -1))
    axes.set_yticklabels(
        [f"{_label(row.method)}\n({_literal(row.selection)})" for row in rows], fontsize=8
    )
    axes.set_ylim(0.4, len(rows) + 0.6)
    axes.set_xlim(-3, 103)
    axes.set_xlabel("share of problems (%), 95 % interval")
    _legend(figure)


def _depth(figure: Any, task: TaskReport) -> None:
    verified, single = task.depth.verified, task.depth.single
    author = "target" if task.depth.target_alone else "draft"
    positions = task.depth.positions
    panels = figure.subplots(1, 2 if positions else 1, sharey=True, squeeze=False)[0]
    series: tuple[tuple[str, Sequence[DepthBin], Sequence[Ratio | None]], ...] = (
        ("right, drafted and verified", verified, [item.right for item in verified]),
        (f"right, one model alone ({author})", single, [item.right for item in single]),
        ("drafted steps accepted", verified, [item.acceptance for item in verified]),
    )
    for place, (label, bins, shares) in enumerate(series):
        _series(panels[0], [(item.low + item.high) / 2 for item in bins], shares, place, label)
    panels[0].set_xlabel("steps in the path (middle of the bin)")
    panels[0].set_ylabel("share (%), 95 % interval over problems")
    panels[0].set_ylim(-3, 103)
    if positions:
        places = [position.position for position in positions]
        _series(panels[1], places, [position.acceptance for position in positions], 2, None)
        last = f" ({MAX_POSITION}: and further)" if MAX_POSITION in places else ""
        panels[1].set_xlabel(f"position of the step in its path{last}")
    for axes in panels:
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, math.ceil(low) - 0.5), max(high, math.floor(high) + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(figure)


def _series(
    axes: Any, places: Sequence[float], shares: Sequence[Ratio | None], look: int, label: str | None
) -> None:
    known = [(x, share) for x, share in zip(places, shares, strict=True) if share is not None]
    if known:
        axes.errorbar(
            [x for x, _ in known],
            [100 * share.value for _, share in known],
            yerr=_bars([share for _, share in known], 100),
            fmt=_MARKERS[look] + "-",
            color=_COLOURS[look],
            capsize=3,
            lw=1,
            label=label,
        )


def _roc(figure: Any, steps: VerifierReport) -> None:
    axes = figure.subplots()
    for place, score in enumerate(_by_auc(steps)):
        if not score.roc.points:
            continue
        axes.plot(
            [100 * false for _, false, _ in score.roc.points],
            [100 * true for _, _, true in score.roc.points],
            color=_COLOURS[place % len(_COLOURS)],
            ls=("-", "--", ":")[place // len(_COLOURS) % 3],
            lw=1.4,
            label=f"{_name(score)}, {_auc(score)}",
        )
        if score.operating is not None:
            accepts, rejects = score.operating.false_accepts, score.operating.false_rejects
            axes.plot(
                [100 * (accepts.share or 0.0)],
                [100 - 100 * (rejects.share or 0.0)],
                marker="o",
                ls="none",
                color=_COLOURS[place % len(_COLOURS)],
            )
    axes.plot([0, 100], [0, 100], color="0.6", lw=1, ls=":", label="chance")
    axes.set_xlabel("bad steps accepted (%)")
    axes.set_ylabel("good steps accepted (%)")
    axes.set_aspect("equal")
    axes.set_title("● what the threshold does", fontsize=9)
    _legend(figure)


def _calibration(figure: Any, steps: VerifierReport) -> None:
    """What a score means against what it should: nine times the chance that a step is good."""
    scores = [score for score in _by_auc(steps) if score.scores]
    num_columns = min(3, len(scores))
    num_rows = -(-len(scores) // num_columns)
    figure.set_size_inches(3.0 * num_columns + 2.4, 2.6 * num_rows + 0.6)
    panels = figure.subplots(num_rows, num_columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(scores) :]:
        axes.set_visible(False)
    for axes, score in zip(panels.flat, scores, strict=False):
        _calibrated(axes, score)
        axes.plot([0, MAX_SCORE], [0, 100], color="0.6", lw=1, ls=":", label="score / 9")
        axes.axvline(
            steps.threshold, color="0.25", lw=1, ls="--", label=f"threshold {steps.threshold:g}"
        )
        origin = "held out" if score.is_held_out else "in force"
        axes.set_title(f"{_name(score)}\n{_auc(score)}, {origin}", fontsize=9)
        axes.set_xlim(-0.3, MAX_SCORE + 0.3)
        axes.set_ylim(-3, 103)
    figure.supxlabel("score of the verifier (mean of a bin)", fontsize=9)
    figure.supylabel("good steps, right answers (%), 95 % interval of the labels", fontsize=9)
    _legend(figure)


def _calibrated(axes: Any, score: VerifierScore) -> None:
    labels = [item.labels for item in score.scores]
    axes.errorbar(
        [item.mean_value for item in labels],
        [100 * item.mean_share for item in labels],
        yerr=[
            [100 * max(0.0, item.mean_share - item.low) for item in labels],
            [100 * max(0.0, item.high - item.mean_share) for item in labels],
        ],
        fmt="o",
        mfc="white",
        color=_COLOURS[0],
        capsize=3,
        lw=1,
        label="labels as they are",
    )
    for place, (marker, shares, label) in enumerate(
        (("x", [item.rate_after for item in score.scores], "right answers from behind the step"),),
        1,
    ):
        axes.plot(
            [item.mean_value for item in labels],
            [100 * share for share in shares],
            marker=marker,
            ls="none",
            color=_COLOURS[place],
            markersize=4,
            label=label,
        )


def _by_auc(steps: VerifierReport) -> list[VerifierScore]:
    return sorted(steps.verifiers, key=lambda score: -(score.auc or 0.0))


def _name(score: VerifierScore) -> str:
    return _label(score.name)


def _auc(score: VerifierScore) -> str:
    return "AUC unknown" if score.auc is None else f"AUC {score.auc:.2f}"


def _look(place: int, method: str) -> dict[str, Any]:
    return {
        "fmt": _MARKERS[place % len(_MARKERS)],
        "color": _COLOURS[place % len(_COLOURS)],
        "capsize": 3,
        "elinewidth": 0.9,
        "markersize": 6,
        "label": _label(method),
        "zorder": 3,
    }


def _bars(shares: Sequence[Share | Ratio | None], scale: float) -> list[list[float]]:
    """Distances to both ends of the intervals; NaN, so no bar at all, where there is none."""
    known = [
        share if isinstance(share, Share) or (share and has_interval(share)) else None
        for share in shares
    ]
    return [
        [scale * max(0.0, share.value - share.low) if share else math.nan for share in known],
        [scale * max(0.0, share.high - share.value) if share else math.nan for share in known],
    ]


def _plain_log(axis: Any) -> None:
    """Numbers such as 20 and 0.5 at a log scale's ticks, also within one power of ten."""
    ticker = bench_library("matplotlib.ticker")
    axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def _legend(figure: Any) -> None:
    """One legend beside the panels, every label once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        figure.legend(list(found.values()), list(found), loc="outside center right", frameon=False)


_OF_TASKS: dict[Kind, Callable[[Any, TaskReport], None]] = {
    "accuracy-time": _accuracy_time,
    "accuracy-flops": _accuracy_flops,
    "flops-time": _flops_time,
    "selection": _selection,
    "depth": _depth,
}
_OF_STEPS: dict[Kind, Callable[[Any, VerifierReport], None]] = {
    "roc": _roc,
    "calibration": _calibration,
}
_SIZES: dict[Kind, tuple[float, float]] = {
    "accuracy-time": (7.2, 4.2),
    "accuracy-flops": (9.6, 4.2),
    "flops-time": (9.6, 4.2),
    "selection": (7.2, 4.2),
    "depth": (9.6, 4.0),
    "roc": (7.6, 4.8),
    "calibration": (7.2, 4.2),
}
