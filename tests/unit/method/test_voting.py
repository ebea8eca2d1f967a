from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.records import Comparison, ReasoningPath, Step, VoteGroup
from ssr_local.method.voting import Ballot, best_path, group


def _same_number(one: str, other: str) -> Comparison:
    return "equal" if float(one) == float(other) else "different"


def _ballots(
    *rows: tuple[str, float | None] | tuple[str, float | None, float | None],
) -> list[Ballot]:
    return [
        Ballot(index, row[0], row[1], row[2] if len(row) == 3 else None)
        for index, row in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("ballots", "answer", "paths"),
    [
        pytest.param(_ballots(("5", None)), "5", (0,), id="one alone"),
        pytest.param(_ballots(("1", 9.0), ("2", 1.0), ("2.0", 1.0)), "2", (1, 2), id="largest"),
        pytest.param(_ballots(("1", 5.0), ("2", 8.0), ("3", 7.0)), "2", (1,), id="all differ"),
        pytest.param(
            _ballots(("1", 9.0), ("2", 8.0), ("1", 2.0), ("2", 7.9), ("3", 9.0)),
            "1",
            (0, 2),
            id="a tie: the best path, not the best mean, among the largest",
        ),
        pytest.param(_ballots(("1", None), ("2", 0.0)), "2", (1,), id="no score is lowest"),
        pytest.param(
            _ballots(("1", float("nan")), ("2", 0.0)), "2", (1,), id="not a number is no score"
        ),
        pytest.param(
            _ballots(("1", 7.0, 0.1), ("2", 7.0, 0.6), ("3", 7.0, None)),
            "2",
            (1,),
            id="then the selection score",
        ),
        pytest.param(
            [Ballot(0, "1", None, None, 0.7), Ballot(1, "2", None, None, 0.9)],
            "2",
            (1,),
            id="then the confidence",
        ),
        pytest.param(_ballots(("7", 7.0, 0.5), ("3", 7.0, 0.5)), "3", (1,), id="then the alphabet"),
    ],
)
def test_the_winner(ballots: list[Ballot], answer: str, paths: tuple[int, ...]) -> None:
    winner = group(ballots, _same_number)[0]
    assert (winner.answer, winner.paths, winner.winner) == (answer, paths, True)


@pytest.mark.parametrize(
    ("refuted", "answer", "order"),
    [
        ({1, 2}, "1", [(0,), (1, 2)]),
        ({1}, "2", [(1, 2), (0,)]),
        ({0}, "2", [(1, 2), (0,)]),
        ({0, 1, 2}, "2", [(1, 2), (0,)]),
    ],
)
def test_paths_without_refuted_steps_come_first(
    refuted: set[int], answer: str, order: list[tuple[int, ...]]
) -> None:
    ballots = [
        Ballot(path, text, score, None, refuted=path in refuted)
        for path, (text, score) in enumerate([("1", 1.0), ("2", 9.0), ("2", 9.0)])
    ]
    groups = group(ballots, _same_number)
    assert (groups[0].answer, groups[0].winner) == (answer, True)
    assert [one.paths for one in groups] == order
    assert {path for one in groups for path in one.refuted} == refuted


@pytest.mark.parametrize(
    ("forms", "shown"),
    [
        (["0.50", "0.5", "0.50"], "0.50"),
        (["0.50", "0.5"], "0.5"),
        (["5e-1", "0.50"], "0.50"),
    ],
)
def test_the_form_shown_is_the_most_frequent_then_the_shortest(
    forms: list[str], shown: str
) -> None:
    assert group(_ballots(*((form, None) for form in forms)), _same_number)[0].answer == shown


def test_groups_come_by_size_after_the_winner_with_their_mean_scores() -> None:
    ballots = _ballots(("1", 3.0), ("2", 4.0), ("2", 6.0), ("3", 9.0), ("3", None), ("3", 5.0))
    assert group(ballots, _same_number) == (
        VoteGroup(answer="3", paths=(3, 4, 5), mean_score=7.0, winner=True),
        VoteGroup(answer="2", paths=(1, 2), mean_score=5.0),
        VoteGroup(answer="1", paths=(0,), mean_score=3.0),
    )


