"""Section 5 as text."""

from __future__ import annotations

from ssr_local.evaluation.labels.verifiers import score_verifiers
from ssr_local.evaluation.report.steps_section import steps_section
from tests.unit.evaluation.report.made_rows import small_walks


def test_where_the_truth_comes_from_is_said_first() -> None:
    text = steps_section(score_verifiers(small_walks()))
    assert text.startswith("No human labelled these steps.")
    assert "14 problems, 6 continuations from every place" in text
    assert "2 problems were never solved" in text


def test_every_verifier_that_read_something_has_a_line() -> None:
    text = steps_section(score_verifiers(small_walks()))
    names = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert names[2:] == [
        "combined",
        "yes-no",
        "likelihood",
        "digit",
        "expected-digit",
        "length (no verifier)",
        "position (no verifier)",
    ]
    assert "never readable: combined (mistake)" in text


def test_uncalibrated_fallback_has_its_own_line() -> None:
    text = steps_section(score_verifiers(small_walks(), calibrations={}))
    (line,) = [line for line in text.splitlines() if "uncalibrated" in line]
    assert line.count("|") == 11


def test_no_steps_and_no_judged_ones() -> None:
    assert "ssr-local bench steps" in steps_section(None)
    text = steps_section(score_verifiers(small_walks()[12:]))
    assert "0 drafted steps" in text
    assert "AUC is the chance" not in text
