"""From the paths' answers to the final one (docs/method.md, section 3)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from msgspec import Struct

from ssr_local.core.records import Comparison, ReasoningPath, VoteGroup

_LOWEST = float("-inf")


class Ballot(Struct, frozen=True):
    """The vote of one path that finished with an answer.

    ``mean_score`` is the mean of its steps' scores (0 to 9), ``selection_score`` the
    probability its strategy was chosen with, ``confidence`` the mean probability of its tokens;
    None where there is none. ``refuted`` says that algebra refutes one of its steps.
    """

    path: int
    answer: str
    mean_score: float | None
    selection_score: float | None
    confidence: float | None = None
    refuted: bool = False


def group(
    ballots: Sequence[Ballot], compare: Callable[[str, str], Comparison]
) -> tuple[VoteGroup, ...]:
    """The ballots by equivalent answers, the winner first, then by size.

    The group with the most paths without refuted steps wins, then the largest. Among equal
    ones the path with the highest mean score decides, then the highest selection score, then the
    highest confidence, then the answers' alphabetical order.
    ``compare`` is asked about every pair of distinct answers once, the alphabetically
    smaller one first, so the order of the ballots changes nothing. Answers connected by a
    chain of equal pairs form one group, unless two of them are known to be different:
    50% may be 50 or 0.5, and then goes with what more paths said. A group's ``answer`` is
    its most frequent form, then the shortest; its ``mean_score`` is the mean of its paths'
    scores.
    """
    groups = sorted(
        (
            [ballot for ballot in ballots if ballot.answer in forms]
            for forms in _connected(Counter(ballot.answer for ballot in ballots), compare)
        ),
        key=_rank,
    )
    return tuple(
        VoteGroup(
            answer=_representative(members),
            paths=tuple(sorted(ballot.path for ballot in members)),
            mean_score=_mean(ballot.mean_score for ballot in members),
            winner=rank == 0,
            refuted=tuple(sorted(ballot.path for ballot in members if ballot.refuted)),
        )
        for rank, members in enumerate(groups)
    )


def best_path(paths: Sequence[ReasoningPath]) -> int | None:
    """The path to show when none finished with an answer, None without paths.

    The highest mean score, then the most steps, then the lowest index.
    """
    if not paths:
        return None
    best = min(paths, key=lambda path: (-_score(path.mean_score), -len(path.steps), path.index))
    return best.index


def _connected(counts: Counter[str], compare: Callable[[str, str], Comparison]) -> list[set[str]]:
    groups = {answer: {answer} for answer in counts}
    pairs = list(combinations(sorted(counts), 2))
    verdicts = {pair: compare(*pair) for pair in pairs}
    # What most paths said comes first, and keeps apart what is not the same as it.
    for one, other in sorted(pairs, key=lambda pair: -counts[pair[0]] - counts[pair[1]]):
        joined = groups[one] | groups[other]
        if verdicts[one, other] != "equal" or any(
            verdicts[pair] == "different" for pair in combinations(sorted(joined), 2)
        ):
            continue
        for answer in joined:
            groups[answer] = joined
    return list({id(members): members for members in groups.values()}.values())


def _rank(members: list[Ballot]) -> tuple[int, int, float, float, float, str]:
    return (
        -sum(not ballot.refuted for ballot in members),
        -len(members),
        -max(_score(ballot.mean_score) for ballot in members),
        -max(_score(ballot.selection_score) for ballot in members),
        -max(_score(ballot.confidence) for ballot in members),
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
