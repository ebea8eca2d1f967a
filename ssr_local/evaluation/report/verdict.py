"""The report's last section: what the figures come to, in plain words, by fixed rules. Pure.

A difference in accuracy counts as shown when the exact McNemar p is below 0.05, one in time
when the ratio's 95 % interval excludes 1. Nothing else is called a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from ssr_local.evaluation.report.arrangement import TARGET, is_plain_ssr
from ssr_local.evaluation.report.summary import AgainstTarget, MethodSummary
from ssr_local.evaluation.report.tables import decimal, p_text, times
from ssr_local.evaluation.report.tradeoff import Point, Tradeoff
from ssr_local.evaluation.statistics import Ratio

ALPHA = 0.05
CLOSE = 0.2
"""A method is not advised for its speed when its p against the most accurate one is below
this: a difference that likely is there is no matter of taste, shown or not."""
FEWEST_TIMED = 5
"""Under so many problems an interval drawn from them means nothing."""
FEWEST_SHOWN = 6
"""So many differing problems, all to one side, make the exact p fall below 0.05."""

Worth = Literal[
    "pays twice",
    "pays in accuracy",
    "buys accuracy with time",
    "pays in time",
    "buys time with accuracy",
    "costs time",
    "costs accuracy",
    "nothing shown",
]
"""What a method comes to beside the target alone."""

_WORTH: dict[tuple[str, str], Worth] = {
    ("more", "faster"): "pays twice",
    ("more", "open"): "pays in accuracy",
    ("more", "slower"): "buys accuracy with time",
    ("open", "faster"): "pays in time",
    ("open", "open"): "nothing shown",
    ("open", "slower"): "costs time",
    ("less", "faster"): "buys time with accuracy",
    ("less", "open"): "costs accuracy",
    ("less", "slower"): "costs accuracy",
}
_SENTENCES: dict[Worth, str] = {
    "pays twice": "It pays here: more right answers in less time.",
    "pays in accuracy": "It pays here: more right answers, and no difference in time was shown.",
    "buys accuracy with time": "It pays here where right answers are worth that much more time.",
    "pays in time": "It pays here in time, as far as so few problems can tell of accuracy.",
    "buys time with accuracy": "It pays here only where time is worth more than right answers.",
    "costs time": "So it does not pay here: it takes longer, and no gain was shown for it.",
    "costs accuracy": "So it does not pay here: it loses right answers and gains no time.",
    "nothing shown": "Whether it pays here stays open: neither difference was shown.",
}


class Finding(Struct, frozen=True, kw_only=True):
    """One SSR method beside the target alone."""

    method: str
    worth: Worth
    text: str


class Plain(Struct, frozen=True, kw_only=True):
    """The paragraph, and what it decided: ``use`` is None when nothing can be advised."""

    findings: tuple[Finding, ...]
    use: str | None
    text: str


def in_plain_words(
    *,
    task: str,
    concurrency: int,
    summaries: Sequence[MethodSummary],
    tradeoff: Tradeoff,
) -> Plain:
    """The paragraph on one task at one concurrency."""
    findings = tuple(
        _finding(summary.method, summary.target, summary.num_repeats)
        for summary in summaries
        if is_plain_ssr(summary.method) and summary.target is not None
    )
    use = recommended(tradeoff)
    sentences = [
        _scope(task, concurrency, summaries),
        *(finding.text for finding in findings),
        *_without(summaries, findings),
        *_flops_over_methods(tradeoff),
        _advice(tradeoff, use),
        *_limits(summaries, tradeoff),
    ]
    return Plain(findings=findings, use=use.method if use else None, text=" ".join(sentences))


def recommended(tradeoff: Tradeoff) -> Point | None:
    """The fastest method whose accuracy is likely no worse than the best one's."""
    timed = [
        (seconds, place, point)
        for place, point in enumerate(tradeoff.points)
        if (seconds := point.cost("seconds")) is not None
        and (point.p_best is None or point.p_best >= CLOSE)
    ]
    if len(tradeoff.points) < 2 or tradeoff.num_timed < FEWEST_TIMED or not timed:
        return None
    return min(timed)[2]


def worth(beside: AgainstTarget) -> Worth | None:
    """What the two differences come to; None with too few problems for an interval."""
    if beside.time is None or beside.time.num < FEWEST_TIMED or beside.p is None:
        return None
    accuracy = "open" if beside.p >= ALPHA else "more" if beside.gain > 0 else "less"
    return _WORTH[accuracy, _speed(beside.time)]


def _speed(time: Ratio) -> str:
    return "faster" if time.high < 1 else "slower" if time.low > 1 else "open"


def _scope(task: str, concurrency: int, summaries: Sequence[MethodSummary]) -> str:
    counts = [summary.num_problems for summary in summaries]
    repeats = max((summary.num_repeats for summary in summaries), default=1)
    problems = f"{max(counts, default=0)} problems"
    if counts and min(counts) < max(counts):
        problems = f"{min(counts)} to {max(counts)} problems, by method"
    manner = "one after another" if concurrency == 1 else f"{concurrency} at once"
    return (
        f"On this machine with this pair, {task}, {problems}, {manner}"
        + (f", up to {repeats} times each" if repeats > 1 else "")
        + "."
    )


