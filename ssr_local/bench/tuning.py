"""Finds the plans that pay with a pair on this machine: paired, alternating, dropping losers.

Problem by problem all plans still in the race are run; what can no longer win is dropped. The
decisions are pure; rows are the bench's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import get_args

from msgspec import Struct

from ssr_local.api import Solver
from ssr_local.bench.methods import MethodSpec, parse_method
from ssr_local.bench.profiling import MeasuredFigures, figures_from
from ssr_local.bench.records import Problem, Row
from ssr_local.bench.runner import MAX_FAILURES, Bench, latest, run_bench
from ssr_local.bench.scoring import Scorer
from ssr_local.bench.statistics import paired_difference
from ssr_local.core.errors import EngineError
from ssr_local.core.line_file import LineFile
from ssr_local.core.options import Effort, SolveOptions
from ssr_local.core.records import Profile
from ssr_local.method.auto import ALONE, BUDGETS

CANDIDATES = (
    ALONE,
    "program:target",
    "program:target; first; prose:target",
    "program:target + prose:target; agree; prose:target",
    "program:target + prose:target; agree; 3 x prose:target",
    "3 x prose:target; agree",
    "prose:ssd",
    "3 x prose:ssd; agree",
)
"""What is tried besides the plans of the profile in force."""

FEWEST = 6
"""Problems from which something is said, and a plan may be dropped for being never better."""
FEWEST_SLOW = 2
"""Problems after which a plan that no effort could afford is dropped."""
_CLEARLY_FASTER = 0.9


class Standing(Struct, frozen=True, kw_only=True):
    """One plan: the problems it solved of those that all plans in the race have, its mean seconds
    there; ``dropped`` is why it is out, "" while it is in."""

    plan: str
    right: frozenset[str]
    num: int
    seconds: float
    dropped: str = ""


def candidates(profile: Profile | None) -> tuple[MethodSpec, ...]:
    """The plans to try, each once, the target's prose first."""
    own = [getattr(profile, effort) for effort in get_args(Effort)] if profile else []
    methods = [parse_method(plan) for plan in (*CANDIDATES, *own)]
    return tuple({method.name: method for method in methods}.values())


def standings(rows: Iterable[Row], plans: Sequence[str]) -> tuple[Standing, ...]:
    """How the plans stand; who was dropped is found out anew from the rows, problem by problem.

    A plan is out when no effort could afford it; when a plan that takes no longer is more often
    right, by the 95 % interval of the paired difference; when a clearly faster one has solved
    all that it solved.
    """
    found: dict[str, dict[str, Row]] = {plan: {} for plan in plans}
    order: dict[str, None] = {}
    for row in rows:
        if row.method in found:
            found[row.method][row.problem] = row
            order[row.problem] = None
    dropped: dict[str, Standing] = {}
    done: list[str] = []
    racing = list(plans)
    for problem in order:
        if not all(problem in found[plan] for plan in racing):
            continue
        done.append(problem)
        now = [_standing(plan, found[plan], done) for plan in racing]
        why = {one.plan: _loss(one, now) for one in now}
        dropped |= {one.plan: _out(one, why[one.plan]) for one in now if why[one.plan]}
        racing = [plan for plan in racing if not why[plan]]
    racers = {plan: _standing(plan, found[plan], done) for plan in racing}
    return tuple((dropped | racers)[plan] for plan in plans)


def choose_plans(found: Sequence[Standing]) -> dict[Effort, str] | None:
    """For each effort the most accurate plan that it can afford, the fastest of equals; None with
    too few problems."""
    racing = [one for one in found if not one.dropped]
    alone = next(one for one in found if one.plan == ALONE)
    if alone.num < FEWEST:
        return None

    def best(budget: float) -> str:
        able = [one for one in racing if one.seconds <= budget * alone.seconds]
        return min(able, key=lambda one: (-len(one.right), one.seconds)).plan

    return {effort: best(BUDGETS[effort]) for effort in get_args(Effort)}


