"""``ssr-local check``: a worked solution, judged step by step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ssr_local.cli.at_work import remark, settings_in_force, solver_at_work
from ssr_local.cli.judging import Work, judge, judging_options, read_work
from ssr_local.cli.saving import saved
from ssr_local.core.errors import UsageError
from ssr_local.tutoring.keeping import keep_check
from ssr_local.tutoring.school_class import (
    REPORT,
    REPORT_TABLE,
    Checked,
    Solution,
    check_class,
    read_class,
)

_EXIT_NOT_ACCEPTED = 1


@click.command()
@click.argument("problem", required=False)
@click.option(
    "--steps",
    "file",
    help='the worked solution: a file, or "-" for standard input; a blank line between steps',
)
@click.option(
    "--class",
    "table",
    type=click.Path(path_type=Path),
    help="check a whole class: a CSV file with the columns student, problem, solution",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="where the class's report goes [default: the file's name without .csv]; the same"
    " command goes on with what is there",
)
@judging_options
def command(
    problem: str | None,
    file: str | None,
    reveal: bool,
    no_vote: bool,
    table: Path | None,
    out: Path | None,
    no_save: bool,
    as_json: bool,
    verifier: str,
    **overrides: Any,
) -> int:
    """Judge each step of a worked solution of PROBLEM ("-" reads it from standard input).

    A model's judgement is not certain; where a step has equations, algebra checks them and
    counts more. Exit code 0: every step and the answer are accepted; 1: something is not;
    2: wrong usage; 3: model missing or damaged; 4: the engine failed; 130: stopped.
    """
    _refuse_muddle(problem, file, table, out, one_alone={"--json": as_json, "--reveal": reveal})
    solutions = [] if table is None else read_class(table)
    settings = settings_in_force(overrides)
    text, steps = read_work(problem or "", file) if table is None else ("", [])
    with solver_at_work(settings) as (solver, stop):
        work = Work(solver, settings, verifier, not no_vote, stop.asked, no_save)
        if table is not None:
            return _check_class(solutions, out or table.with_suffix(""), work)
        result, practised = judge(work, text, steps, as_json=as_json, reveal=reveal)
    if practised is not None and not as_json:
        remark(f"In practice: it comes back on {practised.due[:10]} (ssr-local practice).")
    return 0 if result.is_good else _EXIT_NOT_ACCEPTED


def _refuse_muddle(
    problem: str | None,
    file: str | None,
    table: Path | None,
    out: Path | None,
    one_alone: Mapping[str, bool],
) -> None:
    """Refuse options that do not go together; ``one_alone``: those for one solution."""
    if table is not None:
        for name in (name for name, is_given in one_alone.items() if is_given):
            raise UsageError(f"{name} is for one solution.", "A class has a report instead.")
        if problem is not None or file is not None:
            raise UsageError("Give either a problem and --steps, or --class.")
    elif out is not None:
        raise UsageError("--out is where the report of a --class goes.", "", "Leave it out.")
    elif problem is None or file is None:
        raise UsageError(
            "Give a problem and its worked solution.",
            "",
            "Try: ssr-local check 'What is 17 * 23?' --steps FILE",
        )


def _check_class(solutions: list[Solution], folder: Path, work: Work) -> int:
    def say(checked: Checked) -> None:
        result = checked.result
        found = checked.error
        if result is not None:
            with saved("check", result.problem, work.settings, no_save=work.no_save) as saver:
                keep_check(saver, result)
            bad = result.first_bad
            found = "nothing wrong found" if bad is None else f"step {bad + 1} to look at"
        remark(f"{checked.student}: {found}")

    try:
        rows = check_class(
            solutions,
            folder,
            solver=work.solver,
            options=work.settings.solve,
            with_vote=work.with_vote,
            verifier=work.verifier,
            should_stop=work.should_stop,
            on_checked=say,
        )
    except OSError as error:
        raise UsageError(f"{folder} cannot be written.", error.strerror or str(error)) from error
    click.echo(f"Written: {folder / REPORT_TABLE} and {folder / REPORT}")
    all_good = all(row.result is not None and row.result.is_good for row in rows)
    return 0 if all_good else _EXIT_NOT_ACCEPTED
