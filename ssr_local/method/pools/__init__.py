"""Strategy pools: data that says how a problem may be attacked (docs/method.md, section 1).

A pool is a TOML file with the keys ``name``, ``description``, ``answer``, ``instruction``
and ``[[strategies]]``, each with ``letter``, ``name`` and ``advice``. ``also`` names a packaged
pool whose strategies follow its own, under the next letters; ``typical`` lists problems of all
the kinds that it is for. A pool has 25 strategies at most.
Four pools ship with the package; a user's own file is given by its path.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast, get_args

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.core.config import suggestion
from ssr_local.core.errors import ConfigError, UsageError
from ssr_local.core.records import UNKNOWN_LETTER, Strategy
from ssr_local.core.toml_file import parse_toml, printable, quoted, read_bounded
from ssr_local.method.prompts import CONTENT_FREE, PROGRAM_INSTRUCTION

AnswerForm = Literal["boxed", "code"]
"""How a pool's instruction asks for the answer: in a box, or as a block of code."""

LETTERS = "ABCDEFGHIJKLNOPQRSTUVWXYZ"
MAX_POOL_BYTES = 256 * 1024

UNKNOWN = Strategy(letter=UNKNOWN_LETTER, name="unknown", advice="")
"""The strategy without advice; it belongs to every pool and stands in no file."""

PACKAGED = ("maths", "school", "logic", "code")
_LONG = ("instruction", "problem", "solution")
_MAX_CHARS = {"name": 80, "description": 500, "advice": 500, "typical": 500}
_MAX_CHARS |= dict.fromkeys(_LONG, 2000)
_MOST_TYPICAL = 16
_OPTIONAL = ("programs", "also", "examples", "typical")
_POOL_KEYS = ("name", "description", "answer", "instruction", "strategies", *_OPTIONAL)
_STRATEGY_KEYS = Strategy.__struct_fields__
_WORDINGS, _POOLS = "wordings.toml", "pools"
# Marks that turn text around on a terminal without being seen themselves.
_BIDI_MARKS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Example(Struct, frozen=True):
    """A problem, and its solution in the form that is wanted."""

    problem: str
    solution: str


class Pool(Struct, frozen=True):
    """The strategies of one domain, and how its problems are to be answered.

    ``strategies`` are lettered from A in order, M left out: ``UNKNOWN`` is not among them.
    ``programs`` says that code which computes the answer is a way to solve its problems.
    ``system`` is the system message; without one the chat template has the last word.
    ``examples`` are turns that stand before the problem when brief prose is asked for, before one
    with formulas in LaTeX those that have some too, before others the others. What letters get for
    the ``typical`` problems is subtracted in selection.
    """

    name: str
    description: str
    answer: AnswerForm
    instruction: str
    strategies: tuple[Strategy, ...]
    programs: bool = False
    program_instruction: str = PROGRAM_INSTRUCTION
    system: str = ""
    examples: tuple[Example, ...] = ()
    typical: tuple[str, ...] = CONTENT_FREE

    def by_letter(self, letter: str) -> Strategy:
        """The strategy of that letter; M gives ``UNKNOWN``. Raises ``UsageError``."""
        for strategy in (*self.strategies, UNKNOWN):
            if strategy.letter == letter:
                return strategy
        known = ", ".join(strategy.letter for strategy in (*self.strategies, UNKNOWN))
        raise UsageError(
            f"Pool {self.name!r} has no strategy {quoted(letter)}.", f"Accepted: {known}."
        )


