r"""Two paths side by side: what both come to, and from where they tell different stories. Pure.

The rule, on the numbers the paths state:

1. Paths with equal answers do not disagree, however they got there.
2. A *result* is a number after ``=`` or ``≈``, in a ``\boxed{...}``, at the end of a sentence
   that says "is" or the like, and the path's answer. It counts where a path first has it.
3. Both paths may *agree* on a result, in any order. A number that leads to a result both
   agree on, being used on the way to it, is a matter of route: the other may have skipped it.
4. A result is a path's *own* when the other never states that number at all, not even
   within a formula, and it leads to nothing they agree on.
5. They part where the same sum comes to different results that are their own ("12 × 4 = 48"
   and "4 × 12 = 46"), else at each path's first own result. If only one has any, they part
   only when their answers are known to differ: a path that is not that far yet contradicts
   nobody. Paths that state the same numbers and choose different ones as the answer part
   where they first state their answers.

Numbers are the same when they are equal, when one is the other rounded to two to four
places, or when one is a percentage and the other the same percentage or share. Nothing is
known of quantities written out as words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from typing import NamedTuple

from ssr_local.answers.compare import compare
from ssr_local.core.display import one_line
from ssr_local.core.views import PathView
from ssr_local.mathtext.numbers import Number, numbers_in
from ssr_local_tui.latex import formula

_PLACES = range(2, 5)
_SHOWN_CHARS = 40

Row = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Where two paths part.

    ``first_step`` and ``second_step`` count from 0 and are None for a path that states no
    number of its own there. ``explanation`` is one sentence, fit for a terminal.
    """

    first_step: int | None
    second_step: int | None
    explanation: str


def disagreement(first: PathView, second: PathView) -> Disagreement | None:
    """Where two paths part, None when they do not or cannot be said to."""
    verdict = _answers(first, second)
    if verdict == "equal":
        return None
    sides = (_Side.of(first), _Side.of(second))
    pair = _same_sum(*sides) or (
        next(iter(_owns(*sides)), None),
        next(iter(_owns(*sides[::-1])), None),
    )
    if all(pair) or (any(pair) and verdict == "different"):
        return _parting(sides, pair)
    return _other_answer(sides) if verdict == "different" else None


def summary(first: PathView, second: PathView) -> str:
    """One sentence that says how two paths stand to each other, whatever there is of them."""
    if _answers(first, second) == "equal":
        return f"Both paths come to the answer {_shown(first.answer)}."
    found = disagreement(first, second)
    if found is not None:
        return found.explanation
    if first.answer is None or second.answer is None:
        return "Nothing contradicts the other path so far."
    return (
        f"Whether the answers {_shown(first.answer)} and {_shown(second.answer)} are equal"
        " is not decided here, and no number contradicts the other path."
    )


def aligned(first: PathView, second: PathView) -> list[Row]:
    """Rows for a side-by-side view: every step of both paths once, in its order.

    Steps that come to the same result stand beside each other, as many as the order of
    both allows; what is between two such rows is put side by side from the top.
    """
    a, b = _Side.of(first), _Side.of(second)
    rows: list[Row] = []
    i = j = 0
    for left, right in [*_anchors(a, b), (len(first.steps), len(second.steps))]:
        rows += zip_longest(range(i, left), range(j, right))
        rows.append((left, right))
        i, j = left + 1, right + 1
    return rows[:-1]  # the last is the end of both


# What a path states ------------------------------------------------------------


class _Result(NamedTuple):
    """A number a path comes to: its step, its index among the results, what it was made from."""

    step: int
    position: int
    number: Number
    operands: frozenset[Fraction]


class _Stated:
    """Numbers, made to be asked whether a number is among them."""

    def __init__(self, numbers: Sequence[Number]) -> None:
        self._values = {value for number in numbers for value in number.values}
        self._decimals = {(n.places, value) for n in numbers for value in n.values if n.places}
        self._rounded = {key for value in self._values for key in _roundings(value)}

    def has(self, number: Number) -> bool:
        """Whether it is among them, exactly or rounded."""
        if not self._values.isdisjoint(number.values):
            return True
        if number.places and any((number.places, v) in self._rounded for v in number.values):
            return True
        return any(key in self._decimals for v in number.values for key in _roundings(v))


