r"""What answers are worth: against the reference, by the same equivalence as voting.

Where the reference is an option's letter or Yes/No, an answer may say more than that: "(A)",
"A) Amy finished second", "No, he does not lie", or the option's own words. An answer that
names two options is never right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ssr_local.answers import program_pool
from ssr_local.answers.comparer import Comparer
from ssr_local.bench.programs import run_program
from ssr_local.bench.records import Outcome, Problem
from ssr_local.core.errors import UsageError
from ssr_local.core.records import Comparison, RunResult
from ssr_local.process.helper import Helper

_MAX_CHOICE_CHARS = 1000

_OUTCOMES: dict[Comparison, Outcome] = {
    "equal": "right",
    "different": "wrong",
    "undecided": "undecided",
}

_REFERENCE = re.compile(r"\(?[A-H]\)?|[Yy]es|[Nn]o|YES|NO")
_MARKUP = re.compile(
    r"\\(?:boxed|fbox|text|textbf|textit|textrm|mathrm|mathbf|mbox)(?![A-Za-z])|\\[()\[\] ,;]"
    r"|[{}$*`\"'“”‘’]|\\(?=\s|$)"
)
_LEAD = re.compile(
    r"(?:(?:so|therefore|thus|hence),? )?"
    r"(?:(?:my|the) )?(?:(?:final|correct|right|best) )?(?:answer|option|choice|letter)?"
    r"(?: ?(?:is|:|=))* ?(?:(?:the )?(?:option|choice|letter)\b ?:? ?)?",
    re.IGNORECASE,
)
_LETTER = re.compile(
    r"\(\s?([A-Ha-h])\s?\)|\[([A-H])\]|([A-H])(?= ?[).:,;]| ?[–—-] |$)|([a-h])(?=[).]|$)"
    r"|([A-H])(?= is (?:the )?(?:correct|right|true|answer)\b)"
)
_NAMED_LETTER = re.compile(r"(?<![A-Za-z0-9'’])([A-H])(?![A-Za-z0-9'’])|\(\s?([a-h])\s?\)")
_LAST_LETTER = re.compile(r"[^()]*\(([A-H])\)[.!]?")
_YES_NO = re.compile(
    r"(yes|no)(?: ?(?:[.,;:!–—]|-\s|$)|(?<=s) | (?=(?:he|she|it|they)\b))", re.IGNORECASE
)
_NAMED_YES_NO = re.compile(r"\b(yes|no)\b(?! (?:one|longer|more|less)\b)", re.IGNORECASE)
_NEGATED = re.compile(r"\b(?:not|neither|nor|never|except|isn.?t|cannot)\b", re.IGNORECASE)
_OPTION = re.compile(r"^[ \t]*\(?([A-H])[).:][ \t]*(\S.*)$", re.MULTILINE)


class Scorer:
    """Judges answers. Algebra and model-written code run in processes that can be killed.

    Use it as a context manager, or call ``close()``. ``allow_code`` says that code a model
    wrote may be run (``programs``), which is the only way to judge a code problem.
    """

    def __init__(self, *, allow_code: bool = False) -> None:
        self._allow_code = allow_code
        self._helper = Helper()
        self._comparer = Comparer(self._helper)

    def check(self, problems: Iterable[Problem]) -> None:
        """Raise ``UsageError`` if one of them cannot be judged here; call before a run."""
        if any(problem.test is not None for problem in problems):
            self._check_allowed()
            program_pool.library()

    def outcome(self, problem: Problem, answer: str | None) -> Outcome:
        """What the answer is worth; "missing" for None.

        Raises ``UsageError`` for a code problem without ``allow_code``, ``HelperError`` when
        the helper process cannot be started.
        """
        if problem.test is not None:
            self._check_allowed()
            return "missing" if answer is None else run_program(problem, answer)
        if answer is None:
            return "missing"
        if is_choice(problem.answer):
            mine, right = (
                choice_of(text) or option_of(text, problem.problem)
                for text in (answer, problem.answer)
            )
            # An option has one letter; Yes and No have more.
            if mine and right and (len(mine) == 1) == (len(right) == 1):
                return "right" if mine == right else "wrong"
        return _OUTCOMES[self._comparer(problem.answer, answer)]

    def _check_allowed(self) -> None:
        if not self._allow_code:
            raise UsageError(
                "Code problems are judged by running code that a model wrote.",
                "That is allowed with --allow-code: in an interpreter without files or network,"
                " with limits of time and memory.",
                "Add --allow-code, or choose another task.",
            )

    def judge(self, problem: Problem, result: RunResult) -> tuple[Outcome, tuple[Outcome, ...]]:
        """The outcome of the run's answer, and of each path's own, in the paths' order."""
        known: dict[str | None, Outcome] = {}
        for answer in (result.answer, *(path.answer for path in result.paths)):
            if answer not in known:
                known[answer] = self.outcome(problem, answer)
        return known[result.answer], tuple(known[path.answer] for path in result.paths)

    def close(self) -> None:
        """Stop the helper process."""
        self._helper.close()

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_choice(reference: str) -> bool:
    """Whether a reference answer is an option's letter, A to H, or Yes or No."""
    return _REFERENCE.fullmatch(reference.strip()) is not None


def choice_of(text: str) -> str | None:
    """The option an answer names: "A" to "H", "yes" or "no"; None unless it is exactly one."""
    if len(text) > _MAX_CHOICE_CHARS:
        return None
    plain = " ".join(_MARKUP.sub(" ", text).split())
    match = _LEAD.match(plain)
    rest = plain[match.end() :] if match else plain
    if yes_no := _YES_NO.match(rest):
        named = {found.lower() for found in _NAMED_YES_NO.findall(rest[yes_no.end() :])}
        choice = yes_no[1].lower()
        return choice if named <= {choice} else None
    letters = {(one or other).upper() for one, other in _NAMED_LETTER.findall(plain)}
    found = _LETTER.match(rest) or _LAST_LETTER.fullmatch(plain)
    if found is None or (found.re is _LAST_LETTER and _NEGATED.search(plain)):
        return None
    letter = next(part for part in found.groups() if part).upper()
    return letter if letters <= {letter} else None


def option_of(text: str, problem: str) -> str | None:
    """The letter of the option whose words the answer is, None unless it is exactly one's."""
    said = _words(text)
    letters = {letter for letter, option in _OPTION.findall(problem) if _words(option) == said}
    return letters.pop() if said and len(letters) == 1 else None


def _words(text: str) -> str:
    plain = " ".join(_MARKUP.sub(" ", text).split()).strip(" .,;:!")
    return plain.casefold().removeprefix("the ")
