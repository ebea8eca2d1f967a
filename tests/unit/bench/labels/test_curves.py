from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ssr_local.bench.labels.curves import (
    Bin,
    Curve,
    auc,
    auc_interval,
    fit_curve,
    reliability,
    roc,
)
from ssr_local.bench.statistics import wilson
from ssr_local.method.verification import interpolate

# Whole numbers, so that ties are frequent and no transformation rounds two values into one.
LABELLED = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=30)
KINDS: tuple[Curve, ...] = ("logistic", "isotonic")


def split(pairs: list[tuple[int, bool]]) -> tuple[list[float], list[bool]]:
    return [float(value) for value, _ in pairs], [label for _, label in pairs]


def by_hand(values: list[float], labels: list[bool]) -> float | None:
    """The definition: every good one against every bad one."""
    pairs = [
        0.5 if good == bad else float(good > bad)
        for good in itertools.compress(values, labels)
        for bad in itertools.compress(values, [not label for label in labels])
    ]
    return sum(pairs) / len(pairs) if pairs else None


@given(LABELLED)
def test_auc_is_its_definition(pairs: list[tuple[int, bool]]) -> None:
    values, labels = split(pairs)
    expected = by_hand(values, labels)
    found = auc(values, labels)
    assert found is expected if expected is None else found == pytest.approx(expected)


@given(LABELLED)
def test_auc_of_reversed_labels_is_its_complement(pairs: list[tuple[int, bool]]) -> None:
    values, labels = split(pairs)
    found = auc(values, labels)
    assume(found is not None)
    assert auc(values, [not label for label in labels]) == pytest.approx(1 - (found or 0.0))


@pytest.mark.parametrize("rising", [math.atan, math.exp, lambda x: x**3 + x, lambda x: 4 * x - 9])
@given(pairs=LABELLED)
def test_auc_and_roc_rates_know_only_the_order(
    rising: Callable[[float], float], pairs: list[tuple[int, bool]]
) -> None:
    values, labels = split(pairs)
    moved = [rising(value) for value in values]
    assert auc(values, labels) == auc(moved, labels)
    rates = [[point[1:] for point in roc(found, labels).points] for found in (values, moved)]
    assert rates[0] == rates[1]


@given(LABELLED)
def test_the_area_under_the_roc_is_the_auc(pairs: list[tuple[int, bool]]) -> None:
    values, labels = split(pairs)
    points = roc(values, labels).points
    assert bool(points) == (len(set(labels)) == 2)
    assume(points)
    assert points[0][1:] == (0.0, 0.0)
    assert points[-1][1:] == (1.0, 1.0)
    area = sum(
        (right[1] - left[1]) * (right[2] + left[2]) / 2
        for left, right in itertools.pairwise(points)
    )
    assert area == pytest.approx(auc(values, labels))


@given(LABELLED)
def test_a_roc_point_is_what_its_threshold_does(pairs: list[tuple[int, bool]]) -> None:
    values, labels = split(pairs)
    for threshold, false_accepts, true_accepts in roc(values, labels).points:
        accepted = [label for value, label in pairs if value >= threshold]
        assert true_accepts == pytest.approx(sum(accepted) / sum(labels))
        assert false_accepts == pytest.approx(
            (len(accepted) - sum(accepted)) / (len(labels) - sum(labels))
        )


def test_only_pairs_within_a_stratum_are_compared() -> None:
    # Each stratum alone is in perfect order, across them nothing is.
    values, labels = [1.0, 2.0, 3.0, 4.0], [False, True, False, True]
    assert auc(values, labels) == 0.75
    assert auc(values, labels, strata=["a", "a", "b", "b"]) == 1.0
    assert auc(values, labels, strata=["a", "b", "b", "a"]) == 0.5
    assert auc(values, labels, strata=["a", "b", "c", "d"]) is None


