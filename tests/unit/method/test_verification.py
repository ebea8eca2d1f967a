from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.records import Calibration
from ssr_local.method.prompts import DIGIT, QUESTIONS
from ssr_local.method.verification import VERIFIERS, Judge, Reading, indices_of_digits, interpolate

LOG = math.log
CALIBRATIONS = {
    name: Calibration(knots=((-1.0, 0.0), (0.0, 9.0))) for name in ("likelihood", "min-likelihood")
}


def digits(**shares: float) -> tuple[float, ...]:
    """Log-probabilities of the ten digits, ``d7=0.2`` and so on."""
    return tuple(LOG(shares[f"d{d}"]) if f"d{d}" in shares else -math.inf for d in range(10))


# What each verifier reads from known numbers; the probe's shares need not add up to one.
@pytest.mark.parametrize(
    ("verifier", "reading", "raw"),
    [
        ("likelihood", Reading(tokens=(-0.1, -0.3, -0.2)), -0.2),
        ("min-likelihood", Reading(tokens=(-0.1, -0.3, -0.2)), -0.3),
        ("number-likelihood", Reading(tokens=(-0.1, -0.3, -0.2), digits=(0, 2)), -0.2),
        ("number-likelihood", Reading(tokens=(-0.1, -0.3, -0.2), digits=()), 0.0),
        ("digit", Reading(probe=digits(d2=0.1, d7=0.3, d9=0.2)), 7.0),
        ("digit", Reading(probe=digits(d3=0.4, d8=0.4)), 3.0),
    ],
)
def test_raw_values(verifier: str, reading: Reading, raw: float) -> None:
    assert VERIFIERS[verifier].raw(reading) == pytest.approx(raw)


UNREADABLE = {
    "no probe": Reading(),
    "NaN": Reading(probe=(math.nan, LOG(0.5)), tokens=(math.nan, -0.1)),
    "second NaN": Reading(probe=(LOG(0.5), math.nan), tokens=(-0.1, math.nan)),
    "no mass": Reading(probe=(-math.inf, -math.inf), tokens=(-math.inf,)),
    "infinite": Reading(probe=(math.inf, 0.0), tokens=(math.inf,)),
    "no tokens": Reading(probe=(math.nan, math.nan), tokens=()),
}


@pytest.mark.parametrize("case", UNREADABLE)
@pytest.mark.parametrize("verifier", VERIFIERS)
def test_what_cannot_be_read_is_rejected_with_a_reason(verifier: str, case: str) -> None:
    reading = UNREADABLE[case]
    if reading.probe and VERIFIERS[verifier].question:
        reading = Reading(probe=reading.probe * 5, tokens=reading.tokens)
    if reading.tokens and VERIFIERS[verifier].needs_digits:
        reading = Reading(tokens=reading.tokens, digits=tuple(range(len(reading.tokens or ()))))
    verdict = Judge(verifier, 0.0, CALIBRATIONS).verdict(reading)
    assert (verdict.score, verdict.raw, verdict.accepted) == (None, None, False)
    assert verdict.reason
    assert all(math.isfinite(value) for _, value in verdict.log_probs)


@pytest.mark.parametrize(
    ("tokens", "score", "accepted"),
    [((-0.1, -0.1), 8.1, True), ((0.0, -4 / 9), 7.0, True), ((-0.2, -0.6), 5.4, False)],
)
def test_a_calibrated_judge(tokens: tuple[float, ...], score: float, accepted: bool) -> None:
    verdict = (judge := Judge("likelihood", 7.0 - 1e-9, CALIBRATIONS)).verdict(
        Reading(tokens=tokens)
    )
    assert verdict.score == pytest.approx(score)
    assert verdict.mean_log_prob == verdict.raw
    assert verdict.accepted is accepted
    assert (judge.notice, judge.question, verdict.verifier) == ("", None, "likelihood")


def test_a_verdict_tells_what_was_said_to_the_question() -> None:
    judge = Judge("digit", 7.0, {})
    assert judge.question == QUESTIONS[DIGIT]
    verdict = judge.verdict(Reading(probe=digits(d7=0.5, d8=0.2)))
    assert verdict.log_probs[7:9] == (("7", LOG(0.5)), ("8", LOG(0.2)))
    assert verdict.log_probs[0] == ("0", -1000.0)


def test_how_likely_numbers_are_needs_no_calibration() -> None:
    judge = Judge("number-likelihood", 7.0, {})
    assert judge.notice == ""
    scores = [
        judge.verdict(Reading(tokens=(-9.0, -0.7, lowest, -3.0), digits=(1, 2))).score
        for lowest in (-8.0, -1.4, -0.7)
    ]
    assert scores == [0.0, pytest.approx(7.0), pytest.approx(8.0)]
    assert judge.verdict(Reading(tokens=(-9.0,), digits=())).score == 9.0


