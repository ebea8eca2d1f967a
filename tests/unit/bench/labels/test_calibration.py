from __future__ import annotations

import itertools
import math
import random
from typing import Any

import msgspec
import pytest

from ssr_local.bench.labels.calibration import fit_pair
from ssr_local.bench.labels.curves import auc
from ssr_local.bench.labels.fits import PairFit, VerifierFit, calibration_toml, noise_text
from ssr_local.bench.labels.judging import judged
from ssr_local.bench.labels.readings import fitted_raws, operating, raw_values, spread
from ssr_local.bench.records import LabelledStep, Rate, Walk
from ssr_local.core.errors import UsageError
from ssr_local.core.records import ModelInfo, Models
from ssr_local.method.verification import VERIFIERS, Judge, Reading, interpolate
from ssr_local.models.models_file import parse_models_toml
from tests.unit.bench.labels.made_walks import FIRST, SECOND, planted, step, walk, yes

FIRST_KEY, SECOND_KEY = f"yes-no/{FIRST}", f"yes-no/{SECOND}"
DATE = "2025-11-24"


def fit(walks: list[Walk], **changes: Any) -> PairFit:
    return fit_pair(walks, date=DATE, **changes)


def of(found: PairFit, name: str) -> VerifierFit:
    (one,) = [one for one in found.verifiers if one.name == name]
    return one


def scored(values: list[tuple[float, bool]], problems: list[str]) -> list[Walk]:
    """Steps with these mean likelihoods, good or bad, in these problems."""
    steps: dict[str, list[LabelledStep]] = {}
    for (value, good), problem in zip(values, problems, strict=True):
        steps.setdefault(problem, []).append(step(not good, log_probs=(value,)))
    return [walk(problem, found) for problem, found in steps.items()]


def test_planted_verifiers_are_found_and_what_7_means_holds_on_new_problems() -> None:
    found = fit(planted({FIRST_KEY: 1.5, "likelihood": 1.5}, num_problems=60))
    assert found.best_verifier == "combined"
    assert found.reason.startswith("combined has the lowest log loss")
    assert (found.num_steps, found.num_problems, found.folds) == (360, 60, 5)
    fresh = judged(planted({FIRST_KEY: 1.5, "likelihood": 1.5}, num_problems=300, seed=9))
    for name in ("combined", "yes-no", "likelihood"):
        one, calibration = of(found, name), found.calibrations[name]
        assert one.interval is not None
        assert one.interval.low > 0.7
        assert one.gain is not None
        assert one.gain.low > 0
        assert one.is_reachable
        raws = raw_values(
            [new.step for new in fresh], VERIFIERS[name], calibration.wording, found.calibrations
        )
        # Whatever the score, it is nine times the share of good ones among such steps.
        for low, high in ((2, 5), (5, 7), (7, 8), (8, 9)):
            scores = [interpolate(calibration.knots, raw) for raw in raws]
            inside = [
                (number, new.good)
                for number, new in zip(scores, fresh, strict=True)
                if low <= number < high
            ]
            assert len(inside) > 40
            share = sum(good for _, good in inside) / len(inside)
            mean = sum(number for number, _ in inside) / len(inside)
            assert 9 * share == pytest.approx(mean, abs=1.0)


def test_figures_held_out_are_those_of_new_problems() -> None:
    found = fit(planted({FIRST_KEY: 1.0, "likelihood": 0.8}, num_problems=80))
    fresh = planted({FIRST_KEY: 1.0, "likelihood": 0.8}, num_problems=300, seed=8)
    steps = judged(fresh)
    for name in ("combined", "yes-no", "likelihood"):
        calibration, held_out = found.calibrations[name], of(found, name)
        plain = [one.step for one in steps]
        raws = raw_values(plain, VERIFIERS[name], calibration.wording, found.calibrations)
        scores = [interpolate(calibration.knots, raw) for raw in raws]
        good = [one.good for one in steps]
        assert held_out.auc == pytest.approx(auc(scores, good), abs=0.06)
        new = operating([score >= 7 for score in scores], good)
        for side in ("accepted", "false_accepts", "false_rejects"):
            seen, real = (getattr(one, side).share for one in (held_out.operating, new))
            assert seen == pytest.approx(real, abs=0.13)


def test_the_threshold_decides_what_is_accepted() -> None:
    walks = planted({FIRST_KEY: 1.5}, num_problems=20)
    low, high = (of(fit(walks, threshold=threshold), "yes-no") for threshold in (1.0, 8.9))
    assert low.operating.accepted.share > 0.9
    assert (high.operating.threshold, high.operating.accepted.share) == (
        8.9,
        pytest.approx(0, abs=0.1),
    )
    for one in (low, high):
        accepted = sum(
            score is not None and score >= one.operating.threshold for score in one.scores
        )
        assert accepted == one.operating.accepted.count


