from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from ssr_local.bench.labels.judging import JudgedStep, judged
from ssr_local.bench.labels.learning import curve_for, folds_of, held_out, learn, mean_loss
from ssr_local.bench.labels.readings import wordings_of
from ssr_local.method.verification import VERIFIERS
from tests.unit.bench.labels.made_walks import FIRST, SECOND, planted, yes

CANDIDATES = {name: wordings_of(verifier) for name, verifier in VERIFIERS.items()}
FOLDS = 3


def drawn(signals: dict[str, float]) -> tuple[tuple[JudgedStep, ...], list[int]]:
    steps = judged(planted(signals, num_problems=12))
    return steps, folds_of(steps, FOLDS, seed=0)


def test_a_problem_is_in_one_fold() -> None:
    steps, parts = drawn({})
    assert set(parts) == set(range(FOLDS))
    assert len({(one.problem, part) for one, part in zip(steps, parts, strict=True)}) == 12


@pytest.mark.parametrize("signals", [{}, {f"yes-no/{SECOND}": 3.0, "likelihood": 1.0}])
def test_no_label_of_a_fold_moves_its_own_chances(signals: dict[str, float]) -> None:
    steps, parts = drawn(signals)
    turned = [
        replace(one, good=not one.good, chance=1 - one.chance, evidence=1 - one.evidence)
        if part == 0
        else one
        for one, part in zip(steps, parts, strict=True)
    ]
    (plain, base), (other, other_base) = (
        held_out(found, CANDIDATES, parts, FOLDS, seed=0) for found in (steps, turned)
    )
    for name in CANDIDATES:
        changed = [a != b for a, b in zip(plain[name], other[name], strict=True)]
        assert not any(one for one, part in zip(changed, parts, strict=True) if part == 0)
        assert any(changed) or name == "digit"
    assert [a == b for a, b in zip(base, other_base, strict=True)] == [part == 0 for part in parts]


def test_no_value_of_a_fold_moves_its_other_chances() -> None:
    steps, parts = drawn({f"yes-no/{FIRST}": 1.0, "likelihood": 1.0})
    plain, _ = held_out(steps, CANDIDATES, parts, FOLDS, seed=0)
    inside = [index for index, part in enumerate(parts) if part == 0]
    place = max(inside, key=plain["combined"].__getitem__)
    probes = steps[place].step.probes | {
        f"yes-no/{FIRST}": yes(0.01),
        f"yes-no/{SECOND}": yes(0.01),
    }
    outlier = replace(steps[place].step, log_probs=(-40.0,), digits=(0,), probes=probes)
    changed = [*steps]
    changed[place] = replace(steps[place], step=outlier)
    other, _ = held_out(changed, CANDIDATES, parts, FOLDS, seed=0)
    for name in ("combined", "yes-no", "likelihood"):
        moved = {index for index in inside if plain[name][index] != other[name][index]}
        assert moved == {place}


def test_what_is_learned_is_worded_as_it_was_chosen() -> None:
    steps, _ = drawn({f"yes-no/{SECOND}": 3.0})
    found = learn(steps, CANDIDATES, FOLDS, seed=0)
    assert found.choices["yes-no"].wording == SECOND
    assert {name: one.wording for name, one in found.calibrations.items()} == {
        "combined": SECOND,
        "yes-no": SECOND,
        "likelihood": "",
        "min-likelihood": "",
        "number-likelihood": "",
        "digit": found.choices["digit"].wording,
        "expected-digit": found.choices["expected-digit"].wording,
    }
    assert set(found.curves) == set(found.calibrations)


@pytest.mark.parametrize(
    ("logistic", "isotonic", "curve"),
    [
        (0.5, 0.6, "logistic"),
        (0.6, 0.5, "isotonic"),
        (0.5, 0.5, "logistic"),
        (0.5003, 0.5, "logistic"),
    ],
)
def test_the_smoother_curve_when_losses_are_equal(
    logistic: float, isotonic: float, curve: str
) -> None:
    assert curve_for({"logistic": logistic, "isotonic": isotonic}) == curve


def test_mean_loss_leaves_out_what_is_unknown() -> None:
    assert mean_loss([1.0, math.nan, 3.0]) == 2.0
    assert mean_loss([math.nan]) == math.inf
