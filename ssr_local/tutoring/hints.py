"""Hints in four levels, none of which gives away what the next one would.

1 names a strategy and says why it fits, 2 says what the next step does without its numbers,
3 is the next step, 4 the whole path. They continue from the student's last good step. What the
target says for levels 1 and 2 is compared with the numbers of the next step and with the
answer; what would give them away is asked for again, and withheld when that does not help.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from msgspec import Struct

from ssr_local.api import Solver
from ssr_local.core.display import one_line
from ssr_local.core.errors import UsageError
from ssr_local.core.options import SolveOptions, with_changes
from ssr_local.core.records import ReasoningPath, RunResult
from ssr_local.mathtext.claims import claims_in
from ssr_local.mathtext.forms import normalise
from ssr_local.mathtext.text import extract_answer
from ssr_local.mathtext.values import exact_value
from ssr_local.method.pools import load_pool
from ssr_local.process.helper import Helper
from ssr_local.tutoring.checking import check, go_on, whole_run

LEVELS = (1, 2, 3, 4)

MAX_HINT_TOKENS = 60
_WHY = (
    "A student is to solve the problem with this approach: {advice} Say in one short sentence,"
    " without any numbers, why this approach fits the problem.",
    "Name in a few plain words, without numbers or results, what makes this approach fit: {advice}",
)
_IDEA = (
    "Say in one short sentence what the last step does. Use no numbers, no formulas and no"
    " results.",
    "Describe the idea of the last step in a few plain words only: no digits, no number words.",
)
_WITHHELD = {
    1: "Why it fits cannot be said without giving numbers away.",
    2: "The idea of the next step cannot be said without giving its numbers away."
    " Ask for level 3 to see the step.",
    3: "The next step is the answer already. Ask for level 4 to see it.",
}

_NUMBER = re.compile(r"\d+(?:,\d{3})+|\d+(?:\.\d+)?(?:/\d+)?")
_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy"
    " eighty ninety hundred thousand half third quarter"
)
_WORD_VALUES: dict[str, Fraction] = dict(
    zip(
        _WORDS.split(),
        (
            *map(Fraction, range(21)),
            *(Fraction(tens) for tens in range(30, 100, 10)),
            *(Fraction(100), Fraction(1000), Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)),
        ),
        strict=True,
    )
)
_SELDOM_NUMBERS = frozenset(("one", "third"))
_PLAIN_WORD = re.compile(r"[a-z]+")
_TENS = frozenset(word for word, value in _WORD_VALUES.items() if value in range(20, 100, 10))
_ONES = frozenset(word for word, value in _WORD_VALUES.items() if value in range(1, 10))
_FRACTION = re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}")


class Hint(Struct, frozen=True, kw_only=True):
    """A hint; ``ssr-local hint --json`` prints exactly this.

    ``strategy`` is the strategy's name at level 1. ``after`` is how many of the student's
    steps are good and followed; ``withheld`` says that the text is only why there is none.
    """

    problem: str
    level: int
    text: str
    strategy: str = ""
    after: int = 0
    withheld: bool = False


def hint(
    problem: str,
    steps: Sequence[str] = (),
    level: int = 1,
    *,
    solver: Solver | None = None,
    options: SolveOptions | None = None,
    helper: Helper | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Hint:
    """A hint of a level, 1 to 4, after the good ones among the student's steps.

    Raises ``UsageError`` for another level and ``SSRError`` like ``Solver.solve``.
    """
    if level not in LEVELS:
        raise UsageError(f"There is no hint of level {level!r}.", "Levels are 1, 2, 3 and 4.")
    options = options or SolveOptions()
    with ExitStack() as own:
        solver = solver or own.enter_context(Solver())
        if level == max(LEVELS):
            solver.expect(options)
        good: tuple[str, ...] = ()
        if steps:
            checked = check(
                problem,
                steps,
                solver=solver,
                options=options,
                with_vote=False,
                explain=False,
                helper=helper,
                should_stop=should_stop,
            )
            good = tuple(step.text for step in checked.steps[: checked.first_bad])
        return _Hints(problem, good, solver, options, should_stop).at(level)


class _Hints(NamedTuple):
    problem: str
    good: tuple[str, ...]
    solver: Solver
    options: SolveOptions
    should_stop: Callable[[], bool]

    @property
    def prefix(self) -> tuple[str, ...]:
        return tuple(f"{step}\n\n" for step in self.good)

    def at(self, level: int) -> Hint:
        if level == 4:
            return self._whole()
        options = with_changes(self.options, method="parallel-spm", paths=1, plan="")
        run = self._solved(options)
        path = run.paths[0]
        if level == 1:
            return self._strategy(run, path)
        if not path.steps:
            return self._hint(level, "There is nothing more to do than to state the answer.")
        return self._idea(path) if level == 2 else self._next(path)

    def _solved(self, options: SolveOptions) -> RunResult:
        return whole_run(self.solver, self.problem, options, self.prefix, self.should_stop)

    def _strategy(self, run: RunResult, path: ReasoningPath) -> Hint:
        strategy = load_pool(self.options.strategies).by_letter(path.strategy)
        questions = [text.format(advice=strategy.advice) for text in _WHY]
        said = self._asked(questions, self.prefix, path)
        text = f"Try this: {strategy.advice} {said or _WITHHELD[1]}"
        return self._hint(1, text, strategy=strategy.name)

    def _idea(self, path: ReasoningPath) -> Hint:
        step = path.steps[0].text
        whole = step if step.endswith("\n\n") else f"{step.rstrip()}\n\n"
        said = self._asked(_IDEA, (*self.prefix, whole), path)
        return self._hint(2, said or _WITHHELD[2], withheld=said is None)

    def _next(self, path: ReasoningPath) -> Hint:
        step = path.steps[0].text.strip()
        answer = _numbers(path.answer or "") - _numbers("\n".join((self.problem, *self.good)))
        is_whole = len(path.steps) == 1 or extract_answer(step, at_end=True) is not None
        if is_whole or _numbers(step) & answer or self._gives_result(step, path):
            return self._hint(3, _WITHHELD[3], withheld=True)
        return self._hint(3, step)

    def _whole(self) -> Hint:
        run = self._solved(self.options)
        paths = {path.index: path for path in run.paths}
        leading = [paths[n] for group in run.votes if group.winner for n in group.paths]
        if not leading and run.best_path is not None:
            leading = [paths[run.best_path]]
        path = min(leading, key=lambda one: one.program is not None, default=None)  # words first
        text = "" if path is None else path.text.strip()
        return self._hint(4, text or "The models found no way from here.", withheld=not text)

    def _asked(
        self, questions: Iterable[str], given: Sequence[str], path: ReasoningPath
    ) -> str | None:
        """What the target says, the first that gives nothing away; None when all would.

        That is: no number at all, in digits or in words, and not the answer itself.
        """
        for question in questions:
            go_on(self.should_stop)
            said = one_line(
                self.solver.reply(
                    self.problem,
                    question,
                    given=given,
                    strategies=self.options.strategies,
                    max_tokens=MAX_HINT_TOKENS,
                ),
                400,
            )
            if said and not _numbers(said) and not _states(said, path.answer):
                return said
        return None

    def _gives_result(self, step: str, path: ReasoningPath) -> bool:
        """Whether the step results in the answer, whatever else has that number."""
        value = exact_value(normalise(path.answer or ""))
        claims = claims_in(step)
        if value is not None:
            return bool(claims) and exact_value(claims[-1].second.text) == value
        return _states(step, path.answer) and not _states(self.problem, path.answer)

    def _hint(self, level: int, text: str, *, strategy: str = "", withheld: bool = False) -> Hint:
        return Hint(
            problem=self.problem,
            level=level,
            text=text,
            strategy=strategy,
            after=len(self.good),
            withheld=withheld,
        )


def _states(text: str, answer: str | None) -> bool:
    """Whether an answer that is no number, or is one, stands in a text word for word."""
    value = exact_value(normalise(answer or ""))
    wanted = _plain_words(answer or "")
    if value is not None:
        wanted = "one" if value == 1 else ""  # the other number words are kept back anyway
    return bool(wanted) and f" {wanted} " in f" {_plain_words(text)} "


def _plain_words(text: str) -> str:
    """Words, numbers and operators with one space between them."""
    return " ".join(re.findall(r"\w+|[-+*/^=]", text.replace("$", " ").casefold()))


def _numbers(text: str) -> set[Fraction]:
    """Every number that a text states, in digits or in words."""
    found = {exact_value(normalise(match.group())) for match in _NUMBER.finditer(text)}
    found |= {exact_value(f"{a}/{b}") for a, b in _FRACTION.findall(text)}
    words = _PLAIN_WORD.findall(text.casefold())
    found |= {_WORD_VALUES.get(word) for word in set(words) - _SELDOM_NUMBERS}
    for tens, ones in pairwise(words):
        if tens in _TENS and ones in _ONES:  # forty-eight
            found.add(_WORD_VALUES[tens] + _WORD_VALUES[ones])
    return {value for value in found if value is not None}
