"""The report's sections on one task, from figures to Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ssr_local.bench.report.arrangement import TARGET
from ssr_local.bench.report.depth import DepthBin
from ssr_local.bench.report.failures import Signature
from ssr_local.bench.report.figures import TaskReport
from ssr_local.bench.report.selection_figures import SelectionPart
from ssr_local.bench.report.summary import AgainstTarget, MethodSummary
from ssr_local.bench.report.tables import (
    DASH,
    bullets,
    count,
    decimal,
    escaped,
    p_text,
    percent,
    percent_ratio,
    ratio_text,
    share_text,
    table,
)
from ssr_local.bench.report.tradeoff import COSTS, FEWEST_RANKED, Tradeoff

_AT_ONCE = """\
Several problems were solved in the same batches. Seconds are each problem's equal share of its
batch's time: they say what a problem costs, not how long one waits for it, and are not comparable
with problems run one after another. Since a batch is timed as one, its problems are no independent
measurements: times have no intervals, and are not correlated with FLOPs run by run."""
_MAJORITY = """\
Over the problems that have all the repeats; with k as many as those, pass@k is the share of
problems that any repeat solved. The majority groups right answers as one and wrong ones by their
text, so that a wrong answer spelt differently counts as another."""

MAX_LISTED = 20
MAX_REASONS = 3
_SECONDS_AN_HOUR = 3600


def main_table(task: TaskReport) -> str:
    """Section 1."""
    parts = [
        table(
            (
                "Method",
                "Problems",
                "Accuracy [95 %]",
                "Points to target [95 %]",
                "p",
                "Decode FLOPs",
                "Total FLOPs",
                "Time [95 %]",
                "Steps accepted",
                "Steps rewritten",
                "Tokens draft + target",
            ),
            [_main_row(method) for method in task.methods],
        ),
        bullets(_shared(task.methods)),
        _repeats(task.methods),
        table(
            (
                "Method",
                "Right",
                "Wrong",
                "Missing",
                "Undecided",
                "Failed",
                "Median s",
                "Mean s",
                "Tokens prefilled",
                *(("Problems an hour",) if task.concurrency > 1 else ()),
            ),
            [_work_row(method, task.concurrency) for method in task.methods],
        ),
        bullets(_unanswered(task.methods)),
        _AT_ONCE if task.concurrency > 1 else "",
    ]
    return "\n\n".join(filter(None, parts))


def _main_row(method: MethodSummary) -> Sequence[str]:
    beside = method.target
    is_target = method.method == TARGET
    drafts = method.draft_tokens is not None and method.target_tokens is not None
    return (
        escaped(method.method),
        str(method.num_problems),
        share_text(method.accuracy),
        _points(beside) if beside else DASH,
        p_text(beside.p if beside else None),
        "1" if is_target else decimal(beside.decode_flops if beside else None),
        "1" if is_target else decimal(beside.total_flops if beside else None),
        "1" if is_target else ratio_text(beside.time if beside else None),
        percent(method.acceptance),
        percent(method.rewrites),
        f"{count(method.draft_tokens)} + {count(method.target_tokens)}" if drafts else DASH,
    )


def _points(beside: AgainstTarget) -> str:
    """The difference in accuracy on the first repeat both have, as its p looks at it."""
    if beside.difference is None:
        return DASH
    points = round(100 * beside.gain / beside.num_problems)
    low, high = (round(100 * end) for end in (beside.difference.low, beside.difference.high))
    return f"{points:+d} [{low}, {high}]"


def _shared(methods: Sequence[MethodSummary]) -> Iterable[str]:
    """Accuracies as they can be compared, where a method and the target tried other things."""
    for method in methods:
        beside = method.target
        if beside is not None and not beside.same_runs:
            name = escaped(method.method)
            yield (
                f"{name} and target have not tried the same: over the problems and repeats both"
                f" have ({beside.num_problems} problems) {percent(beside.accuracy)} of {name} are"
                f" right and {percent(beside.target_accuracy)} of target"
            )


def _repeats(methods: Sequence[MethodSummary]) -> str:
    repeated = [method for method in methods if method.pass_at]
    if not repeated:
        return ""
    ks = sorted({found.k for method in repeated for found in method.pass_at})
    rows = []
    for method in repeated:
        values = {found.k: found.value for found in method.pass_at}
        rows.append(
            (
                escaped(method.method),
                str(method.num_repeats),
                str(method.num_pass_at),
                *(percent(values.get(k)) for k in ks),
                percent(method.majority),
            )
        )
    passed = (f"pass@{k}" for k in ks)
    head = ("Method", "Repeats", "Problems with all", *passed, "Majority right")
    return f"{table(head, rows)}\n\n{_MAJORITY}"


def _work_row(method: MethodSummary, concurrency: int) -> Sequence[str]:
    kinds = {found.outcome: str(found.num_runs) for found in method.unanswered}
    hourly = _SECONDS_AN_HOUR / method.mean_s if method.mean_s else None
    return (
        escaped(method.method),
        str(method.num_right),
        str(method.num_wrong),
        kinds.get("missing", "0"),
        kinds.get("undecided", "0"),
        kinds.get("failed", "0"),
        decimal(method.median_s),
        decimal(method.mean_s),
        count(method.prefill_tokens),
        *((count(hourly),) if concurrency > 1 else ()),
    )


def _unanswered(methods: Sequence[MethodSummary]) -> Iterable[str]:
    for method in methods:
        for found in method.unanswered:
            reasons = "; ".join(escaped(reason) for reason in found.reasons[:MAX_REASONS])
            yield (
                f"{escaped(method.method)}, {found.outcome}: {listed(found.problems)}"
                + (f" ({reasons})" if reasons else "")
            )


def listed(names: Sequence[str]) -> str:
    """Names of problems, the first twenty."""
    shown = ", ".join(escaped(name, 40) for name in names[:MAX_LISTED])
    return shown + (f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else "")


def tradeoff_table(task: TaskReport) -> str:
    """Section 2."""
    trade = task.tradeoff
    if not trade.points:
        return "No problem was tried by every method that has done enough to be compared."
    notes = [f"{trade.num_problems} problems that all these methods tried"]
    if trade.num_timed < trade.num_problems:
        notes.append(f"{trade.num_timed} of them timed, the others have a failed run")
    if trade.left_out:
        left_out = ", ".join(map(escaped, trade.left_out))
        notes.append(f"left out for having done fewer than half as many: {left_out}")
    names = {"seconds": "time", "decode_flops": "decode FLOPs", "total_flops": "total FLOPs"}
    rows = [
        (
            escaped(point.method),
            share_text(point.accuracy),
            ratio_text(point.seconds),
            _tera(point.decode_flops),
            _tera(point.total_flops),
            ", ".join(names[cost] for cost in COSTS if cost in point.fronts) or DASH,
        )
        for point in trade.points
    ]
    head = ("Method", "Accuracy [95 %]", "Mean s [95 %]", "Decode TFLOPs", "Total TFLOPs")
    return "; ".join(notes) + ".\n\n" + table((*head, "On the Pareto front by"), rows)


def _tera(flops: float | None) -> str:
    return decimal(None if flops is None else flops / 1e12)


def flops_table(task: TaskReport) -> str:
    """Section 3."""
    trade = task.tradeoff
    rows = [
        (
            escaped(rate.method),
            str(rate.num_runs),
            decimal(rate.decode_gflops_per_s),
            decimal(rate.gflops_per_s),
            decimal(rate.decode_correlation),
            decimal(rate.total_correlation),
        )
        for rate in trade.rates
    ]
    head = ("Method", "Runs", "Decode GFLOP/s", "Total GFLOP/s", "ρ decode", "ρ total")
    return (
        f"{_between(trade)} Within a method, run by run (GFLOP/s: FLOPs by seconds, in 10⁹):\n\n"
        + table(head, rows)
    )


def _between(trade: Tradeoff) -> str:
    if trade.decode_correlation is None or trade.total_correlation is None:
        return f"A rank correlation between methods takes {FEWEST_RANKED} of them."
    return (
        f"Between the {len(trade.points)} methods compared, Spearman's ρ of mean FLOPs with mean"
        f" seconds is {decimal(trade.decode_correlation)} for decode FLOPs and"
        f" {decimal(trade.total_correlation)} for total FLOPs."
    )


def selection_tables(task: TaskReport) -> str:
    """Section 4."""
    figures = task.selection
    compared = [
        (
            escaped(row.method),
            escaped(row.selection),
            str(row.num_runs),
            share_text(row.any_right),
            p_text(row.p),
            share_text(row.vote_right),
        )
        for row in figures.rows
    ]
    head = (
        "Method",
        "Strategies",
        "Runs",
        "A path right [95 %]",
        "p to choice",
        "Vote right [95 %]",
    )
    parts = []
    if compared:
        parts.append(table(head, compared, num_left=2))
    else:
        parts.append("No method with parallel paths was run.")
    for by in ("subject", "level"):
        found = [part for part in figures.parts if part.by == by]
        if found:
            parts.append(_by_part(by, found))
    strategies = [
        (
            escaped(row.letter),
            escaped(row.name),
            escaped(row.selection),
            str(row.num_chosen),
            f"{row.num_right}/{row.num_ended}",
            percent_ratio(row.right),
        )
        for row in figures.strategies
    ]
    if strategies:
        head = ("Letter", "Strategy", "Chosen", "Choices", "Paths right", "Share right [95 %]")
        parts.append(table(head, strategies, num_left=3))
    parts.append(_orders(task))
    return "\n\n".join(parts)


def _by_part(by: str, parts: Sequence[SelectionPart]) -> str:
    """A line for each subject or level, a column for each method."""
    methods = list(dict.fromkeys(part.method for part in parts))
    cells = {
        (part.value, part.method): f"{part.num_any_right}, {part.num_vote_right} / {part.num_runs}"
        for part in parts
    }
    rows = [
        (escaped(value), *(cells.get((value, method), DASH) for method in methods))
        for value in dict.fromkeys(part.value for part in parts)
    ]
    return f"By {by}, each cell: runs with a path right, with the vote right / runs.\n\n" + table(
        (by.capitalize(), *map(escaped, methods)), rows
    )


def _orders(task: TaskReport) -> str:
    rows = [
        (
            f"{row.num_letters} of {row.num_pool}",
            str(row.num_problems),
            percent_ratio(row.overlap),
            percent(row.chance_overlap),
            percent_ratio(row.same_top),
            percent(row.chance_top),
        )
        for row in task.selection.orders
    ]
    if not rows:
        return "Letter order: no run averaged several orders (a method with `+perm=K` does)."
    head = ("Letters", "Problems", "Shared letters [95 %]", "By chance", "Same first [95 %]")
    return (
        "Letter order: how far two orders of the pool's letters lead to the same choice.\n\n"
        + table((*head, "By chance"), rows)
    )


def depth_tables(task: TaskReport) -> str:
    """Section 6."""
    figures = task.depth
    parts = []
    for title, bins in (
        ("Paths whose steps are drafted and verified", figures.verified),
        ("Paths the target wrote alone", figures.target_alone),
        ("Paths the draft wrote alone", figures.draft_alone),
    ):
        if bins:
            parts.append(f"{title}:\n\n{_bins(bins)}")
    if figures.positions:
        head = ("Position of the step", "Drafted", "Accepted [95 %]")
        rows = [
            (position.label, str(position.num_drafted), percent_ratio(position.acceptance))
            for position in figures.positions
        ]
        parts.append(table(head, rows))
    if figures.lengths:
        lengths = [
            (kind.kind, str(kind.num), decimal(kind.mean_tokens), count(kind.mean_characters))
            for kind in figures.lengths
        ]
        parts.append(table(("Steps", "Number", "Mean tokens", "Mean characters"), lengths))
    return "\n\n".join(parts) or "No path has a step."


def _bins(bins: Sequence[DepthBin]) -> str:
    return table(
        (
            "Steps in the path",
            "Paths",
            "Steps accepted [95 %]",
            "Without early exit",
            "Right of those [95 %]",
        ),
        [
            (
                found.label,
                str(found.num_paths),
                percent_ratio(found.acceptance),
                str(found.num_to_the_end),
                percent_ratio(found.right),
            )
            for found in bins
        ],
    )


def failure_table(task: TaskReport) -> str:
    """Section 7."""
    return table(
        ("Signature", "By method", "Examples", "Count", "Of"),
        [_failure(found) for found in task.failures],
        num_left=3,
    )


def _failure(found: Signature) -> Sequence[str]:
    by_method = ", ".join(f"{escaped(c.method)} {c.num}/{c.of}" for c in found.by_method)
    examples = ", ".join(
        f"{escaped(example.problem, 40)} ({escaped(example.method)}"
        + (f", repeat {example.repeat})" if example.repeat else ")")
        for example in found.examples
    )
    return (found.name, by_method or DASH, examples or DASH, str(found.num), str(found.of))
