"""The paragraph in plain words: every branch of its rules."""

from __future__ import annotations

import pytest

from ssr_local.bench.records import Row
from ssr_local.bench.report.arrangement import arrange
from ssr_local.bench.report.summary import AgainstTarget, summarise
from ssr_local.bench.report.tradeoff import trade
from ssr_local.bench.report.verdict import Plain, Worth, in_plain_words, worth
from ssr_local.bench.statistics import Interval, Ratio
from tests.unit.bench.report.made_rows import outcomes, result, row


def _plain(rows: list[Row]) -> Plain:
    (runs,), _ = arrange(rows)
    return in_plain_words(
        task=runs.task,
        concurrency=runs.concurrency,
        summaries=summarise(runs),
        tradeoff=trade(runs),
    )


def _beside(
    gain: int,
    p: float,
    low: float,
    high: float,
    *,
    num: int = 20,
    num_problems: int = 20,
    num_target_right: int = 10,
    timed_alone: bool = True,
) -> AgainstTarget:
    return AgainstTarget(
        num_problems=num_problems,
        num_right=num_target_right + gain,
        num_target_right=num_target_right,
        p=p,
        difference=Interval(-0.2, 0.3),
        accuracy=None,
        target_accuracy=None,
        same_runs=True,
        decode_flops=None,
        total_flops=None,
        time=Ratio((low + high) / 2, low, high, num),
        timed_alone=timed_alone,
    )


FASTER, OPEN, SLOWER = (0.4, 0.8), (0.8, 1.2), (1.5, 3.0)


@pytest.mark.parametrize(
    ("gain", "p", "time", "found"),
    [
        (5, 0.01, FASTER, "pays twice"),
        (5, 0.01, OPEN, "pays in accuracy"),
        (5, 0.01, SLOWER, "buys accuracy with time"),
        (5, 0.2, FASTER, "pays in time"),
        (5, 0.06, FASTER, "pays in time"),
        (0, 1.0, FASTER, "pays in time"),
        (-5, 0.2, FASTER, "pays in time"),
        (-5, 0.19, FASTER, "not shown to pay"),  # likely less accurate
        (5, 0.2, OPEN, "not shown to pay"),
        (5, 0.2, SLOWER, "not shown to pay"),
        (5, 0.06, SLOWER, "not shown to pay"),
        (-5, 0.2, SLOWER, "not shown to pay"),
        (-5, 0.01, FASTER, "buys time with accuracy"),
        (-5, 0.01, OPEN, "costs accuracy"),
        (-5, 0.01, SLOWER, "costs accuracy"),
        (5, 0.05, OPEN, "not shown to pay"),  # only below 0.05 is shown
        (0, 1.0, (1.0, 2.0), "not shown to pay"),  # an interval that touches 1
        (-10, 0.001, FASTER, "solved nothing"),
    ],
)
def test_what_two_differences_come_to(
    gain: int, p: float, time: tuple[float, float], found: Worth
) -> None:
    assert worth(_beside(gain, p, *time)) == found


def test_too_few_timed_problems_decide_nothing() -> None:
    assert worth(_beside(5, 0.01, *FASTER, num=9)) is None
    assert worth(_beside(5, 0.01, *FASTER, num=10)) == "pays twice"
    assert worth(_beside(5, 0.01, *FASTER, timed_alone=False)) is None


@pytest.mark.parametrize(
    ("gain", "num", "found"),
    [
        (-1, 10, "pays in time"),  # ten points, the tolerance
        (-2, 19, "not shown to pay"),
        (-2, 20, "pays in time"),
        (2, 10, "pays in time"),
    ],
)
def test_on_few_problems_little_accuracy_is_let_pass(gain: int, num: int, found: Worth) -> None:
    assert worth(_beside(gain, 0.5, *FASTER, num_problems=num, num_target_right=5)) == found


def test_neither_solved_anything() -> None:
    assert worth(_beside(0, 1.0, *FASTER, num_target_right=0)) == "solved nothing"


SLOW = {"seconds": 40.0}


