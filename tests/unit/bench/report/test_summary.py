"""The main table's figures, from rows whose outcome is known."""

from __future__ import annotations

import pytest

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.summary import MethodSummary, PassAt, Unanswered, summarise
from ssr_local.bench.statistics import Ratio
from tests.unit.bench.report.made_rows import ACCEPTED, REWRITE, outcomes, path, result, row


def _summaries(rows: list[Row]) -> dict[str, MethodSummary]:
    (runs,), _ = arrange(rows)
    return {summary.method: summary for summary in summarise(runs)}


def test_only_right_answers_count_and_the_others_are_listed() -> None:
    found = _summaries(outcomes("target", "++-?.!.+"))["target"]
    assert (found.num_problems, found.num_right, found.num_wrong) == (8, 3, 1)
    assert found.accuracy is not None
    assert found.accuracy.value == 3 / 8
    assert found.accuracy.low == pytest.approx(0.137, abs=1e-3)
    assert found.accuracy.high == pytest.approx(0.694, abs=1e-3)
    assert found.unanswered == (
        Unanswered("missing", 2, ("p05", "p07")),
        Unanswered("undecided", 1, ("p04",)),
        Unanswered("failed", 1, ("p06",), ("the worker died",)),
    )


def test_repeats_make_pass_at_1_a_mean_over_problems_with_problems_as_units() -> None:
    rows = [
        *outcomes("target", "+-+-"),
        *outcomes("target", "+-+-", repeat=1),
        *outcomes("target", "+--.", repeat=2),
    ]
    found = _summaries(rows)["target"]
    assert found.num_runs == 12
    assert found.accuracy is not None
    assert found.accuracy.value == pytest.approx((1 + 0 + 2 / 3 + 0) / 4)
    assert found.accuracy.num == 4
    assert (found.num_repeats, found.num_pass_at) == (3, 4)
    assert [(p.k, p.value) for p in found.pass_at] == [
        (1, pytest.approx(5 / 12)),
        (2, pytest.approx(0.5)),
        (3, pytest.approx(0.5)),
    ]


def test_pass_at_k_leaves_out_problems_with_fewer_repeats() -> None:
    found = _summaries(outcomes("target", "--") + outcomes("target", " +", repeat=1))["target"]
    assert found.pass_at == (PassAt(1, 0.5), PassAt(2, 1.0))
    assert found.num_pass_at == 1


@pytest.mark.parametrize(
    ("num_repeats", "ks"),
    [(1, []), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (9, [1, 2, 4, 9])],
)
def test_pass_at_a_handful_of_k(num_repeats: int, ks: list[int]) -> None:
    rows = [one for repeat in range(num_repeats) for one in outcomes("target", "+", repeat=repeat)]
    assert [p.k for p in _summaries(rows)["target"].pass_at] == ks


def test_pairs_are_the_problems_both_have() -> None:
    rows = outcomes("target", "+--+++ ", seconds=10.0) + outcomes("ssr-m3", "+++++-+", seconds=25.0)
    beside = _summaries(rows)["ssr-m3"].target
    assert beside is not None
    assert (beside.num_problems, beside.num_right, beside.num_target_right) == (6, 5, 4)
    assert beside.gain == 1
    assert beside.p == pytest.approx(1.0)  # 2 against 1
    assert beside.time is not None
    assert (beside.time.value, beside.time.num) == (2.5, 6)
    assert beside.difference is not None
    assert beside.difference.low < 1 / 6 < beside.difference.high


@pytest.mark.parametrize(("concurrency", "interval"), [(1, True), (4, False)])
def test_times_of_one_batch_have_no_interval(concurrency: int, interval: bool) -> None:
    rows = [
        row(method, f"p{n}", seconds=seconds + n, concurrency=concurrency)
        for method, seconds in (("target", 10.0), ("draft", 2.0))
        for n in range(12)
    ]
    beside = _summaries(rows)["draft"].target
    assert beside is not None
    assert beside.time is not None
    assert beside.timed_alone is interval
    assert (beside.time.low < beside.time.value < beside.time.high) is interval
    assert beside.time.value == pytest.approx((24 + 66) / (120 + 66))


