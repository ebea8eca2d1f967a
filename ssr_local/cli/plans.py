"""``ssr-local plans``: what this machine would do, how long it takes and how often it is right."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ssr_local.cli.at_work import remark, settings_in_force
from ssr_local.cli.parameters import options_of
from ssr_local.core.display import printable
from ssr_local.core.options import EngineOptions, SolveOptions

if TYPE_CHECKING:
    from rich.table import Table

    from ssr_local.diagnosis.plans import PlanRow, PlansReport


@click.command()
@options_of(SolveOptions, ("strategies", "effort", "verifier"))
@options_of(EngineOptions)
@click.option("--measure", is_flag=True, help="measure the models' speeds anew")
@click.option("--json", "as_json", is_flag=True, help="print the list as one JSON object")
def command(measure: bool, as_json: bool, **overrides: Any) -> None:
    """List the plans for each effort, predicted seconds, and what is known of their accuracy.

    The models' speeds are measured once, within a minute, and remembered. Seconds are of one
    problem with the models loaded.
    """
    from ssr_local.diagnosis.plans import list_plans  # takes a second that others need not

    settings = settings_in_force(overrides)
    report = list_plans(settings, measure=measure, on_progress=remark)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
        return
    from rich.console import Console

    # Without a terminal no line may be folded: another program reads it.
    console = Console(width=None if sys.stdout.isatty() else 400)
    console.print(_table(report))
    click.echo()
    for line in _remarks(report):
        click.echo(line)


def _table(report: PlansReport) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("", "name"):
        table.add_column(name, no_wrap=True)
    has_figures = any(row.figures for row in report.rows)
    for name in ("seconds", "x target", "took", *(["right"] if has_figures else [])):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("plan")
    for row in report.rows:
        cells = (
            "*" if row.is_default else "",
            row.name,
            "?" if row.seconds is None else f"~{row.seconds:.{1 if row.seconds < 10 else 0}f}",
            "?" if row.times_target is None else f"{row.times_target:.1f}",
            f"{row.took_s:.{1 if row.took_s < 10 else 0}f} ({row.num_runs})" if row.took_s else "",
            *([_accuracy(row)] if has_figures else []),
            row.plan,
        )
        style = "bold" if row.is_default else ""
        table.add_row(*(Text(printable(cell)) for cell in cells), style=style)
    return table


def _accuracy(row: PlanRow) -> str:
    if row.figures is None:
        return "unknown"
    percent, low, high = row.figures.percent
    return f"{percent:.0f} % [{low:.0f}, {high:.0f}] of {row.figures.num}"


def _remarks(report: PlansReport) -> list[str]:
    default = next(row for row in report.rows if row.is_default)
    taken = f'* What ssr-local solve "..." does with the pair {printable(report.pair)}'
    lines = [f"{taken}: {printable(default.why)}." if default.why else f"{taken}."]
    missing = {role: name for role, name in report.models.items() if role not in report.speeds}
    if missing:
        pull = f"ssr-local models pull {printable(shlex.join(missing.values()))}"
        lines.append(f"No seconds without the {' and the '.join(missing)}: {pull}")
    if report.speeds:
        whose = "another pair's (a guess)" if report.is_guess else "this pair's"
        lines.append(
            "Seconds are predicted, from the models' speeds here and from how long"
            f" {whose} paths are and how often they agree."
        )
    if any(row.num_runs for row in report.rows):
        lines.append("Took: the median of the newest runs in the history, and how many they are.")
    if any(speed.disturbed for speed in report.speeds.values()):
        lines.append("Other programs were in the way of that measurement: --measure repeats it.")
    return lines
