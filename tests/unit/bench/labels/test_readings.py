from __future__ import annotations

import math

import pytest

from ssr_local.bench.labels.readings import operating, raw_values, spread, standardising
from ssr_local.method.verification import VERIFIERS
from tests.unit.bench.labels.made_walks import FIRST, SECOND, step, yes

FIRST_KEY, SECOND_KEY = f"yes-no/{FIRST}", f"yes-no/{SECOND}"


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


def test_operating() -> None:
    found = operating([True, True, False, False, True], [True, False, True, False, True], 6.0)
    assert found.threshold == 6.0
    assert [
        (one.count, one.num) for one in (found.accepted, found.false_accepts, found.false_rejects)
    ] == [(3, 5), (1, 2), (1, 3)]
    assert operating([True], [True]).false_accepts.share is None
