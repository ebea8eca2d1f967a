from __future__ import annotations

from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ssr_local.core.errors import UsageError
from ssr_local.core.records import Agreement, EffortPlans, KindFigures, PathKind, Profile
from ssr_local.method.plans import parse_plan
from ssr_local.method.prediction import (
    INSTRUCTION_TOKENS,
    PROMPT_TOKENS,
    SELECTION_TOKENS,
    SPREAD,
    Speed,
    break_even,
    correlation_of,
    figures_of,
    figures_on,
    predict,
    undecided,
    written_s,
)

# Rounds: 0.1 s with one row, 0.15 with two, 0.2 with three and so on; the draft four times as fast.
TARGET = Speed(prefill=100, decode=((1, 10), (2, 2 / 0.15), (4, 4 / 0.25)))
DRAFT = Speed(prefill=1000, decode=((1, 40), (2, 2 / 0.0375), (4, 4 / 0.0625)))
SPEEDS = {"draft": DRAFT, "target": TARGET}
PROFILE = Profile(
    quick="prose:target",
    normal="prose:target",
    thorough="prose:target",
    kinds={
        "program:target": KindFigures(tokens=50, answers=0.8, right=0.5),
        "prose:target": KindFigures(tokens=200, answers=0.9, right=0.6),
        "prose:ssd": KindFigures(tokens=200, answers=0.9, right=0.6, acceptance=0.75),
    },
    agree=Agreement(same=40, right=38, num=100),
)
PREFILL_S = (PROMPT_TOKENS + INSTRUCTION_TOKENS) / 100
OFF = -SPREAD * NormalDist().inv_cdf(0.625 / 2.25)
# 0.4 agree; 0.3 would by chance, 0.5 at most: half way.
CORRELATION = 0.5


def seconds(plan: str, **changes: object) -> float:
    return predict(parse_plan(plan), SPEEDS, replace(PROFILE, **changes)).seconds


def test_rounds_are_linear_between_and_beyond_what_was_measured() -> None:
    rows = (0, 0.5, 1, 2, 3, 4, 6)
    expected = (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.35)
    assert [TARGET.round_s(one) for one in rows] == pytest.approx(expected)
    alone = Speed(prefill=1, decode=((1, 10),))
    assert alone.round_s(3) == pytest.approx(0.3)
    odd = Speed(prefill=1, decode=((1, 10), (2, 40), (4, 20)))
    assert [odd.round_s(one) for one in (1, 2, 4)] == pytest.approx([0.1, 0.1, 0.2])


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("prose:target", PREFILL_S + 200 * 0.1),
        ("program:target", PREFILL_S + 50 * 0.1),
        # Of two alike one is shorter, and the other longer by as much.
        ("2 x prose:target", PREFILL_S + 200 * ((1 - OFF) * 0.15 + 2 * OFF * 0.1)),
        # The second form reads its own instruction; two write until the program is done.
        (
            "program:target + prose:target",
            PREFILL_S + INSTRUCTION_TOKENS / 100 + 50 * 0.15 + 150 * 0.1,
        ),
        # A fifth of the programs have no answer.
        (
            "program:target; first; prose:target",
            PREFILL_S + 50 * 0.1 + 0.2 * (INSTRUCTION_TOKENS / 100 + 200 * 0.1),
        ),
        # They agree on 40 of 100.
        (
            "program:target + prose:target; agree; prose:target",
            PREFILL_S + INSTRUCTION_TOKENS / 100 + 50 * 0.15 + 150 * 0.1 + 0.6 * 200 * 0.1,
        ),
        # The shorter one has an answer nine times of ten.
        (
            "2 x prose:target; first",
            PREFILL_S + 200 * ((1 - OFF) * 0.15 + 0.1 * 2 * OFF * 0.1),
        ),
        # Once the program has an answer the prose is not waited for.
        (
            "program:target + prose:target; first",
            PREFILL_S + INSTRUCTION_TOKENS / 100 + 50 * 0.15 + 0.2 * 150 * 0.1,
        ),
        (
            "prose:target@selected",
            PREFILL_S + (SELECTION_TOKENS + 60) / 100 + 200 * 0.1,
        ),
        # A drafted token 0.025, verified 0.01; a quarter written anew and read by the draft.
        (
            "prose:ssd",
            PREFILL_S * 1.1 + 200 * (0.025 + 0.01 + 0.25 * (0.1 + 0.001)),
        ),
        # No figures of its own: as the target's form.
        ("program:draft", (PROMPT_TOKENS + INSTRUCTION_TOKENS) / 1000 + 50 * 0.025),
    ],
)
def test_seconds_by_hand(plan: str, expected: float) -> None:
    assert seconds(plan) == pytest.approx(expected)