def _finding(method: str, beside: AgainstTarget, num_repeats: int) -> Finding:
    found = worth(beside)
    sentences = (
        _accuracy(method, beside, num_repeats),
        _time(beside, found),
        *_flops(beside, found),
    )
    return Finding(method=method, worth=found or "nothing shown", text=" ".join(sentences))


def _accuracy(method: str, beside: AgainstTarget, num_repeats: int) -> str:
    num = beside.num_problems
    points = decimal(100 * beside.gain / num)
    counts = (
        f"{method} solved {beside.num_right} of {num}, the target alone {beside.num_target_right}"
    )
    once = ", first repeat of each" if num_repeats > 1 else ""
    p = f"(exact McNemar p {p_text(beside.p)}{once})"
    if beside.p is None or beside.p >= ALPHA:
        return f"{counts}: no difference in accuracy could be shown {p}."
    more = "more" if beside.gain > 0 else "fewer"
    return f"{counts}: {points.lstrip('-')} points {more}, and that is shown {p}."


def _time(beside: AgainstTarget, found: Worth | None) -> str:
    if beside.time is None:
        return "Time could not be compared."
    if found is None:
        return (
            f"It took {times(beside.time.value)} the target's time, on {beside.time.num} problems"
            " that both finished: too few to say whether it pays."
        )
    interval = f"95 % interval {decimal(beside.time.low)} to {decimal(beside.time.high)}"
    return f"It took {times(beside.time.value)} the target's time ({interval}). {_SENTENCES[found]}"


def _flops(beside: AgainstTarget, found: Worth | None) -> Iterable[str]:
    """What the two counts of FLOPs foretold, and whether the clock agreed."""
    if found is None or beside.time is None:
        return
    if beside.decode_flops is None or beside.total_flops is None:
        return
    yield (
        f"Decoded tokens alone, the paper's count, foretold {times(beside.decode_flops)},"
        f" and the clock {_agreement(beside.decode_flops, beside.time)};"
        f" with prefill counted it is {times(beside.total_flops)},"
        f" and the clock {_agreement(beside.total_flops, beside.time)}."
    )


def _agreement(flops: float, time: Ratio) -> str:
    if time.low <= flops <= time.high:
        return "agrees"
    if (flops < 1 and time.high < 1) or (flops > 1 and time.low > 1):
        amount = "less" if time.value < flops else "more"
        return f"agrees in direction but says {amount}"
    return "does not agree"


def _without(summaries: Sequence[MethodSummary], findings: Sequence[Finding]) -> Iterable[str]:
    methods = [summary.method for summary in summaries]
    if not any(map(is_plain_ssr, methods)):
        yield "No SSR method was run, so nothing can be said of what SSR is worth."
    elif TARGET not in methods:
        yield "The target alone was not run, so whether SSR pays cannot be said."
    elif not findings:
        yield "SSR and the target alone have no problem in common yet."


def _flops_over_methods(tradeoff: Tradeoff) -> Iterable[str]:
    decode, total = tradeoff.decode_correlation, tradeoff.total_correlation
    if decode is not None and total is not None:
        yield (
            f"Over the {len(tradeoff.points)} methods compared, the rank correlation with time is"
            f" {decimal(decode)} for decode FLOPs and {decimal(total)} for total FLOPs."
        )


def _advice(tradeoff: Tradeoff, use: Point | None) -> str:
    best = next((point for point in tradeoff.points if point.method == tradeoff.best), None)
    if use is None or best is None:
        return (
            "Which method to use cannot be said: that takes at least two methods and"
            f" {FEWEST_TIMED} problems that all of them finished."
        )
    rivals = [point for point in tradeoff.points if point.p_best is not None]
    if use is best and all((point.p_best or 0.0) < ALPHA for point in rivals):
        return f"Use {use.method} here: every other method was shown to be less accurate."
    what = (
        f"Use {use.method} here: at {decimal(use.cost('seconds'))} s a problem it is the fastest of"
        " the methods that may well be as accurate as the best"
    )
    if use is best:
        return f"{what}, and the best itself ({_percent(best)} right)."
    lower = 100 * (best.accuracy.value - use.accuracy.value)
    return (
        f"{what}, {best.method} ({_percent(best)} right against {_percent(use)}: on"
        f" {tradeoff.num_problems} problems {decimal(lower)} points could not be told from chance,"
        f" p {p_text(use.p_best)})."
    )


def _percent(point: Point) -> str:
    return f"{decimal(100 * point.accuracy.value)} %"


def _limits(summaries: Sequence[MethodSummary], tradeoff: Tradeoff) -> Iterable[str]:
    num = tradeoff.num_problems
    if 0 < num < FEWEST_SHOWN:
        yield f"On {num} problems no difference in accuracy can be shown, however large it is."
    elif num and 100 * FEWEST_SHOWN / num >= 2:
        yield (
            f"On {num} problems a difference in accuracy shows only when at least {FEWEST_SHOWN}"
            f" of them ({decimal(100 * FEWEST_SHOWN / num)} %) fall to one side and none to the"
            " other; smaller ones stay unseen."
        )
    if len(summaries) > 2:
        yield "The p-values are not corrected for the number of methods compared."
    if tradeoff.left_out:
        yield (
            f"Left out of the advice for having done too little: {', '.join(tradeoff.left_out)}."
        )
