from __future__ import annotations

import time

import pytest

from ssr_local.answers import comparer
from ssr_local.answers.comparer import Comparer
from ssr_local.core.records import Comparison
from ssr_local.process.helper import Helper

SLOW = (r"\int_0^1 \frac{\ln(1+x)}{1+x^2}dx", r"\frac{\pi}{8}\ln 2")


def test_each_pair_is_compared_once_in_either_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def compare(a: str, b: str, **_: object) -> Comparison:
        asked.append((a, b))
        return "different"

    monkeypatch.setattr(comparer, "compare", compare)
    compared = Comparer(None)
    assert {compared("1", "2"), compared("2", "1"), compared("1", "2")} == {"different"}
    assert asked == [("1", "2")]


def test_once_stopped_nothing_slow_is_begun_and_nothing_half_known_remembered() -> None:
    stopped = True
    with Helper() as helper:
        compared = Comparer(helper, lambda: stopped)
        assert compared("x+1", "1+x") == "undecided"
        assert compared("1/2", "0.5") == "equal"
        assert helper.pid is None
        stopped = False
        assert compared("x+1", "1+x") == "equal"


def test_a_comparison_under_way_ends_with_the_run() -> None:
    with Helper() as helper:
        assert Comparer(helper)("x+1", "1+x") == "equal"  # the algebra is loaded now
        started = time.monotonic()
        compared = Comparer(helper, lambda: time.monotonic() > started + 0.3)
        assert compared(*SLOW) == "undecided"
        assert time.monotonic() - started < 4  # and not the five seconds of a comparison