def _noisy(num: int, seed: int) -> tuple[list[Walk], list[bool]]:
    """Steps of four samples from either place, and which of them are good in truth."""
    rng = random.Random(seed)
    steps, truth = [], []
    while len(steps) < num:
        rate = rng.choice((0.55, 0.75))
        later = 0.05 if rng.random() < 0.3 else rate
        before, after = (sum(rng.random() < p for _ in range(4)) for p in (rate, later))
        if before >= 2:
            harmed = rate - later > 0.35
            likelihood = rng.gauss(-1.5 if harmed else 0.0, 1.0) - 5.0
            found = step(before=Rate(before, 4), after=Rate(after, 4), log_probs=(likelihood,))
            steps.append(found)
            truth.append(not harmed)
    walks = [walk(str(p), steps[p::25], samples=4) for p in range(25)]
    return walks, [good for p in range(25) for good in truth[p::25]]


def test_scores_are_those_of_the_truth_and_not_of_noisy_labels() -> None:
    misses, hard = [], []
    for seed in range(3):
        walks, truth = _noisy(250, seed)
        found = fit(walks)
        one = of(found, "likelihood")
        assert found.share_good == pytest.approx(sum(truth) / 250, abs=0.07)
        scores = [score or 0.0 for score in one.scores]
        sure = [good for score, good in zip(scores, truth, strict=True) if score > 8]
        assert len(sure) > 50
        mean = sum(score for score in scores if score > 8) / len(sure)
        misses.append(mean - 9 * sum(sure) / len(sure))
        hard.append(one.at_their_word.highest_score - one.highest_score)
        assert found.noise is not None
        assert found.noise.of_bad > 0.08
        assert "The labels' noise is allowed for in its scores" in one.evidence
        assert "% of labels wrong, allowed for" in found.calibrations["likelihood"].note
        assert "are expected to be wrong" in noise_text(found.noise, found.share_good)
    assert abs(sum(misses) / 3) < 0.35
    assert max(hard) < -0.2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_useless_verifiers_are_worth_nothing(seed: int) -> None:
    found = fit(planted({}, num_problems=50, seed=seed))
    for one in found.verifiers:
        assert one.auc == pytest.approx(0.5, abs=0.1)
        assert one.gain is not None
        assert one.gain.value < 0.01
    assert "Not even it is better than the base rate alone beyond chance." in found.reason


def test_a_wording_that_is_clearly_better_is_taken() -> None:
    found = fit(planted({SECOND_KEY: 1.5}))
    (choice,) = [one for one in found.wordings if one.verifier == "yes-no"]
    assert choice.wording == SECOND
    assert choice.gain is not None
    assert choice.gain.low > 0
    assert "more than chance explains" in choice.reason
    assert "the interval excludes chance" in choice.reason
    for name in ("yes-no", "combined"):
        assert found.calibrations[name].wording == SECOND
    loss = {one.wording: one.log_loss for one in choice.results}
    assert loss[FIRST] - loss[SECOND] == pytest.approx(choice.gain.value)


def test_the_first_wording_stays_where_another_is_better_by_chance() -> None:
    choices = [
        choice
        for seed in range(4)
        for choice in fit(planted({}, seed=seed)).wordings
        if choice.gain is not None
    ]
    assert choices
    for choice in choices:
        assert choice.wording == choice.results[0].wording
        assert "within chance, so the first" in choice.reason
        assert "not distinguishable from chance" in choice.reason


def test_folds_are_whole_problems() -> None:
    # All of one problem's steps are bad and the least likely. Whoever has seen some of them knows
    # the others; from other problems it looks as if unlikely steps were good.
    rng = random.Random(0)
    values = [(rng.uniform(-3.1, -2.9), False) for _ in range(14)]
    problems = ["leak"] * 14
    for problem in range(30):
        bad = problem in (3, 7)
        values += [(rng.uniform(-1.5, -0.5) + bad, not bad) for _ in range(4)]
        problems += [str(problem)] * 4
    whole = of(fit(scored(values, problems)), "likelihood")
    leaking = of(fit(scored(values, [str(p) for p in range(len(values))])), "likelihood")
    assert leaking.log_loss < whole.log_loss - 0.1
    assert (leaking.auc or 0.0) > 0.55
    assert (whole.auc or 1.0) <= 0.5
    assert whole.operating.false_accepts.count >= 14 > leaking.operating.false_accepts.count


