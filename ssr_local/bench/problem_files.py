"""Problems out of JSONL files that nobody vouches for: bounded, wrong lines named.

A line is one JSON object with ``id``, ``problem``, ``answer`` and, where known, ``subject``,
``level``, ``entry_point`` and ``test``. Other keys are left alone, unless they look like one
of these mistyped. Numbers are taken as they are written, so that no digit is lost.
"""

from __future__ import annotations

import json
import keyword
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from ssr_local.bench.records import Problem
from ssr_local.core.display import printable, quoted
from ssr_local.core.errors import ProblemError, UsageError
from ssr_local.core.toml_file import decode_text, read_bounded
from ssr_local.transport.requests import check_problem

MAX_FILE_BYTES = 64 << 20
MAX_LINE_CHARS = 1 << 20
MAX_LEVEL = 100

KEYS = ("id", "problem", "answer", "subject", "level", "entry_point", "test")
_MAX_CHARS = {"id": 200, "answer": 100_000, "subject": 200, "entry_point": 200, "test": 500_000}
_ON_ONE_LINE = ("id", "subject", "entry_point")
_LEVEL = re.compile(r"(?:level\s+)?(\d{1,9})", re.IGNORECASE)
_CHECK = re.compile(r"^def check\(", re.MULTILINE)

Fields = Mapping[str, Any]
"""One line as it was read: text, ``Number``, booleans, None, lists and tables."""


class Number(str):
    """A JSON number as it stands in the file."""

    __slots__ = ()


def read_problems(
    file: Path,
    *,
    code: bool,
    mapped: Callable[[Fields, int], Fields] = lambda fields, _: fields,
) -> tuple[Problem, ...]:
    """All problems of a file, in its order; blank lines do not count.

    ``code`` says that these are code problems, which need ``test`` and ``entry_point``.
    ``mapped`` turns the line with that index, from 0, into the keys above, or raises
    ``UsageError``. Raises ``UsageError`` naming the file, the line, what is wrong and what is
    accepted.
    """
    shown = printable(str(file))
    problems: dict[str, tuple[int, Problem]] = {}
    for number, line in _lines(file, shown):
        try:
            problem = _problem(mapped(_parsed(line), len(problems)), code=code)
            if problem.id in problems:
                earlier = problems[problem.id][0]
                raise UsageError(
                    f"id {quoted(problem.id)} is already that of line {earlier}",
                    "Accepted: every id once.",
                )
        except UsageError as error:
            raise UsageError(
                f"{shown}, line {number}: {error.what}.", error.why, error.next_step
            ) from error
        problems[problem.id] = (number, problem)
    if not problems:
        raise UsageError(
            f"{shown}: no problems in it.", f"Accepted: JSON lines with {needed_keys()}."
        )
    return tuple(problem for _, problem in problems.values())


def text_of(fields: Fields, key: str) -> str:
    """The text under a key that must be there; a number is the text it is written as."""
    value = fields.get(key)
    if key not in fields:
        raise UsageError(f"key {key!r} is missing", f"Required: {key!r} with a text.")
    if not isinstance(value, str):
        raise UsageError(f"key {key!r} cannot be {_shown(value)}", "Accepted: text or a number.")
    return value


