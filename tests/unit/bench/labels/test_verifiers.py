from __future__ import annotations

import pytest

from ssr_local.bench.labels.calibration import fit_pair
from ssr_local.bench.labels.process_labels import is_bad, is_judgeable, judged
from ssr_local.bench.labels.readings import operating
from ssr_local.bench.labels.verifiers import VerifierReport, VerifierScore, score_verifiers
from ssr_local.bench.records import Rate, Walk
from ssr_local.core.records import Calibration
from ssr_local.method.verification import VERIFIERS, Judge, Reading
from tests.unit.bench.labels.made_walks import planted, step, walk

ACCEPTS_ALL = Calibration(knots=((0.0, 9.0),))


def score(report: VerifierReport, name: str) -> VerifierScore:
    (found,) = [one for one in report.verifiers if one.name == name]
    return found


@pytest.mark.parametrize(
    ("before", "after", "judgeable", "bad"),
    [
        (Rate(4, 4), Rate(3, 4), True, False),
        (Rate(4, 4), Rate(2, 4), True, True),
        (Rate(5, 6), Rate(3, 6), True, False),
        (Rate(5, 6), Rate(2, 6), True, True),
        (Rate(7, 20), Rate(0, 20), False, False),  # exactly the margin
        (Rate(8, 20), Rate(1, 20), True, False),  # a hair more as a float
        (Rate(3, 6), Rate(0, 1), True, True),
        (Rate(0, 0), Rate(0, 4), False, False),
        (Rate(4, 4), Rate(0, 0), False, True),
    ],
)
def test_a_step_is_bad_when_the_rate_falls_by_more_than_the_margin(
    before: Rate, after: Rate, judgeable: bool, bad: bool
) -> None:
    one = step(before=before, after=after)
    assert (is_judgeable(one, 0.35), is_bad(one, 0.35)) == (judgeable, bad)
    assert len(judged([walk("p", [one])])) == judgeable


def test_what_cannot_be_read_is_counted_and_rejected() -> None:
    probes = {"digit/rate": (-5.0,) * 9 + (-0.1,)}
    walks = [
        walk(str(p), [step(probes=probes), step(True, probes=probes), step(), step(True)])
        for p in range(2)
    ]
    found = score(score_verifiers(walks, calibrations={"digit": ACCEPTS_ALL}), "digit")
    assert (found.num_good, found.num_bad, found.num_unreadable) == (2, 2, 4)
    assert found.operating is not None
    assert (found.operating.accepted.count, found.operating.accepted.num) == (4, 8)
    assert (found.operating.false_accepts.count, found.operating.false_accepts.num) == (2, 4)
    assert (found.operating.false_rejects.count, found.operating.false_rejects.num) == (2, 4)


@pytest.mark.parametrize("threshold", [5.0, 7.0])
def test_a_calibrated_verifier_does_what_it_does_in_a_run(threshold: float) -> None:
    walks = planted({"likelihood": 1.0}, num_problems=4)
    calibrations = {"likelihood": Calibration(knots=((-0.6, 0.0), (-0.48, 9.0)))}
    report = score_verifiers(walks, calibrations=calibrations, threshold=threshold)
    judge = Judge("likelihood", threshold, calibrations)
    steps = judged(walks)
    accepted = [judge.verdict(Reading(tokens=one.step.log_probs)).accepted for one in steps]
    assert 0 < sum(accepted) < len(accepted)
    expected = operating(accepted, [one.good for one in steps], threshold)
    assert score(report, "likelihood").operating == expected
    assert not score(report, "likelihood").is_held_out
    # Without a calibration for the pair; the digit needs none.
    assert score(report, "min-likelihood").operating is None
    assert score(report, "digit").operating is not None


def test_where_a_fit_is_possible_figures_are_held_out() -> None:
    walks = planted({"likelihood": 1.5}, num_problems=15)
    generous = dict.fromkeys(("likelihood", "digit"), ACCEPTS_ALL)
    report, fit = score_verifiers(walks, calibrations=generous), fit_pair(walks, date="")
    assert report.is_fitted
    assert [one.name for one in report.verifiers] == list(VERIFIERS)
    for one in fit.verifiers:
        found = score(report, one.name)
        assert (found.auc, found.interval) == (one.auc, one.interval)
        if one.name == "digit":
            # What is in force accepts everything; it stands where nothing is fitted in a run.
            assert not found.is_held_out
            assert found.operating is not None
            assert found.operating.accepted.share == 1.0
            continue
        assert found.is_held_out
        assert found.operating == one.operating


def test_without_calibrations_nothing_is_accepted_or_rejected() -> None:
    walks = planted({}, num_problems=3)
    report = score_verifiers(walks)
    assert not report.is_fitted
    assert report.fallback is None
    assert all(one.operating is None for one in report.verifiers)
    report = score_verifiers(walks, calibrations={})
    assert score(report, "likelihood").operating is None
    assert report.fallback is not None
    assert report.fallback.accepted.num == report.num_judged


def test_the_fallback_remembers_one_problem_at_a_time() -> None:
    # Alone, the step at -0.5 is a usual one; after many likely ones it stands out.
    usual, odd = step(log_probs=(-0.05,)), step(log_probs=(-0.5,))
    assert Judge("likelihood", 5.5, {}).verdict(Reading(tokens=(-0.5,))).accepted
    apart, together = (
        score_verifiers(walks, calibrations={}, threshold=5.5).fallback
        for walks in (
            [walk("1", [usual] * 12), walk("2", [odd])],
            [walk("1", [*[usual] * 12, odd])],
        )
    )
    assert apart is not None
    assert together is not None
    assert (apart.accepted.count, apart.accepted.num) == (13, 13)
    assert (together.accepted.count, together.accepted.num) == (12, 13)


def test_what_the_report_counts() -> None:
    hopeless = step(before=Rate(1, 6), after=Rate(0, 6))
    walks = [
        walk("1", [step(), step(True), step(True, author="target"), step(author="target")]),
        walk("2", [step(), step(), hopeless], samples=8),
        walk("3", [], start=Rate(0, 6)),
        walk("4", [], start=Rate(2, 6)),
        walk("5", [], start=Rate(0, 0), error="broken"),
    ]
    report = score_verifiers(walks)
    assert (report.num_problems, report.samples) == (5, (6, 8))
    assert (report.num_without_steps, report.num_unsolved, report.num_failed) == (3, 1, 1)
    assert (report.num_drafted, report.num_judged) == (5, 4)
    assert (report.draft_bad.count, report.draft_bad.num) == (1, 4)
    assert (report.target_bad.count, report.target_bad.num) == (1, 2)


@pytest.mark.parametrize(
    "walks", [[], [walk("1", [])], [walk("1", [step()])], [walk("1", [step(bad=True)])]]
)
def test_too_little_to_say_is_said_as_none(walks: list[Walk]) -> None:
    report = score_verifiers(walks, calibrations={})
    assert all(one.auc is None for one in report.verifiers)