@pytest.mark.parametrize("seed", range(3))
def test_a_models_file_reads_what_is_written(seed: int) -> None:
    walks = planted({FIRST_KEY: 1.0 + seed, "likelihood": 0.5 * seed}, seed=seed)
    found = fit(walks)
    text = '[pairs."my.pair"]\ndraft = "/d.gguf"\ntarget = "/t.gguf"\n\n'
    _, pairs = parse_models_toml(text + calibration_toml("my.pair", found), "models.toml")
    assert pairs["my.pair"].calibrations == found.calibrations
    assert list(pairs["my.pair"].calibrations) == list(VERIFIERS)
    for name, calibration in pairs["my.pair"].calibrations.items():
        raws, scores = zip(*calibration.knots, strict=True)
        assert len(calibration.knots) <= 12
        assert all(a < b for a, b in itertools.pairwise(raws))
        assert list(scores) == sorted(scores)
        assert 0 <= scores[0] <= scores[-1] <= 9
        assert (calibration.samples, calibration.date) == (found.num_steps, DATE)
        assert "240 drafted steps of 40 problems (gsm8k)" in calibration.note
        assert "% bad (of 6 continuations" in calibration.note
        assert f"AUC {of(found, name).auc:.2f} [" in calibration.note
        mean, deviation = spread(
            fitted_raws(name, calibration.wording, [one.step for one in judged(walks)])
        )
        assert calibration.mean == pytest.approx(mean, abs=deviation / 1000)
        assert calibration.deviation == pytest.approx(deviation, rel=1 / 1000)
        assert all(len(repr(abs(raw)).partition(".")[2]) <= 6 for raw in raws)


def test_a_run_judges_by_the_calibration() -> None:
    walks = planted({SECOND_KEY: 2.0, "likelihood": 2.0})
    found = fit(walks)
    judge = Judge("combined", 7.0, found.calibrations)
    assert judge.notice == ""
    assert judge.wording == SECOND
    steps = judged(walks)
    accepted = [
        one.good
        for one in steps
        if judge.verdict(
            Reading(probe=one.step.probes[SECOND_KEY], tokens=one.step.log_probs)
        ).accepted
    ]
    assert len(accepted) > len(steps) / 3
    assert sum(accepted) / len(accepted) > 7 / 9


def test_the_same_seed_gives_the_same_fit() -> None:
    walks = planted({FIRST_KEY: 1.0}, num_problems=15)
    assert fit(walks, seed=1) == fit(walks, seed=1)
    assert of(fit(walks, seed=1), "yes-no").log_loss != of(fit(walks, seed=2), "yes-no").log_loss


def test_the_fit_is_json() -> None:
    found = fit(planted({FIRST_KEY: 1.0}, num_problems=15))
    assert msgspec.json.decode(msgspec.json.encode(found), type=PairFit) == found


def test_it_is_said_when_no_step_can_be_accepted() -> None:
    found = fit(planted({}, bad_share=0.5))
    one = of(found, "likelihood")
    assert not one.is_reachable
    assert one.highest_score < 7
    said = "the score never reaches 7, its highest is"
    assert said in one.evidence
    assert said in found.calibrations["likelihood"].note
    assert "every step is rejected" in one.evidence
    assert found.calibrations["likelihood"].note.isprintable()


def test_it_is_said_when_every_step_is_accepted() -> None:
    found = fit(planted({}, bad_share=0.07, num_problems=60))
    one = of(found, "digit")
    assert one.lowest_score >= 7
    assert "the score is never below 7" in one.evidence
    assert "every step is accepted" in found.calibrations["digit"].note
    assert one.operating.accepted.share == pytest.approx(1.0, abs=0.02)


def test_a_constant_value_is_one_knot_at_the_base_rate() -> None:
    values = [(-0.4, place % 5 > 0) for place in range(100)]
    found = fit(scored(values, [str(place % 20) for place in range(100)][::-1]))
    one, calibration = of(found, "likelihood"), found.calibrations["likelihood"]
    assert calibration.knots == ((-0.4, pytest.approx(9 * 81 / 102, abs=0.05)),)
    assert (calibration.deviation, one.auc) == (1.0, 0.5)
    assert "tells nothing" in calibration.note


def test_values_that_hardly_differ_keep_their_order() -> None:
    rng = random.Random(4)
    pairs = [(good := rng.random() < 0.6, rng.gauss(good, 1.0)) for _ in range(120)]
    values = [(-0.5 + 1e-9 * drawn, good) for good, drawn in pairs]
    found = fit(scored(values, [str(place % 24) for place in range(120)]))
    calibration = found.calibrations["likelihood"]
    assert len(calibration.knots) > 2
    assert 5e-10 < calibration.deviation < 2e-9
    text = '[pairs.x]\ndraft = "/d.gguf"\ntarget = "/t.gguf"\n' + calibration_toml("x", found)
    assert parse_models_toml(text, "")[1]["x"].calibrations == found.calibrations


