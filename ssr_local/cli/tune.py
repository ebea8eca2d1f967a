"""``ssr-local tune``: find the plans that pay with this pair on this machine, and follow them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from ssr_local.bench.methods import MethodSpec
from ssr_local.bench.profiling import MeasuredFigures, figures_from
from ssr_local.bench.provenance import machine, now, prompt_hash
from ssr_local.bench.records import Problem, Row
from ssr_local.bench.scoring import Scorer
from ssr_local.bench.statistics import bench_library
from ssr_local.bench.store import ROWS, open_for_writing
from ssr_local.bench.tasks import TASKS, load_problems
from ssr_local.bench.tuning import (
    FEWEST,
    Standing,
    are_typeset,
    candidates,
    choose_plans,
    measured_profile,
    plans_in,
    rows_of,
    standings,
    summary,
    tune,
)
from ssr_local.cli.at_work import remark, settings_in_force, solver_for
from ssr_local.cli.parameters import options_of
from ssr_local.core import folders
from ssr_local.core.display import printable
from ssr_local.core.errors import UsageError
from ssr_local.core.line_file import locked
from ssr_local.core.options import Effort, EngineOptions, SolveOptions, with_changes
from ssr_local.core.records import EffortPlans, ModelRole
from ssr_local.engine.demo import is_demo
from ssr_local.method.auto import ALONE
from ssr_local.method.plans import parse_plan
from ssr_local.models.download import local_state
from ssr_local.models.models_file import PairSpec
from ssr_local.models.registry import load_registry, profile_file, save_profile, shipped_profile

if TYPE_CHECKING:
    from rich.table import Table


_SETTINGS = Path(ROWS).with_suffix(".settings.json").name
_MODELS = get_args(ModelRole)


@click.command()
@click.option(
    "--task",
    type=click.Choice(sorted(name for name, task in TASKS.items() if task.strategies == "maths")),
    default="gsm8k",
    show_default=True,
    help="the benchmark whose problems are solved",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="read the problems from this JSONL file instead of the hub: id, problem, answer",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, 1440, min_open=True),
    default=20,
    show_default=True,
    help="for how long; the same command goes on later",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="directory of the rows, else in the data folder"
)
@click.option(
    "--forget",
    is_flag=True,
    help="remove what was found with the pair, and the rows behind it in the data folder",
)
@options_of(EngineOptions, [one for one in EngineOptions.__struct_fields__ if one not in _MODELS])
def command(
    task: str, data: Path | None, minutes: float, out: Path | None, forget: bool, **overrides: Any
) -> int:
    """Measure plans on this machine with the pair, and let 'solve' follow the best from then on.

    Plans alternate problem by problem. One is dropped that takes more than 5 times the target's
    prose after 3 problems; that is slower than another and solved at least 2 fewer, from 10
    problems on; that is slower and solved no more, from 20 on. Ctrl+C ends it with what there
    is. Exit code 0: there is a profile; 1: too few problems were done for one.
    """
    settings = settings_in_force(overrides)
    pair = _pair(settings.engine)
    own = folders.data_dir() / "tune" / pair.name
    if forget:
        return _forget(pair, own, out)
    name = printable(data.stem) if data else task
    folder = out or own / name
    bench_library("scipy.stats")  # or the time would be spent for nothing
    options = with_changes(SolveOptions(), strategies=TASKS[task].strategies)
    alone = with_changes(options, plan=ALONE)
    common = {one: getattr(settings.engine, one) for one in EngineOptions.__struct_fields__}
    common |= {one: getattr(pair, one) for one in _MODELS}
    common["prompts"] = prompt_hash(options.strategies)
    problems = load_problems(task, data=data)
    with (
        Scorer() as scorer,
        open_for_writing(folder, ROWS, Row, common) as file,
        solver_for(settings, alone) as solver,
    ):
        scorer.check(problems)
        solver.fetch(alone)
        methods = _methods(pair, problems, rows_of(file.lines, name, problems))
        remark(f"{len(methods)} plans for {minutes:g} minutes; rows are kept in {folder}.")
        made = tune(
            problems, methods, solver, scorer, options, file, task=name, seconds=60 * minutes
        )
        try:
            for row in made:
                remark(f"{row.problem}, {row.elapsed_s:.1f} s, {row.outcome}: {row.method}")
        finally:  # what there is counts, also after an interrupt or a failure
            plans = [method.name for method in methods]
            found = _finish(pair, name, problems, rows_of(file.lines, name, problems), plans)
    return 0 if found else 1


def _methods(
    pair: PairSpec, problems: Sequence[Problem], rows: Sequence[Row]
) -> tuple[MethodSpec, ...]:
    """The plans to try whose models are here; what the others need is said."""
    typeset = are_typeset(problems)
    known = [plans_in(one, typeset=typeset) for one in (shipped_profile(pair), pair.profile)]
    methods = candidates(known, (row.method for row in rows))
    draft = load_registry().model(pair.draft)
    if local_state(draft).state == "present":
        return methods
    without = [one for one in methods if "draft" not in parse_plan(one.name).roles]
    left_out = ", ".join(one.name for one in methods if one not in without)
    remark(
        f"Left out, because their draft is not here: {left_out}."
        f" Fetch it: ssr-local models pull {shlex.quote(draft.name)}"
    )
    return tuple(without)


def _finish(
    pair: PairSpec,
    name: str,
    problems: Sequence[Problem],
    rows: Sequence[Row],
    plans: Sequence[str],
) -> bool:
    """Show how the plans stand, and put a profile in force if they give one."""
    if not rows:
        return False
    tried = {row.problem for row in rows}
    typeset = are_typeset(one for one in problems if one.id in tried)
    found, figures = standings(rows, plans), figures_from(rows)
    chosen = choose_plans(found, plans_in(pair.profile, typeset=typeset))
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 400).print(_table(found, figures, chosen))
    if chosen is None:
        num = max(one.num for one in found)
        done = "1 problem was" if num == 1 else f"{num} problems were"
        click.echo(f"{done} tried by all plans in the race; it takes {FEWEST} to say something.")
        click.echo("The same command goes on from here.")
        return False
    note = summary(chosen, found, name)
    profile = measured_profile(
        pair.profile,
        chosen,
        figures,
        typeset=typeset,
        note=note,
        machine=machine(),
        date=now()[:10],
    )
    file = save_profile(pair, profile)
    click.echo(f"{note}{', for problems with formulas' if typeset else ''}.")
    if load_registry().pair(pair.name).profile == profile:
        click.echo(f"In force: {printable(str(file))} (ssr-local tune --forget removes it)")
    else:
        click.echo(
            f"Saved in {printable(str(file))}, but your own models.toml gives this pair another"
            " profile, which counts."
        )
    return True


def _table(found: Sequence[Standing], figures: MeasuredFigures, plans: EffortPlans | None) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("for")
    for name in ("right", "seconds", "x target"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("plan")
    for one in found:
        known = figures.plans.get(one.plan)
        if known is None:
            continue
        efforts = get_args(Effort) if plans else ()
        chosen = [effort for effort in efforts if getattr(plans, effort) == one.plan]
        percent, low, high = known.percent
        times = "?" if known.times_target is None else f"{known.times_target:.2f}"
        cells = (
            ", ".join(chosen) or ("dropped" if one.dropped else ""),
            f"{percent:.0f} % [{low:.0f}, {high:.0f}] of {known.num}",
            f"{figures.seconds[one.plan]:.1f}",
            times,
            f"{one.plan} ({one.dropped})" if one.dropped else one.plan,
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _pair(engine: EngineOptions) -> PairSpec:
    if is_demo(engine):
        raise UsageError(
            "The demonstration cannot be tuned.",
            "It plays a script, without models.",
            "Name a pair: ssr-local tune --pair default",
        )
    if engine.draft is not None or engine.target is not None:
        raise UsageError(
            "A profile belongs to a pair, and your settings name another draft or target.",
            "",
            "Make a pair of them in your models.toml: ssr-local config path",
        )
    return load_registry().pair(engine.pair)


def _forget(pair: PairSpec, folder: Path, out: Path | None) -> int:
    file = profile_file(pair.name)
    if out is not None:
        raise UsageError(
            "--forget goes without --out.",
            f"It removes {printable(str(file))}, and the rows in {printable(str(folder))}.",
            f"A folder of your own is yours to remove: {printable(str(out))}",
        )
    rows = [path for path in folder.glob("*/*") if path.name in (ROWS, _SETTINGS)]
    if not rows and not file.exists():
        click.echo(f"Nothing was found out about the pair {printable(pair.name)} yet.")
        return 0
    for path in rows:
        with locked(path.parent):  # not under the feet of another process
            path.unlink()
    file.unlink(missing_ok=True)
    click.echo(f"Forgotten: what was measured with the pair {printable(pair.name)}.")
    return 0
