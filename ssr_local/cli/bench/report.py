"""``ssr-local bench report``: rows and labelled steps become a report."""

from __future__ import annotations

from pathlib import Path

import click

from ssr_local.bench.report.arrangement import TARGET
from ssr_local.bench.report.compare import compare_markdown
from ssr_local.bench.report.figures import Report, build_report, report_json
from ssr_local.bench.report.plots import write_plots
from ssr_local.bench.report.tables import report_head, report_markdown
from ssr_local.cli.at_work import remark
from ssr_local.cli.bench.parameters import threshold_option
from ssr_local.cli.bench.results import calibrations_of, read_rows, read_walks, say
from ssr_local.core.errors import UsageError
from ssr_local.core.folders import write_whole


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--compare", is_flag=True, help="put two directories side by side instead, in compare.md"
)
@threshold_option
@click.option(
    "--baseline",
    default=TARGET,
    show_default=True,
    help="the method that the others are compared with",
)
@click.option("--no-plots", is_flag=True, help="no PNG files; matplotlib is not needed then")
def command(
    directories: tuple[Path, ...], compare: bool, threshold: float, baseline: str, no_plots: bool
) -> None:
    """Write report.md, report.json and plots over all DIRECTORIES into the first of them.

    Where no method is called target and no --baseline is given, the only form of it that there
    is stands in: target+prompt=NAME, or a plan such as prose:target.
    """
    if compare:
        _compare(directories, threshold, baseline)
        return
    report = _report(directories, threshold, baseline)
    folder = directories[0]
    if not no_plots:
        write_plots(report, folder)
    write_whole(folder / "report.json", report_json(report))
    write_whole(folder / "report.md", report_markdown(report, plots=not no_plots).encode())
    say(report_head(report))
    remark(f"Written: {folder / 'report.md'}, report.json" + ("" if no_plots else " and plots"))


def _compare(directories: tuple[Path, ...], threshold: float, baseline: str) -> None:
    if len(directories) != 2:
        raise UsageError(
            f"--compare takes two directories, not {len(directories)}.",
            "",
            "Give: ssr-local bench report --compare FIRST SECOND",
        )
    first, second = directories
    before, after = (_report((folder,), threshold, baseline) for folder in (first, second))
    text = compare_markdown(before, after, (first.name, second.name))
    write_whole(first / "compare.md", text.encode())
    say(text)
    remark(f"Written: {first / 'compare.md'}")


def _report(directories: tuple[Path, ...], threshold: float, baseline: str) -> Report:
    rows, walks = read_rows(directories), read_walks(directories, needed=False)
    calibrations = calibrations_of(walks)
    return build_report(
        rows, walks, calibrations=calibrations, threshold=threshold, baseline=baseline
    )
