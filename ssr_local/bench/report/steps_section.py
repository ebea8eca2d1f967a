"""Section 5: what verifiers are worth on labelled steps, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ssr_local.bench.labels.readings import Operating
from ssr_local.bench.labels.verifiers import VerifierReport, VerifierScore
from ssr_local.bench.report.tables import (
    DASH,
    bullets,
    decimal,
    escaped,
    percent,
    table,
)
from ssr_local.bench.statistics import Interval, Proportion

_TRUTH = """\
No human labelled these steps. The truth here is the target's own: from before and from after a
drafted step it goes on several times by itself, and a step that lowers the rate of right answers by
more than the margin is called bad. Behind a step that ends its path nothing goes on: its answer is
right or wrong, once. A step can be called bad only where the rate before it is above the margin.
Such a label is a sample, and it is about this target: a step it cannot use is bad, be it true or
not."""

_SELECTION = """\
These are not steps as a run meets them. Walks begin and go on only at places where the target is
right at least half the time (or as often as `--min-rate` said), without a strategy's advice, and a
drafted step that did harm is replaced by the target's own. The rate before a step is the very
sample that had to pass this, so it is too high on average, and the fall behind it is in part no
harm (regression to the mean): `rate before` in the table shows how well that alone tells good from
bad."""

_TABLE = """\
AUC is the chance that a good step gets the higher value than a bad one (1/2: the verifier knows
nothing), its interval taken over problems; where it is 0 or 1, Wilson's over the problems with the
rarer label. False accepts are of the bad steps, false rejects of the good ones."""

_HELD_OUT = """\
What a verifier accepts and rejects is held out: each problem's steps are judged by a calibration
fitted to the other problems' steps. Figures with a * are of the calibration in force."""

_IN_FORCE = """\
What a verifier accepts and rejects (*) is by the calibration in force, since these steps are too
few to hold some out. If that calibration was fitted to these very steps, the figures flatter
it."""


def steps_section(report: VerifierReport | None) -> str:
    """Section 5 on these scores; None where no steps were labelled."""
    if report is None:
        return "No labelled steps: `ssr-local bench steps` collects them."
    parts = [_TRUTH, _SELECTION, bullets(_basis(report))]
    if report.num_judged:
        parts += [_TABLE, _origin(report), _scores(report), _parts(report)]
        parts += [bullets(_beside(report))]
    return "\n\n".join(filter(None, parts))


def _origin(report: VerifierReport) -> str:
    if report.is_fitted:
        return _HELD_OUT
    return _IN_FORCE if any(score.operating for score in report.verifiers) else ""


def _basis(report: VerifierReport) -> Iterable[str]:
    samples = " or ".join(map(str, report.samples))
    yield (
        f"{report.num_problems} problems, {samples} continuations from every place, margin"
        f" {decimal(report.margin)}; {report.num_without_steps} problems have no steps, mostly"
        " because the target was right too rarely from the start"
        f" ({report.num_unsolved} it never solved)"
    )
    if report.num_failed:
        yield f"on {report.num_failed} of the problems the models could not be run"
    yield (
        f"{report.num_drafted} drafted steps, {report.num_judged} of them where harm could be seen:"
        f" {_proportion(report.good)} good, {_proportion(report.draft_bad)} bad"
    )
    if report.target_bad.num:
        yield (
            f"steps the target wrote itself: {_proportion(report.target_bad)} bad (only written"
            " where the drafted step did harm, so at harder places, and where the rate before was"
            " overrated by luck, so this is too high)"
        )


def _scores(report: VerifierReport) -> str:
    head = (
        "Verifier",
        "Good",
        "Bad",
        "Unreadable",
        "AUC [95 %]",
        "Accepted",
        "False accepts [95 %]",
        "False rejects [95 %]",
    )
    rows = [
        *(_row(score) for score in report.verifiers if _was_read(score)),
        *(_row(score, suffix=" (no verifier)") for score in report.baselines),
    ]
    if report.fallback is not None:
        empty = (DASH,) * 4
        row = ("likelihood, uncalibrated", *empty, *_operating(report.fallback))
        rows.append(row)
    return table(head, rows, num_left=1)


def _was_read(score: VerifierScore) -> bool:
    return score.num_good + score.num_bad > 0


def _row(score: VerifierScore, suffix: str = "") -> tuple[str, ...]:
    return (
        escaped(score.name) + suffix,
        str(score.num_good),
        str(score.num_bad),
        str(score.num_unreadable),
        _auc(score.auc, score.interval),
        *_operating(score.operating, "" if score.is_held_out else " *"),
    )


def _parts(report: VerifierReport) -> str:
    """Final steps are another matter: what is judged there is an answer, once."""
    names = [score.name for score in report.parts[0].scores]
    rows = [
        (
            f"{part.name} steps",
            str(part.bad.num),
            _proportion(part.bad),
            *(_auc(score.auc, score.interval) for score in part.scores),
        )
        for part in report.parts
    ]
    head = ("", "Steps", "Bad [95 %]", *(f"AUC of {escaped(name)}" for name in names))
    about = (
        "Steps that end their path (labelled by one answer) and the others apart, each verifier in"
        " its main wording:"
    )
    return f"{about}\n\n{table(head, rows)}"


def _auc(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return DASH
    if interval is None:
        return f"{value:.2f}"
    return f"{value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _operating(found: Operating | None, mark: str = "") -> tuple[str, str, str]:
    if found is None:
        return (DASH, DASH, DASH)
    return (
        percent(found.accepted.share) + mark,
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
        "`length`, `position` and `rate before` are no verifiers: they know only how short a step"
        " is, how early it stands, and how often the target was right before it (which no run"
        " knows). An AUC below 1/2 means the opposite: longer, later or from a lower rate is"
        " better. A verifier that is no further from 1/2 may have learned no more"
    )
    unread = [s.name for s in report.verifiers if not _was_read(s)]
    if unread:
        yield f"not asked of these steps, or never readable: {escaped(', '.join(unread), 0)}"
