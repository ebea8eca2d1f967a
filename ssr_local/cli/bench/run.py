"""``ssr-local bench run``: problems solved by several methods in turn, every row kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from ssr_local.bench.methods import parse_methods
from ssr_local.bench.records import Row
from ssr_local.bench.runner import Bench, latest, run_bench
from ssr_local.bench.scoring import Scorer
from ssr_local.bench.store import ROWS, open_for_writing
from ssr_local.cli.at_work import remark, solver_for
from ssr_local.cli.bench.parameters import (
    Countdown,
    data_options,
    folder_for,
    in_common,
    kept_in,
    model_options,
    problems_of,
    settings_for,
)
from ssr_local.engine.base import MOST_SEQUENCES
from ssr_local.method.pools import wordings
from ssr_local.transport.requests import check_room_for


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@data_options
@click.option(
    "--methods", default="target,ssr-m3", show_default=True, help="names, separated by commas"
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="how often each method solves each problem, with other seeds",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="problems in the same batches: 1 measures latency, more measure throughput",
)
@click.option(
    "--prompt",
    type=click.Choice([*wordings()]),
    help="the words that problems are asked in, instead of the pool's; +prompt=NAME for one method",
)
@model_options
def command(
    task: str,
    data: Path | None,
    skip: int,
    limit: int | None,
    seed: int,
    out: Path | None,
    allow_code: bool,
    methods: str,
    repeats: int,
    concurrency: int,
    prompt: str | None,
    **overrides: Any,
) -> int:
    """Solve a task's problems with several methods and keep every run as a row of OUT/rows.jsonl.

    Methods alternate problem by problem. Killed or stopped at any point, the same command
    goes on where it was. Exit code 0: every row is there; 1: some failed; 2: wrong usage;
    3: model missing or damaged; 4: the engine failed again and again; 130: stopped.
    """
    specs = parse_methods(methods)
    settings = settings_for(task, overrides, prompt or "")
    problems = problems_of(task, data, skip, limit)
    bench = Bench(task, problems, specs, repeats, seed, concurrency)
    folder = folder_for(task, out)
    options = [spec.options(settings.solve) for spec in specs]
    for one in options:
        check_room_for([one] * min(concurrency, len(problems)), MOST_SEQUENCES)
    common = in_common(
        settings, verified=True, seed=seed, concurrency=concurrency, prompt=prompt or ""
    )
    with (
        Scorer(allow_code=allow_code) as scorer,
        open_for_writing(folder, ROWS, Row, common) as file,
    ):
        scorer.check(problems)
        wanted = bench.keys()
        left = sum(len(wave) for wave in bench.waves(file.lines))
        remark(f"{left} of {len(wanted)} rows to do, in {folder}.")
        with kept_in(folder), solver_for(settings, *options, at_once=concurrency) as solver:
            countdown = Countdown(left)
            said: set[str] = set()
            for row in run_bench(bench, solver, scorer, settings.solve, file):
                countdown.step(_line(row))
                for notice in row.result.notices if row.result else ():
                    if notice not in said:
                        remark(f"Note: {notice}")
                    said.add(notice)
        counts = Counter(row.outcome for row in latest(file.lines) if row.key in wanted)
    click.echo(", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())))
    click.echo(f"Next: ssr-local bench report {folder}")
    return 1 if counts["failed"] else 0


def _line(row: Row) -> str:
    why = f" ({row.error.splitlines()[0]})" if row.error else ""
    return f"{row.problem} {row.method}: {row.outcome}{why}, {row.elapsed_s:.1f} s"
