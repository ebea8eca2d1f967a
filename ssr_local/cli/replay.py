"""``ssr-local replay``: an event log, played again without models."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ssr_local.cli.status import Screen
from ssr_local.cli.view import LineView, in_time
from ssr_local.core.display import one_line
from ssr_local.core.errors import UsageError
from ssr_local.core.events import RunEnded, read_events

_EXIT_CUT_OFF = 1


@click.command()
@click.argument("file", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="print the result as one JSON object")
@click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.0,
    help="how fast: 1 as it was, 2 twice as fast, 0 at once [default: 0]",
)
def command(file: str, as_json: bool, speed: float) -> int:
    """Play the event log FILE, written by "ssr-local solve --events"."""
    view = LineView(Screen().echo)
    try:
        handle = Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(f"{file} cannot be read.", error.strerror or "") from error
    with handle:
        for event in in_time(read_events(handle, file), speed):
            if as_json:
                if isinstance(event, RunEnded):
                    click.echo(msgspec.json.encode(event.result) + b"\n", nl=False)
            else:
                view.show(event)
            if isinstance(event, RunEnded):
                return 0 if event.result.status == "answered" else _EXIT_CUT_OFF
    click.echo(f"{one_line(file)}: the log ends before the run did.", err=True)
    return _EXIT_CUT_OFF
