"""What this machine would do: plans by effort, and some by name, with predicted seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import get_args

from msgspec import Struct

from ssr_local.coordinator.choosing import Known, known_of, specs_of
from ssr_local.core import folders
from ssr_local.core.config import Settings
from ssr_local.core.errors import HistoryError, UsageError
from ssr_local.core.options import Effort, SolveOptions
from ssr_local.core.records import ModelRole, PlanFigures
from ssr_local.diagnosis.pair_speeds import measured_speeds
from ssr_local.engine.demo import is_demo
from ssr_local.engine.hardware import cpu_name
from ssr_local.engine.speeds import RememberedSpeed
from ssr_local.history.database import FILE_NAME
from ssr_local.history.store import History
from ssr_local.method.plans import parse_plan, plan_for
from ssr_local.method.pools import load_pool
from ssr_local.method.verification import VERIFIERS
from ssr_local.models.registry import load_registry, resolve_pair

_NAMED = {
    "target": SolveOptions(method="target"),
    "parallel-3": SolveOptions(method="parallel", paths=3),
    "ssr-m3": SolveOptions(method="ssr", paths=3),
}


_MOST_RUNS = 20


class PlanRow(Struct, frozen=True, kw_only=True):
    """One plan: predicted seconds, and how many times the target's prose alone that is, None where
    a model's speed is not known; ``opened`` is how often each of its waves is expected, 0 to 1.

    ``took_s`` is the median of the ``num_runs`` newest runs of the history that followed it.
    ``figures`` is what was measured of it with this pair. ``is_default`` says that the settings in
    force take it, ``why`` why an effort's plan was chosen.
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


class PlansReport(Struct, frozen=True, kw_only=True):
    """What ``ssr-local plans --json`` prints. ``is_guess``: lengths of paths are another pair's."""

    pair: str
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
    measured_speeds(specs_of(registry, pair), options, anew=measure, on_progress=on_progress)
    known = known_of(registry, pair, options)
    return PlansReport(
        pair=pair.name,
        cpu=cpu_name(),
        strategies=settings.solve.strategies,
        speeds=known.speeds,
        is_guess=pair.profile is None,
        measured=known.figures.note if known.figures else "",
        rows=plan_rows(known, settings.solve, _taken(pair.name)),
    )


def plan_rows(
    known: Known, solve: SolveOptions, taken: Mapping[str, Sequence[float]] = {}
) -> tuple[PlanRow, ...]:
    """One row for each effort and named method, and for what the settings take if that is none.

    ``taken`` has the seconds of runs by plan, the newest first.
    """
    pool = load_pool(solve.strategies)
    chosen = {effort: known.choose(effort, pool) for effort in get_args(Effort)}
    plans = {effort: parse_plan(choice.plan) for effort, choice in chosen.items()}
    plans |= {name: plan_for(options) for name, options in _NAMED.items()}
    default: str = solve.effort if solve.method == "auto" and not solve.plan else ""
    if not default:
        own = plan_for(solve)
        default = next((name for name, plan in plans.items() if plan == own), solve.method)
        plans[default] = own
    asks = VERIFIERS[solve.verifier].question is not None
    alone = known.predict(plans["target"], asks=asks)
    measured: Mapping[str, PlanFigures] = known.own.plans if known.own else {}
    rows = []
    for name, plan in plans.items():
        predicted = known.predict(plan, asks=asks)
        runs = taken.get(plan.text, ())[:_MOST_RUNS]
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
                is_default=name == default,
                why=chosen[name].why if name in chosen else "",
            )
        )
    return tuple(rows)


def _taken(pair: str) -> dict[str, list[float]]:
    """Seconds of this pair's runs by plan; none where there is no history that can be read."""
    if not (folders.data_dir() / FILE_NAME).exists():
        return {}
    try:
        with History() as history:
            return history.seconds_by_plan(pair)
    except HistoryError:
        return {}