def _lines(file: Path, shown: str) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of every line that is not blank, reading at most the limits."""
    try:
        text = decode_text(read_bounded(file, MAX_FILE_BYTES, "JSONL"), shown)
    except FileNotFoundError as error:
        raise UsageError(
            f"{shown}: there is no such file.", "", "Give the path of a JSONL file."
        ) from error
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE_CHARS:
            raise UsageError(
                f"{shown}, line {number}: too long.",
                f"Accepted: at most {MAX_LINE_CHARS} characters a line.",
            )
        if line.strip():
            yield number, line


def _parsed(line: str) -> Fields:
    try:
        value = json.loads(
            line,
            object_pairs_hook=_table,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise UsageError(
            f"not JSON ({error.msg}, column {error.colno})",
            f"Accepted: one JSON object a line with {needed_keys()}.",
        ) from error
    except RecursionError as error:
        raise UsageError("nested too deeply", "Accepted: a flat JSON object.") from error
    if not isinstance(value, dict):
        raise UsageError(
            f"{_shown(value)} is not a JSON object", f"Accepted: an object with {needed_keys()}."
        )
    return value


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise UsageError(f"key {quoted(twice)} stands twice", "Accepted: every key once.")
    return table


def _no_constant(name: str) -> NoReturn:
    raise UsageError(f"{name} is not JSON", "Accepted: numbers, texts, true, false and null.")


def _problem(fields: Fields, *, code: bool) -> Problem:
    _check_spelling(fields)
    given = {key: value for key, value in fields.items() if key in KEYS and value is not None}
    if code:
        # The tests decide about code; the data's own solution is not looked at.
        given = {"answer": "", **given}
    elif "test" in given:
        raise UsageError(
            "key 'test' belongs to code problems", "", "For problems of this kind: --task code."
        )
    for key in ("id", "problem", "answer", *(("entry_point", "test") if code else ())):
        if key not in given:
            raise UsageError(f"key {key!r} is missing", f"Required: {needed_keys(code)}.")
    texts = {key: _text(key, given[key]) for key in _MAX_CHARS if key in given}
    if not texts["answer"].strip() and not code:
        raise UsageError("key 'answer' is empty", "Accepted: the reference answer.")
    if code:
        _check_tests(texts["entry_point"], texts["test"])
    return Problem(
        id=texts["id"],
        problem=_checked_problem(given["problem"]),
        answer=texts["answer"],
        subject=texts.get("subject") or None,
        level=_level(given.get("level")),
        entry_point=texts.get("entry_point"),
        test=texts.get("test"),
    )


def _check_spelling(fields: Fields) -> None:
    for key in fields:
        near = get_close_matches(key[:80], KEYS, n=1, cutoff=0.8)
        if key not in KEYS and near and near[0] not in fields:
            raise UsageError(
                f"unknown key {quoted(key)}",
                f"Accepted: {', '.join(KEYS)}.",
                f"Did you mean {near[0]!r}?",
            )


def _checked_problem(value: object) -> str:
    if not isinstance(value, str) or isinstance(value, Number):
        raise UsageError(f"key 'problem' cannot be {_shown(value)}", "Accepted: a text.")
    try:
        check_problem(value)
    except ProblemError as error:
        raise UsageError(f"key 'problem': {error.what.rstrip('.')}", error.next_step) from error
    # As it stands: the prompt of a code problem begins and ends with a line break.
    return value


def _text(key: str, value: object) -> str:
    limit = _MAX_CHARS[key]
    if not isinstance(value, str) or (
        isinstance(value, Number) and key not in ("id", "answer", "subject")
    ):
        wrong = f"cannot be {_shown(value)}"
    elif key == "id" and not value.strip():
        wrong = "is empty"
    elif len(value) > limit:
        wrong = f"has {len(value)} characters"
    elif key in _ON_ONE_LINE and not value.isprintable():
        wrong = f"holds characters that cannot be printed: {quoted(value)}"
    elif "\0" in value:
        wrong = "holds a NUL character"
    elif any("\ud800" <= character <= "\udfff" for character in value):
        wrong = "is not valid text"
    else:
        return str(value.strip() if key in _ON_ONE_LINE else value)
    raise UsageError(f"key {key!r} {wrong}", f"Accepted: text of at most {limit} characters.")


def _check_tests(entry_point: str, test: str) -> None:
    if not entry_point.isidentifier() or keyword.iskeyword(entry_point):
        raise UsageError(
            f"key 'entry_point' cannot be {quoted(entry_point)}", "Accepted: a function's name."
        )
    if not _CHECK.search(test):
        raise UsageError(
            "key 'test' defines no function 'check'",
            "Accepted: Python code with def check(candidate), which asserts what must hold.",
        )


def _level(value: object) -> int | None:
    """1 to ``MAX_LEVEL``, written as 3, "3" or "Level 3"."""
    if value is None:
        return None
    match = _LEVEL.fullmatch(value.strip()) if isinstance(value, str) else None
    level = int(match[1]) if match else 0
    if not 1 <= level <= MAX_LEVEL:
        raise UsageError(
            f"key 'level' cannot be {_shown(value)}",
            f"Accepted: 1 to {MAX_LEVEL}, or a text such as 'Level 3'.",
        )
    return level


def _shown(value: object) -> str:
    return value[:60] if isinstance(value, Number) else quoted(value)


def needed_keys(code: bool = False) -> str:
    """The keys every line must have, as errors list them."""
    needed = ("id", "problem", "entry_point", "test") if code else ("id", "problem", "answer")
    return ", ".join(needed)
