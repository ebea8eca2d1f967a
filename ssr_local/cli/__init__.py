"""The ``ssr-local`` command. Each command is a module, imported when it runs.

The only place where an error becomes an exit code.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import click

from ssr_local.cli.groups import LazyGroup
from ssr_local.cli.signals import EXIT_INTERRUPTED, end_at_once
from ssr_local.core.display import clean
from ssr_local.core.errors import SSRError
from ssr_local.version import VERSION

_COMMANDS = {
    "solve": "Solve a problem.",
    "tui": "Watch a problem being solved, and steer it: the terminal app.",
    "check": "Judge a worked solution, step by step.",
    "hint": "Help with the next step, as much as is asked for.",
    "history": "What was done here: list, search, show, export, remove.",
    "practice": "Problems that went wrong, when they are due again.",
    "replay": "Play an event log again, without models.",
    "models": "List, download, check and remove models.",
    "plans": "What this machine would do, and how long it takes.",
    "tune": "Find the plans that pay on this machine, and follow them.",
    "doctor": "Look at this machine and say what is missing.",
    "config": "Show and change settings.",
    "completion": "Let a shell complete command lines.",
    "bench": "Measure what the methods are worth on this machine.",
}


class _ReaderGone(Exception):  # noqa: N818 - it has what it wanted
    """Standard output is a closed pipe; click would make a failure of it."""


@contextlib.contextmanager
def _noticing_readers() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise _ReaderGone from error


class _Commands(LazyGroup):
    """The commands of the program."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _noticing_readers():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _noticing_readers():
            return super().invoke(ctx)


@click.group(
    cls=_Commands,
    package="ssr_local.cli",
    modules=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(VERSION, prog_name="ssr-local")
def _group() -> None:
    """Small language models on this computer solve problems, check yours and help, offline."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit with the code documented for how it went."""
    signal.signal(signal.SIGTERM, end_at_once)
    _prepare_streams()
    try:
        code = _group.main(args=arguments, prog_name="ssr-local", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        click.echo(clean(shown.getvalue()), err=True, nl=False)  # it quotes what was typed
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        code = EXIT_INTERRUPTED
    except (_ReaderGone, BrokenPipeError):
        code = _let_go()
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        code = _let_go()  # rich ends the program there
    except OSError as error:
        _let_go()
        click.echo(f"Error: {clean(str(error))}", err=True)
        code = SSRError.exit_code
    except SSRError as error:
        click.echo(f"Error: {clean(str(error))}", err=True)
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _let_go() -> int:
    """Write no more to standard output; Python would complain once more at exit.

    That is all when the reader has what it wanted and closed the pipe: no failure.
    """
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _prepare_streams() -> None:
    """Streams that can always be used, whatever we were started with.

    A closed one becomes the null device, and what a terminal's encoding lacks is escaped.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115, PTH123
            setattr(sys, name, stream)
        if mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
