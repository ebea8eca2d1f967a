from __future__ import annotations

import math
import random

import pytest

from ssr_local.bench.labels.judging import MARGIN, is_final, judged, label_noise
from ssr_local.bench.labels.verifiers import score_verifiers
from ssr_local.bench.records import LabelledStep, Rate
from tests.unit.bench.labels.made_walks import step, walk


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
    noise = label_noise(judged([walk("1", _sampled(0.0, seed=1))]))
    assert noise is not None
    assert noise.of_bad > 0.85
    assert noise.retained < 0.15
    assert 0.1 < noise.error < 0.3


def test_labels_of_ruinous_steps_can_be_trusted() -> None:
    noise = label_noise(judged([walk("1", _sampled(0.5, seed=2))]))
    assert noise is not None
    assert noise.of_bad < 0.3
    assert noise.mislabelled < 0.15
    assert noise.retained == pytest.approx(1 - noise.of_good - noise.of_bad)


def test_the_error_of_an_effect() -> None:
    half = Rate(3, 6)
    sampled, ended = step(before=half, after=half), step(before=half, after=Rate(0, 1))
    noise = label_noise(judged([walk("1", [sampled, ended])]))
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
    (found,) = [one for one in report.verifiers if one.name == "likelihood"]
    observed = found.auc
    assert observed is not None
    assert report.noise is not None
    assert observed < 0.755
    assert found.auc_without_noise == pytest.approx(0.76, abs=0.03)


@pytest.mark.parametrize(("num", "lost"), [(4, 2), (6, 3), (7, 3), (8, 3)])
def test_how_many_samples_the_margin_is(num: int, lost: int) -> None:
    assert (lost - 1) / num < MARGIN < lost / num


# The table in the module's docstring.
@pytest.mark.parametrize(
    ("num", "rate", "share"), [(4, 0.5, 0.21), (4, 0.9, 0.04), (6, 0.7, 0.06), (8, 0.6, 0.12)]
)
def test_what_chance_alone_does_to_harmless_steps(num: int, rate: float, share: float) -> None:
    def chance(right: int) -> float:
        return math.comb(num, right) * rate**right * (1 - rate) ** (num - right)

    walked = [(b, a) for b in range(num + 1) for a in range(num + 1) if b >= num / 2]
    steps = [step(before=Rate(b, num), after=Rate(a, num)) for b, a in walked]
    weights = [chance(b) * chance(a) for b, a in walked]
    bad = [not one.good for one in judged([walk("1", steps)])]
    found = sum(weight for weight, one in zip(weights, bad, strict=True) if one) / sum(weights)
    assert found == pytest.approx(share, abs=0.006)


def test_evidence_is_the_chance_without_what_is_known_of_all_steps() -> None:
    steps = judged([walk("1", _sampled(0.2, seed=4))])
    share = sum(one.chance for one in steps) / len(steps)
    for one in steps:
        odds = one.evidence * share / ((1 - one.evidence) * (1 - share))
        assert one.chance == pytest.approx(odds / (1 + odds), abs=1e-6)
    likelier = sorted({(one.chance, one.evidence) for one in steps})
    assert likelier == sorted(likelier, key=lambda pair: pair[1])


def test_noise_of_labels_by_what_is_true() -> None:
    steps = judged([walk("1", _sampled(0.3, seed=5))])
    noise = label_noise(steps)
    assert noise is not None
    harmless = sum(one.chance for one in steps)
    called_bad = sum(one.chance for one in steps if not one.good)
    assert noise.harmless_called_bad == pytest.approx(called_bad / harmless)
    wrong = harmless * noise.harmless_called_bad
    wrong += (len(steps) - harmless) * noise.harmful_called_good
    assert wrong / len(steps) == pytest.approx(noise.mislabelled)
    assert noise.highest_share == 1 - noise.harmless_called_bad
    assert noise.without_noise(noise.highest_auc) == pytest.approx(1.0)
    assert noise.without_noise(0.5) == 0.5
    assert noise.without_noise(1.0) == 1.0
    assert noise.without_noise(None) is None


@pytest.mark.parametrize(
    ("after", "states", "final"),
    [
        (Rate(1, 1), True, True),
        (Rate(0, 1), False, True),
        (Rate(4, 6), True, True),
        (Rate(4, 6), False, False),
    ],
)
def test_final_steps(after: Rate, states: bool, final: bool) -> None:
    assert is_final(step(after=after, states_answer=states)) is final