@pytest.mark.parametrize(
    ("rows", "told", "not_told"),
    [
        pytest.param(
            outcomes("target", "+-" * 6) + outcomes("ssr-m3", "+-" * 5 + "++", **SLOW),
            [
                "ssr-m3 solved 7 of 12, the target alone 6: no difference in accuracy could be"
                " shown (exact McNemar p 1.00, 95 % interval of the difference -12.3 to 27.3"
                " points).",
                "4.00 times the target's time",
                "It is not shown to pay here: 4.00 times the time for a gain between -12.3 and 27.3"
                " points.",
                "Use target here",
                "could not be told apart from the best on 12 problems, ssr-m3 (58.3 % right",
            ],
            ["more, and that is shown", "use ssr", "does not pay"],
            id="no difference, slower",
        ),
        pytest.param(
            outcomes("target", "-" * 12) + outcomes("ssr-m3", "+" * 12, **SLOW),
            [
                "100 points more, and that is shown (exact McNemar p < 0.001, ",
                "pays here where right answers are worth that much more time",
                "Use ssr-m3 here: every other method was shown to be less accurate.",
            ],
            ["no difference", "does not pay"],
            id="more right, slower",
        ),
        pytest.param(
            outcomes("target", "+" * 12) + outcomes("ssr-m3", "+" + "-" * 11, **SLOW),
            ["91.7 points fewer, and that is shown", "loses right answers", "Use target here"],
            [": -91.7"],
            id="fewer right",
        ),
        pytest.param(
            outcomes("target", "+" * 12) + outcomes("ssr-m3", "+" * 12, seconds=4.0),
            [
                "0.40 times",
                "pays here in time: a loss of accuracy for it is not likely, though up to",
                "points lost cannot be ruled out",
                "Use ssr-m3 here: none is faster than its 4.00 s a problem, none got more right"
                " (100 %).",
            ],
            ["does not pay", "not shown to pay"],
            id="as good, faster",
        ),
        pytest.param(
            outcomes("target", "+" * 10 + "--") + outcomes("draft", "+" * 6 + "-" * 6, seconds=1.0),
            [
                "SSR as it is, without a change, was not run",
                "Use target here if right answers count for more than time: of what is faster,"
                " draft (p 0.12) likely is less accurate, but that was not shown.",
            ],
            ["is shown", "Use draft"],
            id="less accurate, likely though not shown",
        ),
        pytest.param(
            outcomes("target", "+" * 20 + "--") + outcomes("draft", "+" * 18 + "----", seconds=1.0),
            [
                "Use draft here: at 1.00 s a problem it is the fastest of the methods that could"
                " not be told apart from the best on 22 problems, target (90.9 % right against"
                " 81.8 %, p 0.50).",
            ],
            ["is shown"],
            id="less accurate, but not even likely",
        ),
        pytest.param(
            outcomes("target", "+" * 10 + "--") + outcomes("draft", "+" * 8 + "----", seconds=1.0),
            [
                "Which method to use cannot be said: draft is faster than target, 16.7 points less"
                " accurate, and 12 problems are too few to tell whether that is chance (p 0.50).",
            ],
            ["Use "],
            id="less accurate on few problems",
        ),
        pytest.param(
            outcomes("target", "+" * 10 + "-" * 14)
            + outcomes("ssr-m3", "+" * 15 + "-" * 9, **SLOW),
            [
                "20.8 points more, a difference that is likely, but not shown (exact McNemar"
                " p 0.062",
                "It is not shown to pay here: 4.00 times the time for a gain between",
                "Use ssr-m3 here if right answers count for more than time: of what is faster,"
                " target (p 0.062) likely is less accurate, but that was not shown.",
            ],
            ["does not pay", "told apart"],
            id="more accurate, likely though not shown, and slower",
        ),
        pytest.param(
            outcomes("target", "+" * 15 + "-" * 9)
            + outcomes("ssr-m3", "+" * 10 + "-" * 14, seconds=4.0),
            [
                "20.8 points fewer, a difference that is likely, but not shown",
                "It is not shown to pay here: 0.40 times the time",
                "Use target here if right answers count for more than time",
            ],
            ["pays here in time", "Use ssr-m3"],
            id="less accurate, likely though not shown, and faster",
        ),
        pytest.param(
            outcomes("target", "+++--") + outcomes("draft", "-----", seconds=1.0),
            ["Which method to use cannot be said: that takes at least two methods and 10"],
            ["Use "],
            id="five problems",
        ),
        pytest.param(
            outcomes("target", "-" * 24) + outcomes("ssr-m3", "-" * 24, seconds=1.0),
            [
                "It solved nothing here",
                "Which method to use cannot be said: none of them solved a single problem.",
            ],
            ["Use ", "It pays", "0.00 %"],
            id="nothing solved",
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
                "On 4 problems, those of ssr-m3 and the target, no difference in accuracy can be"
                " shown, however large it is.",
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
            [
                "12 problems, 4 at once, up to 2 times each",
                "first repeat of each",
                "1.00 times the target's time; problems of one batch share its time, so that has no"
                " interval, and whether it pays is not said.",
                "Times have no intervals here",
            ],
            ["one after another", "It pays", "not shown to pay"],
            id="repeats, several at once",
        ),
        pytest.param(
            outcomes("target", "+" * 12) + outcomes("ssr-m3", "+" * 12) + outcomes("draft", "++"),
            [
                "2 to 12 problems, by method",
                "Left out of the advice for having done too little: draft.",
                "not corrected for the number of methods",
                "On 12 problems, those of ssr-m3 and the target, a difference in accuracy shows"
                " only when at least 6 of them (50.0 %) fall to one side, more if some fall to the"
                " other;",
            ],
            ["Times have no intervals"],
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
        (400, 0, "foretold 4.00 times, and the clock cannot be told from it;"),
        (50, 0, "foretold 0.50 times, and the clock does not agree;"),
        (150, 0, "foretold 1.50 times, and the clock agrees in direction but says more;"),
        (900, 0, "foretold 9.00 times, and the clock agrees in direction but says less;"),
        (100, 300, "foretold 1.00 times, and the clock does not agree; with prefill counted it is"
         " 4.00 times, and the clock cannot be told from it."),
    ],
)  # fmt: skip
def test_what_flops_foretold(tokens: int, prefill: int, told: str) -> None:
    rows = [
        one
        for n in range(10)
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
