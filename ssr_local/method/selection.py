"""Which strategies the paths follow (the paper's SPM; docs/method.md, section 1). Pure."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

from ssr_local.core.records import UNKNOWN_LETTER, Strategy, StrategyScore

_WORD_LETTERS = frozenset("AI")
_AFTER_LETTERS = frozenset(("and", "or", "then", "is", "are", "because", "for", "as", "with"))


def orders(strategies: Sequence[Strategy], permutations: int) -> list[tuple[Strategy, ...]]:
    """Cyclic orders of the pool, evenly spread, the pool's own first.

    Letters stay where they are in the list and strategies move through them, so that
    what a small model feels for a letter cancels out over the orders.
    """
    count = max(1, min(permutations, len(strategies)))
    shifts = [round(index * len(strategies) / count) for index in range(count)]
    return [(*strategies[shift:], *strategies[:shift]) for shift in shifts]


def probabilities(
    strategies: Sequence[Strategy],
    shown: Sequence[Sequence[Strategy]],
    log_probs: Sequence[Sequence[float]],
) -> dict[str, float] | None:
    """Each strategy's probability by its own letter, averaged over the orders shown.

    ``log_probs[i][j]`` is the log-probability (nats) of the j-th letter of the list as it
    was shown in order i. None when an order could not be read.
    """
    totals = dict.fromkeys((strategy.letter for strategy in strategies), 0.0)
    for order, row in zip(shown, log_probs, strict=True):
        top = max(row, default=-math.inf)
        if not math.isfinite(top) or any(math.isnan(value) for value in row):
            return None
        weights = [math.exp(value - top) for value in row]
        total = math.fsum(weights)
        for strategy, weight in zip(order, weights, strict=True):
            totals[strategy.letter] += weight / total / len(shown)
    return totals


def calibrated(log_probs: Sequence[float], baseline: Sequence[float]) -> tuple[float, ...]:
    """Letters' log-probabilities less what they get for typical problems (nats).

    So what a prompt and a model prefer by themselves cancels out, as in contextual calibration
    (arXiv 2102.09690). Without a usable baseline they stay as they are.
    """
    if len(baseline) != len(log_probs) or not all(map(math.isfinite, baseline)):
        return tuple(log_probs)
    return tuple(value - base for value, base in zip(log_probs, baseline, strict=True))


def mean_of(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The mean of each letter's log-probabilities over the rows."""
    return tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))


def by_order(
    shown: Sequence[Sequence[Strategy]], log_probs: Sequence[Sequence[float]], count: int
) -> tuple[tuple[str, ...], ...]:
    """The letters that each order alone would have chosen, best first.

    ``shown`` and ``log_probs`` as for ``probabilities``, every value a number.
    """
    return tuple(
        best({s.letter: value for s, value in zip(order, row, strict=True)}, count)
        for order, row in zip(shown, log_probs, strict=True)
    )


def best(scores: dict[str, float], count: int) -> tuple[str, ...]:
    """The ``count`` letters with the highest probability, best first; M where the pool ends."""
    ranked = sorted(scores, key=lambda letter: (-scores[letter], letter))
    return _padded(tuple(ranked), count)


def parse_letters(text: str, strategies: Sequence[Strategy], count: int) -> tuple[str, ...]:
    """The letters a model wrote, each once, in order; padded with M, cut to ``count``.

    A letter counts where it stands alone: "A, C and F" is three, "Algebra" is none, and
    neither are the words of "I would take a ...".
    """
    known = {strategy.letter for strategy in strategies} | {UNKNOWN_LETTER}
    words = "".join(c if c.isalnum() else " " for c in text).split()
    found = [
        word
        for word, following in zip(words, [*words[1:], ""], strict=False)
        if word in known and not _is_prose(word, following)
    ]
    if not found and len(words) == 1 and set(words[0]) <= known:
        found = list(words[0])  # "ACF"
    distinct = [letter for letter in dict.fromkeys(found) if letter != UNKNOWN_LETTER]
    return _padded(tuple(distinct), count)


def _is_prose(word: str, following: str) -> bool:
    """Whether "A" or "I" is the word and not the letter, judged by what follows it."""
    return word in _WORD_LETTERS and following.islower() and following not in _AFTER_LETTERS


def at_random(strategies: Sequence[Strategy], count: int, seed: int) -> tuple[str, ...]:
    """``count`` letters drawn without replacement; the same for the same seed."""
    letters = [strategy.letter for strategy in strategies]
    random.Random(seed).shuffle(letters)  # noqa: S311 - a repeatable draw, nothing secret
    return _padded(tuple(letters), count)


def first(strategies: Sequence[Strategy], count: int) -> tuple[str, ...]:
    """The pool's first letters; without strategies no advice on any path."""
    return _padded(tuple(strategy.letter for strategy in strategies), count)


def score_table(
    strategies: Sequence[Strategy], chosen: Sequence[str], scores: dict[str, float] | None
) -> tuple[StrategyScore, ...]:
    """The whole pool with its scores and how many paths follow each, best first."""
    times = Counter(chosen)
    rows = [
        StrategyScore(
            s.letter, s.name, None if scores is None else scores[s.letter], times[s.letter]
        )
        for s in strategies
    ]
    if times[UNKNOWN_LETTER]:
        rows.append(StrategyScore(UNKNOWN_LETTER, "unknown", None, times[UNKNOWN_LETTER]))
    return tuple(sorted(rows, key=lambda row: (-(row.score or 0.0), row.letter)))


def _padded(letters: tuple[str, ...], count: int) -> tuple[str, ...]:
    return (letters + (UNKNOWN_LETTER,) * count)[:count]
