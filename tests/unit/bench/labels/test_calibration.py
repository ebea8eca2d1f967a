from __future__ import annotations

import itertools
import math
import random
from typing import Any, get_args

import pytest

from ssr_local.bench.labels.calibration import (
    PairFit,
    VerifierFit,
    calibration_toml,
    fit_pair,
)
from ssr_local.bench.labels.fitting import Curve, Sample, fit_curve
from ssr_local.bench.records import LabelledStep, Walk
from ssr_local.bench.statistics import wilson
from ssr_local.core.errors import UsageError
from ssr_local.core.records import Models
from ssr_local.method.verification import VERIFIERS
from ssr_local.models.models_toml import parse_models_toml
from tests.unit.bench.labels.made_walks import planted, step, walk
from tests.unit.bench.report.made_rows import model

DATE = "2025-11-24"
PAIR = '[pairs."my.pair"]\ndraft = "/d.gguf"\ntarget = "/t.gguf"\n\n'


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


def test_the_interval_of_a_planted_verifier_leaves_out_chance() -> None:
    one = of(fit(planted({"likelihood": 1.5}, num_problems=20)), "likelihood")
    assert one.auc is not None
    assert one.interval is not None
    assert 0.7 < one.interval.low < one.auc < one.interval.high < 1
    apart = [(-0.1 if n % 2 else -0.9, bool(n % 2)) for n in range(40)]
    perfect = of(fit(scored(apart, [str(n // 4) for n in range(40)])), "likelihood")
    assert (perfect.auc, perfect.interval) == (1.0, wilson(10, 10))


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
    assert whole.operating.false_accepts.count >= 14 > leaking.operating.false_accepts.count


def test_a_models_file_reads_what_is_written() -> None:
    found = fit(planted({"likelihood": 1.0, "digit": 0.5}))
    _, pairs = parse_models_toml(PAIR + calibration_toml("my.pair", found), "models.toml")
    assert pairs["my.pair"].calibrations == found.calibrations
    assert list(pairs["my.pair"].calibrations) == list(VERIFIERS)
    for name, calibration in pairs["my.pair"].calibrations.items():
        raws, scores = zip(*calibration.knots, strict=True)
        assert all(a < b for a, b in itertools.pairwise(raws))
        assert list(scores) == sorted(scores)
        assert 0 <= scores[0] <= scores[-1] <= 9
        assert (calibration.samples, calibration.date) == (found.num_steps, DATE)
        assert "240 drafted steps of 40 problems (gsm8k)" in calibration.note
        assert f"AUC {of(found, name).auc:.2f} [" in calibration.note
        one = of(found, name)
        assert f"scores from {one.lowest_score:.2f} to {one.highest_score:.2f}" in calibration.note
        assert calibration.note.isprintable()


@pytest.mark.parametrize("kind", get_args(Curve))
@pytest.mark.parametrize(
    ("values", "good"),
    [
        ([-0.4] * 6, [True] * 5 + [False]),
        ([-0.1 * n for n in range(6)], [True] * 6),
        ([], []),
    ],
)
def test_what_tells_nothing_is_one_knot_at_the_base_rate(
    kind: Any, values: list[float], good: list[bool]
) -> None:
    ((_, chance),) = fit_curve(kind, Sample(values, good, ["p"] * len(values)))
    assert chance == pytest.approx((sum(good) + 1) / (len(good) + 2))


def test_chances_stay_off_0_and_1_and_rise_with_the_value() -> None:
    values = [float(n) for n in range(20)]
    apart, against = (
        Sample(values, [(n >= 10) is up for n in range(20)], ["p"] * 20) for up in (True, False)
    )
    for kind in get_args(Curve):
        (_, lowest), *_, (_, highest) = fit_curve(kind, apart)
        assert 0.0 < lowest < 0.1
        assert 0.9 < highest < 1.0
        assert len({chance for _, chance in fit_curve(kind, against)}) == 1
    assert len(fit_curve("logistic", against)) == 1


def test_verifiers_without_readings_are_left_out() -> None:
    values = [(-0.1 * (n % 7), n % 3 > 0) for n in range(90)]
    found = fit(scored(values, [str(n % 15) for n in range(90)]))
    assert found.left_out == ("number-likelihood", "digit")
    assert list(found.calibrations) == ["min-likelihood", "likelihood"]


def test_the_threshold_decides_what_is_accepted() -> None:
    found = of(fit(planted({"likelihood": 1.5}, num_problems=20), threshold=8.9), "likelihood")
    assert found.operating.accepted.share == pytest.approx(0, abs=0.1)


def test_single_unreadable_steps_count_as_rejected() -> None:
    walks = planted({"digit": 2.0}, num_problems=20)
    unread = {"digit/rate": (math.nan,) * 10}
    broken = [walk(f"broken {p}", [step(probes=unread)]) for p in range(5)]
    one, plain = (of(fit(found), "digit") for found in ([*walks, *broken], walks))
    assert (one.num_unreadable, plain.num_unreadable) == (5, 0)
    assert one.operating.accepted.num == plain.operating.accepted.num + 5
    assert one.operating.false_rejects.count >= 5


def test_fewer_problems_than_folds() -> None:
    found = fit(planted({"likelihood": 1.0}, num_problems=4, num_steps=20))
    assert (found.folds, found.num_problems) == (4, 4)
    assert all(math.isfinite(one.log_loss) for one in found.verifiers)


def _mixed(good: int, bad: int, problems: int, bad_problems: int) -> list[Walk]:
    numbered = [(step(), index % problems) for index in range(good)]
    numbered += [(step(True), index % bad_problems) for index in range(bad)]
    return [
        walk(str(p), [one for one, problem in numbered if problem == p]) for p in range(problems)
    ]


@pytest.mark.parametrize(
    ("walks", "what", "missing"),
    [
        ([], "0 good ones of 0 problems and 0 bad ones of 0 problems", 20),
        (_mixed(56, 4, 12, 4), "56 good ones of 12 problems and 4 bad ones of 4 problems", 82),
        (_mixed(0, 30, 6, 6), "0 good ones of 0 problems and 30 bad ones of 6 problems", 620),
        (_mixed(40, 20, 10, 2), "40 good ones of 10 problems and 20 bad ones of 2 problems", 30),
    ],
)
def test_too_few_steps_say_how_many_are_missing(walks: list[Walk], what: str, missing: int) -> None:
    with pytest.raises(UsageError) as caught:
        fit(walks)
    assert what in caught.value.what
    assert f"about {missing} more labelled steps" in caught.value.next_step


@pytest.mark.parametrize(
    ("first", "second", "agree"),
    [
        (Models(target=model("a")), Models(target=model("b")), False),
        (Models(target=model("a")), Models(target=model("a", sha256="1" * 64)), False),
        (Models(model("d"), model("a")), Models(model("e"), model("a")), False),
        (Models(model("d"), model("a")), Models(target=model("a", sha256=None)), True),
        (Models(), Models(target=model("a")), True),
    ],
)
def test_steps_of_two_pairs_are_refused(first: Models, second: Models, agree: bool) -> None:
    walks = [walk("1", [], models=first), walk("2", [], models=second)]
    with pytest.raises(UsageError, match="Too few" if agree else "more than one pair"):
        fit(walks)


def test_unreadable_steps_are_refused() -> None:
    walks = [walk(str(p), [step(log_probs=()), step(True, log_probs=())] * 2) for p in range(10)]
    with pytest.raises(UsageError, match="No verifier can read"):
        fit(walks)