def load_pool(name_or_path: str, prompt: str = "") -> Pool:
    """A packaged pool by its name, else the pool in the TOML file of that path.

    A packaged name comes first; write ``./maths`` for a file of such a name. ``prompt`` names
    other words to ask in (``wordings``). Raises ``ConfigError`` naming the file, the key and what
    is accepted, and for words that ask for a box where the pool's answers are code.
    """
    pool = _load(name_or_path)
    if not prompt:
        return pool
    words = wordings()
    if prompt not in words:
        raise ConfigError(
            f"There is no prompt {quoted(prompt)}.",
            f"Accepted: {', '.join(words)}.",
            suggestion(prompt, tuple(words)),
        )
    changed = dict(words[prompt])
    own: dict[str, str] = changed.pop(_POOLS, {}).get(pool.name, {})
    if pool.answer == "code" and "instruction" in changed and "instruction" not in own:
        raise ConfigError(
            f"The prompt {quoted(prompt)} cannot be asked with the pool {quoted(pool.name)}.",
            "It asks for an answer in a box, and this pool's answers are code.",
            "Choose another pool or prompt: ssr-local bench methods",
        )
    return replace(pool, **(changed | own))


@cache
def wordings() -> dict[str, dict[str, Any]]:
    """The prompts that were compared, by name: what each has in place of a pool's own words, and
    by pool what it has for that one alone (docs/measuring.md)."""
    found = parse_toml((resources.files("ssr_local.method") / _WORDINGS).read_bytes(), _WORDINGS)
    return {
        name: words | {"examples": _examples(words, _WORDINGS)} if "examples" in words else words
        for name, words in found.items()
    }


def _load(name_or_path: str) -> Pool:
    if name_or_path in PACKAGED:
        packaged = resources.files(__name__) / f"{name_or_path}.toml"
        source = f"{name_or_path}.toml"
        return _pool(parse_toml(packaged.read_bytes(), source), source)
    source = printable(name_or_path)
    try:
        data = read_bounded(Path(name_or_path).expanduser(), MAX_POOL_BYTES)
    except (FileNotFoundError, RuntimeError) as error:  # RuntimeError: ~name of nobody
        raise _no_such_pool(name_or_path) from error
    return _pool(parse_toml(data, source), source)


def _no_such_pool(name: str) -> ConfigError:
    return ConfigError(
        f"There is no strategy pool {quoted(name)}, and no file of that name.",
        f"Pools: {', '.join(PACKAGED)}, or the path of a TOML file.",
        suggestion(name, PACKAGED),
    )


def _pool(table: Mapping[str, Any], source: str) -> Pool:
    """The pool a parsed file describes; ``source`` is the file's name in errors."""
    _check_keys(table, _POOL_KEYS, source, optional=_OPTIONAL)
    programs = table.get("programs", False)
    if not isinstance(programs, bool):
        raise ConfigError(
            f"{source}: key 'programs' cannot be {quoted(programs)}.", "Accepted: true, false."
        )
    answer = table["answer"]
    forms = get_args(AnswerForm)
    if answer not in forms:
        raise ConfigError(
            f"{source}: key 'answer' cannot be {quoted(answer)}.", f"Accepted: {', '.join(forms)}."
        )
    return Pool(
        name=_text(table, "name", source),
        description=_text(table, "description", source),
        answer=cast(AnswerForm, answer),
        instruction=_text(table, "instruction", source),
        strategies=_with_others(
            _strategies(table["strategies"], source), table.get("also", ""), source
        ),
        programs=programs,
        examples=_examples(table, source),
        typical=_typical(table.get("typical", []), source),
    )


