"""The names of methods, one grammar for all of them: ``ssr-m3-fast2+random+tau=5``.

A base (docs/method.md, section 5), where it has several paths an early exit, and modifiers for
ablations. A name means the same options everywhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any, get_args

from msgspec import Struct

from ssr_local.core.display import quoted
from ssr_local.core.errors import UsageError
from ssr_local.core.options import (
    MAX_PATHS,
    VERIFIED_METHODS,
    Method,
    SolveOptions,
    why_not_offered,
    with_changes,
)
from ssr_local.method.plans import parse_plan
from ssr_local.method.pools import wordings
from ssr_local.method.verification import VERIFIERS

_NAME = re.compile(
    r"(?:(?P<single>target|draft|specreason|auto-quick|auto-normal|auto-thorough)"
    r"|(?P<many>parallel-spm-|parallel-|ssr-m)(?P<paths>[1-9]\d?))"
    r"(?:-(?P<mode>fast1|fast2))?(?P<modifiers>(?:\+[a-z0-9=.-]+)*)"
)
_MANY: dict[str, Method] = {
    "parallel-spm-": "parallel-spm",
    "parallel-": "parallel",
    "ssr-m": "ssr",
}
_SELECTING = frozenset(("ssr", "parallel-spm"))
# What a modifier sets: an option's value, or the option a number is for.
_WORDS = {
    **{word: ("selection", word) for word in ("random", "none", "first", "generate")},
    **{name: ("verifier", name) for name in VERIFIERS},
}
_NUMBERS: dict[str, tuple[str, Callable[[str], float]]] = {
    "perm": ("selection_permutations", int),
    "tau": ("threshold", float),
}
# The methods that an option means something for, and what others do not do.
_NEEDS = {
    **dict.fromkeys(("selection", "selection_permutations"), (_SELECTING, "selects no strategies")),
    **dict.fromkeys(("verifier", "threshold"), (VERIFIED_METHODS, "verifies no steps")),
    "prompt": (frozenset(get_args(Method)), ""),
}
# What a name does not say is the default, whatever the user's own settings are; the prompt is the
# bench's.
_USUAL = {
    name: getattr(SolveOptions(), name)
    for name in ["plan", "effort", "paths", "mode", "selection", "selection_permutations"]
}
_NUMBER = re.compile(r"\d{1,2}(?:\.\d{1,3})?")


class MethodSpec(Struct, frozen=True):
    """A method as the evaluation runs it: its name in one spelling, and what it changes."""

    name: str
    changes: dict[str, Any]

    def options(self, base: SolveOptions) -> SolveOptions:
        """``base`` with this method's own options in force."""
        return with_changes(base, **self.changes)


class Form(Struct, frozen=True):
    """One line of ``ssr-local bench methods``."""

    name: str
    meaning: str


BASES: tuple[Form, ...] = (
    Form("target", "one path by the target alone: what all others are compared with"),
    Form("draft", "one path by the draft alone"),
    Form("auto-EFFORT", "the plan for this pair: auto-quick, auto-normal, auto-thorough"),
    Form("parallel-N", "N target paths without strategies, put to the vote"),
    Form("parallel-spm-N", "N target paths, each on a selected strategy"),
    Form("specreason", "one path: the draft writes, the target verifies and rewrites"),
    Form("ssr-mN", "N paths on selected strategies: the draft writes, the target verifies"),
    Form(
        "PLAN", "a written plan, such as 'program:target + prose:target; agree; 3 x prose:target'"
    ),
)
"""N is 1 to 12."""

EXITS: tuple[Form, ...] = (
    Form("-fast1", "stop at the first answer"),
    Form("-fast2", "stop when two answers agree"),
)
"""After parallel-N, parallel-spm-N and ssr-mN."""

