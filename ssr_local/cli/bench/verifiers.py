"""``ssr-local bench verifiers``: what every verifier is worth on labelled steps."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ssr_local.bench.labels.process_labels import MARGIN
from ssr_local.bench.labels.verifiers import score_verifiers
from ssr_local.bench.report.tables import steps_markdown
from ssr_local.cli.bench.parameters import threshold_option
from ssr_local.cli.bench.results import calibrations_of, read_walks, say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True),
    default=MARGIN,
    show_default=True,
    help="a step that lowers the rate of right answers by more is bad",
)
@threshold_option
@click.option("--json", "as_json", is_flag=True, help="print everything as one JSON object")
def command(directories: tuple[Path, ...], margin: float, threshold: float, as_json: bool) -> None:
    """Score every verifier on the labelled steps in DIRECTORIES."""
    walks = read_walks(directories)
    report = score_verifiers(
        walks, margin=margin, calibrations=calibrations_of(walks), threshold=threshold
    )
    if as_json:
        say(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        say(steps_markdown(report))
