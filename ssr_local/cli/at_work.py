"""What commands that use models have in common: a solver that says what it does, and stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from ssr_local.api import Solver
from ssr_local.cli.progress import progress_shown
from ssr_local.cli.signals import Stop, stopping
from ssr_local.config import Settings
from ssr_local.display import one_line


@contextmanager
def solver_at_work(settings: Settings) -> Iterator[tuple[Solver, Stop]]:
    """A solver for these settings, and which signal stopped it, if any."""
    with (
        progress_shown() as progress,
        Solver(engine=settings.engine, on_progress=progress, on_notice=remark) as solver,
    ):
        if missing := solver.to_fetch(settings.solve):
            remark(f"Models are missing. Downloaded first, once: {missing}.")
        with stopping(solver, remark) as stop:
            yield solver, stop


def remark(text: str) -> None:
    """One line on standard error."""
    click.echo(one_line(text), err=True)