MODIFIERS: tuple[Form, ...] = (
    Form("+prompt=NAME", f"asked in other words: {', '.join(wordings())}"),
    Form("+random", "strategies drawn at random from the pool"),
    Form("+first", "the pool's first strategies"),
    Form("+none", "no strategies: paths without advice"),
    Form("+generate", "the target writes the strategies' letters instead of scoring them"),
    Form("+perm=K", "letter orders averaged by the selection, 1 to 12"),
    Form("+tau=X", "the lowest score at which a step is kept, 0 to 9"),
    *(Form(f"+{name}", f"steps verified by {name!r}") for name in VERIFIERS),
)
"""The first for all, five where strategies are selected, the others where steps are verified."""


def parse_method(name: str) -> MethodSpec:
    """What a method's name means. Raises ``UsageError`` naming what is wrong and accepted."""
    if ":" in name:
        plan = parse_plan(name)
        return MethodSpec(plan.text, _USUAL | {"plan": plan.text})
    text = name.strip().lower()
    match = _NAME.fullmatch(text)
    if match is None:
        examples = [form.name.replace("N", "3") for form in BASES]
        close = difflib.get_close_matches(text, examples, n=1, cutoff=0.5)
        raise UsageError(
            f"There is no method {quoted(name)}." + (f" Did you mean {close[0]}?" if close else ""),
            "",
            "See them all: ssr-local bench methods",
        )
    changes = _base(match, name)
    method = str(changes["method"])
    for modifier in filter(None, match["modifiers"].split("+")):
        key, value = _modifier(modifier, name)
        methods, lacks = _NEEDS[key]
        if method not in methods:
            raise _refused(name, f"its method {lacks}")
        if key in changes:
            raise _refused(name, f"it says twice what {key!r} is")
        changes[key] = value
    # The values a modifier may have are those of the options.
    with_changes(SolveOptions(), **changes)
    return MethodSpec(_canonical(match), _USUAL | changes)


def parse_methods(names: str) -> tuple[MethodSpec, ...]:
    """Methods from a comma-separated list, each once, in the order given."""
    methods = [parse_method(name) for name in names.split(",") if name.strip()]
    if not methods:
        raise UsageError(
            "No method was named.", "", "Give --methods target,specreason,ssr-m3, for example."
        )
    seen: set[str] = set()
    for method in methods:
        if method.name in seen:
            raise UsageError(f"The method {method.name} is named twice.")
        seen.add(method.name)
    return tuple(methods)


def _base(match: re.Match[str], name: str) -> dict[str, Any]:
    if match["single"]:
        if match["mode"]:
            raise _refused(name, f"{match['single']} has one path, so nothing can end early")
        method, _, effort = match["single"].partition("-")
        return {"method": method, "effort": effort} if effort else {"method": method}
    paths = int(match["paths"])
    if paths > MAX_PATHS:
        raise _refused(name, f"at most {MAX_PATHS} paths are possible")
    changes: dict[str, Any] = {"method": _MANY[match["many"]], "paths": paths}
    if match["mode"]:
        changes["mode"] = match["mode"]
    return changes


def _modifier(text: str, name: str) -> tuple[str, Any]:
    """The option that a modifier sets, and its value."""
    word, sign, value = text.partition("=")
    if word == "prompt":
        if value not in wordings():
            raise _refused(name, f"its prompts are {', '.join(wordings())}")
        return word, value
    if word in _NUMBERS:
        option, kind = _NUMBERS[word]
        if not _NUMBER.fullmatch(value) or (kind is int and "." in value):
            raise _refused(name, f"+{word}= needs a number")
        return option, kind(value)
    if word in _WORDS and not sign:
        return _WORDS[word]
    retired = why_not_offered("verifier", word).rstrip(".")
    raise _refused(name, retired or f"there is no modifier {quoted('+' + text)}")


def _canonical(match: re.Match[str]) -> str:
    """Modifiers in alphabetical order, numbers in their shortest form."""
    base, *modifiers = match.group().split("+")
    parts = (modifier.partition("=") for modifier in modifiers)
    named = [
        f"{word}={float(value):g}" if word in _NUMBERS else word + sign + value
        for word, sign, value in parts
    ]
    return "+".join([base, *sorted(named)])


def _refused(name: str, why: str) -> UsageError:
    return UsageError(
        f"The method {quoted(name)} cannot be: {why}.", "", "See them all: ssr-local bench methods"
    )
