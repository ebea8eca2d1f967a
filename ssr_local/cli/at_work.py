"""What commands that use models have in common: a solver that says what it does, and stops."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from ssr_local.api import Solver
from ssr_local.cli.progress import progress_shown
from ssr_local.cli.signals import Stop, stopping
from ssr_local.core.config import Settings, load_settings
from ssr_local.core.display import one_line
from ssr_local.core.errors import SSRError
from ssr_local.core.options import SolveOptions
from ssr_local.engine.demo import NOTE, is_demo


def settings_in_force(overrides: Mapping[str, Any]) -> Settings:
    """The settings, what is wrong with the settings file said."""
    settings = load_settings(overrides)
    for warning in settings.warnings:
        remark(f"Warning: {warning}")
    return settings


def remark(text: str) -> None:
    """One line on standard error."""
    click.echo(one_line(text), err=True)


@contextmanager
def solver_for(settings: Settings, *options: SolveOptions, at_once: int = 1) -> Iterator[Solver]:
    """A solver that says what it downloads: both models, or those that ``options`` need."""
    with (
        progress_shown() as progress,
        Solver(
            engine=settings.engine, at_once=at_once, on_progress=progress, on_notice=remark
        ) as solver,
    ):
        if missing := solver.to_fetch(*options):
            remark(f"Models are missing. Downloaded first, once: {missing}.")
        yield solver


@contextmanager
def solver_at_work(
    settings: Settings, say: Callable[[str], None] | None = None
) -> Iterator[tuple[Solver, Stop]]:
    """A solver for these settings, and which signal told it to stop.

    A signal that stopped it is this process's exit code. Whoever shows the events of a run,
    and so its notices, gives ``say``.
    """
    if say is None and is_demo(settings.engine):
        remark(f"Note: {NOTE}")
    with solver_for(settings, settings.solve) as solver, stopping(solver, say or remark) as stop:
        try:
            yield solver, stop
        except SSRError as error:
            if stop.number is None:
                raise
            remark(str(error))
        if stop.number is not None:
            sys.exit(stop.exit_code)
