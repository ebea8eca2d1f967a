from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest

from ssr_local.evaluation.labels.verifiers import (
    MARGIN,
    VerifierReport,
    VerifierScore,
    judged,
    label_noise,
    operating,
    raw_values,
    score_verifiers,
    spread,
    standardising,
    wordings_of,
)
from ssr_local.evaluation.records import LabelledStep, Rate, Walk
from ssr_local.records import Calibration
from ssr_local.verification import VERIFIERS, Judge, Reading
from tests.unit.evaluation.labels.made_walks import (
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


# Right continuations before and after, and the label; None where no harm could be seen.
@pytest.mark.parametrize(
    ("before", "after", "good"),
    [
        ((6, 6), (6, 6), True),
        ((6, 6), (4, 6), True),
        ((6, 6), (3, 6), False),
        ((3, 6), (1, 6), True),
        ((3, 6), (0, 6), False),
        ((2, 6), (0, 6), None),
        ((8, 8), (6, 8), True),
        ((8, 8), (5, 8), False),
        ((3, 8), (0, 8), False),
        ((4, 7), (2, 7), True),
        ((4, 7), (1, 7), False),
        ((3, 6), (1, 1), True),
        ((3, 6), (0, 1), False),
        ((1, 6), (6, 6), None),
        ((5, 6), (0, 0), None),
        ((0, 0), (5, 6), None),
    ],
)
def test_labels(before: tuple[int, int], after: tuple[int, int], good: bool | None) -> None:
    found = judged([walk("1", [step(before=Rate(*before), after=Rate(*after))])])
    assert [one.good for one in found] == ([] if good is None else [good])


def test_a_margin_that_rates_meet_exactly_is_not_exceeded() -> None:
    # 0.9 - 0.6 is a little more than 0.3 in floating point.
    (one,) = judged([walk("1", [step(before=Rate(9, 10), after=Rate(6, 10))])], margin=0.3)
    assert one.good
    assert judged([walk("1", [step(before=Rate(3, 10), after=Rate(0, 10))])], margin=0.3) == ()


def test_authors_are_judged_apart_and_problems_named_with_their_task() -> None:
    walks = [
        walk("1", [step(), step(bad=True), step(author="target")]),
        walk("1", [step()], task="math500"),
    ]
    assert [(one.problem, one.good) for one in judged(walks)] == [
        ("gsm8k/1", True),
        ("gsm8k/1", False),
        ("math500/1", True),
    ]
    assert [one.good for one in judged(walks, author="target")] == [True]


def test_raw_values_are_those_of_a_run() -> None:
    probes = {FIRST_KEY: yes(0.7), SECOND_KEY: yes(0.2)}
    steps = [
        step(log_probs=(-0.1, -0.5), probes=probes),
        step(log_probs=(), probes={}),
        step(log_probs=(math.nan,), probes={FIRST_KEY: (math.nan, -1.0)}),
        step(log_probs=(-math.inf,), probes={FIRST_KEY: (-math.inf, -math.inf)}),
    ]
    found = raw_values(steps, VERIFIERS["yes-no"], FIRST, {})
    assert found[0] == pytest.approx(0.7)
    assert all(map(math.isnan, found[1:]))
    assert raw_values(steps, VERIFIERS["yes-no"], SECOND, {})[0] == pytest.approx(0.2)
    found = raw_values(steps, VERIFIERS["likelihood"], "", {})
    assert found[0] == pytest.approx(-0.3)
    assert all(map(math.isnan, found[1:]))


@pytest.mark.parametrize(
    ("raws", "expected"),
    [
        ([1.0, 3.0, math.nan], (2.0, 1.0)),
        ([4.0, 4.0], (4.0, 1.0)),
        ([], (0.0, 1.0)),
        ([math.nan], (0.0, 1.0)),
    ],
)
def test_spread(raws: list[float], expected: tuple[float, float]) -> None:
    assert spread(raws) == expected


def test_combined_adds_up_deviations_of_these_very_steps() -> None:
    shares, likelihoods = [0.6, 0.7, 0.9], [-0.2, -0.9, -0.4]
    steps = [
        step(log_probs=(likelihood,), probes={SECOND_KEY: yes(share)})
        for share, likelihood in zip(shares, likelihoods, strict=True)
    ]
    fitted = standardising(steps, SECOND)
    found = raw_values(steps, VERIFIERS["combined"], SECOND, fitted)
    expected = [
        (share - spread(shares)[0]) / spread(shares)[1]
        + (likelihood - spread(likelihoods)[0]) / spread(likelihoods)[1]
        for share, likelihood in zip(shares, likelihoods, strict=True)
    ]
    assert found == pytest.approx(expected)


def test_every_verifier_is_scored_under_every_wording() -> None:
    report = score_verifiers(planted({}, num_problems=4))
    found = [(one.name, one.wording) for one in report.verifiers]
    assert found == [
        (name, wording) for name, one in VERIFIERS.items() for wording in wordings_of(one)
    ]
    assert {wording for name, wording in found if name == "yes-no"} == set(WORDINGS["yes-no"])
    assert ("likelihood", "") in found
    assert [one.name for one in report.baselines] == ["length", "position"]
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
    assert [one.auc for one in report.baselines] == [1.0, 1.0]
    assert (report.good_length.mean, report.bad_length.mean) == (6.0, 8.5)
    assert (report.good_length.num, report.bad_length.median) == (9, 8.5)
    assert (report.target_length.num, report.target_length.mean) == (0, None)


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


def test_operating() -> None:
    found = operating([True, True, False, False, True], [True, False, True, False, True], 6.0)
    assert found.threshold == 6.0
    assert [
        (one.count, one.num) for one in (found.accepted, found.false_accepts, found.false_rejects)
    ] == [(3, 5), (1, 2), (1, 3)]
    assert operating([True], [True]).false_accepts.share is None


@pytest.mark.parametrize("threshold", [3.0, 7.0])
def test_a_calibrated_verifier_does_what_it_does_in_a_run(threshold: float) -> None:
    walks = planted({SECOND_KEY: 1.0}, num_problems=10)
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
    # The calibration speaks of one wording, and the digits need none.
    assert score(report, "yes-no", FIRST).operating is None
    assert score(report, "combined", FIRST).operating is None
    assert score(report, "digit", "rate").operating is not None


def test_without_calibrations_nothing_is_accepted_or_rejected() -> None:
    walks = planted({}, num_problems=3)
    report = score_verifiers(walks)
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
    ]
    report = score_verifiers(walks)
    assert (report.num_problems, report.samples) == (4, (6, 8))
    assert (report.num_without_steps, report.num_unsolved) == (2, 1)
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


