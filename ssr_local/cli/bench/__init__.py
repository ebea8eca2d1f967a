"""``ssr-local bench``: measure what the methods are worth on this machine.

Each command is a module, imported when it runs.
"""

from __future__ import annotations

import click

from ssr_local.cli.groups import LazyGroup

_COMMANDS = {
    "run": "Solve a benchmark's problems with several methods.",
    "report": "Write a report, its figures and plots over finished rows.",
    "methods": "List the names of methods.",
    "steps": "Collect labelled steps: what each step does to the rate of right answers.",
    "verifiers": "Score every verifier on labelled steps.",
    "calibrate": "Fit a pair's calibration from labelled steps.",
}


@click.group(
    cls=LazyGroup,
    package="ssr_local.cli.bench",
    modules=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Measure what the methods are worth on this machine, with figures and error bars."""
