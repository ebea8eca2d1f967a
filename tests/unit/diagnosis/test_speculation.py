from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.diagnosis.speculation import Speculation, estimate, judge
from ssr_local.method.prediction import Speed
from ssr_local.method.verification import VERIFIERS


def speed(prefill: float, decode_one: float, decode_three: float | None = None) -> Speed:
    return Speed(prefill=prefill, decode=((1, decode_one), (3, decode_three or decode_one)))


RATE = st.floats(0.01, 1e5)


@pytest.mark.parametrize(
    ("draft", "target", "num_paths", "verifier", "all_kept", "half_kept"),
    [
        # The draft 10 times as fast, verification 20 times: 2 * (1/20 + 1/40).
        (speed(100, 20), speed(40, 2), 1, "likelihood", 0.15, 0.15 + 2 * (1 / 2 + 1 / 100) / 2),
        (speed(100, 9, 20), speed(40, 9, 2), 3, "likelihood", 0.15, 0.47111),
        # 46 tokens of question to 40 of step are verified too.
        (speed(100, 20), speed(40, 2), 1, "digit", 2 * (1 / 20 + 2.15 / 40), None),
        # Prefill no faster than decoding: nothing can be won.
        (speed(100, 50), speed(10, 10), 1, "likelihood", 10 * (1 / 50 + 1 / 10), None),
    ],
)
def test_estimate(
    draft: Speed,
    target: Speed,
    num_paths: int,
    verifier: str,
    all_kept: float,
    half_kept: float | None,
) -> None:
    found = estimate(draft, target, num_paths, verifier)
    assert found.num_paths == num_paths
    assert found.all_kept == pytest.approx(all_kept)
    if half_kept is not None:
        assert found.half_kept == pytest.approx(half_kept, rel=1e-4)


@given(RATE, RATE, RATE, RATE, st.sampled_from(list(VERIFIERS)))
def test_break_even_is_where_both_are_equally_fast(
    draft_prefill: float, draft_decode: float, prefill: float, decode: float, verifier: str
) -> None:
    found = estimate(speed(draft_prefill, draft_decode), speed(prefill, decode), 1, verifier)
    assert (found.break_even is None) == (found.all_kept > 1 + 1e-9) or found.all_kept == (
        pytest.approx(1)
    )
    assert found.half_kept >= found.all_kept
    if found.break_even is not None:
        assert 0 <= found.break_even <= 1
        kept = found.break_even
        slope = 2 * (found.half_kept - found.all_kept)
        assert found.all_kept + (1 - kept) * slope == pytest.approx(1)


@pytest.mark.parametrize(
    ("all_kept", "break_even", "disturbed", "state", "words"),
    [
        (0.4, 0.55, False, "ok", "can be faster"),
        (0.4, 0.55, False, "ok", "at least 55 % are kept"),
        (1.4, None, False, "warning", "slower than the target alone"),
        (0.4, 0.55, True, "warning", "disturbed speeds can be faster"),
        (1.4, None, True, "warning", "disturbed speeds slower"),
    ],
)
def test_judge(
    all_kept: float, break_even: float | None, disturbed: bool, state: str, words: str
) -> None:
    finding = judge(
        Speculation(num_paths=3, all_kept=all_kept, half_kept=2.0, break_even=break_even), disturbed
    )
    assert finding.name == "SSR, 3 paths"
    assert finding.state == state
    assert words in finding.value
    assert f"{all_kept:.2f} times" in finding.value
    assert bool(finding.advice) is (state == "warning")