def test_a_wave_is_opened_as_often_as_the_rule_does_not_hold() -> None:
    plan = parse_plan("program:target + prose:target; agree; prose:target; agree; prose:target")
    opened = predict(plan, SPEEDS, PROFILE).opened
    assert opened[:2] == pytest.approx((1, 0.6))
    # Of three paths at most one is right, half by one luck (the second best of 0.5, 0.6, 0.6).
    apart = 0.5 * 0.4 * 0.4 + 0.5 * 0.4 * 0.4 + 2 * 0.5 * 0.6 * 0.4
    assert opened[2] == pytest.approx(CORRELATION * 0.4 + (1 - CORRELATION) * apart)


def test_how_alike_paths_are_makes_the_forms_agree_as_measured() -> None:
    assert correlation_of(PROFILE) == pytest.approx(CORRELATION)
    kinds = [figures_of(PathKind(form=form), PROFILE) for form in ("prose", "program")]
    assert undecided("agree", kinds, correlation_of(PROFILE)) == pytest.approx(0.6)
    assert correlation_of(replace(PROFILE, agree=Agreement(same=90, right=90, num=100))) == 1
    assert correlation_of(replace(PROFILE, agree=Agreement(same=9, right=9, num=100))) == 0
    assert correlation_of(None) == 0.5


def test_a_path_that_writes_alone_gains_by_guesses_where_a_second_row_is_cheap() -> None:
    cheap = Speed(prefill=100, decode=((1, 10), (2, 2 / 0.12)))
    # Two of three rounds have a guess, and half of those are two tokens.
    assert written_s(cheap, 1) == pytest.approx((0.1 + 0.66 * 0.02) / 1.33)
    assert written_s(cheap, 1, "program") == pytest.approx((0.1 + 0.39 * 0.02) / 1.195)
    assert written_s(cheap, 2) == pytest.approx(0.06)
    assert written_s(TARGET, 1) == pytest.approx(0.1), "two rows cost half as much again"
    found = predict(parse_plan("prose:target"), {"target": cheap}, PROFILE).seconds
    assert found == pytest.approx(PREFILL_S + 200 * written_s(cheap, 1))


def test_two_ssd_paths_seldom_fill_a_call() -> None:
    # Each is at its drafts in four rounds of five: both in 0.64 of them, one in 0.32.
    rounds = 0.64 * 0.0375 + 0.32 * (0.025 + 0.1) + 0.04 * 0.15
    reading = 2 * (0.8 * 0.01 + 0.2 * 0.001)
    alone = 0.8 * 0.025 + 0.2 * 0.1 + reading / 2
    expected = 250 * ((1 - OFF) * (rounds + reading) + 2 * OFF * alone)
    assert seconds("2 x prose:ssd") == pytest.approx(PREFILL_S * 1.1 + expected)


def test_a_question_after_each_step_is_paid_for() -> None:
    plan = parse_plan("prose:ssd")
    more = predict(plan, SPEEDS, PROFILE, asks=True).seconds - seconds("prose:ssd")
    assert more == pytest.approx(200 * (46 / 40) / 100)


def test_problems_with_a_length_of_their_own() -> None:
    shorter = {"prose:target": KindFigures(tokens=20, right=0.5)}
    plans = EffortPlans(quick="x", normal="x", thorough="x", kinds=shorter)
    none = EffortPlans(quick="x", normal="x", thorough="x")
    known = replace(PROFILE, plans_for={"logic": plans, "code": none})
    assert figures_on(known, "maths") == figures_on(known, "code") == known
    found = figures_on(known, "logic")
    assert found is not None
    assert found.kinds == PROFILE.kinds | shorter
    # Kinds that were not measured are like those of the same form.
    bare = figures_on(replace(known, kinds={}), "logic")
    assert figures_of(PathKind("draft", True), bare).tokens == 20
    assert figures_on(None, "logic") is None


