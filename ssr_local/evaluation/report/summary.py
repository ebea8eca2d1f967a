"""The main table: what each method of one task came to, alone and against the target. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median

from msgspec import Struct

from ssr_local.evaluation.records import Outcome, Row
from ssr_local.evaluation.report.arrangement import (
    TARGET,
    Runs,
    by_problem,
    first_of_each,
    is_right,
)
from ssr_local.evaluation.report.shares import Share, accuracy, clustered, mean
from ssr_local.evaluation.scoring import majority_outcome
from ssr_local.evaluation.statistics import Ratio, mcnemar, pass_at_k
from ssr_local.records import Comparison, RunResult


class Unanswered(Struct, frozen=True):
    """The runs of one method that ended without a verdict on an answer, by problem.

    ``reasons`` are the errors of failed ones, each once.
    """

    outcome: Outcome
    num_runs: int
    problems: tuple[str, ...]
    reasons: tuple[str, ...] = ()


class AgainstTarget(Struct, frozen=True, kw_only=True):
    """A method beside the target, over what both have tried.

    The ratios leave out failed runs; repeats are averaged in a problem before problems are
    drawn anew for ``time``'s interval. ``num_right``, ``num_target_right`` and the exact
    McNemar ``p`` look at the first repeat both have, one trial a problem.
    """

    num_problems: int
    num_right: int
    num_target_right: int
    p: float | None
    decode_flops: float | None
    total_flops: float | None
    time: Ratio | None

    @property
    def gain(self) -> int:
        """How many more problems than the target it solved."""
        return self.num_right - self.num_target_right


class MethodSummary(Struct, frozen=True, kw_only=True):
    """One line of the main table.

    ``accuracy`` is pass@1, ``pass_at`` that at least one of ``num_repeats`` is right over
    ``num_pass_at`` problems with so many, ``majority`` the share of problems whose most
    frequent answer over the repeats is right. Token counts are means a run; ``acceptance`` is
    accepted over drafted steps, ``rewrites`` rewrites over all steps of methods that draft.
    """

    method: str
    num_problems: int
    num_runs: int
    num_repeats: int
    num_right: int
    num_wrong: int
    unanswered: tuple[Unanswered, ...]
    accuracy: Share | None
    pass_at: float | None
    num_pass_at: int
    majority: float | None
    acceptance: float | None
    rewrites: float | None
    draft_tokens: float | None
    target_tokens: float | None
    prefill_tokens: float | None
    median_s: float | None
    mean_s: float | None
    target: AgainstTarget | None


def summarise(runs: Runs) -> tuple[MethodSummary, ...]:
    """Every method of the task, in the order of the tables."""
    return tuple(_summary(runs, method) for method in runs.methods)


def against(runs: Runs, method: str, other: str) -> AgainstTarget | None:
    """``method`` beside ``other``; None when they have tried nothing in common."""
    units = runs.shared([method, other])
    if not units:
        return None
    once = first_of_each(units)
    mine, theirs = (list(map(is_right, runs.at(name, once))) for name in (method, other))
    both = [
        (one, two)
        for one, two in zip(runs.at(method, units), runs.at(other, units), strict=True)
        if one.result is not None and two.result is not None
    ]
    return AgainstTarget(
        num_problems=len(once),
        num_right=sum(mine),
        num_target_right=sum(theirs),
        p=mcnemar(
            sum(a and not b for a, b in zip(mine, theirs, strict=True)),
            sum(b and not a for a, b in zip(mine, theirs, strict=True)),
        ),
        decode_flops=_quotient(both, lambda result: result.flops.decode),
        total_flops=_quotient(both, lambda result: result.flops.total),
        time=_time_ratio(both),
    )


def results(rows: Iterable[Row]) -> list[RunResult]:
    """The results of the runs that have one."""
    return [row.result for row in rows if row.result is not None]


def _summary(runs: Runs, method: str) -> MethodSummary:
    rows = runs.of(method)
    found = results(rows)
    repeats = {problem: len(group) for problem, group in by_problem(rows).items()}
    seconds = [row.elapsed_s for row in rows if row.result is not None]
    passed, num_passed = _pass_at(rows, max(repeats.values()))
    return MethodSummary(
        method=method,
        num_problems=len(repeats),
        num_runs=len(rows),
        num_repeats=max(repeats.values()),
        num_right=sum(map(is_right, rows)),
        num_wrong=sum(row.outcome == "wrong" for row in rows),
        unanswered=_unanswered(rows),
        accuracy=accuracy(rows),
        pass_at=passed,
        num_pass_at=num_passed,
        majority=_majority(rows, max(repeats.values())),
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
        target=None
        if method == TARGET or TARGET not in runs.rows
        else against(runs, method, TARGET),
    )


def _against_target(runs: Runs, method: str) -> AgainstTarget | None:
    return against(runs, method, TARGET) if method != TARGET and TARGET in runs.rows else None


def _unanswered(rows: Sequence[Row]) -> tuple[Unanswered, ...]:
    kinds: tuple[Outcome, ...] = ("missing", "undecided", "failed")
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


def _pass_at(rows: Sequence[Row], k: int) -> tuple[float | None, int]:
    """pass@k over the problems with k repeats, and how many those are; none for one repeat."""
    groups = [group for group in by_problem(rows).values() if len(group) >= k]
    if k < 2:
        return None, 0
    return mean(pass_at_k(len(g), sum(map(is_right, g)), k) for g in groups), len(groups)


def _majority(rows: Sequence[Row], k: int) -> float | None:
    if k < 2:
        return None
    return mean(
        float(majority_outcome(group, _same_by_outcome(group)) == "right")
        for group in by_problem(rows).values()
    )


def _same_by_outcome(rows: Sequence[Row]) -> Callable[[str, str], Comparison]:
    """How answers to one problem compare, as far as their outcomes tell.

    Right ones are equal, being equal to the reference, and no wrong one is equal to a right
    one. Two wrong ones are compared as text, so other spellings of one wrong answer count
    as others.
    """
    outcomes = {row.result.answer: row.outcome for row in rows if row.result}

    def compare(a: str, b: str) -> Comparison:
        pair = {outcomes.get(a), outcomes.get(b)}
        if pair == {"right"} or a.split() == b.split():
            return "equal"
        return "undecided" if "undecided" in pair else "different"

    return compare


def _quotient(
    both: Sequence[tuple[Row, Row]], amount: Callable[[RunResult], float]
) -> float | None:
    mine, theirs = (
        math.fsum(amount(result) for result in results(pair[side] for pair in both))
        for side in (0, 1)
    )
    return mine / theirs if theirs > 0 else None


def _time_ratio(both: Sequence[tuple[Row, Row]]) -> Ratio | None:
    problems: dict[str, list[tuple[Row, Row]]] = {}
    for one, two in both:
        problems.setdefault(one.problem, []).append((one, two))
    return clustered(
        {problem: [(_mean_s(pairs, 0), _mean_s(pairs, 1))] for problem, pairs in problems.items()}
    )


def _mean_s(pairs: Sequence[tuple[Row, Row]], side: int) -> float:
    return math.fsum(pair[side].elapsed_s for pair in pairs) / len(pairs)


def _share_of(part: float, whole: float) -> float | None:
    return part / whole if whole else None
