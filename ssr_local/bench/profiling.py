"""From rows to the figures of a profile: kinds of path, plans, agreement. Pure.

A path that was ended because others sufficed says nothing of its length and is left out.
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
    PathForm,
    PathKind,
    PlanFigures,
    ReasoningPath,
    RunResult,
)
from ssr_local.method.auto import ALONE
from ssr_local.method.prediction import INSTRUCTION_TOKENS, kind_name

_CUT = (None, "early_exit", "dropped", "cancelled")


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
    found: dict[PathKind, list[tuple[ReasoningPath, Outcome]]] = {}
    for row in rows:
        assert row.result is not None
        for path, outcome in zip(row.result.paths, row.path_outcomes, strict=True):
            if path.kind is not None and path.end_reason not in _CUT and path.steps:
                found.setdefault(path.kind, []).append((path, outcome))
    return {kind_name(kind): _kind(kind, paths, rows) for kind, paths in found.items()}


def _kind(
    kind: PathKind, paths: Sequence[tuple[ReasoningPath, Outcome]], rows: Sequence[Row]
) -> KindFigures:
    tokens = sum(step.num_tokens for path, _ in paths for step in path.steps)
    acceptance, rewrite = _kept(kind, rows) if kind.verified else (None, 1.0)
    return KindFigures(
        tokens=round(max(1.0, tokens / len(paths)), 1),
        answers=round(sum(path.answer is not None for path, _ in paths) / len(paths), 3),
        right=round(sum(outcome == "right" for _, outcome in paths) / len(paths), 3),
        num=len(paths),
        acceptance=acceptance,
        rewrite=rewrite,
    )


def _kept(kind: PathKind, rows: Sequence[Row]) -> tuple[float | None, float]:
    """The share of drafted tokens that stayed, and tokens rewritten for one that did not; of runs
    in which the draft wrote nothing else."""
    drafted = kept = rewritten = 0
    for result in (row.result for row in rows if row.result):
        kinds = {path.kind for path in result.paths if path.kind and path.kind.writer == "draft"}
        if kinds != {kind}:
            continue
        drafted += result.usage.draft.decode_tokens
        for step in (step for path in result.paths if path.kind == kind for step in path.steps):
            kept += step.num_tokens * (step.author == "draft")
            rewritten += step.num_tokens * (step.author == "target")
    if not drafted:
        return None, 1.0
    share = min(1.0, kept / drafted)
    return round(share, 3), round(rewritten / (drafted - kept), 3) if drafted > kept else 1.0


def _agreement(rows: Sequence[Row]) -> Agreement | None:
    """How often the first program and the first prose path of a run had one answer."""
    same = right = num = 0
    for row in rows:
        assert row.result is not None
        pair = [_first(row.result, form) for form in ("program", "prose")]
        if any(path is None or path.end_reason in _CUT for path in pair):
            continue
        num += 1
        indices = {path.index for path in pair if path is not None}
        if any(indices <= {*group.paths} for group in row.result.votes):
            same += 1
            right += row.path_outcomes[min(indices)] == "right"
    return Agreement(same=same, right=right, num=num) if num else None


def _first(result: RunResult, form: PathForm) -> ReasoningPath | None:
    wanted = PathKind(form=form)
    kinds = ((path, path.kind) for path in result.paths if path.kind is not None)
    return next((path for path, kind in kinds if kind_name(kind) == kind_name(wanted)), None)
