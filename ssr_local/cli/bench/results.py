"""Reading what ``bench run`` and ``bench steps`` have left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ssr_local.bench.records import Row, Walk
from ssr_local.bench.runner import latest
from ssr_local.bench.store import ROWS, WALKS
from ssr_local.cli.at_work import remark
from ssr_local.core.display import clean, printable
from ssr_local.core.errors import UsageError
from ssr_local.core.line_file import read_lines
from ssr_local.core.records import Calibration
from ssr_local.models.registry import load_registry


def read_rows(directories: Sequence[Path]) -> list[Row]:
    """The rows of all directories, each once."""
    _check(directories)
    return [row for folder in directories for row in latest(read_lines(folder / ROWS, Row))]


def read_walks(directories: Sequence[Path], *, needed: bool = True) -> list[Walk]:
    """The labelled steps of all directories, each problem's once, the first that did not fail.

    Says how many were left out. Raises ``UsageError`` when some are ``needed`` and none there.
    """
    _check(directories)
    found = [walk for folder in directories for walk in read_lines(folder / WALKS, Walk)]
    kept: dict[tuple[str, str], Walk] = {}
    for walk in sorted(found, key=lambda walk: bool(walk.error)):
        kept.setdefault(walk.key, walk)
    walks = [walk for walk in found if kept[walk.key] is walk]
    if len(walks) < len(found):
        remark(
            f"{len(found) - len(walks)} walks in {_named(directories)} are of problems that were"
            " walked already: the first walk of each counts."
        )
    if needed and not walks:
        raise UsageError(
            f"There are no labelled steps in {_named(directories)}.",
            "",
            "Collect some: ssr-local bench steps --task TASK --out DIRECTORY",
        )
    return walks


def calibrations_of(walks: Sequence[Walk]) -> Mapping[str, Calibration] | None:
    """The calibrations in force of the pair that was walked with; None when it is no pair's."""
    drafts = [walk.models.draft.name for walk in walks if walk.models.draft]
    targets = [walk.models.target.name for walk in walks if walk.models.target]
    for pair in load_registry().pairs.values():
        if targets[:1] == [pair.target] and drafts[:1] in ([], [pair.draft]):
            return pair.calibrations
    return None


def say(text: str) -> None:
    """To standard output, without what could steer a terminal."""
    click.echo("\n".join(clean(line) for line in text.splitlines()))


def _check(directories: Sequence[Path]) -> None:
    for folder in directories:
        if not any((folder / name).is_file() for name in (ROWS, WALKS)):
            raise UsageError(
                f"{printable(str(folder))} holds no results.",
                f"There is no {ROWS} and no {WALKS} in it.",
                "Make some: ssr-local bench run --task selfcheck --out DIRECTORY",
            )


def _named(directories: Sequence[Path]) -> str:
    return ", ".join(printable(str(folder)) for folder in directories)
