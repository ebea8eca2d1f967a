"""``ssr-local tune``: find the plans that pay with this pair on this machine, and follow them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from msgspec.structs import replace

from ssr_local.bench.profiling import figures_from
from ssr_local.bench.provenance import machine, now, prompt_hash
from ssr_local.bench.records import Row
from ssr_local.bench.runner import latest
from ssr_local.bench.scoring import Scorer
from ssr_local.bench.statistics import bench_library
from ssr_local.bench.store import ROWS, open_for_writing
from ssr_local.bench.tasks import TASKS, load_problems
from ssr_local.bench.tuning import (
    FEWEST,
    Standing,
    candidates,
    measured_profile,
    standings,
    tune,
)
from ssr_local.cli.at_work import remark, settings_in_force, solver_for
from ssr_local.cli.parameters import options_of
from ssr_local.cli.signals import EXIT_INTERRUPTED
from ssr_local.core import folders
from ssr_local.core.display import printable
from ssr_local.core.errors import UsageError
from ssr_local.core.line_file import locked
from ssr_local.core.options import Effort, EngineOptions, SolveOptions, with_changes
from ssr_local.core.records import Profile
from ssr_local.engine.demo import is_demo
from ssr_local.models.models_file import PairSpec
from ssr_local.models.registry import load_registry, profile_file, save_profile

if TYPE_CHECKING:
    from rich.table import Table


_SETTINGS = Path(ROWS).with_suffix(".settings.json").name


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
@click.option("--forget", is_flag=True, help="remove what was found, and the rows behind it")
@options_of(EngineOptions)
def command(
    task: str, data: Path | None, minutes: float, out: Path | None, forget: bool, **overrides: Any
) -> int:
    """Measure plans on this machine with the pair, and let 'solve' follow the best from then on.

    Plans alternate problem by problem, and what can no longer win is dropped. Ctrl+C ends it
    with what there is. Exit code 0: there is a profile; 1: too few problems were done for one.
    """
    settings = settings_in_force(overrides)
    pair = _pair(settings.engine)
    folder = out or folders.data_dir() / "tune" / pair.name
    if forget:
        return _forget(pair, folder)
    folder = folder if out else folder / task
    bench_library("scipy.stats")  # or the time would be spent for nothing
    options = with_changes(SolveOptions(), strategies=TASKS[task].strategies)
    common = {name: getattr(settings.engine, name) for name in EngineOptions.__struct_fields__}
    common |= {"draft": pair.draft, "target": pair.target, "prompts": prompt_hash("maths")}
    methods = candidates(pair.profile)
    names = [method.name for method in methods]
    problems = load_problems(task, data=data)
    stopped = False
    with Scorer() as scorer, open_for_writing(folder, ROWS, Row, common) as file:
        scorer.check(problems)
        remark(f"{len(names)} plans for {minutes:g} minutes; rows are kept in {folder}.")
        with contextlib.ExitStack() as stack:
            try:
                solver = stack.enter_context(solver_for(settings))
                made = tune(
                    problems,
                    methods,
                    solver,
                    scorer,
                    options,
                    file,
                    task=task,
                    seconds=60 * minutes,
                )
                for row in made:
                    remark(f"{row.problem}, {row.elapsed_s:.1f} s, {row.outcome}: {row.method}")
            except KeyboardInterrupt:
                stopped = True
        rows = latest(file.lines)
    found = _finish(pair, task, rows, standings(rows, names))
    return EXIT_INTERRUPTED if stopped else 0 if found else 1


def _finish(
    pair: PairSpec, task: str, rows: Sequence[Row], found: Sequence[Standing]
) -> Profile | None:
    """Show how the plans stand, and put the profile in force if there is one."""
    made = measured_profile(rows, found, task=task, machine=machine(), date=now()[:10])
    from rich.console import Console

    profile = made[0] if made else None
    if profile and pair.profile:  # what was not measured here stays as it was known
        before = pair.profile
        profile = replace(profile, plans_for=before.plans_for, harmful=before.harmful)
    if rows:
        Console(width=None if sys.stdout.isatty() else 400).print(_table(rows, found, profile))
    if profile is None:
        num = min((one.num for one in found), default=0)
        done = "1 problem was" if num == 1 else f"{num} problems were"
        click.echo(f"{done} tried by all plans; it takes {FEWEST} to say something.")
        click.echo("The same command goes on from here.")
        return None
    file = save_profile(pair, profile)
    click.echo(f"{printable(profile.note)}.")
    if load_registry().pair(pair.name).profile == profile:
        click.echo(f"In force: {printable(str(file))} (ssr-local tune --forget removes it)")
    else:
        click.echo(
            f"Saved in {printable(str(file))}, but your own models.toml gives this pair another"
            " profile, which counts."
        )
    return profile


def _table(rows: Sequence[Row], found: Sequence[Standing], profile: Profile | None) -> Table:
    from rich.table import Table
    from rich.text import Text

    figures = figures_from(rows)
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("for")
    for name in ("right", "seconds", "x target"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("plan")
    for one in found:
        known = figures.plans.get(one.plan)
        if known is None:
            continue
        efforts = get_args(Effort) if profile else ()
        chosen = [effort for effort in efforts if getattr(profile, effort) == one.plan]
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
            "A profile belongs to a pair, not to --draft and --target.",
            "",
            "Make a pair of them in your models.toml: ssr-local config path",
        )
    return load_registry().pair(engine.pair)


def _forget(pair: PairSpec, folder: Path) -> int:
    file = profile_file(pair.name)
    rows = [path for path in folder.rglob("rows.*") if path.name in (ROWS, _SETTINGS)]
    if not rows and not file.exists():
        click.echo(f"Nothing was found out about the pair {printable(pair.name)} yet.")
        return 0
    for path in rows:
        with locked(path.parent):  # not under the feet of another process
            path.unlink()
    file.unlink(missing_ok=True)
    click.echo(f"Forgotten: what was measured with the pair {printable(pair.name)}.")
    return 0
