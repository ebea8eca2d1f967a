"""What of the main table the figures of 0.1.0 leave open."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.summary import MethodSummary, summarise
from tests.unit.bench.report.made_rows import outcomes


def _summaries(rows: list[Row]) -> dict[str, MethodSummary]:
    (runs,), _ = arrange(rows)
    return {summary.method: summary for summary in summarise(runs)}


@pytest.mark.parametrize(
    ("num_repeats", "ks"), [(1, []), (2, [1, 2]), (3, [1, 2, 3]), (9, [1, 2, 4, 9])]
)
def test_pass_at_a_handful_of_k_over_fully_repeated_problems(
    num_repeats: int, ks: list[int]
) -> None:
    rows = [one for repeat in range(num_repeats) for one in outcomes("target", " +", repeat=repeat)]
    found = _summaries([*outcomes("target", "-"), *rows])["target"]
    assert [(p.k, p.value) for p in found.pass_at] == [(k, 1.0) for k in ks]
    assert found.num_pass_at == (num_repeats > 1)


@pytest.mark.parametrize("others", [[], outcomes("target", "   +")])
def test_without_common_problems_there_are_no_ratios(others: list[Row]) -> None:
    assert _summaries(outcomes("ssr-m3", "+-+") + others)["ssr-m3"].target is None


@pytest.mark.parametrize(("second", "mean_s"), [(4.0, 3.0), (None, None)])
def test_predicted_seconds_are_of_the_runs_that_were_timed(
    second: float | None, mean_s: float | None
) -> None:
    timed, other, failed = outcomes("target", "+-!")
    rows = [replace(timed, predicted_s=2.0), replace(other, predicted_s=second), failed]
    assert _summaries(rows)["target"].predicted_s == mean_s


def test_a_method_that_only_failed_has_an_accuracy_and_no_costs() -> None:
    failed = _summaries(outcomes("ssr-m3", "!!"))["ssr-m3"]
    costs = (failed.median_s, failed.mean_s, failed.predicted_s, failed.draft_tokens)
    assert costs == (None, None, None, None)
    assert failed.accuracy is not None
    assert failed.accuracy.value == 0.0
