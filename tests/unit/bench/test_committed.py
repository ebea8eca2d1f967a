"""What models.toml says was measured is what the committed steps give."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local.bench.labels.calibration import fit_pair
from ssr_local.cli.bench.results import read_walks
from ssr_local.models.registry import load_registry

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_the_default_pairs_calibrations_are_fitted_to_the_committed_steps() -> None:
    walks = read_walks((BENCHMARKS / "steps-gsm8k", BENCHMARKS / "steps-math500"))
    in_force = load_registry().pair("default").calibrations
    fit = fit_pair(walks, date=in_force["likelihood"].date or "")
    fitted = dict(fit.calibrations)
    assert fitted.pop("digit") != in_force["digit"]  # the paper's keeps its own scale
    assert set(fitted) == set(in_force) - {"digit"}
    for name, calibration in fitted.items():
        assert calibration.samples == in_force[name].samples == 204
        assert calibration.auc == pytest.approx(in_force[name].auc, abs=0.001)
        assert calibration.wording == in_force[name].wording
        for (raw, score), (its_raw, its_score) in zip(
            calibration.knots, in_force[name].knots, strict=True
        ):
            assert raw == pytest.approx(its_raw, abs=1e-3)
            assert score == pytest.approx(its_score, abs=1e-2)