def measured_profile(
    rows: Sequence[Row], found: Sequence[Standing], *, task: str, machine: str, date: str
) -> tuple[Profile, MeasuredFigures] | None:
    """The profile that rows give, and all their figures; None with too few problems."""
    chosen = choose_plans(found)
    if chosen is None:
        return None
    figures = figures_from(rows)
    by_plan = {one.plan: one for one in found}
    said = (f"{one} {len(by_plan[plan].right)}" for one, plan in chosen.items())
    num = by_plan[ALONE].num
    return Profile(
        quick=chosen["quick"],
        normal=chosen["normal"],
        thorough=chosen["thorough"],
        note=f"on {num} problems of {task}, on this machine: solved by {', '.join(said)}",
        plans=figures.plans,
        kinds=figures.kinds,
        agree=figures.agree,
        prompt_tokens=figures.prompt_tokens,
        machine=machine,
        date=date,
    ), figures


def tune(
    problems: Sequence[Problem],
    methods: Sequence[MethodSpec],
    solver: Solver,
    scorer: Scorer,
    options: SolveOptions,
    file: LineFile[Row],
    *,
    task: str,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Row]:
    """Run the plans on one problem after the other for so many seconds, and yield each new row.

    Rows that the file holds already are not made again. Raises as ``run_bench``, and
    ``EngineError`` when all plans fail on three problems, one after another.
    """
    by_name: Mapping[str, MethodSpec] = {method.name: method for method in methods}
    deadline, known, failing = clock() + seconds, -1, 0
    racing = list(methods)
    for number, problem in enumerate(problems):
        if len(file.lines) != known:
            known = len(file.lines)
            found = standings(latest(file.lines), list(by_name))
            racing = [by_name[one.plan] for one in found if not one.dropped]
        first = number % len(racing)
        turn = (*racing[first:], *racing[:first])
        bench = Bench(task, (problem,), turn, 1, 0)
        made: list[Row] = []
        for row in run_bench(bench, solver, scorer, options, file):
            yield row
            made.append(row)
            if clock() >= deadline:
                return
        if made:
            failing = failing + 1 if all(row.outcome == "failed" for row in made) else 0
        if failing == MAX_FAILURES:
            raise EngineError(
                f"The engine failed on {failing} problems, one after another.",
                made[-1].error,
                "See what is wrong: ssr-local doctor",
            )


def _standing(plan: str, rows: Mapping[str, Row], problems: Sequence[str]) -> Standing:
    right = frozenset(one for one in problems if rows[one].outcome == "right")
    total = sum(rows[one].elapsed_s for one in problems)
    return Standing(
        plan=plan, right=right, num=len(problems), seconds=total / max(1, len(problems))
    )


def _loss(one: Standing, others: Sequence[Standing]) -> str:
    """Why a plan cannot win any more, "" while it can."""
    if one.plan == ALONE:
        return ""
    alone = next(other for other in others if other.plan == ALONE)
    dearest = max(BUDGETS.values())
    if one.num >= FEWEST_SLOW and one.seconds > 1.5 * dearest * alone.seconds:
        return f"takes more than {dearest:g} times the target's time"
    for other in others:
        if other is one or other.seconds > one.seconds:
            continue
        both, more, less = (
            len(one.right & other.right),
            len(other.right - one.right),
            len(one.right - other.right),
        )
        interval = paired_difference(both, more, less, one.num - both - more - less)
        if one.num >= FEWEST and interval is not None and interval.low > 0:
            return f"less accurate and no faster than {other.plan}"
        faster = other.seconds < _CLEARLY_FASTER * one.seconds
        if one.num >= FEWEST and faster and not less:
            return f"slower and never better than {other.plan}"
    return ""


def _out(one: Standing, why: str) -> Standing:
    return Standing(plan=one.plan, right=one.right, num=one.num, seconds=one.seconds, dropped=why)