def test_verifiers_without_readings_are_left_out() -> None:
    values = [(-0.1 * (place % 7), place % 3 > 0) for place in range(90)]
    found = fit(scored(values, [str(place % 15) for place in range(90)]))
    assert found.left_out == ("combined", "yes-no", "number-likelihood", "digit", "expected-digit")
    assert list(found.calibrations) == ["likelihood", "min-likelihood"]
    assert found.best_verifier == "likelihood"
    assert found.wordings == ()


def test_single_unreadable_steps_count_as_rejected() -> None:
    walks = planted({FIRST_KEY: 2.0}, num_problems=20)
    broken = [
        walk(f"broken {p}", [step(probes={FIRST_KEY: (math.nan, -1.0), SECOND_KEY: yes(0.5)})])
        for p in range(5)
    ]
    one, plain = (of(fit(found), "yes-no") for found in ([*walks, *broken], walks))
    assert (one.num_unreadable, plain.num_unreadable) == (5, 0)
    assert "5 steps could not be read, which counts as rejected" in one.evidence
    assert one.operating.accepted.num == plain.operating.accepted.num + 5
    assert one.operating.false_rejects.count >= 5


def test_fewer_problems_than_folds() -> None:
    found = fit(planted({FIRST_KEY: 1.0}, num_problems=4, num_steps=20), folds=10)
    assert (found.folds, found.num_problems) == (4, 4)
    assert all(math.isfinite(one.log_loss) for one in found.verifiers)


def _mixed(good: int, bad: int, problems: int, bad_problems: int) -> list[Walk]:
    numbered = [(step(), place % problems) for place in range(good)]
    numbered += [(step(True), place % bad_problems) for place in range(bad)]
    return [
        walk(str(p), [one for one, problem in numbered if problem == p]) for p in range(problems)
    ]


@pytest.mark.parametrize(
    ("walks", "what", "missing"),
    [
        ([], "0 good ones of 0 problems and 0 bad ones of 0 problems", 20),
        (_mixed(56, 4, 12, 4), "56 good ones of 12 problems and 4 bad ones of 4 problems", 82),
        (_mixed(40, 0, 10, 1), "40 good ones of 10 problems and 0 bad ones of 0 problems", 820),
        (_mixed(0, 30, 6, 6), "0 good ones of 0 problems and 30 bad ones of 6 problems", 620),
        (_mixed(40, 20, 10, 2), "40 good ones of 10 problems and 20 bad ones of 2 problems", 30),
    ],
)
def test_too_few_steps_say_how_many_are_missing(walks: list[Walk], what: str, missing: int) -> None:
    with pytest.raises(UsageError) as caught:
        fit(walks)
    assert what in caught.value.what
    assert f"about {missing} more labelled steps" in caught.value.next_step


def _model(name: str, sha256: str | None = "0" * 64) -> ModelInfo:
    return ModelInfo(
        name=name,
        file="o.gguf",
        sha256=sha256,
        num_parameters=1,
        num_vocab=1,
        num_ctx=1,
        device="",
    )


@pytest.mark.parametrize(
    ("first", "second", "agree"),
    [
        (Models(target=_model("a")), Models(target=_model("b")), False),
        (Models(target=_model("a")), Models(target=_model("a", "1" * 64)), False),
        (Models(_model("d"), _model("a")), Models(_model("e"), _model("a")), False),
        (Models(_model("d"), _model("a")), Models(target=_model("a")), True),
        (Models(target=_model("a", None)), Models(target=_model("a")), True),
        (Models(), Models(target=_model("a")), True),
    ],
)
def test_steps_of_two_pairs_are_refused(first: Models, second: Models, agree: bool) -> None:
    walks = [walk("1", [], models=first), walk("2", [], models=second)]
    with pytest.raises(UsageError, match="Too few" if agree else "more than one pair"):
        fit(walks)


def test_one_fold_is_refused() -> None:
    with pytest.raises(UsageError, match="2 folds or more"):
        fit(planted({}), folds=1)


def test_unreadable_steps_are_refused() -> None:
    walks = [walk(str(p), [step(log_probs=()), step(True, log_probs=())] * 2) for p in range(10)]
    with pytest.raises(UsageError, match="No verifier can read"):
        fit(walks)
