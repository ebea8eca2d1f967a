"""What commands that use models have in common: a solver that says what it does, and stops."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from ssr_local.api import Solver
from ssr_local.cli.progress import progress_shown
from ssr_local.cli.signals import stopping
from ssr_local.core.config import Settings, load_settings
from ssr_local.core.display import one_line
from ssr_local.core.errors import SSRError
from ssr_local.core.options import SolveOptions


def settings_in_force(overrides: Mapping[str, Any]) -> Settings:
    """The settings, what is wrong with the settings file said."""
    settings = load_settings(overrides)
    for warning in settings.warnings:
        remark(f"Warning: {warning}")
    return settings


@contextmanager
def solver_for(
    settings: Settings, options: SolveOptions | None = None, at_once: int = 1
) -> Iterator[Solver]:
    """A solver that says what it downloads: all models, or those that ``options`` need."""
    with (
        progress_shown() as progress,
        Solver(
            engine=settings.engine, at_once=at_once, on_progress=progress, on_notice=remark
        ) as solver,
    ):
        if missing := solver.to_fetch(options):
            remark(f"Models are missing. Downloaded first, once: {missing}.")
        yield solver


@contextmanager
def solver_at_work(settings: Settings) -> Iterator[tuple[Solver, Callable[[], bool]]]:
    """A solver for these settings, and whether it was told to stop.

    A signal that stopped it is this process's exit code.
    """
    with solver_for(settings, settings.solve) as solver, stopping(solver, remark) as stop:
        try:
            yield solver, lambda: stop.number is not None
        except SSRError as error:
            if stop.number is None:
                raise
            remark(str(error))
        if stop.number is not None:
            sys.exit(stop.exit_code)


def remark(text: str) -> None:
    """One line on standard error."""
    click.echo(one_line(text), err=True)