def _roundings(value: Fraction) -> Iterator[tuple[int, Fraction]]:
    if value.denominator == 1:
        return
    for places in _PLACES:
        scaled = abs(value) * 10**places
        rounded = Fraction((2 * scaled + 1) // 2, 10**places)
        yield places, rounded if value >= 0 else -rounded


class _Side(NamedTuple):
    """What one path states: all its numbers, and its results, each where it first comes."""

    path: PathView
    results: tuple[_Result, ...]
    numbers: _Stated
    found: _Stated

    @classmethod
    def of(cls, path: PathView) -> _Side:
        numbers: list[Number] = []
        results: list[_Result] = []
        known: set[Fraction] = set()
        for step, number, operands in _read(path):
            numbers.append(number)
            if number.is_result and known.isdisjoint(number.values):
                known.update(number.values)
                results.append(_Result(step, len(results), number, operands))
        found = _Stated([result.number for result in results])
        return cls(path, tuple(results), _Stated(numbers), found)


def _read(path: PathView) -> Iterator[tuple[int, Number, frozenset[Fraction]]]:
    """Every number with its step; a result with those since the result before it."""
    for step, view in enumerate(path.steps):
        before: set[Fraction] = set()
        last: frozenset[Fraction] = frozenset()
        for number in numbers_in(view.text):
            if number.is_result:
                yield step, number, frozenset(before) or last
                last = frozenset(number.values)
                before.clear()
            else:
                yield step, number, frozenset()
                before.update(number.values)
    if path.answer is not None and path.steps:
        answer = next(numbers_in(f"= {path.answer}"), None)
        if answer is not None and answer.is_result:
            yield len(path.steps) - 1, answer, frozenset()


# Where they part ---------------------------------------------------------------

_Pair = tuple["_Result | None", "_Result | None"]


def _answers(first: PathView, second: PathView) -> str:
    """ "equal", "different" or "undecided"; the last also where there is no answer."""
    if first.answer is None or second.answer is None:
        return "undecided"
    return compare(first.answer, second.answer, helper=None)


def _owns(side: _Side, other: _Side) -> list[_Result]:
    """The results the other path never states and that lead to nothing both have."""
    own: list[_Result] = []
    needed: set[Fraction] = set()
    for result in reversed(side.results):
        if other.found.has(result.number) or not needed.isdisjoint(result.number.values):
            needed |= result.operands
        elif not other.numbers.has(result.number):
            own.append(result)
    return own[::-1]


def _same_sum(first: _Side, second: _Side) -> _Pair | None:
    """The first own results of both that the same sum comes to."""
    sums: dict[tuple[str, ...], _Result] = {}
    for result in _owns(second, first):
        if result.number.made_from:
            sums.setdefault(result.number.made_from, result)
    for result in _owns(first, second):
        if result.number.made_from in sums:
            return result, sums[result.number.made_from]
    return None


def _parting(sides: tuple[_Side, _Side], pair: _Pair) -> Disagreement:
    agreed = _last_agreed(sides, pair)
    steps = [result.step if result else None for result in pair]
    says = [_says(side, result) for side, result in zip(sides, pair, strict=True)]
    if all(pair):
        tail = f"{says[0]} and {says[1]}"
    else:
        silent = sides[0] if pair[0] is None else sides[1]
        answer = _shown(silent.path.answer)
        tail = f"{says[0] or says[1]}, which {_name(silent)}, answering {answer}, never states"
    if agreed is None:
        explanation = _sentence(tail)
    else:
        common = _shown(agreed.number.shown)
        explanation = _sentence(f"both come to {common}; then {tail}")
    return Disagreement(steps[0], steps[1], explanation)


def _says(side: _Side, result: _Result | None) -> str:
    if result is None:
        return ""
    number = result.number
    return f"{_name(side)} has {_shown(number.in_full)} in step {result.step + 1}"


def _last_agreed(sides: tuple[_Side, _Side], pair: _Pair) -> _Result | None:
    """The last result of the first path that both have before they part."""
    before, others = (
        side.results[: result.position if result else None]
        for side, result in zip(sides, pair, strict=True)
    )
    for one in reversed(before):
        if sides[1].found.has(one.number) and _first_like(one.number, others):
            return one
    return None


def _first_like(number: Number, results: Sequence[_Result]) -> _Result | None:
    stated = _Stated([number])
    return next((result for result in results if stated.has(result.number)), None)


def _other_answer(sides: tuple[_Side, _Side]) -> Disagreement:
    """Nothing but the answers differs."""
    steps = [_answer_step(side) for side in sides]
    first, second = (f"{_name(side)} answers {_shown(side.path.answer)}" for side in sides)
    return Disagreement(
        steps[0], steps[1], _sentence(f"{first} and {second}; no other number tells them apart")
    )


def _answer_step(side: _Side) -> int | None:
    """The step that first states the path's answer, the last where it is no number."""
    answer = next(numbers_in(f"= {side.path.answer}"), None)
    if answer is not None and (result := _first_like(answer, side.results)):
        return result.step
    return len(side.path.steps) - 1 if side.path.steps else None


def _name(side: _Side) -> str:
    return f"path {side.path.index + 1}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _shown(text: str | None) -> str:
    """An answer, number or sum in plain signs."""
    source = text or ""
    plain = formula(source) if "\\" in source else None
    return one_line(source if plain is None else plain, _SHOWN_CHARS)


# Side by side ------------------------------------------------------------------


def _anchors(first: _Side, second: _Side) -> list[tuple[int, int]]:
    """Pairs of steps with a result in common, both sides ascending, as many as there can be.

    The longest ascending row of second steps, the candidates of one first step descending
    so that it takes only one of them.
    """
    shared = sorted(_shared(first, second), key=lambda pair: (pair[0], -pair[1]))
    ends: list[int] = []  # the smallest last second step of a row one longer each
    chains: list[list[tuple[int, int]]] = [[]]
    for left, right in shared:
        length = bisect_left(ends, right)
        ends[length : length + 1] = [right]
        chains[length + 1 : length + 2] = [[*chains[length], (left, right)]]
    return chains[-1]


def _shared(first: _Side, second: _Side) -> set[tuple[int, int]]:
    where: dict[Fraction, int] = {}
    for result in second.results:
        for value in result.number.values:
            where.setdefault(value, result.step)
    return {
        (result.step, where[value])
        for result in first.results
        for value in result.number.values
        if value in where
    }
