from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ssr_local.bench.labels.calibration import fit_pair
from ssr_local.bench.labels.judging import judged
from ssr_local.bench.labels.readings import operating, wordings_of
from ssr_local.bench.labels.verifiers import VerifierReport, VerifierScore, score_verifiers
from ssr_local.bench.records import LabelledStep, Rate, Walk
from ssr_local.core.records import Calibration
from ssr_local.method.verification import VERIFIERS, Judge, Reading
from tests.unit.bench.labels.made_walks import (
    FIRST,
    SECOND,
    WORDINGS,
    planted,
    step,
    walk,
    yes,
)

FIRST_KEY, SECOND_KEY = f"yes-no/{FIRST}", f"yes-no/{SECOND}"


def score(report: VerifierReport, name: str, wording: str) -> VerifierScore:
    (found,) = [one for one in report.verifiers if (one.name, one.wording) == (name, wording)]
    return found


def test_every_verifier_is_scored_under_every_wording() -> None:
    report = score_verifiers(planted({}, num_problems=4))
    found = [(one.name, one.wording) for one in report.verifiers]
    assert found == [
        (name, wording) for name, one in VERIFIERS.items() for wording in wordings_of(one)
    ]
    assert {wording for name, wording in found if name == "yes-no"} == set(WORDINGS["yes-no"])
    assert ("likelihood", "") in found
    assert [one.name for one in report.baselines] == ["length", "position", "rate before"]
    assert [one.wording for one in report.agreement] == list(WORDINGS["yes-no"])


def test_a_planted_verifier_is_found_and_the_others_are_not() -> None:
    report = score_verifiers(planted({SECOND_KEY: 1.5}, num_problems=60))
    found = score(report, "yes-no", SECOND)
    assert found.auc == pytest.approx(0.856, abs=0.05)  # Phi(1.5 / sqrt(2))
    assert found.interval is not None
    assert 0.5 < found.interval.low < (found.auc or 0.0) < found.interval.high
    assert (found.rank_after or 0.0) > 0.3
    assert (found.rank_relative or 0.0) > 0.3
    first, last = found.reliability[0], found.reliability[-1]
    assert first.mean_share < 0.4 < 0.8 < last.mean_share
    assert found.rates[0].mean_share < found.rates[-1].mean_share
    for name, wording in (("yes-no", FIRST), ("likelihood", ""), ("expected-digit", "rate")):
        useless = score(report, name, wording)
        assert useless.auc == pytest.approx(0.5, abs=0.08)
        assert useless.interval is not None
        assert useless.interval.low < 0.5 < useless.interval.high
    for baseline in report.baselines:
        assert baseline.auc == pytest.approx(0.5, abs=0.08)


def test_two_weak_verifiers_together_are_stronger() -> None:
    report = score_verifiers(planted({FIRST_KEY: 1.0, "likelihood": 1.0}, num_problems=60))
    combined = score(report, "combined", FIRST).auc or 0.0
    halves = [score(report, "yes-no", FIRST).auc, score(report, "likelihood", "").auc]
    assert all(combined > (half or 0.0) + 0.03 for half in halves)


def test_baselines_see_length_and_position() -> None:
    def one(place: int) -> LabelledStep:
        bad = place >= 3
        return step(bad, given=("x",) * place, log_probs=(-0.3,) * (5 + place))

    report = score_verifiers([walk(str(p), [one(place) for place in range(5)]) for p in range(3)])
    assert [one.auc for one in report.baselines] == [1.0, 1.0, 0.5]
    assert (report.good_length.mean, report.bad_length.mean) == (6.0, 8.5)
    assert (report.good_length.num, report.bad_length.median) == (9, 8.5)
    assert (report.target_length.num, report.target_length.mean) == (0, None)


def test_a_rate_before_that_was_luck_tells_good_from_bad() -> None:
    lucky = step(before=Rate(4, 4), after=Rate(2, 4))
    report = score_verifiers([walk(p, [lucky, step(before=Rate(2, 4))]) for p in "abc"])
    found = report.baselines[2]
    assert (found.name, found.auc) == ("rate before", 0.0)
    # Three problems all alike are no certainty.
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (0.0, pytest.approx(0.56, abs=0.01))


def test_final_steps_and_others_are_scored_apart() -> None:
    def one(final: bool, bad: bool, likelihood: float) -> LabelledStep:
        after = Rate(int(not bad), 1) if final else Rate(1 if bad else 5, 6)
        return step(after=after, log_probs=(likelihood,), states_answer=final and not bad)

    steps = [
        one(True, False, -0.1),
        one(True, True, -0.5),
        one(False, False, -0.5),
        one(False, True, -0.1),
        one(False, True, -0.1),
    ]
    report = score_verifiers([walk(p, steps) for p in "ab"])
    assert [(part.name, part.bad.count, part.bad.num) for part in report.parts] == [
        ("final", 2, 4),
        ("other", 4, 6),
    ]
    aucs = [{score.name: score.auc for score in part.scores} for part in report.parts]
    assert [list(found) for found in aucs] == [list(VERIFIERS)] * 2
    assert [found["likelihood"] for found in aucs] == [1.0, 0.0]


