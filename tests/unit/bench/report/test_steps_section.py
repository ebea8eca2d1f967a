"""Section 5 as text."""

from __future__ import annotations

from ssr_local.bench.labels.verifiers import score_verifiers
from ssr_local.bench.report.steps_section import steps_section
from tests.unit.bench.report.made_rows import small_walks


def test_where_the_truth_comes_from_is_said_first() -> None:
    text = steps_section(score_verifiers(small_walks()))
    assert text.startswith("No human labelled these steps.")
    assert "14 problems, 6 continuations from every place" in text
    assert "2 problems have no steps" in text
    assert "(2 it never solved)" in text


def test_which_steps_these_are_is_said() -> None:
    text = " ".join(steps_section(score_verifiers(small_walks())).split())
    assert "only at places where the target is right at least half the time" in text
    assert "replaced by the target's own" in text
    assert "regression to the mean" in text
    assert "so this is too high); of harmless drafted steps," in text
    assert "Behind a step that ends its path nothing goes on" in text


def test_figures_say_which_calibration_they_are_of() -> None:
    fitted = steps_section(score_verifiers(small_walks(), calibrations={}))
    assert "is held out" in fitted
    assert "flatter" not in fitted
    (digit,) = [line for line in fitted.splitlines() if line.startswith("| digit | rate")]
    (likelihood,) = [line for line in fitted.splitlines() if line.startswith("| likelihood | -")]
    assert digit.count("% * |") == 1
    assert "*" not in likelihood
    few = steps_section(score_verifiers(small_walks()[:3], calibrations={}))
    assert "the figures flatter it" in " ".join(few.split())
    without = steps_section(score_verifiers(small_walks()[:3]))
    assert "What a verifier accepts and rejects" not in without


def test_final_steps_have_their_own_line() -> None:
    text = steps_section(score_verifiers(small_walks()))
    assert "| final steps | 0 | 0/0 |" in text
    assert "| other steps | " in text


def test_every_verifier_that_read_something_has_a_line() -> None:
    text = steps_section(score_verifiers(small_walks()))
    names = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert [name for name in names if not name.startswith(":") and name != "Verifier"] == [
        "combined",
        "yes-no",
        "likelihood",
        "min-likelihood",
        "digit",
        "expected-digit",
        "length (no verifier)",
        "position (no verifier)",
        "rate before (no verifier)",
        "",
        "final steps",
        "other steps",
    ]
    assert "never readable: combined (mistake)" in text


def test_uncalibrated_fallback_has_its_own_line() -> None:
    text = steps_section(score_verifiers(small_walks(), calibrations={}))
    (line,) = [line for line in text.splitlines() if "uncalibrated" in line]
    assert line.count("|") == 12


def test_no_steps_and_no_judged_ones() -> None:
    assert "ssr-local bench steps" in steps_section(None)
    text = steps_section(score_verifiers(small_walks()[12:]))
    assert "0 drafted steps" in text
    assert "AUC is the chance" not in text