def test_a_decided_vote_ends_a_wave_before_its_longest_path() -> None:
    one = KindFigures(tokens=9, right=0.5)
    assert undecided("decided", [one], 0.5, 2) == 1
    assert [undecided("decided", [one, one], alike, 1) for alike in (0, 1)] == [0.75, 0.5]
    assert undecided("decided", [one], 0.3, 0) == 0.5
    assert undecided("decided", [one] * 3, 0, 0) == 0.5
    three = [seconds(f"3 x prose:target; {rule}") for rule in ("agree", "decided", "all")]
    assert three[0] == three[1] < three[2]


def test_without_a_speed_nothing_is_predicted() -> None:
    with pytest.raises(UsageError, match="speed of the draft"):
        predict(parse_plan("prose:ssd"), {"target": TARGET}, PROFILE)
    assert predict(parse_plan("prose:target"), {"target": TARGET}, None).seconds > 0


PLANS = st.sampled_from(
    [
        "prose:target",
        "program:target + prose:target; agree; 3 x prose:target",
        "program:draft; first; prose:ssd + prose:target; agree; 2 x prose:draft",
        "3 x prose:ssd@selected",
        "4 x prose:ssd; agree",
    ]
)
SHARES = st.floats(0, 1)


@st.composite
def figures(draw: st.DrawFn) -> KindFigures:
    answers = draw(SHARES)
    return KindFigures(
        tokens=draw(st.floats(1, 1000)),
        answers=answers,
        right=answers * draw(SHARES),
        acceptance=draw(SHARES),
    )


KINDS = st.dictionaries(
    st.sampled_from(["prose:target", "program:target", "prose:ssd", "prose:draft"]), figures()
)


@given(PLANS, KINDS, st.floats(1, 3))
def test_slower_models_and_longer_paths_take_longer(
    text: str, kinds: dict[str, KindFigures], factor: float
) -> None:
    plan, profile = parse_plan(text), replace(PROFILE, kinds=kinds)
    found = predict(plan, SPEEDS, profile)
    slower = {
        role: Speed(
            prefill=speed.prefill / factor,
            decode=tuple((rows, rate / factor) for rows, rate in speed.decode),
        )
        for role, speed in SPEEDS.items()
    }
    assert predict(plan, slower, profile).seconds == pytest.approx(factor * found.seconds)
    assert list(found.opened) == sorted(found.opened, reverse=True)
    assert all(0 <= share <= 1 for share in found.opened)
    longer = {name: replace(one, tokens=one.tokens * factor) for name, one in kinds.items()}
    if set(kinds) >= {"prose:target", "program:target", "prose:ssd", "prose:draft"}:
        again = predict(plan, SPEEDS, replace(PROFILE, kinds=longer))
        assert again.seconds >= found.seconds - 1e-9


@given(SHARES, SHARES)
def test_seconds_fall_with_acceptance_and_cross_the_targets_at_the_break_even(
    one: float, two: float
) -> None:
    def at(acceptance: float) -> float:
        own = replace(PROFILE.kinds["prose:ssd"], acceptance=acceptance)
        return seconds("prose:ssd", kinds=PROFILE.kinds | {"prose:ssd": own})

    low, high = sorted((one, two))
    assert at(high) <= at(low) + 1e-9
    even = break_even(DRAFT, TARGET, 1)
    assert even is not None
    reads = (PROMPT_TOKENS + INSTRUCTION_TOKENS) / 1000
    assert at(even) == pytest.approx(seconds("prose:target") + reads)


@given(st.lists(figures(), max_size=6), figures(), SHARES)
def test_another_path_never_makes_agreement_rarer(
    ended: list[KindFigures], more: KindFigures, correlation: float
) -> None:
    for rule in ("first", "agree"):
        before = undecided(rule, ended, correlation)
        after = undecided(rule, [*ended, more], correlation)
        assert -1e-9 <= after <= before + 1e-9 <= 1 + 2e-9
