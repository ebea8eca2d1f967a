"""From the paths' answers to the final one, and when to stop early (ssr.md, section 3)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Literal

from msgspec import Struct

from ssr_local.records import ReasoningPath, VoteGroup

_LOWEST = float("-inf")


class Ballot(Struct, frozen=True):
    """The vote of one path that finished with an answer.

    ``mean_score`` is the mean of its steps' scores (0 to 9), ``selection_score`` the
    probability its strategy was chosen with; None where there is none.
    """

    path: int
    answer: str
    mean_score: float | None
    selection_score: float | None


def group(ballots: Sequence[Ballot], same: Callable[[str, str], bool]) -> tuple[VoteGroup, ...]:
    """The ballots by equivalent answers, the winner first, then by size.

    The largest group wins. Among equally large ones the path with the highest mean score
    decides, then the highest selection score, then the answers' alphabetical order.
    ``same`` is asked once a pair of distinct answers at most, the alphabetically smaller
    one first; answers connected by a chain of equal pairs form one group, so the order of
    the ballots changes nothing. A group's ``answer`` is its most frequent form, then the
    shortest; its ``mean_score`` is the mean of its paths' scores.
    """
    groups = sorted(
        (
            [ballot for ballot in ballots if ballot.answer in forms]
            for forms in _connected(sorted({ballot.answer for ballot in ballots}), same)
        ),
        key=_rank,
    )
    return tuple(
        VoteGroup(
            answer=_representative(members),
            paths=tuple(sorted(ballot.path for ballot in members)),
            mean_score=_mean(ballot.mean_score for ballot in members),
            winner=place == 0,
        )
        for place, members in enumerate(groups)
    )


def early_exit(mode: Literal["full", "fast1", "fast2"], groups: Sequence[VoteGroup]) -> bool:
    """Whether the votes so far are enough: never, at the first answer, when two agree."""
    if mode == "fast1":
        return bool(groups)
    if mode == "fast2":
        return any(len(item.paths) >= 2 for item in groups)
    return False


def best_path(paths: Sequence[ReasoningPath]) -> int | None:
    """The path to show when none finished with an answer, None without paths.

    The highest mean score, then the most steps, then the lowest index.
    """
    if not paths:
        return None
    best = min(paths, key=lambda path: (-_score(path.mean_score), -len(path.steps), path.index))
    return best.index


def _connected(answers: list[str], same: Callable[[str, str], bool]) -> list[set[str]]:
    parent = {answer: answer for answer in answers}

    def root(answer: str) -> str:
        while parent[answer] != answer:
            answer = parent[answer]
        return answer

    for one, other in combinations(answers, 2):
        if root(one) != root(other) and same(one, other):
            parent[root(other)] = root(one)
    roots = sorted({root(answer) for answer in answers})
    return [{answer for answer in answers if root(answer) == top} for top in roots]


def _rank(members: list[Ballot]) -> tuple[int, float, float, str]:
    return (
        -len(members),
        -max(_score(ballot.mean_score) for ballot in members),
        -max(_score(ballot.selection_score) for ballot in members),
        _representative(members),
    )


def _representative(members: list[Ballot]) -> str:
    counts = Counter(ballot.answer for ballot in members)
    return min(counts, key=lambda answer: (-counts[answer], len(answer), answer))


def _score(score: float | None) -> float:
    return _LOWEST if score is None or math.isnan(score) else score


def _mean(scores: Iterable[float | None]) -> float | None:
    known = [score for score in scores if score is not None and not math.isnan(score)]
    # fsum is exact, so that the order of the ballots does not show in the last digit.
    return math.fsum(known) / len(known) if known else None
