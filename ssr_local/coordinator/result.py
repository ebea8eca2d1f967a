"""A run's result, put together when it has ended. Pure."""

from __future__ import annotations

from ssr_local.coordinator.run import Run
from ssr_local.core.records import Flops, Rule, RunResult
from ssr_local.method import voting
from ssr_local.version import VERSION


def build_result(run: Run) -> RunResult:
    """The result of a run whose paths have ended and whose votes are counted."""
    paths = tuple(path.record() for path in run.paths)
    winner = next((group for group in run.groups if group.winner), None)
    usage = run.usage
    used = (usage.draft, usage.target)
    return RunResult(
        problem=run.problem,
        answer=winner.answer if winner else None,
        status=run.status,
        paths=paths,
        votes=run.groups,
        usage=usage,
        timing_s=run.timing,
        acceptance_rate=run.num_accepted / run.num_drafted if run.num_drafted else None,
        flops=Flops(
            decode=sum(model.decode_flops for model in used),
            total=sum(model.total_flops for model in used),
        ),
        options=run.option_values,
        models=run.models(),
        version=VERSION,
        num_steps=sum(len(path.steps) for path in paths),
        num_drafted=run.num_drafted,
        num_accepted=run.num_accepted,
        num_rewrites=run.num_rewrites,
        best_path=None if winner else voting.best_path(paths),
        strategies=run.scores,
        notices=tuple(run.notices),
        given=run.prefix_steps,
        plan=run.plan.text,
        stopped=_stopped(run),
        waves=tuple(run.waves),
        selection_orders=run.orders,
    )


_DECIDED: dict[Rule, str] = {
    "first": "a path has an answer",
    "agree": "two paths agree",
    "decided": "the vote is decided",
}


def _stopped(run: Run) -> str:
    if run.cancelled:
        return "it was stopped"
    if run.is_decided:
        rule = run.plan.waves[run.num_waves - 1].rule
        return _DECIDED[rule]
    return "the time is up" if run.time_is_up else "all paths have ended"
