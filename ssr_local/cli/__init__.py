"""The ``ssr-local`` command. Each command is a module, imported when it runs.

The only place where an error becomes an exit code.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import NoReturn

import click

from ssr_local.display import clean
from ssr_local.errors import SSRError
from ssr_local.version import VERSION

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_COMMANDS = {
    "solve": "Solve a problem.",
    "replay": "Play an event log again, without models.",
    "models": "List, download, check and remove models.",
    "doctor": "Look at this machine and say what is missing.",
    "config": "Show and change settings.",
}


class _Commands(click.Group):
    """Finds commands by name and imports only the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"ssr_local.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="ssr-local")
def _group() -> None:
    """Two small language models on this computer solve a problem together, offline."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit with the code documented for how it went."""
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _group.main(args=arguments, prog_name="ssr-local", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has what it wanted. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except SSRError as error:
        click.echo(f"Error: {clean(str(error))}", err=True)
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _terminate(_number: int, _frame: object) -> NoReturn:
    sys.exit(EXIT_TERMINATED)