def test_the_interval_is_over_problems_and_not_over_steps() -> None:
    rng = random.Random(0)
    values, labels, problems = [], [], []
    for problem in range(30):
        label, value = problem % 3 > 0, rng.gauss(0.7 * (problem % 3 > 0), 1)
        for _ in range(6):
            values.append(value)
            labels.append(label)
            problems.append(problem)
    together = auc_interval(values, labels, problems)
    apart = auc_interval(values, labels, list(range(len(values))))
    found = auc(values, labels)
    assert together is not None
    assert apart is not None
    assert found is not None
    assert together.low < found < together.high
    assert together.high - together.low > 1.8 * (apart.high - apart.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = random.Random(2)
    covered = 0
    for _ in range(100):
        labels = [place % 2 > 0 for place in range(60)]
        values = [rng.gauss(label, 1) for label in labels]
        found = auc_interval(values, labels, list(range(60)), resamples=200)
        assert found is not None
        covered += found.low <= 0.7602 <= found.high  # Phi(1 / sqrt(2))
    assert 88 <= covered <= 100


@pytest.mark.parametrize(
    ("labels", "groups"),
    [([], []), ([True, True], "ab"), ([True, False, False], "aab"), ([True, False], "aa")],
)
def test_no_interval_unless_both_classes_come_from_two_problems(
    labels: list[bool], groups: str
) -> None:
    assert auc_interval([1.0] * len(labels), labels, list(groups)) is None


@pytest.mark.parametrize("high", [True, False])
@pytest.mark.parametrize(("num", "bound"), [(2, 0.34), (5, 0.57), (20, 0.84)])
def test_perfect_order_of_few_is_no_certainty(num: int, bound: float, high: bool) -> None:
    labels = [high] * num + [not high] * 40
    values = [1.0] * num + [0.0] * 40
    found = auc_interval(values, labels, list(range(num + 40)))
    assert found is not None
    low, top = (found.low, found.high) if high else (1 - found.high, 1 - found.low)
    assert (low, top) == (pytest.approx(bound, abs=0.01), 1.0)


def test_constant_values_tell_nothing() -> None:
    labels, groups = [True, False] * 4, [place // 2 for place in range(8)]
    assert auc([1.0] * 8, labels) == 0.5
    found = auc_interval([1.0] * 8, labels, groups)
    assert found is not None
    assert (found.low, found.high) == (0.5, 0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_could_not_be_read_is_refused(value: float) -> None:
    for call in (auc, roc, reliability):
        with pytest.raises(ValueError, match="finite"):
            call([value, 1.0], [True, False])


def test_reliability_bins_by_value() -> None:
    values = [0.8, 0.1, 0.3, 0.2, 0.7, 0.9]
    low, high = reliability(values, [1, 0, 0.5, 0, 1, 0.5], bins=2)
    assert (low.mean_value, low.mean_share, low.count) == pytest.approx((0.2, 0.5 / 3, 3))
    assert (high.mean_value, high.mean_share, high.count) == pytest.approx((0.8, 2.5 / 3, 3))


def test_the_interval_of_a_bin_is_wilsons() -> None:
    (found,) = reliability([1.0] * 10, [1.0] * 7 + [0.0] * 3)
    expected = wilson(7, 10)
    assert expected is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_many_equal_values_are_one_bin_and_the_others_stay_even() -> None:
    found = reliability([9.0] * 50 + [float(x) / 10 for x in range(20)], [1.0] * 70, bins=5)
    assert [one.count for one in found] == [14, 56]
    found = reliability([0.0] * 50 + [float(x) for x in range(1, 21)], [1.0] * 70, bins=5)
    assert [one.count for one in found] == [50, 5, 5, 5, 5]


@given(LABELLED, st.integers(1, 9))
def test_bins_hold_everything_once_and_ascend(pairs: list[tuple[int, bool]], bins: int) -> None:
    values, labels = split(pairs)
    found: tuple[Bin, ...] = reliability(values, [float(label) for label in labels], bins)
    assert sum(one.count for one in found) == len(pairs)
    assert 1 <= len(found) <= bins
    means = [one.mean_value for one in found]
    assert means == sorted(means)
    assert len({round(mean, 9) for mean in means}) == len(means)
    assert sum(one.mean_share * one.count for one in found) == pytest.approx(sum(labels))
    assert all(
        0 <= one.low <= one.mean_share + 1e-9 <= one.high + 2e-9 <= 1 + 3e-9 for one in found
    )


def test_no_bins_are_refused() -> None:
    assert reliability([], []) == ()
    with pytest.raises(ValueError, match="bins"):
        reliability([1.0], [1.0], bins=0)


@pytest.mark.parametrize("kind", KINDS)
@given(pairs=LABELLED, most=st.integers(2, 12))
def test_a_fitted_curve_never_falls_and_stays_off_0_and_1(
    kind: Curve, pairs: list[tuple[int, bool]], most: int
) -> None:
    values, labels = split(pairs)
    knots = fit_curve(kind, values, labels, most=most)
    raws, chances = zip(*knots, strict=True)
    assert len(knots) <= most
    assert all(a < b for a, b in itertools.pairwise(raws))
    assert list(chances) == sorted(chances)
    assert 0 < chances[0] <= chances[-1] < 1
    assert set(raws) <= set(values)


def test_isotonic_is_the_pooled_means() -> None:
    # Pool-adjacent-violators by hand: 0, then (1, 0) pooled to 1/2, then 1 and 1.
    knots = fit_curve("isotonic", [1, 2, 3, 4, 5], [False, True, False, True, True])
    edge = 1 / 7
    assert [interpolate(knots, raw) for raw in (1, 2, 3, 4, 5)] == pytest.approx(
        [edge, 0.5, 0.5, 1 - edge, 1 - edge]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_noise_that_is_known_of_does_not_flatten_the_curve(kind: Curve) -> None:
    # Labels that are wrong three times in ten, and say so.
    rng = random.Random(6)
    values = [rng.gauss(0, 1) for _ in range(6000)]
    truth = [rng.random() < 1 / (1 + math.exp(-1.5 * value)) for value in values]
    labels = [label if rng.random() < 0.7 else not label for label in truth]
    noisy = fit_curve(kind, values, [0.7 if label else 0.3 for label in labels], base=0.5)
    blind = fit_curve(kind, values, labels)
    for raw in (-1.2, 0.0, 1.2):
        expected = 1 / (1 + math.exp(-1.5 * raw))
        assert interpolate(noisy, raw) == pytest.approx(expected, abs=0.1)
        assert interpolate(blind, raw) == pytest.approx(0.3 + 0.4 * expected, abs=0.08)


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_that_tells_nothing_leaves_the_base(kind: Curve) -> None:
    knots = fit_curve(kind, [float(place) for place in range(20)], [0.5] * 20, base=0.9)
    assert [chance for _, chance in knots] == pytest.approx([0.9] * len(knots), abs=1e-3)


def test_isotonic_pools_by_how_many_there_are() -> None:
    # Three good ones at 1, one bad at 2: pooled to 3/4, and not to the mean of 1 and 0.
    knots = fit_curve("isotonic", [1, 1, 1, 2], [True, True, True, False])
    assert [interpolate(knots, raw) for raw in (1, 2)] == pytest.approx([0.75, 0.75])


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_curve_is_found(kind: Curve) -> None:
    rng = random.Random(5)
    values = [rng.gauss(0, 1) for _ in range(4000)]
    labels = [rng.random() < 1 / (1 + math.exp(-0.5 - 1.5 * value)) for value in values]
    knots = fit_curve(kind, values, labels)
    for raw in (-1.5, -0.5, 0.0, 0.7, 1.5):
        expected = 1 / (1 + math.exp(-0.5 - 1.5 * raw))
        assert interpolate(knots, raw) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_the_wrong_way_becomes_the_base_rate(kind: Curve) -> None:
    values = [float(place) for place in range(60)]
    knots = fit_curve(kind, values, [place < 45 for place in range(60)])
    assert [chance for _, chance in knots] == pytest.approx([0.75] * len(knots), abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "labels", "expected"),
    [([], [], (0.0, 0.5)), ([3.0] * 6, [True] * 5 + [False], (3.0, 0.75))],
)
def test_one_knot_where_there_is_nothing_to_fit(
    kind: Curve, values: list[float], labels: list[bool], expected: tuple[float, float]
) -> None:
    assert fit_curve(kind, values, labels) == (expected,)


def test_perfect_separation_stays_finite() -> None:
    values = [float(place) for place in range(40)]
    chances = dict(fit_curve("logistic", values, [place >= 20 for place in range(40)]))
    assert 1e-4 < chances[0.0] < 0.1
    assert 0.9 < chances[39.0] < 1 - 1e-4


def test_knots_follow_the_curve_closely() -> None:
    rng = random.Random(1)
    values = sorted(rng.gauss(0, 1) for _ in range(500))
    labels = [rng.random() < 1 / (1 + math.exp(-3 * value)) for value in values]
    few, all_of_them = (fit_curve("logistic", values, labels, most=most) for most in (12, 500))
    misses = [abs(interpolate(few, raw) - interpolate(all_of_them, raw)) for raw in values]
    assert max(misses) < 0.02
