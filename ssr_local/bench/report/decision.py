"""What the figures decide, by fixed rules that rather stay silent than guess. Pure.

A difference in accuracy counts as shown when the exact McNemar p is below ``ALPHA``, and as likely
when it is below ``LIKELY``; one in time counts when the ratio's 95 % interval excludes 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from ssr_local.bench.report.arrangement import is_alone
from ssr_local.bench.report.markdown import FEWEST_FOR_INTERVAL
from ssr_local.bench.report.summary import AgainstBaseline, MethodSummary
from ssr_local.bench.report.tradeoff import Tradeoff
from ssr_local.bench.statistics import Ratio

ALPHA = 0.05
LIKELY = 0.2
FEWEST_TOLERANT = 20
TOLERANCE = 0.1
"""Of fewer than twenty problems even large differences have a large p, so the p alone does not
do: there no more than ten points less are let pass, on ten problems a single one."""

Worth = Literal[
    "pays twice",
    "pays in accuracy",
    "buys accuracy with time",
    "pays in time",
    "buys time with accuracy",
    "costs accuracy",
    "not shown to pay",
    "solved nothing",
]

_WORTH: dict[tuple[str, str], Worth] = {
    ("more", "faster"): "pays twice",
    ("more", "open"): "pays in accuracy",
    ("more", "slower"): "buys accuracy with time",
    ("let pass", "faster"): "pays in time",
    ("less", "faster"): "buys time with accuracy",
    ("less", "open"): "costs accuracy",
    ("less", "slower"): "costs accuracy",
}
"""Every other pair is not shown to pay."""


class MethodDecision(Struct, frozen=True, kw_only=True):
    """What one method is worth beside the baseline."""

    method: str
    worth: Worth


class Decision(Struct, frozen=True, kw_only=True):
    """What methods are worth, and the method to ``use``: None when nothing can be advised."""

    findings: tuple[MethodDecision, ...]
    use: str | None


def decide(summaries: Sequence[MethodSummary], tradeoff: Tradeoff) -> Decision:
    """The decision on one task at one concurrency."""
    findings = tuple(
        MethodDecision(method=summary.method, worth=worth(summary.target) or "not shown to pay")
        for summary in summaries
        if summary.target is not None and not is_alone(summary.method, "draft")
    )
    return Decision(findings=findings, use=to_use(tradeoff))


def worth(beside: AgainstBaseline) -> Worth | None:
    """What the two differences decide; None where time has no interval to judge by."""
    time, p = beside.time, beside.p
    if time is None or p is None or time.num < FEWEST_FOR_INTERVAL or not beside.timed_alone:
        return None
    if beside.num_right == 0:
        return "solved nothing"
    return _WORTH.get((_accuracy_class(beside, p), _speed(time)), "not shown to pay")


def _accuracy_class(beside: AgainstBaseline, p: float) -> str:
    if p < ALPHA:
        return "more" if beside.gain > 0 else "less"
    loss = -beside.gain / beside.num_problems
    return "let pass" if may_be_as_good(loss, p, beside.num_problems) else "doubtful"


def _speed(time: Ratio) -> str:
    return "faster" if time.high < 1 else "slower" if time.low > 1 else "open"


def may_be_as_good(loss: float, p: float | None, num: int) -> bool:
    """Whether a share of right answers lower by ``loss``, with that exact p, is let pass."""
    if loss <= 0:
        return True
    close = p is not None and p >= LIKELY
    return close and (num >= FEWEST_TOLERANT or loss <= TOLERANCE + 1e-9)


def to_use(tradeoff: Tradeoff) -> str | None:
    """The fastest method that could not be told apart from the most accurate one.

    None where too little was done, where nothing was solved, and where a faster method is
    neither likely less accurate nor near enough on so few problems.
    """
    best = next((point for point in tradeoff.points if point.method == tradeoff.best), None)
    if best is None or len(tradeoff.points) < 2 or tradeoff.num_timed < FEWEST_FOR_INTERVAL:
        return None
    timed = [point for point in tradeoff.points if point.cost("seconds") is not None]
    if best.accuracy.value == 0 or not timed:
        return None
    close = [p for p in timed if p is best or (p.p_best is not None and p.p_best >= LIKELY)]
    use = min(close, key=lambda point: point.cost("seconds") or 0.0, default=best)
    loss = best.accuracy.value - use.accuracy.value
    if use is best or may_be_as_good(loss, use.p_best, tradeoff.num_problems):
        return use.method
    return None
