"""Rows arranged for comparison: by task and concurrency, then method, problem, repeat. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import get_args

import msgspec
from msgspec import Struct

from ssr_local.bench.records import Row
from ssr_local.bench.statistics import Share, mcnemar, mean, share
from ssr_local.core.display import printable, quoted
from ssr_local.core.errors import UsageError
from ssr_local.core.options import VERIFIED_METHODS, Effort, SolveOptions
from ssr_local.method.verification import VERIFIERS

TARGET = "target"
"""The baseline where none is named: what everything is compared with."""

_KINDS = (
    *("target", "draft", *(f"auto-{effort}" for effort in get_args(Effort))),
    *("parallel", "parallel-spm", "specreason", "ssr"),
)
_NAME = re.compile(
    rf"(?P<kind>{'|'.join(_KINDS)})"
    r"(?:-m?(?P<paths>\d{1,3}))?(?P<mode>-fast[12])?(?P<changes>(?:\+.*)?)",
    re.DOTALL,
)

Option = str | int | float | bool | None
Unit = tuple[str, int]
"""One thing to solve: a problem and a repeat."""


class Runs(Struct, frozen=True, kw_only=True):
    """The rows of one task at one concurrency: method -> problem and repeat -> row.

    ``baseline`` is the method that the others are compared with.
    """

    task: str
    concurrency: int
    baseline: str | None
    rows: dict[str, dict[Unit, Row]]

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods' names in the order of the tables, the baseline first."""
        return tuple(
            sorted(self.rows, key=lambda name: (name != self.baseline, method_order(name)))
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """Every problem that some method has tried, sorted."""
        return tuple(sorted({problem for units in self.rows.values() for problem, _ in units}))

    @property
    def all(self) -> tuple[Row, ...]:
        """Every row, by method, problem and repeat."""
        return tuple(row for method in self.methods for row in self.of(method))

    @property
    def timed_alone(self) -> bool:
        """Whether every run has a time of its own: those of one batch share the batch's."""
        return self.concurrency == 1

    def of(self, method: str) -> tuple[Row, ...]:
        """A method's rows, by problem and repeat."""
        return tuple(row for _, row in sorted(self.rows[method].items(), key=lambda item: item[0]))

    def shared(self, methods: Iterable[str]) -> tuple[Unit, ...]:
        """What all these methods have tried, sorted; nothing without methods."""
        tried = [self.rows[method].keys() for method in methods]
        return tuple(sorted(set(tried[0]).intersection(*tried))) if tried else ()

    def at(self, method: str, units: Iterable[Unit]) -> tuple[Row, ...]:
        """A method's rows for these, in their order."""
        return tuple(self.rows[method][unit] for unit in units)

    def pairs(
        self, one: str, two: str, units: Iterable[Unit], holds: Callable[[Row], bool]
    ) -> list[tuple[bool, bool]]:
        """What holds of two methods at each problem's first repeat: independent trials."""
        once = first_of_each(units)
        both = zip(self.at(one, once), self.at(two, once), strict=True)
        return [(holds(a), holds(b)) for a, b in both]

    def p(self, one: str, two: str, units: Iterable[Unit], holds: Callable[[Row], bool]) -> float:
        """The exact McNemar p of those pairs."""
        pairs = self.pairs(one, two, units, holds)
        return mcnemar(pairs.count((True, False)), pairs.count((False, True)))


def arrange(rows: Sequence[Row], baseline: str = TARGET) -> tuple[tuple[Runs, ...], int]:
    """The rows by task and concurrency, and how many stand there twice (the first is kept).

    A method's name says which prompt, verifier and threshold it ran with, where they are not the
    usual: what is usual, and what a bench was told, changes. Nobody knows the options of a failed
    run, so it gets the name of the others. Where no method is ``TARGET`` and no other
    ``baseline`` is named, the one form of the target alone that there is stands in for it. Raises
    ``UsageError`` for a baseline that no task has.
    """
    names = {
        (row.task, row.method, row.prompt_hash): _full_name(row.method, row.result.options)
        for row in reversed(rows)
        if row.result is not None
    }
    groups: dict[tuple[str, int], dict[str, dict[Unit, Row]]] = {}
    num_twice = 0
    for row in rows:
        if row.result is not None:
            name = _full_name(row.method, row.result.options)
        else:
            name = names.get((row.task, row.method, row.prompt_hash), row.method)
        units = groups.setdefault((row.task, row.concurrency), {}).setdefault(name, {})
        num_twice += (row.problem, row.repeat) in units
        units.setdefault((row.problem, row.repeat), msgspec.structs.replace(row, method=name))
    known = sorted({name for methods in groups.values() for name in methods}, key=method_order)
    if baseline != TARGET and baseline not in known:
        raise UsageError(
            f"No row is of the baseline {quoted(baseline)}.",
            f"There are: {', '.join(map(printable, known))}.",
            "Name one of these with --baseline.",
        )
    return (
        tuple(
            Runs(
                task=task,
                concurrency=concurrency,
                baseline=_baseline(methods, baseline),
                rows=methods,
            )
            for (task, concurrency), methods in sorted(groups.items(), key=lambda item: item[0])
        ),
        num_twice,
    )


def _baseline(methods: Collection[str], wanted: str) -> str | None:
    if wanted in methods:
        return wanted
    forms = [name for name in methods if wanted == TARGET and is_alone(name, TARGET)]
    return forms[0] if len(forms) == 1 else None


def _full_name(method: str, options: Mapping[str, Option]) -> str:
    prompt = f"+prompt={options['prompt']}" if options.get("prompt") else ""
    if prompt not in method:
        method += prompt
    if options.get("method") not in VERIFIED_METHODS:
        return method
    usual = SolveOptions()
    verifier = str(options.get("verifier", usual.verifier))
    threshold = options.get("threshold")
    base, *said = method.split("+")
    changes = {one for one in said if one not in VERIFIERS and not one.startswith("tau=")}
    if verifier != usual.verifier:
        changes.add(verifier)
    if isinstance(threshold, float) and threshold != usual.threshold:
        changes.add(f"tau={threshold:g}")
    return "+".join([base, *sorted(changes)])


def method_order(name: str) -> tuple[int, int, str, str, str]:
    """The key that puts single models first and changes after what they change."""
    parts = _NAME.fullmatch(name)
    if parts is None:
        return (len(_KINDS), 0, "", "", name)
    return (
        _KINDS.index(parts["kind"]),
        int(parts["paths"] or 0),
        parts["mode"] or "",
        parts["changes"],
        name,
    )


def is_alone(name: str, model: str) -> bool:
    """Whether a method is one path in prose by that model alone, in whatever words it is asked."""
    return re.fullmatch(rf"(?:{model}|(?:greedy )?prose:{model})(?:\+\S+)?", name) is not None


def exits_early(name: str) -> bool:
    """Whether a method stops its other paths when it has an answer."""
    parts = _NAME.fullmatch(name)
    return parts is not None and bool(parts["mode"])


def by_problem(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each problem."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.problem, []).append(row)
    return found


def first_of_each(units: Iterable[Unit]) -> tuple[Unit, ...]:
    """Each problem with its lowest repeat: what tests that need independent trials look at."""
    return tuple(sorted(dict(sorted(units, reverse=True)).items()))  # the lowest comes last


def is_right(row: Row) -> bool:
    """Whether the run's answer counts; undecided and missing ones do not."""
    return row.outcome == "right"


def accuracy(rows: Iterable[Row]) -> Share | None:
    """pass@1: the mean over problems of the share of right runs."""
    return share_of_problems(rows, is_right)


def share_of_problems(rows: Iterable[Row], holds: Callable[[Row], bool]) -> Share | None:
    """The mean over problems of the share of runs of which something holds."""
    shares = [sum(map(holds, found)) / len(found) for found in by_problem(rows).values()]
    value = mean(shares)
    return None if value is None else share(value, len(shares))
