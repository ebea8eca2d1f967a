"""What models.toml and benchmarks/README.md say was measured is what the committed steps give."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local.bench.labels.calibration import fit_pair
from ssr_local.bench.labels.process_labels import judged
from ssr_local.bench.labels.readings import operating, raw_values
from ssr_local.cli.bench.results import read_walks
from ssr_local.method.verification import interpolate
from ssr_local.models.registry import load_registry

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
AUCS = {"min-likelihood": 0.828, "number-likelihood": 0.808, "likelihood": 0.745, "digit": 0.525}


def test_the_committed_steps_give_the_figures_that_were_written_down() -> None:
    walks = read_walks((BENCHMARKS / "steps-gsm8k", BENCHMARKS / "steps-math500"))
    in_force = load_registry().pair("default").calibrations
    assert set(in_force) == set(AUCS)
    steps = judged(walks)
    good = [one.good for one in steps]
    for one in (fit := fit_pair(walks, date="2026-11-25")).verifiers:
        assert (fit.calibrations[one.name].samples, fit.num_bad) == (204, 55)
        assert one.auc == pytest.approx(AUCS[one.name], abs=0.001)
        if one.name == "digit":
            assert fit.calibrations["digit"] != in_force["digit"]  # the paper's keeps its scale
            continue
        calibration = in_force[one.name]
        assert calibration.auc == pytest.approx(one.auc, abs=0.02)
        scores = [interpolate(calibration.knots, raw) for raw in raw_values(one.name, steps)]
        kept = operating([score >= 7 for score in scores], good)
        for side in ("accepted", "false_accepts", "false_rejects"):
            held_out, committed = (getattr(each, side).share for each in (one.operating, kept))
            assert held_out == pytest.approx(committed, abs=0.12), (one.name, side)
