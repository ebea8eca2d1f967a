"""What commands put into the history, and how they open it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import click

from ssr_local.cli.at_work import remark
from ssr_local.core.config import Settings
from ssr_local.history.saving import Saver, saving
from ssr_local.history.store import History, Kind
from ssr_local.transport.requests import check_problem

no_save_option = click.option("--no-save", is_flag=True, help="keep nothing of this in the history")


def saved(
    kind: Kind,
    problem: str,
    settings: Settings,
    *,
    no_save: bool,
    say: Callable[[str], None] = remark,
) -> AbstractContextManager[Saver]:
    """A new entry of the history, unless nothing is to be kept.

    Raises ``ProblemError`` for a problem that nobody can work on: that is no entry.
    """
    return saving(
        kind,
        check_problem(problem),
        pair=settings.engine.pair,
        method=settings.solve.method,
        say=say,
        keep=not no_save,
    )


def opened_history() -> History:
    """The history; that a damaged file was replaced is said."""
    history = History()
    if history.notice:
        remark(history.notice)
    return history
