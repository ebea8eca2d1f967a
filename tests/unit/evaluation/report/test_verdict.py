"""The paragraph in plain words: every branch of its rules."""

from __future__ import annotations

import pytest

from ssr_local.evaluation.records import Row
from ssr_local.evaluation.report.arrangement import arrange
from ssr_local.evaluation.report.shares import share
from ssr_local.evaluation.report.summary import AgainstTarget, summarise
from ssr_local.evaluation.report.tradeoff import Point, Tradeoff, trade
from ssr_local.evaluation.report.verdict import Plain, Worth, in_plain_words, recommended, worth
from ssr_local.evaluation.statistics import Ratio
from tests.unit.evaluation.report.made_rows import outcomes, result, row


def _plain(rows: list[Row]) -> Plain:
    (runs,), _ = arrange(rows)
    return in_plain_words(
        task=runs.task,
        concurrency=runs.concurrency,
        summaries=summarise(runs),
        tradeoff=trade(runs),
    )


def _beside(gain: int, p: float, low: float, high: float, num: int = 20) -> AgainstTarget:
    return AgainstTarget(
        num_problems=20,
        num_right=10 + gain,
        num_target_right=10,
        p=p,
        decode_flops=None,
        total_flops=None,
        time=Ratio((low + high) / 2, low, high, num),
    )


FASTER, OPEN, SLOWER = (0.4, 0.8), (0.8, 1.2), (1.5, 3.0)


@pytest.mark.parametrize(
    ("gain", "p", "time", "found"),
    [
        (5, 0.01, FASTER, "pays twice"),
        (5, 0.01, OPEN, "pays in accuracy"),
        (5, 0.01, SLOWER, "buys accuracy with time"),
        (5, 0.2, FASTER, "pays in time"),
        (5, 0.2, OPEN, "nothing shown"),
        (5, 0.2, SLOWER, "costs time"),
        (-5, 0.2, SLOWER, "costs time"),
        (-5, 0.01, FASTER, "buys time with accuracy"),
        (-5, 0.01, OPEN, "costs accuracy"),
        (-5, 0.01, SLOWER, "costs accuracy"),
        (5, 0.05, OPEN, "nothing shown"),  # only below 0.05 is shown
        (0, 1.0, (1.0, 2.0), "nothing shown"),  # an interval that touches 1
    ],
)
def test_what_two_differences_come_to(
    gain: int, p: float, time: tuple[float, float], found: Worth
) -> None:
    assert worth(_beside(gain, p, *time)) == found


def test_too_few_timed_problems_decide_nothing() -> None:
    assert worth(_beside(5, 0.01, *FASTER, num=4)) is None
    assert worth(_beside(5, 0.01, *FASTER, num=5)) == "pays twice"


SLOW = {"seconds": 40.0}


@pytest.mark.parametrize(
    ("rows", "told", "not_told"),
    [
        pytest.param(
            outcomes("target", "+-" * 6) + outcomes("ssr-m3", "+-" * 5 + "++", **SLOW),
            [
                "ssr-m3 solved 7 of 12, the target alone 6: no difference in accuracy could be"
                " shown (exact McNemar p 1.00).",
                "4.00 times the target's time",
                "does not pay here",
                "Use target here",
            ],
            ["more, and that is shown", "use ssr"],
            id="no difference, slower",
        ),
        pytest.param(
            outcomes("target", "-" * 12) + outcomes("ssr-m3", "+" * 12, **SLOW),
            [
                "100 points more, and that is shown (exact McNemar p < 0.001)",
                "pays here where right answers are worth that much more time",
                "Use ssr-m3 here: every other method was shown to be less accurate.",
            ],
            ["no difference", "does not pay"],
            id="more right, slower",
        ),
        pytest.param(
            outcomes("target", "+" * 12) + outcomes("ssr-m3", "-" * 12, **SLOW),
            ["100 points fewer, and that is shown", "loses right answers", "Use target here"],
            ["-100"],
            id="fewer right",
        ),
        pytest.param(
            outcomes("target", "+" * 12) + outcomes("ssr-m3", "+" * 12, seconds=4.0),
            ["0.40 times", "pays here in time", "Use ssr-m3 here", "and the best itself"],
            ["does not pay"],
            id="as good, faster",
        ),
        pytest.param(
            outcomes("target", "+" * 10 + "--") + outcomes("draft", "+" * 6 + "-" * 6, seconds=1.0),
            [
                "No SSR method was run",
                "Use target here: at 10.0 s a problem it is the fastest",
                "may well be as accurate as the best, and the best itself (83.3 % right)",
            ],
            ["is shown", "Use draft"],
            id="less accurate, likely though not shown",
        ),
        pytest.param(
            outcomes("target", "+" * 10 + "--") + outcomes("draft", "+" * 8 + "----", seconds=1.0),
            [
                "Use draft here: at 1.00 s a problem it is the fastest",
                "as accurate as the best, target (83.3 % right against 66.7 %: on 12 problems 16.7"
                " points could not be told from chance, p 0.50)",
            ],
            ["is shown"],
            id="less accurate, but not even likely",
        ),
        pytest.param(
            outcomes("ssr-m3", "+-" * 6) + outcomes("draft", "+-" * 6, seconds=1.0),
            ["The target alone was not run, so whether SSR pays cannot be said.", "Use draft"],
            ["the target's time"],
            id="no target",
        ),
        pytest.param(
            outcomes("target", "++  ") + outcomes("ssr-m3", "  ++"),
            ["have no problem in common yet", "Which method to use cannot be said"],
            ["Use "],
            id="nothing in common",
        ),
        pytest.param(
            outcomes("target", "+-+-") + outcomes("ssr-m3", "++++", **SLOW),
            [
                "on 4 problems that both finished: too few to say whether it pays",
                "Which method to use cannot be said",
                "On 4 problems no difference in accuracy can be shown, however large it is.",
            ],
            ["does not pay", "It pays"],
            id="too few",
        ),
        pytest.param(
            outcomes("target", "!!!!!!") + outcomes("ssr-m3", "++++++"),
            ["Time could not be compared."],
            [],
            id="no target run finished",
        ),
        pytest.param(
            outcomes("target", "+" * 12)
            + outcomes("target", "+" * 12, repeat=1)
            + outcomes("ssr-m3", "+" * 12, concurrency=1),
            ["up to 2 times each"],
            ["first repeat"],  # ssr-m3 has one
            id="repeats of the target alone",
        ),
        pytest.param(
            [
                one
                for repeat in range(2)
                for name in ("target", "ssr-m3")
                for one in outcomes(name, "+" * 12, repeat=repeat, concurrency=4)
            ],
            ["12 problems, 4 at once, up to 2 times each", "first repeat of each"],
            ["one after another"],
            id="repeats, several at once",
        ),
        pytest.param(
            outcomes("target", "+" * 12) + outcomes("ssr-m3", "+" * 12) + outcomes("draft", "++"),
            [
                "2 to 12 problems, by method",
                "Left out of the advice for having done too little: draft.",
                "not corrected for the number of methods",
            ],
            [],
            id="one method has done little",
        ),
        pytest.param(
            outcomes("target", "+" * 301) + outcomes("draft", "+" * 301),
            ["Use target here"],
            ["fall to one side", "not corrected"],
            id="many problems, one comparison",
        ),
    ],
)
def test_paragraph(rows: list[Row], told: list[str], not_told: list[str]) -> None:
    text = _plain(rows).text
    for part in told:
        assert part in text
    for part in not_told:
        assert part not in text


