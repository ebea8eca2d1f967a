"""What models.toml and benchmarks/README.md say was measured is what the committed steps give."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local.bench.labels.calibration import fit_pair
from ssr_local.cli.bench.results import read_walks
from ssr_local.method.verification import interpolate
from ssr_local.models.registry import load_registry

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
# What 0.1.0, which also estimated the labels' noise, found on problems held out at a threshold
# of 7: the AUC, and the shares accepted of all, of the bad, and rejected of the good steps.
EARLIER = {
    "min-likelihood": (0.828, 122 / 204, 13 / 55, 40 / 149),
    "number-likelihood": (0.808, 133 / 204, 14 / 55, 30 / 149),
    "likelihood": (0.745, 102 / 204, 18 / 55, 65 / 149),
}


def test_the_committed_steps_give_the_figures_that_were_written_down() -> None:
    walks = read_walks((BENCHMARKS / "steps-gsm8k", BENCHMARKS / "steps-math500"))
    in_force = load_registry().pair("default").calibrations
    fit = fit_pair(walks, date="2026-11-25")
    fits = {one.name: one for one in fit.verifiers}
    assert set(in_force) == set(fits) == {*EARLIER, "digit"}
    assert (fit.num_steps, fit.num_bad, fit.folds) == (204, 55, 5)
    assert fit.best_verifier == "number-likelihood"
    assert fits["digit"].auc == pytest.approx(0.525, abs=0.001)
    for name, (auc, *shares) in EARLIER.items():
        found = fits[name]
        assert found.auc == pytest.approx(auc, abs=0.001)
        assert in_force[name].auc == pytest.approx(auc, abs=0.02)
        now = found.operating
        outcomes = (now.accepted, now.false_accepts, now.false_rejects)
        assert [one.share for one in outcomes] == pytest.approx(shares, abs=0.13)
    # Where the committed calibration of the default verifier reaches the threshold.
    knots = fit.calibrations["min-likelihood"].knots
    assert interpolate(knots, -3.688) == pytest.approx(7.0, abs=0.3)
