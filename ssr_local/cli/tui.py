"""``ssr-local tui``: the terminal app."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ssr_local.api import Solver
from ssr_local.cli.at_work import settings_in_force
from ssr_local.cli.parameters import options_of
from ssr_local.cli.saving import no_save_option
from ssr_local.core.errors import EventLogError, UsageError
from ssr_local.core.folders import cache_dir
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.engine.demo import PROBLEM
from ssr_local.models.registry import DEMO_PAIR


@click.command()
@click.argument("problem", required=False)
@click.option("--demo", is_flag=True, help="play a scripted run; needs no models")
@click.option("--replay", type=click.Path(path_type=Path), help="open this event log")
@click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="of the replay: 1 as it was, 2 twice as fast, 0 at once",
)
@click.option("--plain", is_flag=True, help="lines instead of a tree, for screen readers")
@click.option("--no-mouse", is_flag=True, help="leave the mouse to the terminal")
@no_save_option
@click.option("--log", "show_log", is_flag=True, help="say where logs are, and end")
@options_of(SolveOptions)
@options_of(EngineOptions)
def command(
    problem: str | None,
    demo: bool,
    replay: Path | None,
    speed: float,
    plain: bool,
    no_mouse: bool,
    no_save: bool,
    show_log: bool,
    **overrides: Any,
) -> int:
    """Watch the reasoning tree grow, and steer it. PROBLEM is solved at once.

    Exit code 0 when it was left; 2: wrong usage. With --plain everything is lines.
    """
    if show_log:
        click.echo(f"Models and llama.cpp: {cache_dir() / 'logs'}")
        click.echo(f"Runs of the app: {cache_dir() / 'runs'}")
        return 0
    if demo:
        overrides["pair"] = DEMO_PAIR
        problem = problem or (None if replay else PROBLEM)
    given = {name: value for name, value in overrides.items() if value is not None}
    settings = settings_in_force(given)
    if replay is not None and problem is not None:
        raise UsageError("Give either a problem or --replay, not both.")
    if replay is not None and not replay.is_file():
        raise EventLogError(
            f"{replay} cannot be opened.", "There is no such file.", "Give an event log's path."
        )
    Solver(engine=settings.engine).close()  # an unknown pair is said before the screen changes
    if plain or _prefers_plain():
        from ssr_local.cli.plain import run_plain

        return run_plain(settings, problem, replay=replay, speed=speed, keep=not no_save)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The app needs a terminal.",
            "Standard input or output is none.",
            "In a script use 'ssr-local solve', or --plain.",
        )
    from ssr_local_tui.app import SSRApp, binding_ids
    from ssr_local_tui.preferences import load_preferences

    preferences = load_preferences(binding_ids=binding_ids())
    app = SSRApp(
        settings,
        preferences,
        problem=problem,
        replay=replay,
        speed=speed,
        overrides=given,
        keep=not no_save,
    )
    code = app.run(mouse=preferences.mouse and not no_mouse)
    return code or app.return_code or 0


def _prefers_plain() -> bool:
    """What the settings file says; the option spares even the import."""
    from ssr_local_tui.preferences import load_preferences

    return load_preferences().plain