@pytest.mark.parametrize(
    ("tokens", "prefill", "told"),
    [
        (400, 0, "foretold 4.00 times, and the clock agrees;"),
        (50, 0, "foretold 0.50 times, and the clock does not agree;"),
        (150, 0, "foretold 1.50 times, and the clock agrees in direction but says more;"),
        (900, 0, "foretold 9.00 times, and the clock agrees in direction but says less;"),
        (100, 300, "foretold 1.00 times, and the clock does not agree; with prefill counted it is"
         " 4.00 times, and the clock agrees."),
    ],
)  # fmt: skip
def test_what_flops_foretold(tokens: int, prefill: int, told: str) -> None:
    rows = [
        one
        for n in range(8)
        for one in (
            row("target", f"p{n}", found=result(target_tokens=100, prefill=0)),
            row("ssr-m3", f"p{n}", found=result(target_tokens=tokens, prefill=prefill), **SLOW),
        )
    ]
    assert told in _plain(rows).text


def test_every_plain_ssr_method_has_its_sentence_and_ablations_have_none() -> None:
    methods = ("target", "ssr-m3", "ssr-m5-fast1", "ssr-m3+none")
    rows = [one for method in methods for one in outcomes(method, "+" * 6)]
    assert [finding.method for finding in _plain(rows).findings] == ["ssr-m3", "ssr-m5-fast1"]


def _point(method: str, right: int, seconds: float | None, p_best: float | None) -> Point:
    accuracy = share(right / 20, 20)
    assert accuracy is not None
    return Point(
        method=method,
        accuracy=accuracy,
        seconds=None if seconds is None else Ratio(seconds, seconds, seconds, 20),
        decode_flops=None,
        total_flops=None,
        p_best=p_best,
    )


@pytest.mark.parametrize(
    ("points", "num_timed", "use"),
    [
        ([("a", 18, 9.0, None), ("b", 15, 5.0, 0.3), ("c", 5, 1.0, 0.001)], 20, "b"),
        ([("a", 18, 9.0, None), ("b", 15, 5.0, 0.2)], 20, "b"),
        ([("a", 18, 9.0, None), ("b", 15, 5.0, 0.19)], 20, "a"),
        ([("a", 18, 4.0, None), ("b", 15, 5.0, 0.3)], 20, "a"),
        ([("a", 18, 9.0, None), ("b", 15, 5.0, 0.3)], 4, None),
        ([("a", 18, 9.0, None)], 20, None),
        ([("a", 18, None, None), ("b", 15, None, 0.3)], 20, None),
        ([], 0, None),
    ],
)
def test_the_fastest_that_is_likely_no_worse_is_recommended(
    points: list[tuple[str, int, float | None, float | None]], num_timed: int, use: str | None
) -> None:
    tradeoff = Tradeoff(
        num_problems=20,
        num_timed=num_timed,
        left_out=(),
        best=points[0][0] if points else None,
        points=tuple(_point(*point) for point in points),
        rates=(),
        decode_correlation=None,
        total_correlation=None,
    )
    found = recommended(tradeoff)
    assert (found.method if found else None) == use