def test_mcnemar_looks_at_the_first_repeat_both_have() -> None:
    rows = outcomes("target", "-" * 6) + outcomes("draft", "+" * 6)
    rows += outcomes("target", "+" * 6, repeat=1) + outcomes("draft", "-" * 6, repeat=1)
    beside = _summaries(rows)["draft"].target
    assert beside is not None
    assert (beside.num_problems, beside.num_right, beside.num_target_right) == (6, 6, 0)
    assert beside.p == pytest.approx(2 / 64)


def test_flops_are_ratios_of_sums_and_leave_out_failed_pairs() -> None:
    rows = [
        row("target", "p1", found=result(target_tokens=100, prefill=100)),
        row("target", "p2", found=result(target_tokens=300, prefill=100)),
        row("target", "p3", "failed", seconds=500.0),
        row("parallel-3", "p1", found=result(target_tokens=300, prefill=100), seconds=20.0),
        row("parallel-3", "p2", found=result(target_tokens=900, prefill=100), seconds=40.0),
        row("parallel-3", "p3", found=result(target_tokens=9000), seconds=900.0),
    ]
    beside = _summaries(rows)["parallel-3"].target
    assert beside is not None
    assert beside.num_problems == 3
    assert beside.decode_flops == pytest.approx(3.0)
    assert beside.total_flops == pytest.approx(1400 / 600)
    assert beside.time is not None
    assert (beside.time.value, beside.time.num) == (3.0, 2)


def test_repeats_are_averaged_before_the_time_ratio_is_drawn() -> None:
    rows = [
        row(method, "p1", seconds=seconds, repeat=repeat)
        for method, times in (("target", (10.0, 30.0)), ("draft", (2.0, 6.0)))
        for repeat, seconds in enumerate(times)
    ]
    beside = _summaries(rows)["draft"].target
    assert beside is not None
    assert beside.time == Ratio(0.2, 0.2, 0.2, 1)


@pytest.mark.parametrize("others", [[], outcomes("target", "   +")])
def test_without_common_problems_there_are_no_ratios(others: list[Row]) -> None:
    assert _summaries(outcomes("ssr-m3", "+-+") + others)["ssr-m3"].target is None


def test_acceptance_and_rewrites_are_shares_of_steps() -> None:
    found = result([path([ACCEPTED, REWRITE, REWRITE, ACCEPTED]), path([ACCEPTED] * 4, index=1)])
    rows = [row("ssr-m3", "p1", found=found), row("ssr-m3", "p2", "failed")]
    summary = _summaries(rows)["ssr-m3"]
    assert (summary.acceptance, summary.rewrites) == (6 / 8, 2 / 8)
    assert _summaries(outcomes("target", "+"))["target"].acceptance is None


def test_tokens_and_seconds_are_of_runs_with_a_result() -> None:
    amounts = ((40, 10, 7, 1.0), (20, 30, 9, 2.0), (30, 20, 8, 9.0))
    rows = [
        row(
            "ssr-m3",
            f"p{index}",
            found=result(draft_tokens=draft, target_tokens=target, prefill=prefill),
            seconds=seconds,
        )
        for index, (draft, target, prefill, seconds) in enumerate(amounts)
    ] + [row("ssr-m3", "p4", "failed", seconds=1000.0)]
    summary = _summaries(rows)["ssr-m3"]
    assert (summary.draft_tokens, summary.target_tokens, summary.prefill_tokens) == (30, 20, 16)
    assert (summary.median_s, summary.mean_s) == (2.0, 4.0)
    failed = _summaries(rows[-1:])["ssr-m3"]
    assert (failed.median_s, failed.mean_s, failed.draft_tokens) == (None, None, None)
    assert failed.accuracy is not None
    assert failed.accuracy.value == 0.0