def test_agreement_is_the_rank_correlation() -> None:
    steps = [
        step(bad=place == 0, log_probs=(-0.1 * place,), probes={FIRST_KEY: yes(0.3 + 0.1 * place)})
        for place in range(5)
    ]
    report = score_verifiers([walk("1", steps)])
    assert report.agreement[0].correlation == pytest.approx(-1.0)
    assert report.agreement[1].correlation is None


def test_what_cannot_be_read_is_counted_and_rejected() -> None:
    probes: dict[str, Any] = {FIRST_KEY: yes(0.9)}
    walks = [
        walk(str(p), [step(probes=probes), step(True, probes=probes), step(), step(True)])
        for p in range(2)
    ]
    everything = Calibration(knots=((0.0, 9.0),))
    report = score_verifiers(walks, calibrations={"yes-no": everything})
    found = score(report, "yes-no", FIRST)
    assert (found.num_good, found.num_bad, found.num_unreadable) == (2, 2, 4)
    assert found.operating is not None
    assert (found.operating.accepted.count, found.operating.accepted.num) == (4, 8)
    assert (found.operating.false_accepts.count, found.operating.false_accepts.num) == (2, 4)
    assert (found.operating.false_rejects.count, found.operating.false_rejects.num) == (2, 4)


@pytest.mark.parametrize("threshold", [5.0, 7.0])
def test_a_calibrated_verifier_does_what_it_does_in_a_run(threshold: float) -> None:
    walks = planted({SECOND_KEY: 1.0}, num_problems=4)
    calibrations = {
        "yes-no": Calibration(
            knots=((0.6, 0.0), (0.9, 9.0)), mean=0.8, deviation=0.05, wording=SECOND
        ),
        "likelihood": Calibration(knots=((-0.7, 0.0), (-0.4, 9.0)), mean=-0.5, deviation=0.05),
        "combined": Calibration(knots=((-2.0, 0.0), (2.0, 9.0))),
    }
    report = score_verifiers(walks, calibrations=calibrations, threshold=threshold)
    for name in calibrations:
        wording = "" if name == "likelihood" else SECOND
        judge = Judge(name, threshold, calibrations)
        accepted = [
            judge.verdict(
                Reading(probe=one.step.probes[SECOND_KEY], tokens=one.step.log_probs)
            ).accepted
            for one in judged(walks)
        ]
        assert 0 < sum(accepted) < len(accepted)
        expected = operating(accepted, [one.good for one in judged(walks)], threshold)
        assert score(report, name, wording).operating == expected
        assert not score(report, name, wording).is_held_out
    # The calibration speaks of one wording, and the digits need none.
    assert score(report, "yes-no", FIRST).operating is None
    assert score(report, "combined", FIRST).operating is None
    assert score(report, "digit", "rate").operating is not None


def test_where_a_fit_is_possible_figures_are_held_out() -> None:
    walks = planted({FIRST_KEY: 1.5}, num_problems=15)
    generous = {
        name: Calibration(knots=((0.0, 9.0),), wording=SECOND if name == "yes-no" else "")
        for name in ("yes-no", "likelihood", "digit")
    }
    report, fit = score_verifiers(walks, calibrations=generous), fit_pair(walks, date="")
    assert report.is_fitted
    for one in fit.verifiers:
        found = score(report, one.name, one.wording)
        if one.name == "digit":
            continue
        assert found.is_held_out
        assert found.operating == one.operating
        bins = [item.labels for item in found.scores]
        assert sum(item.count for item in bins) == len(one.scores)
        mean = sum(item.mean_value * item.count for item in bins) / len(one.scores)
        assert mean == pytest.approx(sum(filter(None, one.scores)) / len(one.scores))
    # Those in force accept everything; they stand where nothing was fitted.
    for name, wording in (("yes-no", SECOND), ("digit", "rate")):
        found = score(report, name, wording)
        assert not found.is_held_out
        assert found.operating is not None
        assert found.operating.accepted.share == 1.0


def test_without_calibrations_nothing_is_accepted_or_rejected() -> None:
    walks = planted({}, num_problems=3)
    report = score_verifiers(walks)
    assert not report.is_fitted
    assert report.fallback is None
    assert all(one.operating is None for one in report.verifiers)
    report = score_verifiers(walks, calibrations={})
    assert score(report, "yes-no", FIRST).operating is None
    assert report.fallback is not None
    assert report.fallback.accepted.num == report.num_judged


def test_the_fallback_remembers_one_problem_at_a_time() -> None:
    # Alone, the step at -0.5 is a usual one; behind many likely ones it stands out.
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
    assert (report.good.count, report.draft_bad.count, report.draft_bad.num) == (3, 1, 4)
    assert (report.target_bad.count, report.target_bad.num) == (1, 2)
    assert report.bad_ratio is not None
    assert (report.bad_ratio.value, report.bad_ratio.num) == (0.25, 2)


@pytest.mark.parametrize(
    "walks", [[], [walk("1", [])], [walk("1", [step()])], [walk("1", [step(bad=True)])]]
)
def test_too_little_to_say_is_said_as_none(walks: list[Walk]) -> None:
    report = score_verifiers(walks, calibrations={})
    assert report.noise is None
    assert all(one.auc is None and not one.roc.points for one in report.verifiers)


def test_the_report_is_json() -> None:
    report = score_verifiers(planted({}, num_problems=3), calibrations={})
    assert msgspec.json.decode(msgspec.json.encode(report), type=VerifierReport) == report
