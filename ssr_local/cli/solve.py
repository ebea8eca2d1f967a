"""``ssr-local solve``: a problem in, what happens while it is solved, an answer out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from ssr_local.cli.at_work import remark, settings_in_force, solver_at_work
from ssr_local.cli.files import STANDARD_INPUT, read_input
from ssr_local.cli.parameters import options_of
from ssr_local.cli.saving import no_save_option, saved
from ssr_local.cli.signals import EXIT_INTERRUPTED
from ssr_local.cli.status import Screen, screen_for
from ssr_local.cli.view import LineView
from ssr_local.core.display import one_line
from ssr_local.core.errors import EngineCrashed, SSRError, UsageError
from ssr_local.core.events import AnyEvent, WaveOpened, write_events
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.core.records import RunResult
from ssr_local.core.tree import Tree

_EXIT_NO_ANSWER = 1


@click.command()
@click.argument("problem", required=False)
@click.option("--file", "file", type=click.Path(), help="read the problem from this file")
@click.option("--json", "as_json", is_flag=True, help="print the whole result as one JSON object")
@click.option("--events", type=click.Path(), help="write the event log to this file (JSONL)")
@no_save_option
@options_of(SolveOptions)
@options_of(EngineOptions)
def command(
    problem: str | None,
    file: str | None,
    as_json: bool,
    events: str | None,
    no_save: bool,
    **overrides: Any,
) -> int:
    """Solve PROBLEM ("-" reads it from standard input).

    On a terminal everything that happens is shown; elsewhere only the answer is printed.
    Exit code 0: answered; 1: no answer; 2: wrong usage; 3: model missing or damaged;
    4: the engine failed; 130: stopped.
    """
    settings = settings_in_force(overrides)
    text = _read_problem(problem, file)
    show = not as_json and sys.stdout.isatty()
    tree = Tree()
    with ExitStack() as stack:
        log = stack.enter_context(_event_log(events)) if events else None
        screen = stack.enter_context(screen_for(tree, live=show))
        view = LineView(screen.echo, tree) if show else None
        solver, stop = stack.enter_context(solver_at_work(settings, screen.remark))
        saver = stack.enter_context(saved("run", text, settings, no_save=no_save))
        stream = stop.watch(saver.watch(solver.stream(text, settings.solve)))
        for event in stream if log is None else _logged(stream, log):
            screen.start()
            if view is not None:
                view.show(event)
            else:
                _take(event, tree)
        if tree.result is None:
            raise EngineCrashed("The run ended without a result.")
        _print(tree.result, as_json)
    return {"answered": 0, "cancelled": EXIT_INTERRUPTED}.get(tree.result.status, _EXIT_NO_ANSWER)


def _take(event: AnyEvent, tree: Tree) -> None:
    """Fold an event into the tree; only notices are said, each once, and why waves were opened."""
    num_notices = len(tree.notices)
    tree.apply(event)
    for message in tree.notices[num_notices:]:
        remark(f"Note: {message}")
    if isinstance(event, WaveOpened) and event.why:
        remark(one_line(event.title))


def _logged(stream: Iterator[AnyEvent], log: IO[bytes]) -> Iterator[AnyEvent]:
    """The events, each written first; what was in the log goes when the first has come."""
    try:
        for first in stream:
            with suppress(OSError):  # no file, a pipe
                log.truncate(0)
            yield from write_events(chain([first], stream), log)
    except OSError as error:
        raise SSRError(
            f"The event log {log.name} cannot be written.", error.strerror or "", "Name another."
        ) from error


def _print(result: RunResult, as_json: bool) -> None:
    """What goes to standard output when it is no terminal; there, all has been shown."""
    if as_json:
        click.echo(msgspec.json.encode(result) + b"\n", nl=False)  # UTF-8 wherever it goes
    elif not sys.stdout.isatty():
        if result.answer is not None:
            click.echo(one_line(result.answer))
        else:
            LineView(Screen().remark).result(result)


def _read_problem(problem: str | None, file: str | None) -> str:
    if (problem is None) == (file is None):
        raise UsageError(
            "Give one problem: as an argument, '-' for standard input, or --file.",
            "",
            "Try: ssr-local solve 'What is 17 * 23?'",
        )
    if problem is not None and problem != STANDARD_INPUT:
        return problem
    return read_input(file or STANDARD_INPUT, "The problem")


@contextmanager
def _event_log(path: str) -> Iterator[IO[bytes]]:
    try:
        # What is there stays until the first event: a wrong option must not cost an old log.
        handle = Path(path).open("ab")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(
            f"The event log {path} cannot be written.", error.strerror or "", "Name another file."
        ) from error
    try:
        yield handle
    finally:
        with suppress(OSError):  # every event was flushed when it was written
            handle.close()
