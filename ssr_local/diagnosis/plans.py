"""What this machine would do: plans by effort, and some by name, with predicted seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple, get_args

from msgspec import Struct

from ssr_local.coordinator.choosing import Known, known_of, specs_of
from ssr_local.core import folders
from ssr_local.core.config import Settings
from ssr_local.core.errors import HistoryError, UsageError
from ssr_local.core.options import Effort, SolveOptions
from ssr_local.core.records import ModelRole, PlanFigures
from ssr_local.diagnosis.findings import Finding
from ssr_local.diagnosis.pair_speeds import measured_speeds
from ssr_local.engine.demo import is_demo
from ssr_local.engine.hardware import cpu_name
from ssr_local.engine.speeds import RememberedSpeed
from ssr_local.history.database import FILE_NAME
from ssr_local.history.store import History
from ssr_local.method.auto import problems_of
from ssr_local.method.plans import Plan, parse_plan, plan_for
from ssr_local.method.pools import load_pool
from ssr_local.method.prompts import is_typeset
from ssr_local.method.verification import VERIFIERS
from ssr_local.models.models_file import ModelSpec
from ssr_local.models.registry import load_registry, resolve_pair

_NAMED = {
    "target": SolveOptions(method="target"),
    "parallel-3": SolveOptions(method="parallel", paths=3),
    "ssr-m3": SolveOptions(method="ssr", paths=3),
}
_MOST_RUNS = 20

Taken = Mapping[tuple[str, str], Sequence[float]]
"""Seconds of runs, the newest first, by plan and problems (``problems_of``)."""


class PlanRow(Struct, frozen=True, kw_only=True):
    """One plan: predicted seconds, and how many times the target's prose alone that is, None where
    a model's speed is not known; ``opened`` is how often each of its waves is expected, 0 to 1.

    ``took_s`` is the median of the ``num_runs`` newest runs of the history that followed it.
    ``figures`` is what was measured of it with this pair. ``is_default`` says that the settings in
    force take it, ``why`` why an effort's plan was chosen, ``typeset`` that all this is of problems
    with formulas in LaTeX.
    """

    name: str
    plan: str
    seconds: float | None
    times_target: float | None
    opened: tuple[float, ...] = ()
    took_s: float | None = None
    num_runs: int = 0
    figures: PlanFigures | None = None
    is_default: bool = False
    why: str = ""
    typeset: bool = False


class PlansReport(Struct, frozen=True, kw_only=True):
    """What ``ssr-local plans --json`` prints; ``models`` are the pair's by name. ``is_guess``:
    lengths of paths are another pair's."""

    pair: str
    models: dict[ModelRole, str]
    cpu: str
    strategies: str
    speeds: dict[ModelRole, RememberedSpeed]
    is_guess: bool
    measured: str
    rows: tuple[PlanRow, ...]


def list_plans(
    settings: Settings, *, measure: bool = False, on_progress: Callable[[str], None]
) -> PlansReport:
    """The plans that this machine would follow under the settings in force.

    Speeds that are not remembered, or all with ``measure``, are measured first where the
    models are here. Raises ``UsageError`` for the demonstration, ``ModelError``, ``EngineError``.
    """
    options = settings.engine
    if is_demo(options):
        raise UsageError(
            "The demonstration has no plans.",
            "It plays a script, without models.",
            "Name a pair: ssr-local plans --pair default",
        )
    registry = load_registry()
    pair = resolve_pair(registry, pair=options.pair, draft=options.draft, target=options.target)
    specs = specs_of(registry, pair)
    measured_speeds(specs, options, anew=measure, on_progress=on_progress)
    known = known_of(registry, pair, options)
    return PlansReport(
        pair=pair.name,
        models={role: spec.name for role, spec in specs.items()},
        cpu=cpu_name(),
        strategies=settings.solve.strategies,
        speeds=known.speeds,
        is_guess=pair.profile is None,
        measured=known.figures.note if known.figures else "",
        rows=plan_rows(known, settings.solve, taken(specs, settings.solve)),
    )


class _Listed(NamedTuple):
    name: str
    plan: Plan
    why: str = ""
    typeset: bool = False


def plan_rows(known: Known, solve: SolveOptions, taken: Taken) -> tuple[PlanRow, ...]:
    """One row for each effort, another where formulas change its plan, one for each named method,
    and one for what the settings take if that is none of them."""
    listed = _listed(known, solve)
    names = [one.name for one in listed]
    default = {solve.effort, _with_formulas(solve.effort)}
    if not solve.leaves_plan:
        own = plan_for(solve)
        same = next((one.name for one in listed if one.plan == own and not one.typeset), "")
        name = same or ("plan" if solve.plan or solve.method in names else solve.method)
        listed += [] if same else [_Listed(name, own)]
        default = {name}
    pool = load_pool(solve.strategies)
    asks = VERIFIERS[solve.verifier].question is not None
    target = plan_for(_NAMED["target"])
    rows = []
    for name, plan, why, typeset in listed:
        problems = problems_of(pool, typeset=typeset)
        predicted, alone = (
            known.predict(one, pool, typeset=typeset, asks=asks) for one in (plan, target)
        )
        runs = taken.get((plan.text, problems), ())[:_MOST_RUNS]
        # A profile's figures are of the problems that its own plans are for.
        is_known = known.own and pool.programs and problems not in known.own.plans_for
        measured = known.own.plans if known.own and is_known else {}
        rows.append(
            PlanRow(
                name=name,
                plan=plan.text,
                seconds=predicted.seconds if predicted else None,
                times_target=predicted.seconds / alone.seconds if predicted and alone else None,
                opened=predicted.opened if predicted else (),
                took_s=median(runs) if runs else None,
                num_runs=len(runs),
                figures=measured.get(plan.text),
                is_default=name in default,
                why=why,
                typeset=typeset,
            )
        )
    return tuple(rows)


def _listed(known: Known, solve: SolveOptions) -> list[_Listed]:
    pool, found = load_pool(solve.strategies), list[_Listed]()
    for effort in get_args(Effort):
        usual, special = (known.choose(effort, pool, typeset=one) for one in (False, True))
        found.append(_Listed(effort, parse_plan(usual.plan), usual.why))
        if special.plan != usual.plan:
            name = _with_formulas(effort)
            found.append(_Listed(name, parse_plan(special.plan), special.why, typeset=True))
    return found + [_Listed(name, plan_for(options)) for name, options in _NAMED.items()]


def _with_formulas(effort: str) -> str:
    return f"{effort}, formulas"


def seconds_of(row: PlanRow) -> Finding:
    """What a plan is predicted to take, and what it took."""
    said = []
    if row.seconds is not None:
        said.append(f"~{row.seconds:.1f} s a problem, predicted")
    if row.took_s is not None:
        said.append(f"{row.took_s:.1f} s measured (median of the newest runs: {row.num_runs})")
    return Finding(row.name, "ok", "; ".join(said))


def taken(specs: Mapping[ModelRole, ModelSpec], solve: SolveOptions) -> Taken:
    """What runs of these models on this pool took; nothing where there is no history that can be
    read."""
    found: dict[tuple[str, str], list[float]] = {}
    if not (folders.data_dir() / FILE_NAME).exists():
        return found
    try:
        with History() as history:
            runs = history.timed_runs(specs["draft"].name, specs["target"].name)
    except HistoryError:
        return found
    pool = load_pool(solve.strategies)
    for run in runs:
        if run.options.get("strategies") == solve.strategies:
            problems = problems_of(pool, typeset=is_typeset(run.problem))
            found.setdefault((run.plan, problems), []).append(run.seconds)
    return found
