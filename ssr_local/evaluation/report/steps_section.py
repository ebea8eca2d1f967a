"""Section 5: what verifiers are worth on labelled steps, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ssr_local.evaluation.labels.verifiers import Operating, VerifierReport, VerifierScore
from ssr_local.evaluation.report.tables import (
    DASH,
    bullets,
    decimal,
    escaped,
    percent,
    percent_ratio,
    table,
)
from ssr_local.evaluation.statistics import Interval, Proportion

_TRUTH = """\
No human labelled these steps. The truth here is the target's own: from before and from after each
drafted step it goes on several times by itself, and a step that lowers the rate of right answers by
more than the margin is called bad. A step can be called bad only where the rate before it is above
the margin. Such a label is a sample, and it is about this target: a step it cannot use is bad, be
it true or not."""

_TABLE = """\
AUC is the chance that a good step gets the higher value than a bad one (1/2: the verifier knows
nothing), its interval taken over problems. False accepts are of the bad steps, false rejects of
the good ones, at the threshold in force and with the calibration in force; a wording that no
calibration is for has neither. ρ is Spearman's, of the value with the rate of right answers after
the step."""


def steps_section(report: VerifierReport | None) -> str:
    """Section 5 on these scores; None where no steps were labelled."""
    if report is None:
        return "No labelled steps: `ssr-local bench steps` collects them."
    parts = [_TRUTH, bullets(_basis(report))]
    if report.num_judged:
        parts += [_TABLE, _scores(report), bullets(_beside(report))]
    return "\n\n".join(filter(None, parts))


def _basis(report: VerifierReport) -> Iterable[str]:
    samples = " or ".join(map(str, report.samples))
    yield (
        f"{report.num_problems} problems, {samples} continuations from every place, margin"
        f" {decimal(report.margin)}; {report.num_unsolved} problems were never solved by the target"
        " and have no steps"
    )
    yield (
        f"{report.num_drafted} drafted steps, {report.num_judged} of them where harm could be seen:"
        f" {_proportion(report.good)} good, {_proportion(report.draft_bad)} bad"
        + (f"; share of bad ones over problems {percent_ratio(report.bad_ratio)}")
    )
    if report.target_bad.num:
        yield (
            f"steps the target wrote itself: {_proportion(report.target_bad)} bad (only written"
            " where the drafted step did harm, so at harder places)"
        )
    noise = report.noise
    if noise is not None:
        yield (
            f"noise of the labels: about {percent(noise.mislabelled)} are expected to be on the"
            f" wrong side of the margin ({percent(noise.of_good)} of the good,"
            f" {percent(noise.of_bad)} of the bad); one effect has a standard error of"
            f" {decimal(noise.error)}; labels so noisy may leave as little as"
            f" {percent(noise.retained)} of what a verifier's AUC truly has above 1/2"
        )


def _scores(report: VerifierReport) -> str:
    head = (
        "Verifier",
        "Wording",
        "Good",
        "Bad",
        "Unreadable",
        "AUC [95 %]",
        "ρ",
        "Accepted",
        "False accepts [95 %]",
        "False rejects [95 %]",
    )
    rows = [
        *(_row(score) for score in report.verifiers if _was_read(score)),
        *(_row(score, suffix=" (no verifier)") for score in report.baselines),
    ]
    if report.fallback is not None:
        empty = (DASH,) * 6
        row = ("likelihood, uncalibrated", *empty, *_operating(report.fallback))
        rows.append(row)
    return table(head, rows, num_left=2)


def _was_read(score: VerifierScore) -> bool:
    return score.num_good + score.num_bad > 0


def _row(score: VerifierScore, suffix: str = "") -> tuple[str, ...]:
    return (
        escaped(score.name) + suffix,
        escaped(score.wording) or DASH,
        str(score.num_good),
        str(score.num_bad),
        str(score.num_unreadable),
        _auc(score.auc, score.interval),
        decimal(score.rank_after),
        *_operating(score.operating),
    )


def _auc(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return DASH
    if interval is None:
        return f"{value:.2f}"
    return f"{value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _operating(found: Operating | None) -> tuple[str, str, str]:
    if found is None:
        return (DASH, DASH, DASH)
    return (
        percent(found.accepted.share),
        _proportion(found.false_accepts),
        _proportion(found.false_rejects),
    )


def _proportion(found: Proportion) -> str:
    if found.interval is None or found.share is None:
        return f"{found.count}/{found.num}"
    low, high = 100 * found.interval.low, 100 * found.interval.high
    return f"{found.count}/{found.num} = {percent(found.share)} [{low:.0f}, {high:.0f}]"


def _beside(report: VerifierReport) -> Iterable[str]:
    yield (
        f"threshold {decimal(report.threshold)}; intervals of counts take steps for independent,"
        " which those of one problem are not: they are rather too narrow"
    )
    yield (
        "`length` and `position` are no verifiers: they know only how short a step is, and how"
        " early it stands. A verifier that does no better has learned no more"
    )
    unread = [f"{s.name} ({s.wording or '-'})" for s in report.verifiers if not _was_read(s)]
    if unread:
        yield f"not asked of these steps, or never readable: {escaped(', '.join(unread), 0)}"
    lengths = (
        ("good", report.good_length),
        ("bad", report.bad_length),
        ("the target's own", report.target_length),
    )
    told = [
        f"{name} {decimal(found.mean)} (median {decimal(found.median)}, n = {found.num})"
        for name, found in lengths
        if found.num
    ]
    yield f"mean tokens of a step: {', '.join(told)}"
    for agreement in report.agreement:
        if agreement.correlation is not None:
            yield (
                f"rank correlation of yes-no ({escaped(agreement.wording)}) with likelihood:"
                f" {decimal(agreement.correlation)}"
            )
