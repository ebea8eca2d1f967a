"""Plans: which paths a run opens, in which waves, and when it has seen enough. Pure.

A wave is paths that are opened together; its rule says when the run is over. It is looked at
whenever a path has ended, and where the wave has ended without it the next one is opened. The
votes of all waves count. Methods are plans with names (docs/method.md, section 5).

    plan   =  wave { ";" rule ";" wave } [ ";" rule ]
    wave   =  term { "+" term }
    term   =  [ number "x" ] [ "greedy" ] form ":" writer [ "@" strategy ]
    form   =  "prose" | "brief" | "program"      brief: prose, after the pool's worked examples
    writer =  "target" | "draft" | "ssd"         ssd: the draft writes, the target verifies
    strategy = "selected" | a letter of the pool
    rule   =  "first" | "agree" | "decided"      an answer; two paths with one answer; an answer
                                                 ahead by more votes than paths still write
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import cast, get_args

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.core.display import quoted
from ssr_local.core.errors import UsageError
from ssr_local.core.options import MAX_PATHS, Mode, SolveOptions
from ssr_local.core.records import ModelRole, PathForm, PathKind, Rule, VoteGroup

SELECTED = "selected"
"""In place of a strategy's letter: the one that the target selects."""

_RULES: dict[Mode, Rule] = {"full": "all", "fast1": "first", "fast2": "agree"}
_KINDS: dict[str, tuple[ModelRole, bool]] = {
    "target": ("target", False),
    "draft": ("draft", False),
    "ssd": ("draft", True),
}
_WRITERS = {
    **{"ssr": "ssd", "specreason": "ssd", "draft": "draft"},
    **dict.fromkeys(("target", "parallel", "parallel-spm"), "target"),
}
_TERM = re.compile(
    r"(?:(?P<number>\d{1,3})\s*x\s*)?(?P<greedy>greedy\s+)?(?P<form>[a-z]+)\s*:\s*(?P<writer>[a-z]+)"
    r"(?:\s*@\s*(?P<strategy>selected|[A-Z]))?"
)
_EXAMPLE = "program:target + prose:target; agree; 3 x prose:target"


class PlannedPath(Struct, frozen=True):
    """A path to be opened; ``strategy`` is a letter, ``SELECTED``, or "" for none."""

    kind: PathKind
    strategy: str = ""


class Wave(Struct, frozen=True):
    """Paths that are opened together, and when the run is over."""

    paths: tuple[PlannedPath, ...]
    rule: Rule = "all"

    @property
    def text(self) -> str:
        """Its paths as ``parse_plan`` reads them."""
        return " + ".join(_terms(self.paths))


class Plan(Struct, frozen=True):
    """At least one wave."""

    waves: tuple[Wave, ...]

    @property
    def paths(self) -> tuple[PlannedPath, ...]:
        """Those of all waves, in order."""
        return tuple(path for wave in self.waves for path in wave.paths)

    @property
    def roles(self) -> tuple[ModelRole, ...]:
        """The models it needs loaded."""
        needed = {role for path in self.paths for role in path.kind.roles}
        if self.num_selected:
            needed.add("target")
        return tuple(sorted(needed))

    @property
    def is_verified(self) -> bool:
        """Whether the target verifies steps of some path."""
        return any(path.kind.verified for path in self.paths)

    @property
    def num_selected(self) -> int:
        """How many paths follow strategies that the target selects."""
        return sum(path.strategy == SELECTED for path in self.paths)

    def fitted(self, *, letters: bool, examples: bool) -> Plan:
        """The same for a pool without the letters, or without worked examples: there are no such
        strategies, brief prose is prose, and a greedy path that would repeat one is sampled."""
        seen = set[PlannedPath]()

        def fit(path: PlannedPath) -> PlannedPath:
            kind = path.kind
            if kind.form == "brief" and not examples:
                kind = replace(kind, form="prose")
            new = PlannedPath(kind, path.strategy if letters or path.strategy == SELECTED else "")
            if new in seen and kind.greedy:
                return replace(new, kind=replace(kind, greedy=False))
            seen.add(new)
            return new

        waves = (replace(wave, paths=tuple(map(fit, wave.paths))) for wave in self.waves)
        return Plan(tuple(waves))

    @property
    def text(self) -> str:
        """The plan as ``parse_plan`` reads it."""
        parts: list[str] = []
        for wave in self.waves:
            parts += [wave.text, wave.rule]
        return "; ".join(parts).removesuffix("; all")