def test_a_chain_of_equal_pairs_is_one_group() -> None:
    pairs = {("a", "b"), ("b", "c")}
    ballots = _ballots(("c", 1.0), ("a", 2.0), ("b", 3.0), ("d", 9.0))
    groups = group(ballots, lambda one, other: "equal" if (one, other) in pairs else "undecided")
    assert [item.paths for item in groups] == [(0, 1, 2), (3,)]


@pytest.mark.parametrize(
    ("answers", "largest"),
    [
        (["0.5", "50", "50%", "7", "7", "7"], {"7"}),
        (["0.5", "50", "50", "50%", "7", "7"], {"50", "50%"}),
        (["0.5", "0.5", "50", "50%", "7", "7"], {"0.5", "50%"}),
    ],
)
def test_a_chain_does_not_join_what_is_different(answers: list[str], largest: set[str]) -> None:
    def compare(one: str, other: str) -> Comparison:
        return "equal" if "50%" in (one, other) and "7" not in (one, other) else "different"

    winner = group(_ballots(*((answer, None) for answer in answers)), compare)[0]
    assert {answers[path] for path in winner.paths} == largest


def test_each_distinct_pair_is_asked_once_at_most() -> None:
    asked: list[tuple[str, str]] = []

    def same(one: str, other: str) -> Comparison:
        asked.append((one, other))
        return "different"

    group(_ballots(*((answer, None) for answer in "cabcabca")), same)
    assert sorted(asked) == [("a", "b"), ("a", "c"), ("b", "c")]


_SCORES = st.none() | st.floats(0, 9)


@given(
    rows=st.lists(st.tuples(st.sampled_from("abcdef"), _SCORES, _SCORES), max_size=12),
    equal=st.sets(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"))),
    seed=st.integers(),
)
def test_grouping_is_a_partition_with_one_winner_in_any_order(
    rows: list[tuple[str, float | None, float | None]], equal: set[tuple[str, str]], seed: int
) -> None:
    ballots = _ballots(*rows)

    def compare(one: str, other: str) -> Comparison:
        return "equal" if (one, other) in equal else "undecided"

    groups = group(ballots, compare)
    assert sorted(path for item in groups for path in item.paths) == list(range(len(rows)))
    assert [item.winner for item in groups] == [True, *[False] * (len(groups) - 1)][: len(groups)]
    assert all(len(groups[0].paths) >= len(item.paths) for item in groups)
    holders: dict[str, set[int]] = {}
    for position, item in enumerate(groups):
        for path in item.paths:
            holders.setdefault(ballots[path].answer, set()).add(position)
        assert item.answer in {ballots[path].answer for path in item.paths}
    assert all(len(positions) == 1 for positions in holders.values())
    shuffled = random.Random(seed).sample(ballots, len(ballots))
    assert group(shuffled, compare) == groups


def _path(index: int, mean_score: float | None, num_steps: int) -> ReasoningPath:
    return ReasoningPath(
        index=index,
        strategy="A",
        strategy_name="algebra",
        selection_score=None,
        steps=tuple(Step(text="step", author="draft") for _ in range(num_steps)),
        mean_score=mean_score,
    )


@pytest.mark.parametrize(
    ("paths", "best"),
    [
        ([], None),
        ([_path(4, None, 0)], 4),
        ([_path(0, None, 9), _path(1, 0.0, 1)], 1),
        ([_path(0, 5.0, 9), _path(1, 6.0, 1)], 1),
        ([_path(0, 6.0, 1), _path(1, 6.0, 2)], 1),
        ([_path(2, 6.0, 2), _path(1, 6.0, 2)], 1),
        ([_path(0, float("nan"), 9), _path(1, 1.0, 1)], 1),
    ],
)
def test_the_best_partial_path(paths: list[ReasoningPath], best: int | None) -> None:
    assert best_path(paths) == best
