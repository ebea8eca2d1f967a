"""The main table: the result of each method of one task, alone and against the baseline. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import median

from msgspec import Struct

from ssr_local.bench.records import Outcome, Row
from ssr_local.bench.report.arrangement import Runs, accuracy, by_problem, is_right
from ssr_local.bench.statistics import (
    Interval,
    Ratio,
    Share,
    clustered,
    mcnemar,
    mean,
    paired_difference,
    pass_at_k,
)
from ssr_local.core.records import RunResult

MAX_LISTED = 5


class Unanswered(Struct, frozen=True):
    """The runs of one method that ended without a verdict on an answer, by problem.

    ``reasons`` are the errors of failed ones, each once.
    """

    outcome: Outcome
    num_runs: int
    problems: tuple[str, ...]
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(self.problems[:MAX_LISTED])
        more = len(self.problems) - MAX_LISTED
        text = f"{self.num_runs} {self.outcome}: {shown}" + (f" and {more} more" * (more > 0))
        return text + (f" ({'; '.join(self.reasons[:MAX_LISTED])})" if self.reasons else "")


class AgainstBaseline(Struct, frozen=True, kw_only=True):
    """A method beside the baseline, over what both have tried.

    The ratios leave out failed runs; repeats are averaged in a problem before problems are
    drawn anew for ``time``'s interval, which is missing (both ends at the value) unless
    ``timed_alone``: problems solved at once share one time. ``num_right``,
    ``num_target_right``, the exact McNemar ``p`` and ``difference`` (Newcombe's paired 95 %
    interval of the shares of right answers, method less baseline) look at the first repeat both
    have, one trial a problem. "target" in names is the baseline: so 0.1.0 has it in report.json.
    """

    num_problems: int
    num_right: int
    num_target_right: int
    p: float | None
    difference: Interval | None
    decode_flops: float | None
    total_flops: float | None
    time: Ratio | None
    timed_alone: bool = True

    @property
    def gain(self) -> int:
        """How many more problems than the baseline it solved."""
        return self.num_right - self.num_target_right


class PassAt(Struct, frozen=True):
    """The chance that one of ``k`` runs is right, 0 to 1."""

    k: int
    value: float

    def __str__(self) -> str:
        return f"{self.value:.2f} at {self.k}"


class MethodSummary(Struct, frozen=True, kw_only=True):
    """One line of the main table.

    ``accuracy`` is pass@1. ``pass_at`` is over the ``num_pass_at`` problems with all
    ``num_repeats``, and there for several repeats only. ``predicted_s`` is the mean of what
    the same runs as those of ``mean_s`` were predicted to take. Token counts are means a run;
    ``acceptance`` is accepted over drafted steps, ``rewrites`` rewrites over all steps of
    methods that draft.
    """

    method: str
    num_problems: int
    num_runs: int
    num_repeats: int
    num_right: int
    num_wrong: int
    unanswered: tuple[Unanswered, ...]
    accuracy: Share | None
    pass_at: tuple[PassAt, ...]
    num_pass_at: int
    acceptance: float | None
    rewrites: float | None
    draft_tokens: float | None
    target_tokens: float | None
    prefill_tokens: float | None
    median_s: float | None
    mean_s: float | None
    predicted_s: float | None
    target: AgainstBaseline | None


def summarise(runs: Runs) -> tuple[MethodSummary, ...]:
    """Every method of the task, in the order of the tables."""
    return tuple(_summary(runs, method) for method in runs.methods)


def _beside(runs: Runs, method: str) -> AgainstBaseline | None:
    """None when the two have tried nothing in common."""
    baseline = runs.baseline
    if baseline is None or method == baseline or not (units := runs.shared([method, baseline])):
        return None
    pairs = runs.pairs(method, baseline, units, is_right)
    cells = [pairs.count((one, two)) for one in (True, False) for two in (True, False)]
    mine, theirs = runs.at(method, units), runs.at(baseline, units)
    both = [
        (one, two)
        for one, two in zip(mine, theirs, strict=True)
        if one.result is not None and two.result is not None
    ]
    return AgainstBaseline(
        num_problems=len(pairs),
        num_right=cells[0] + cells[1],
        num_target_right=cells[0] + cells[2],
        p=mcnemar(cells[1], cells[2]),
        difference=paired_difference(*cells),
        decode_flops=_quotient(both, lambda result: result.flops.decode),
        total_flops=_quotient(both, lambda result: result.flops.total),
        time=_time_ratio(both) if runs.timed_alone else without_interval(_time_ratio(both)),
        timed_alone=runs.timed_alone,
    )


def without_interval(ratio: Ratio | None) -> Ratio | None:
    """The ratio alone, both ends at its value, as of problems that all agree."""
    return ratio and Ratio(ratio.value, ratio.value, ratio.value, ratio.num)


def results(rows: Iterable[Row]) -> list[RunResult]:
    """The results of the runs that have one."""
    return [row.result for row in rows if row.result is not None]


def _summary(runs: Runs, method: str) -> MethodSummary:
    rows = runs.of(method)
    found = results(rows)
    groups = by_problem(rows).values()
    num_repeats = max(map(len, groups))
    seconds = [row.elapsed_s for row in rows if row.result is not None]
    full = [group for group in groups if len(group) == num_repeats > 1]
    return MethodSummary(
        method=method,
        num_problems=len(groups),
        num_runs=len(rows),
        num_repeats=num_repeats,
        num_right=sum(map(is_right, rows)),
        num_wrong=sum(row.outcome == "wrong" for row in rows),
        unanswered=_unanswered(rows),
        accuracy=accuracy(rows),
        pass_at=_pass_at(full, num_repeats),
        num_pass_at=len(full),
        acceptance=_share_of(
            sum(result.num_accepted for result in found),
            sum(result.num_drafted for result in found),
        ),
        rewrites=_share_of(
            sum(result.num_rewrites for result in found),
            sum(result.num_steps for result in found if result.num_drafted),
        ),
        draft_tokens=mean(result.usage.draft.decode_tokens for result in found),
        target_tokens=mean(result.usage.target.decode_tokens for result in found),
        prefill_tokens=mean(
            result.usage.draft.prefill_tokens + result.usage.target.prefill_tokens
            for result in found
        ),
        median_s=median(seconds) if seconds else None,
        mean_s=mean(seconds),
        predicted_s=_predicted_s(rows),
        target=_beside(runs, method),
    )


def _predicted_s(rows: Sequence[Row]) -> float | None:
    """None where not every run has a prediction: the two means would be of other runs."""
    predicted = [row.predicted_s for row in rows if row.result is not None]
    known = [seconds for seconds in predicted if seconds is not None]
    return mean(known) if len(known) == len(predicted) else None


def _unanswered(rows: Sequence[Row]) -> tuple[Unanswered, ...]:
    kinds: tuple[Outcome, ...] = ("missing", "undecided", "not run", "failed")
    found = [(kind, [row for row in rows if row.outcome == kind]) for kind in kinds]
    return tuple(
        Unanswered(
            kind,
            len(group),
            tuple(dict.fromkeys(row.problem for row in group)),
            tuple(dict.fromkeys(row.error for row in group if row.error)),
        )
        for kind, group in found
        if group
    )


def _pass_at(groups: Sequence[Sequence[Row]], num_repeats: int) -> tuple[PassAt, ...]:
    """pass@k for a handful of k, up to all the repeats, where it is "any of them right"."""
    found = []
    for k in sorted({1, 2, 4, num_repeats} if groups else ()):
        if k <= num_repeats:
            value = mean(pass_at_k(num_repeats, sum(map(is_right, group)), k) for group in groups)
            found.append(PassAt(k, value or 0.0))
    return tuple(found)


def _quotient(
    both: Sequence[tuple[Row, Row]], amount: Callable[[RunResult], float]
) -> float | None:
    mine, theirs = (
        math.fsum(amount(result) for result in results(pair[side] for pair in both))
        for side in (0, 1)
    )
    return _share_of(mine, theirs)


def _time_ratio(both: Sequence[tuple[Row, Row]]) -> Ratio | None:
    """Repeats are averaged in a problem: one entry a problem."""
    repeats = Counter(one.problem for one, _ in both)
    return clustered(
        (one.problem, one.elapsed_s / repeats[one.problem], two.elapsed_s / repeats[one.problem])
        for one, two in both
    )


def _share_of(part: float, whole: float) -> float | None:
    return part / whole if whole else None