def _examples(table: Mapping[str, Any], source: str) -> tuple[Example, ...]:
    entries = table.get("examples", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(
            f"{source}: key 'examples' is no list of tables.", "Accepted: tables [[examples]]."
        )
    examples = []
    for number, entry in enumerate(entries, start=1):
        where = f"{source}, example {number}"
        _check_keys(entry, Example.__struct_fields__, where)
        examples.append(Example(_text(entry, "problem", where), _text(entry, "solution", where)))
    return tuple(examples)


def _typical(problems: object, source: str) -> tuple[str, ...]:
    """The pool's typical problems; of a pool that names none, problems that say nothing."""
    if not isinstance(problems, list) or len(problems) > _MOST_TYPICAL:
        raise ConfigError(
            f"{source}: key 'typical' cannot be {quoted(problems)}.",
            f"Accepted: a list of at most {_MOST_TYPICAL} texts.",
        )
    return tuple(_text({"typical": one}, "typical", source) for one in problems) or CONTENT_FREE


def _with_others(own: tuple[Strategy, ...], other: object, source: str) -> tuple[Strategy, ...]:
    """A pool's own strategies, then those of the packaged pool of that name."""
    if other == "":
        return own
    if other not in PACKAGED:
        raise ConfigError(
            f"{source}: key 'also' cannot be {quoted(other)}.", f"Accepted: {', '.join(PACKAGED)}."
        )
    added = _load(str(other)).strategies
    if len(own) + len(added) > len(LETTERS):
        raise ConfigError(
            f"{source}: with those of {other} there are {len(own) + len(added)} strategies.",
            f"Accepted: at most {len(LETTERS)}.",
            f"Leave out {len(own) + len(added) - len(LETTERS)}, or the key 'also'.",
        )
    return own + tuple(
        replace(strategy, letter=letter)
        for letter, strategy in zip(LETTERS[len(own) :], added, strict=False)
    )


def _strategies(entries: object, source: str) -> tuple[Strategy, ...]:
    if not isinstance(entries, list) or not 1 <= len(entries) <= len(LETTERS):
        given = f"has {len(entries)} entries" if isinstance(entries, list) else "is not a list"
        raise ConfigError(
            f"{source}: key 'strategies' {given}.",
            f"Accepted: 1 to {len(LETTERS)} tables [[strategies]].",
        )
    return tuple(
        _strategy(entry, letter, f"{source}, strategy {number}")
        for number, (entry, letter) in enumerate(zip(entries, LETTERS, strict=False), start=1)
    )


def _strategy(entry: object, letter: str, source: str) -> Strategy:
    """One ``[[strategies]]`` table, which must carry the letter that is next in order."""
    if not isinstance(entry, dict):
        raise ConfigError(
            f"{source}: {quoted(entry)} is not a table.",
            f"Accepted: a table with the keys {', '.join(_STRATEGY_KEYS)}.",
        )
    _check_keys(entry, _STRATEGY_KEYS, source)
    given = entry["letter"]
    if given != letter:
        reserved = (
            f"; {UNKNOWN_LETTER} is reserved for no advice" if given == UNKNOWN_LETTER else ""
        )
        raise ConfigError(
            f"{source}: key 'letter' cannot be {quoted(given)}.",
            f"Accepted: {letter!r}{reserved}.",
            "Letter the strategies A, B, C and so on, in order.",
        )
    return Strategy(letter, _text(entry, "name", source), _text(entry, "advice", source))


def _check_keys(
    table: Mapping[str, Any], accepted: tuple[str, ...], source: str, optional: tuple[str, ...] = ()
) -> None:
    for key in table:
        if key not in accepted:
            raise ConfigError(
                f"{source}: unknown key {quoted(key)}.",
                f"Accepted: {', '.join(accepted)}.",
                suggestion(key, accepted),
            )
    for key in accepted:
        if key not in table and key not in optional:
            raise ConfigError(
                f"{source}: key {key!r} is missing.",
                f"Required: {', '.join(one for one in accepted if one not in optional)}.",
            )


def _text(table: Mapping[str, Any], key: str, source: str) -> str:
    """The text under ``key``, checked for what a model or a terminal must not be sent."""
    value = table[key]
    # What models alone are sent may run over several lines, what stands in lists and trees not.
    allowed = "\n" if key in _LONG else ""
    if not isinstance(value, str):
        wrong = f"cannot be {quoted(value)}"
    elif not value.strip():
        wrong = "is empty"
    elif len(value) > _MAX_CHARS[key]:
        wrong = f"has {len(value)} characters"
    elif bad := next((c for c in value if c not in allowed and _is_control(c)), ""):
        wrong = f"holds the control character U+{ord(bad):04X}"
    else:
        return value.strip()
    raise ConfigError(
        f"{source}: key {key!r} {wrong}.",
        f"Accepted: text of 1 to {_MAX_CHARS[key]} characters without control characters"
        f"{' other than newlines' if allowed else ''}.",
    )


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _BIDI_MARKS
