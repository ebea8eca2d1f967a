"""``ssr-local bench steps``: collect labelled steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from ssr_local.bench.labels.rollouts import Labeller, RolloutOptions, collect, num_labelled
from ssr_local.bench.records import Walk
from ssr_local.bench.scoring import Scorer
from ssr_local.bench.store import WALKS, open_for_writing
from ssr_local.cli.at_work import remark, solver_for
from ssr_local.cli.bench.parameters import (
    Countdown,
    data_options,
    folder_for,
    in_common,
    in_order,
    kept_in,
    model_options,
    problems_of,
    settings_for,
)

_USUAL = RolloutOptions()

rollout_options = in_order(
    click.option(
        "--num",
        type=click.IntRange(min=1),
        default=200,
        show_default=True,
        help="stop when so many of the draft's steps of this task are labelled",
    ),
    click.option(
        "--samples",
        type=click.IntRange(2, 12),
        default=_USUAL.samples,
        show_default=True,
        help="rollouts by the target from every position",
    ),
    click.option(
        "--max-drafted",
        type=click.IntRange(min=1),
        default=_USUAL.max_drafted,
        show_default=True,
        help="drafted steps of one problem at most",
    ),
    click.option(
        "--margin",
        type=click.FloatRange(0, 1),
        default=_USUAL.margin,
        show_default=True,
        help="a step after which the rate of right answers falls by more is replaced",
    ),
    click.option(
        "--min-rate",
        type=click.FloatRange(0, 1),
        default=_USUAL.min_rate,
        show_default=True,
        help="go on only from positions with at least this rate of right answers",
    ),
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@data_options
@rollout_options
@model_options
def command(out: Path | None, task: str, num: int, **more: Any) -> int:
    """Collect labelled steps in OUT/steps.jsonl, one line for each problem.

    From before and after every drafted step the target continues several times by itself
    (Monte-Carlo rollouts); what the step did to the rate of right answers is its process
    label, and no human gave it. The same command continues what is there. Exit codes as for
    'bench run'; 1: the task has too few problems.
    """
    folder = folder_for(task, out)
    labelled = collect_into(folder, task, num, **more)
    click.echo(f"{labelled} labelled steps of {task} in {folder}")
    return 0 if labelled >= num else 1


def collect_into(
    out: Path,
    task: str,
    num: int,
    *,
    data: Path | None,
    skip: int,
    limit: int | None,
    seed: int,
    allow_code: bool,
    samples: int,
    max_drafted: int,
    margin: float,
    min_rate: float,
    **overrides: Any,
) -> int:
    """Collect until ``num`` of the draft's steps of the task are labelled; how many there are."""
    settings = settings_for(task, overrides)
    rollouts = RolloutOptions(
        samples=samples, max_drafted=max_drafted, margin=margin, min_rate=min_rate, seed=seed
    )
    problems = problems_of(task, data, skip, limit)
    common = in_common(settings, verified=False, **msgspec.structs.asdict(rollouts))
    with (
        Scorer(allow_code=allow_code) as scorer,
        open_for_writing(out, WALKS, Walk, common) as file,
    ):
        scorer.check(problems)
        labelled = num_labelled(file, task)
        remark(f"{labelled} of {num} steps are labelled in {out}.")
        if labelled < num:
            with kept_in(out), solver_for(settings) as solver:
                labeller = Labeller(solver, scorer, settings.solve, rollouts)
                countdown = Countdown(num - labelled)
                for line in collect(labeller, file, task, problems, num):
                    countdown.step(_line(line), line.num_drafted)
        return num_labelled(file, task)


def _line(walk: Walk) -> str:
    if walk.error:
        return f"{walk.problem}: failed ({walk.error.splitlines()[0]})"
    rates = " ".join(f"{step.author[0]}{step.after.right}/{step.after.num}" for step in walk.steps)
    return f"{walk.problem}: {walk.start.right}/{walk.start.num} {rates}, {walk.elapsed_s:.0f} s"
