"""Finds the plans that pay with a pair on this machine: paired, alternating, dropping losers.

Problem by problem all plans still in the race are run. The decisions are pure; rows are the
bench's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.api import Solver
from ssr_local.bench.methods import MethodSpec, parse_method
from ssr_local.bench.profiling import MeasuredFigures
from ssr_local.bench.records import Problem, Row
from ssr_local.bench.runner import MAX_FAILURES, Bench, latest, run_bench
from ssr_local.bench.scoring import Scorer
from ssr_local.core.errors import EngineError
from ssr_local.core.line_file import LineFile
from ssr_local.core.options import Effort, SolveOptions
from ssr_local.core.records import EffortPlans, Profile
from ssr_local.method.auto import ALONE, BUDGETS, TOLERANCE
from ssr_local.method.plans import parse_plan
from ssr_local.method.prompts import is_typeset

CANDIDATES = (
    ALONE,
    "program:target; first; prose:target",
    "program:target + brief:target; agree; 3 x prose:target",
    "3 x prose:target; agree",
    "prose:ssd",
    "3 x prose:ssd; agree",
)
"""What is tried besides the plans that are known for the pair."""

FEWEST = 10
"""Problems from which something is said, and a plan may be dropped for solving fewer."""
_FEWEST_SLOW, _FEWEST_EQUAL = 3, 20
_CLEARLY_MORE, _CLEARLY_FASTER = 2, 0.8
_DEAREST = TOLERANCE * max(BUDGETS.values())


class Standing(Struct, frozen=True, kw_only=True):
    """One plan: the problems it solved of those that all plans in the race have, its mean seconds
    there; ``dropped`` is why it is out, "" while it is in."""

    plan: str
    right: frozenset[str]
    num: int
    seconds: float
    dropped: str = ""


def candidates(
    known: Iterable[Profile | EffortPlans | None], tried: Iterable[str] = ()
) -> tuple[MethodSpec, ...]:
    """The plans to try, each once, the target's prose first: ours, those ``known`` for the
    efforts, and those that were ``tried`` before."""
    own = [getattr(plans, effort) for plans in known if plans for effort in get_args(Effort)]
    methods = [parse_method(plan) for plan in (*CANDIDATES, *own, *tried)]
    return tuple({method.name: method for method in methods}.values())


def are_typeset(problems: Iterable[Problem]) -> bool:
    """Whether more than half of the problems have formulas in LaTeX."""
    kinds = [is_typeset(one.problem) for one in problems]
    return 2 * sum(kinds) > len(kinds)


def plans_in(profile: Profile | None, *, typeset: bool) -> Profile | EffortPlans | None:
    """The plans that a profile has for problems with formulas, or for those without."""
    return profile.plans_for.get("typeset", profile) if profile and typeset else profile


def rows_of(lines: Iterable[Row], task: str, problems: Iterable[Problem]) -> list[Row]:
    """Those of these problems, each once."""
    ids = {problem.id for problem in problems}
    return [row for row in latest(lines) if row.task == task and row.problem in ids]


def standings(rows: Iterable[Row], plans: Sequence[str]) -> tuple[Standing, ...]:
    """How the plans stand; who was dropped is found out anew from the rows, problem by problem.

    A plan is out when after 3 problems it takes more than any effort may, with a quarter of
    tolerance; when it is slower than another and solved at least 2 fewer of 10 problems or
    more; when it is slower and solved no more of 20.
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
        losers = [replace(one, dropped=why) for one in now if (why := _loss(one, now))]
        dropped |= {one.plan: one for one in losers}
        racing = [plan for plan in racing if plan not in dropped]
    racers = {plan: _standing(plan, found[plan], done) for plan in racing}
    return tuple((dropped | racers)[plan] for plan in plans)


def choose_plans(
    found: Sequence[Standing], in_force: Profile | EffortPlans | None = None
) -> EffortPlans | None:
    """For each effort the most accurate plan that it can afford, the fastest of equals; None with
    too few problems.

    A plan ``in_force`` that is still in the race and within the budget stays unless another one
    solved at least 2 problems more, or no fewer in less than 0.8 of its seconds.
    """
    alone = next(one for one in found if one.plan == ALONE)
    if alone.num < FEWEST:
        return None

    def best(effort: Effort) -> str:
        budget = BUDGETS[effort] * alone.seconds
        able = [one for one in found if not one.dropped and one.seconds <= budget]
        kept = parse_plan(getattr(in_force, effort)).text if in_force else ""
        now = next((one for one in able if one.plan == kept), None)
        if now:
            able = [one for one in able if _is_clearly_better(one, now)] or [now]
        return min(able, key=lambda one: (-len(one.right), one.seconds)).plan

    return EffortPlans(quick=best("quick"), normal=best("normal"), thorough=best("thorough"))


def summary(chosen: EffortPlans, found: Sequence[Standing], task: str) -> str:
    """What the choice rests on, in words."""
    by_plan = {one.plan: one for one in found}
    said = (f"{one} {len(by_plan[getattr(chosen, one)].right)}" for one in get_args(Effort))
    num = by_plan[ALONE].num
    return f"on {num} problems of {task}, on this machine: solved by {', '.join(said)}"


def measured_profile(
    before: Profile | None,
    chosen: EffortPlans,
    figures: MeasuredFigures,
    *,
    typeset: bool,
    note: str,
    machine: str,
    date: str,
) -> Profile:
    """The profile with what was measured; what was not stays as it was known ``before``.

    Of problems with formulas the plans alone are taken: what else there is was measured without.
    """
    if typeset and before:
        profile = before
    else:
        known = before or Profile(quick=ALONE, normal=ALONE, thorough=ALONE)
        profile = replace(
            known,
            quick=chosen.quick,
            normal=chosen.normal,
            thorough=chosen.thorough,
            note=note,
            plans=known.plans | figures.plans,
            kinds=known.kinds | figures.kinds,
            agree=figures.agree or known.agree,
            prompt_tokens=figures.prompt_tokens or known.prompt_tokens,
            machine=machine,
            date=date,
        )
    if typeset:
        plans = replace(chosen, kinds=figures.kinds)
        profile = replace(profile, plans_for=profile.plans_for | {"typeset": plans})
    return profile


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
            found = standings(rows_of(file.lines, task, problems), list(by_name))
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
    """Why a plan is out, "" while it is in."""
    if one.plan == ALONE:
        return ""
    alone = next(other for other in others if other.plan == ALONE)
    if one.num >= _FEWEST_SLOW and one.seconds > _DEAREST * alone.seconds:
        return f"takes over {_DEAREST:g} times the target's time"
    for other in (other for other in others if other.seconds < one.seconds):
        fewer = len(other.right) - len(one.right)
        if one.num >= FEWEST and fewer >= _CLEARLY_MORE:
            return f"slower than {other.plan}, which solved {fewer} more of {one.num}"
        if one.num >= _FEWEST_EQUAL and fewer >= 0:
            return f"slower than {other.plan}, and solved no more of {one.num}"
    return ""


def _is_clearly_better(one: Standing, now: Standing) -> bool:
    more = len(one.right) - len(now.right)
    return more >= _CLEARLY_MORE or (more >= 0 and one.seconds < _CLEARLY_FASTER * now.seconds)
