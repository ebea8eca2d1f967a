"""From rows to the figures of a profile: kinds of path, plans, agreement. Pure.

Kinds and agreement count each problem once, and paths of a plan's first wave alone: later ones are
opened where the first were of no use, on hard problems.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

from ssr_local.bench.records import Outcome, Row
from ssr_local.bench.statistics import mean, wilson
from ssr_local.core.records import (
    Agreement,
    KindFigures,
    PlanFigures,
    ReasoningPath,
)
from ssr_local.method.auto import ALONE
from ssr_local.method.plans import parse_plan
from ssr_local.method.prediction import INSTRUCTION_TOKENS, kind_name

_CUT = (None, "early_exit", "dropped", "cancelled", "time_limit")
_NEEDED = {"first": 1, "agree": 2}  # paths with which a rule can hold

_Judged = tuple[ReasoningPath, Outcome]


class MeasuredFigures(Struct, frozen=True, kw_only=True):
    """The parts of a profile that rows give; ``seconds`` is a plan's mean by its text."""

    plans: dict[str, PlanFigures]
    kinds: dict[str, KindFigures]
    agree: Agreement | None
    prompt_tokens: float | None
    seconds: dict[str, float]


def figures_from(rows: Iterable[Row]) -> MeasuredFigures:
    """What the rows of one task say; failed ones count as problems not solved."""
    by_plan: dict[str, list[Row]] = {}
    for row in rows:
        by_plan.setdefault(plan_of(row), []).append(row)
    alone = {row.problem: row for row in by_plan.get(ALONE, ()) if row.result}
    done = [row for found in by_plan.values() for row in found if row.result]
    prompts = mean(
        row.result.usage.target.prefill_tokens for row in alone.values() if row.result is not None
    )
    return MeasuredFigures(
        plans={plan: _of_plan(found, alone) for plan, found in by_plan.items()},
        kinds=_kinds(done),
        agree=_agreement(done),
        prompt_tokens=max(1.0, prompts - INSTRUCTION_TOKENS) if prompts else None,
        seconds={
            plan: math.fsum(row.elapsed_s for row in found) / len(found)
            for plan, found in by_plan.items()
        },
    )


def plan_of(row: Row) -> str:
    """The plan a row followed; that of a failed one is its method's name."""
    return row.result.plan if row.result and row.result.plan else row.method


def _of_plan(rows: Sequence[Row], alone: dict[str, Row]) -> PlanFigures:
    right = sum(row.outcome == "right" for row in rows)
    interval = wilson(right, len(rows))
    assert interval is not None, "a plan has rows"
    results = [row.result for row in rows if row.result]
    timed = [row for row in rows if row.result and row.problem in alone]
    own, theirs = (
        math.fsum(row.elapsed_s for row in found)
        for found in (timed, [alone[row.problem] for row in timed])
    )
    tokens = mean(one.usage.draft.decode_tokens + one.usage.target.decode_tokens for one in results)
    drafted = sum(one.num_drafted for one in results)
    return PlanFigures(
        right=right,
        num=len(rows),
        percent=(
            round(100 * right / len(rows), 1),
            round(100 * interval.low, 1),
            round(100 * interval.high, 1),
        ),
        tokens=round(tokens, 1) if tokens else None,
        acceptance=round(sum(one.num_accepted for one in results) / drafted, 3)
        if drafted
        else None,
        times_target=round(own / theirs, 3) if own > 0 and theirs > 0 else None,
    )


def _kinds(rows: Sequence[Row]) -> dict[str, KindFigures]:
    found: dict[str, dict[str, _Judged]] = {}
    for row in rows:
        for name, judged in _first_wave(row).items():
            if judged[0].steps:
                found.setdefault(name, {}).setdefault(row.problem, judged)
    return {name: _kind(name, [*paths.values()], rows) for name, paths in found.items()}


def _first_wave(row: Row) -> dict[str, _Judged]:
    """The first path of each kind in a run's first wave. None of a wave of which a path was cut
    short, or that its rule can cut short: whole ones are then of the problems where paths differ.
    """
    wave = parse_plan(plan_of(row)).waves[0]
    if row.result is None or len(wave.paths) > _NEEDED.get(wave.rule, len(wave.paths)):
        return {}
    found: dict[str, _Judged] = {}
    for path, outcome in zip(row.result.paths, row.path_outcomes, strict=True):
        if path.wave == 0 and path.kind is not None:
            found.setdefault(kind_name(path.kind), (path, outcome))
            if path.end_reason in _CUT:
                return {}
    return found


def _kind(name: str, paths: Sequence[_Judged], rows: Sequence[Row]) -> KindFigures:
    tokens = sum(step.num_tokens for path, _ in paths for step in path.steps)
    acceptance, rewrite = _kept(name, rows) if name.endswith(":ssd") else (None, 1.0)
    return KindFigures(
        tokens=round(max(1.0, tokens / len(paths)), 1),
        answers=round(sum(path.answer is not None for path, _ in paths) / len(paths), 3),
        right=round(sum(outcome == "right" for _, outcome in paths) / len(paths), 3),
        num=len(paths),
        acceptance=acceptance,
        rewrite=rewrite,
    )


def _kept(name: str, rows: Sequence[Row]) -> tuple[float | None, float]:
    """The share of drafted tokens that stayed, and tokens rewritten for one that did not; of runs
    in which the draft wrote nothing else."""
    drafted = kept = rewritten = 0
    for result in (row.result for row in rows if row.result):
        paths = [path for path in result.paths if path.kind and path.kind.writer == "draft"]
        if {kind_name(path.kind) for path in paths if path.kind} != {name}:
            continue
        drafted += result.usage.draft.decode_tokens
        for step in (step for path in paths for step in path.steps):
            kept += step.num_tokens * (step.author == "draft")
            rewritten += step.num_tokens * (step.author == "target")
    if not drafted:
        return None, 1.0
    share = min(1.0, kept / drafted)
    return round(share, 3), round(rewritten / (drafted - kept), 3) if drafted > kept else 1.0


def _agreement(rows: Sequence[Row]) -> Agreement | None:
    """How often a program and a prose path of the target's that began together had one answer."""
    right: dict[str, bool | None] = {}  # by problem; None where they differ
    for row in rows:
        wave = _first_wave(row)
        words = wave.get("brief:target") or wave.get("prose:target")
        if row.result is None or not words or "program:target" not in wave or row.problem in right:
            continue
        pair = (wave["program:target"], words)
        indices = {path.index for path, _ in pair}
        is_same = any(indices <= {*group.paths} for group in row.result.votes)
        right[row.problem] = pair[0][1] == "right" if is_same else None
    same = [one for one in right.values() if one is not None]
    return Agreement(same=len(same), right=sum(same), num=len(right)) if right else None
