"""The report's first paragraph: what the figures come to, in plain words, by fixed rules. Pure.

A difference in accuracy counts as shown when the exact McNemar p is below 0.05, and as likely
when it is below 0.2; one in time counts when the ratio's 95 % interval excludes 1. Whether less
accuracy is let pass is ``may_be_as_good``'s to say, here as in the advice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from ssr_local.bench.report.advice import ALPHA, CLOSE, FEWEST_TIMED, advise, may_be_as_good
from ssr_local.bench.report.arrangement import TARGET, is_plain_ssr
from ssr_local.bench.report.summary import AgainstTarget, MethodSummary
from ssr_local.bench.report.tables import decimal, p_text, times
from ssr_local.bench.report.tradeoff import Tradeoff
from ssr_local.bench.statistics import Ratio

FEWEST_SHOWN = 6
"""So many differing problems, all to one side, make the exact p fall below 0.05."""

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
"""What a method comes to beside the target alone."""

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
_SENTENCES: dict[Worth, str] = {
    "pays twice": "It pays here: more right answers in less time.",
    "pays in accuracy": "It pays here: more right answers, and no difference in time was shown.",
    "buys accuracy with time": "It pays here where right answers are worth that much more time.",
    "buys time with accuracy": "It pays here only where time is worth more than right answers.",
    "costs accuracy": "So it does not pay here: it loses right answers and gains no time.",
    "solved nothing": "It solved nothing here, so there is nothing its time could pay for.",
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
    compared = {
        summary.method: summary.target
        for summary in summaries
        if is_plain_ssr(summary.method) and summary.target is not None
    }
    repeats = {summary.method: summary.num_repeats for summary in summaries}
    findings = tuple(_finding(name, found, repeats[name]) for name, found in compared.items())
    advice = advise(tradeoff)
    sentences = [
        _scope(task, concurrency, summaries),
        *(finding.text for finding in findings),
        *_without(summaries, findings),
        *_flops_over_methods(tradeoff),
        advice.text,
        *_smallest_shown(compared, tradeoff),
        *_limits(summaries, tradeoff, concurrency),
    ]
    return Plain(findings=findings, use=advice.use, text=" ".join(sentences))


def worth(beside: AgainstTarget) -> Worth | None:
    """What the two differences come to; None where time has no interval to judge by."""
    if beside.time is None or beside.time.num < FEWEST_TIMED or beside.p is None:
        return None
    if not beside.timed_alone:
        return None
    if beside.num_right == 0:
        return "solved nothing"
    return _WORTH.get((_accuracy_class(beside, beside.p), _speed(beside.time)), "not shown to pay")


def _accuracy_class(beside: AgainstTarget, p: float) -> str:
    if p < ALPHA:
        return "more" if beside.gain > 0 else "less"
    loss = -beside.gain / beside.num_problems
    return "let pass" if may_be_as_good(loss, p, beside.num_problems) else "doubtful"


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
    return Finding(method=method, worth=found or "not shown to pay", text=" ".join(sentences))


def _accuracy(method: str, beside: AgainstTarget, num_repeats: int) -> str:
    counts = (
        f"{method} solved {beside.num_right} of {beside.num_problems},"
        f" the target alone {beside.num_target_right}"
    )
    points = decimal(abs(100 * beside.gain / beside.num_problems))
    amount = f"{points} points {'more' if beside.gain > 0 else 'fewer'}"
    basis = [f"exact McNemar p {p_text(beside.p)}"]
    if beside.difference is not None:
        low, high = (decimal(100 * end) for end in (beside.difference.low, beside.difference.high))
        basis.append(f"95 % interval of the difference {low} to {high} points")
    if num_repeats > 1:
        basis.append("first repeat of each")
    said = f"({', '.join(basis)})."
    if beside.p is None or beside.p >= CLOSE:
        return f"{counts}: no difference in accuracy could be shown {said}"
    if beside.p >= ALPHA:
        return f"{counts}: {amount}, a difference that is likely, but not shown {said}"
    return f"{counts}: {amount}, and that is shown {said}"


def _time(beside: AgainstTarget, found: Worth | None) -> str:
    if beside.time is None:
        return "Time could not be compared."
    took = f"It took {times(beside.time.value)} the target's time"
    if found is None and not beside.timed_alone:
        return (
            f"{took}; problems of one batch share its time, so that has no interval, and whether it"
            " pays is not said."
        )
    if found is None:
        return (
            f"{took}, on {beside.time.num} problems that both finished: too few to say whether it"
            " pays."
        )
    interval = f"95 % interval {decimal(beside.time.low)} to {decimal(beside.time.high)}"
    return f"{took} ({interval}). {_comes_to(beside, beside.time, found)}"


def _comes_to(beside: AgainstTarget, time: Ratio, found: Worth) -> str:
    if found in _SENTENCES or beside.difference is None:
        return _SENTENCES.get(found, "It is not shown to pay here.")
    low, high = 100 * beside.difference.low, 100 * beside.difference.high
    if found == "pays in time":
        lost = f", though up to {decimal(-low)} points lost cannot be ruled out" if low < 0 else ""
        return f"It pays here in time: a loss of accuracy for it is not likely{lost}."
    return (
        f"It is not shown to pay here: {times(time.value)} the time for a gain between"
        f" {decimal(low)} and {decimal(high)} points."
    )


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
    """A wide interval holds much, so that it holds this is no agreement yet."""
    if time.low <= flops <= time.high:
        return "cannot be told from it"
    if (flops < 1 and time.high < 1) or (flops > 1 and time.low > 1):
        amount = "less" if time.value < flops else "more"
        return f"agrees in direction but says {amount}"
    return "does not agree"


def _without(summaries: Sequence[MethodSummary], findings: Sequence[Finding]) -> Iterable[str]:
    methods = [summary.method for summary in summaries]
    if not any(map(is_plain_ssr, methods)):
        yield "SSR as it is, without a change, was not run: what it is worth cannot be said."
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


def _smallest_shown(compared: Mapping[str, AgainstTarget], tradeoff: Tradeoff) -> Iterable[str]:
    """What so few problems leave unseen, of the SSR method with the fewest."""
    counts = {name: beside.num_problems for name, beside in compared.items()}
    fewest = min(counts, key=counts.__getitem__, default=None)
    num = counts[fewest] if fewest else tradeoff.num_problems
    on = f"On {num} problems, those of {fewest} and the target," if fewest else f"On {num} problems"
    if 0 < num < FEWEST_SHOWN:
        yield f"{on} no difference in accuracy can be shown, however large it is."
    elif num and 100 * FEWEST_SHOWN / num >= 2:
        yield (
            f"{on} a difference in accuracy shows only when at least {FEWEST_SHOWN} of them"
            f" ({decimal(100 * FEWEST_SHOWN / num)} %) fall to one side, more if some fall to the"
            " other; smaller ones stay unseen."
        )


def _limits(
    summaries: Sequence[MethodSummary], tradeoff: Tradeoff, concurrency: int
) -> Iterable[str]:
    if concurrency > 1 and tradeoff.points:
        yield "Times have no intervals here, so a small difference between them may be chance."
    if len(summaries) > 2:
        yield "The p-values are not corrected for the number of methods compared."
    if tradeoff.left_out:
        yield (
            f"Left out of the advice for having done too little: {', '.join(tradeoff.left_out)}."
        )
