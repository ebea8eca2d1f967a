"""``ssr-local hint``: as much help as was asked for, and no more."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ssr_local.cli.at_work import remark, settings_in_force, solver_at_work
from ssr_local.cli.judging import read_work
from ssr_local.cli.parameters import options_of
from ssr_local.cli.saving import no_save_option, saved
from ssr_local.core.display import clean
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.tutoring.hints import LEVELS, hint
from ssr_local.tutoring.keeping import keep_hint

_EXIT_WITHHELD = 1


@click.command()
@click.argument("problem")
@click.option("--steps", "file", help='what is written so far: a file, or "-"')
@click.option(
    "--level",
    type=click.IntRange(min(LEVELS), max(LEVELS)),
    default=1,
    show_default=True,
    help="1 a strategy, 2 the idea of the next step, 3 the next step, 4 the whole path",
)
@no_save_option
@click.option("--json", "as_json", is_flag=True, help="print the hint as one JSON object")
@options_of(SolveOptions)
@options_of(EngineOptions)
def command(
    problem: str, file: str | None, level: int, no_save: bool, as_json: bool, **overrides: Any
) -> int:
    """Give a hint for PROBLEM ("-" reads it from standard input).

    With --steps it goes on from the last step that is good. Exit code 0: there is a hint;
    1: it was withheld, because it would give more away than its level; 2: wrong usage;
    3: model missing or damaged; 4: the engine failed; 130: stopped.
    """
    settings = settings_in_force(overrides)
    problem, steps = read_work(problem, file)
    with (
        solver_at_work(settings) as (solver, stop),
        saved("hint", problem, settings, no_save=no_save) as saver,
    ):
        made = hint(
            problem,
            steps,
            level,
            solver=solver,
            options=settings.solve,
            should_stop=stop.asked,
        )
        keep_hint(saver, made)
    if as_json:
        click.echo(msgspec.json.encode(made) + b"\n", nl=False)
    else:
        if steps and made.after < len(steps):
            remark(f"Step {made.after + 1} is to be looked at again: the hint is for that one.")
        click.echo(clean(made.text))
    return _EXIT_WITHHELD if made.withheld else 0