@pytest.mark.parametrize(
    ("pieces", "places"),
    [
        ([], ()),
        ([b"So ", b"x", b" = ", b"1", b"7", b"."], (3, 4)),
        ([b"17", b" x2", "²".encode(), "٣".encode()], (0, 1)),
    ],
)
def test_the_tokens_that_hold_a_digit(pieces: list[bytes], places: tuple[int, ...]) -> None:
    assert indices_of_digits(pieces) == places


@given(
    st.sampled_from(sorted(VERIFIERS)),
    st.lists(st.floats(-50, 0), min_size=10, max_size=10),
    st.lists(st.floats(-50, 0), min_size=1),
    st.booleans(),
)
def test_threshold_zero_keeps_all_that_can_be_read(
    verifier: str, probe: list[float], tokens: list[float], calibrated: bool
) -> None:
    judge = Judge(verifier, 0.0, CALIBRATIONS if calibrated else {})
    count = len(judge.question.words) if judge.question else 0
    every_second = tuple(range(0, len(tokens), 2))
    reading = Reading(probe=tuple(probe[:count]), tokens=tuple(tokens), digits=every_second)
    verdict = judge.verdict(reading)
    assert verdict.accepted
    assert verdict.score is not None
    assert 0 <= verdict.score <= 9


@pytest.mark.parametrize("verifier", ["likelihood", "min-likelihood"])
def test_without_a_calibration_steps_are_compared_with_each_other(verifier: str) -> None:
    judge = Judge(verifier, 7.0, {})
    assert verifier in judge.notice
    assert judge.verifier.name == "likelihood"
    for _ in range(30):
        judge.verdict(Reading(tokens=(-0.3, -0.5)))
    usual = judge.verdict(Reading(tokens=(-0.4,))).score
    better = judge.verdict(Reading(tokens=(-0.1,))).score
    worse = judge.verdict(Reading(tokens=(-2.0,)))
    assert usual is not None
    assert better is not None
    assert worse.score is not None
    assert usual == pytest.approx(7.0, abs=0.3)
    assert worse.score < usual < better
    assert not worse.accepted


def test_the_notice_says_how_to_get_a_calibration() -> None:
    assert "ask the bench" in Judge("likelihood", 7.0, {}, "ask the bench").notice
    assert not Judge("likelihood", 7.0, CALIBRATIONS, "ask the bench").notice


def test_the_first_step_without_calibration_is_not_rejected_for_being_first() -> None:
    score = Judge("min-likelihood", 7.0, {}).verdict(Reading(tokens=(-0.2,))).score
    assert score is not None
    assert score > 7


@pytest.mark.parametrize(
    ("threshold", "own", "digit", "score", "accepted"),
    [
        (7.0, {}, "d6", 6.0, False),
        (7.0, {}, "d7", 7.0, True),
        (7.1, {}, "d7", 7.0, False),
        (4.0, {"digit": Calibration(knots=((0.0, 0.0), (9.0, 4.5)))}, "d8", 4.0, True),
    ],
    ids=["below", "the threshold itself", "above", "measured instead"],
)
def test_the_digit_speaks_the_scale_already(
    threshold: float, own: dict[str, Calibration], digit: str, score: float, accepted: bool
) -> None:
    judge = Judge("digit", threshold, own)
    verdict = judge.verdict(Reading(probe=digits(**{digit: 1.0})))
    assert (judge.notice, verdict.score, verdict.accepted) == ("", score, accepted)


@pytest.mark.parametrize(
    ("raw", "score"),
    [(-5.0, 1.0), (0.0, 1.0), (0.5, 2.0), (1.0, 3.0), (1.5, 6.0), (2.0, 9.0), (99.0, 9.0)],
)
def test_interpolate(raw: float, score: float) -> None:
    assert interpolate(((0.0, 1.0), (1.0, 3.0), (2.0, 9.0)), raw) == pytest.approx(score)


_KNOTS = st.lists(
    st.tuples(st.floats(-100, 100), st.floats(0, 9)), min_size=1, unique_by=lambda knot: knot[0]
).map(
    lambda knots: list(
        zip(sorted(raw for raw, _ in knots), sorted(score for _, score in knots), strict=True)
    )
)


@given(_KNOTS, st.floats(-200, 200), st.floats(-200, 200))
def test_interpolate_is_monotone_and_bounded(
    knots: list[tuple[float, float]], a: float, b: float
) -> None:
    low, high = sorted((a, b))
    assert interpolate(knots, low) <= interpolate(knots, high) + 1e-9
    assert knots[0][1] - 1e-9 <= interpolate(knots, a) <= knots[-1][1] + 1e-9