def parse_plan(text: str) -> Plan:
    """A plan from its text. Raises ``UsageError`` naming the part that is wrong."""
    parts = [part.strip() for part in text.split(";")]
    waves: list[Wave] = []
    for position, part in enumerate(parts):
        if position % 2 == 0:
            waves.append(Wave(tuple(path for term in part.split("+") for path in _read(term))))
        elif part not in get_args(Rule) or (part == "all" and position < len(parts) - 1):
            raise _refused(part, "is no rule", "first, agree, decided")
        else:
            waves[-1] = Wave(waves[-1].paths, cast(Rule, part))
    plan = Plan(tuple(waves))
    if len(plan.paths) > MAX_PATHS:
        raise _refused(text, f"has {len(plan.paths)} paths", f"at most {MAX_PATHS}")
    return plan


def plan_for(options: SolveOptions) -> Plan:
    """The plan that the options ask for: their own, else the one their method is a name of, which
    for ``auto`` is that of ``ssr`` as long as nobody has chosen one.
    """
    if options.plan:
        return parse_plan(options.plan)
    method = "ssr" if options.method == "auto" else options.method
    writer, is_verified = _KINDS[_WRITERS[method]]
    strategy = SELECTED if method in ("ssr", "parallel-spm") else ""
    path = PlannedPath(PathKind(writer, is_verified), strategy)
    is_parallel = method in ("ssr", "parallel", "parallel-spm")
    num_paths = options.paths if is_parallel else 1
    return Plan((Wave((path,) * num_paths, _RULES[options.mode]),))


def is_over(rule: Rule, groups: Sequence[VoteGroup], num_live: int = 0) -> bool:
    """Whether the votes so far are enough, the winner first, while so many paths still write;
    those of paths with refuted steps do not count."""
    if rule == "first":
        return any(group.num_sound for group in groups)
    if rule == "agree":
        return any(group.num_sound >= 2 for group in groups)
    if rule == "decided":
        leader, second = (*(group.num_sound for group in groups), 0, 0)[:2]
        return leader > second + num_live
    return False


def _read(term: str) -> Iterable[PlannedPath]:
    match = _TERM.fullmatch(term.strip())
    if match is None:
        raise _refused(term, "is no path", f"for example {_EXAMPLE}")
    if match["form"] not in get_args(PathForm):
        raise _refused(match["form"], "is no form of a path", ", ".join(get_args(PathForm)))
    if match["writer"] not in _KINDS:
        raise _refused(match["writer"], "writes no path", ", ".join(_KINDS))
    number = int(match["number"] or 1)
    if not 1 <= number <= MAX_PATHS:
        raise _refused(term, "cannot be", f"1 to {MAX_PATHS} paths")
    form, writer = cast(PathForm, match["form"]), _KINDS[match["writer"]]
    kind = PathKind(*writer, form, greedy=match["greedy"] is not None)
    return [PlannedPath(kind, match["strategy"] or "")] * number


def _terms(paths: Sequence[PlannedPath]) -> Iterable[str]:
    writers = {kind: name for name, kind in _KINDS.items()}
    for path, same in groupby(paths):
        number = len(list(same))
        writer = writers[path.kind.writer, path.kind.verified]
        text = "greedy " if path.kind.greedy else ""
        text += f"{path.kind.form}:{writer}" + (f"@{path.strategy}" if path.strategy else "")
        yield f"{number} x {text}" if number > 1 else text


def _refused(part: str, why: str, accepted: str) -> UsageError:
    what = f"The plan cannot be read: {quoted(part.strip())} {why}."
    return UsageError(what, f"Accepted: {accepted}.")