def _sampled(harm: float, seed: int) -> list[LabelledStep]:
    rng = random.Random(seed)

    def draw(rate: float) -> Rate:
        return Rate(sum(rng.random() < rate for _ in range(6)), 6)

    found = []
    for _ in range(300):
        rate = rng.choice((0.3, 0.6, 0.9))
        found.append(step(before=draw(rate), after=draw(0.02 if rng.random() < harm else rate)))
    return found


def test_labels_of_harmless_steps_are_all_noise() -> None:
    noise = label_noise(_sampled(0.0, seed=1))
    assert noise is not None
    assert noise.of_bad > 0.85
    assert noise.retained < 0.15
    assert 0.1 < noise.error < 0.3


def test_labels_of_ruinous_steps_can_be_trusted() -> None:
    noise = label_noise(_sampled(0.5, seed=2))
    assert noise is not None
    assert noise.of_bad < 0.3
    assert noise.mislabelled < 0.15
    assert noise.retained == pytest.approx(1 - noise.of_good - noise.of_bad)


def test_the_error_of_an_effect() -> None:
    half = Rate(3, 6)
    sampled, ended = step(before=half, after=half), step(before=half, after=Rate(0, 1))
    noise = label_noise([sampled, ended])
    assert noise is not None
    assert noise.error == pytest.approx((math.sqrt(0.25 / 3) + math.sqrt(0.25 / 6)) / 2)


def test_noise_takes_away_as_much_of_the_auc_as_is_estimated() -> None:
    # A verifier that knows the truth, but for noise that has nothing to do with the samples.
    rng = random.Random(3)
    steps, values, truth = [], [], []
    for _ in range(1500):
        bad = rng.random() < 0.3
        before, after = (0.7, 0.02 if bad else 0.7)
        rights = [sum(rng.random() < rate for _ in range(6)) for rate in (before, after)]
        steps.append(
            step(
                before=Rate(rights[0], 6),
                after=Rate(rights[1], 6),
                log_probs=(rng.gauss(-1.0 if bad else 0.0, 1.0) - 5.0,),
            )
        )
        values.append(steps[-1].log_probs[0])
        truth.append(not bad)
    report = score_verifiers([walk("1", steps)])
    observed = score(report, "likelihood", "").auc
    assert observed is not None
    assert report.noise is not None
    assert observed < 0.755
    assert 0.5 + (observed - 0.5) / report.noise.retained == pytest.approx(0.76, abs=0.03)


def test_the_margin_is_three_samples() -> None:
    assert all(2 / num < MARGIN < 3 / num for num in (6, 7, 8))
