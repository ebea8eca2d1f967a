"""``ssr-local check``: a worked solution, judged step by step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from ssr_local.api import Solver
from ssr_local.cli.at_work import remark, settings_in_force, solver_at_work
from ssr_local.cli.parameters import option_type, options_of
from ssr_local.cli.reading import STANDARD_INPUT, read_input
from ssr_local.cli.saving import no_save_option, saved
from ssr_local.core.config import Settings
from ssr_local.core.display import clean, one_line
from ssr_local.core.errors import UsageError
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.history.saving import Saver
from ssr_local.tutoring.checking import (
    STUDENT_VERIFIER,
    CheckedStep,
    CheckResult,
    check,
    steps_of,
)
from ssr_local.tutoring.keeping import keep_check, kept_check
from ssr_local.tutoring.school_class import (
    REPORT,
    REPORT_TABLE,
    Checked,
    Solution,
    check_class,
    read_class,
)
from ssr_local.tutoring.wording import in_words

_EXIT_NOT_ACCEPTED = 1

SOLVE_OPTIONS = [name for name in SolveOptions.__struct_fields__ if name != "verifier"]
verifier_option = click.option(
    "--verifier",
    type=option_type(SolveOptions, "verifier"),
    default=STUDENT_VERIFIER,
    show_default=True,
    help="how the target scores your steps",
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("problem", required=False)
@click.option(
    "--steps",
    "file",
    help='the worked solution: a file, or "-" for standard input; a blank line between steps',
)
@click.option("--reveal", is_flag=True, help="show how the first wrong step could be written")
@click.option("--no-vote", is_flag=True, help="do not solve the problem to compare the answer")
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
@no_save_option
@click.option("--json", "as_json", is_flag=True, help="print the whole result as one JSON object")
@verifier_option
@options_of(SolveOptions, SOLVE_OPTIONS)
@options_of(EngineOptions)
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
    _refuse_muddle(is_class=table is not None, out=out, as_json=as_json, reveal=reveal)
    solutions = _class_of(table, problem, file)
    settings = settings_in_force(overrides)
    if problem == STANDARD_INPUT:
        problem = read_input(STANDARD_INPUT, "The problem")
    steps = steps_of(read_input(file, "The solution")) if file else []
    with solver_at_work(settings) as (solver, stopped):
        work = Work(solver, settings, verifier, not no_vote, stopped)
        if table is not None:
            folder = out or table.with_suffix("")
            return _check_class(solutions, folder, work, no_save=no_save)
        with saved("check", problem or "", settings, no_save=no_save) as saver:
            on_step = (lambda number, step: None) if as_json else _show
            result = check_and_keep(problem or "", steps, work, saver, on_step)
            practised = saver.solved(result.problem.strip(), good=result.is_solved)
    if as_json:
        show_json(result, reveal=reveal)
    else:
        _show_end(result, reveal)
        if practised is not None:
            remark(f"In practice: it comes back on {practised.due[:10]} (ssr-local practice).")
    return 0 if result.is_good else _EXIT_NOT_ACCEPTED


def _class_of(table: Path | None, problem: str | None, file: str | None) -> list[Solution]:
    """The class's solutions, none for one student's; raises ``UsageError`` for a muddle."""
    if table is not None:
        if problem is not None or file is not None:
            raise UsageError("Give either a problem and --steps, or --class.")
        return read_class(table)
    if problem is None or file is None:
        raise UsageError(
            "Give a problem and its worked solution.",
            "",
            "Try: ssr-local check 'What is 17 * 23?' --steps FILE",
        )
    if problem == STANDARD_INPUT == file:
        raise UsageError("Standard input cannot be both the problem and the steps.")
    return []


def _refuse_muddle(*, is_class: bool, out: Path | None, as_json: bool, reveal: bool) -> None:
    if is_class and (as_json or reveal):
        name = "--json" if as_json else "--reveal"
        raise UsageError(f"{name} is for one solution.", "A class has a report instead.")
    if out is not None and not is_class:
        raise UsageError("--out is where the report of a --class goes.", "", "Leave it out.")


class Work(NamedTuple):
    """What solutions are checked with."""

    solver: Solver
    settings: Settings
    verifier: str
    with_vote: bool
    stopped: Callable[[], bool]


def check_and_keep(
    problem: str,
    steps: list[str],
    work: Work,
    saver: Saver,
    on_step: Callable[[int, CheckedStep], None] = lambda number, step: None,
) -> CheckResult:
    """Check a solution, saved as it goes on."""
    checking = partial(
        check,
        problem,
        steps,
        solver=work.solver,
        options=work.settings.solve,
        with_vote=work.with_vote,
        verifier=work.verifier,
        should_stop=work.stopped,
        on_step=on_step,
    )
    return kept_check(saver, checking)


def _check_class(solutions: list[Solution], folder: Path, work: Work, *, no_save: bool) -> int:
    def say(checked: Checked) -> None:
        result = checked.result
        found = checked.error
        if result is not None:
            with saved("check", result.problem, work.settings, no_save=no_save) as saver:
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
            should_stop=work.stopped,
            on_checked=say,
        )
    except OSError as error:
        raise UsageError(f"{folder} cannot be written.", error.strerror or str(error)) from error
    click.echo(f"Written: {folder / REPORT_TABLE} and {folder / REPORT}")
    all_good = all(row.result is not None and row.result.is_good for row in rows)
    return 0 if all_good else _EXIT_NOT_ACCEPTED


def _show(number: int, step: CheckedStep) -> None:
    click.echo(f"Step {number + 1}: {in_words(step)}")
    for line in clean(step.text).splitlines():
        click.echo(f"    {line}")


def show_json(result: CheckResult, *, reveal: bool) -> None:
    """Write a check as one JSON object; how the first wrong step could go only when asked."""
    shown = result if reveal else msgspec.structs.replace(result, correction="")
    click.echo(msgspec.json.encode(shown) + b"\n", nl=False)


def show_check(result: CheckResult, *, reveal: bool = True) -> None:
    """Write a finished check."""
    for number, step in enumerate(result.steps):
        _show(number, step)
    _show_end(result, reveal)


def _show_end(result: CheckResult, reveal: bool) -> None:
    for notice in result.notices:
        remark(notice)
    click.echo()
    if result.is_good:
        click.echo("Nothing wrong was found.")
    elif result.first_bad is None:
        click.echo("No step was refused, but the models come to another answer.")
    else:
        click.echo(f"The first step to look at again is step {result.first_bad + 1}.")
        if reveal and result.correction:
            click.echo("It could go like this:")
            for line in clean(result.correction).splitlines():
                click.echo(f"    {line}")
        elif result.correction:
            click.echo("With --reveal you see how it could go.")
    if result.answer is None:
        click.echo("The solution states no answer.")
        return
    answer = one_line(result.answer, 200)
    if result.vote is None:
        click.echo(f"Answer: {answer}.")
    elif result.answer_accepted is None:
        vote = one_line(result.vote, 200)
        click.echo(f"Answer: {answer}. The models come to {vote}: compare the two.")
    elif result.answer_accepted:
        click.echo(f"Answer: {answer}. The models come to the same.")
    else:
        click.echo(f"Answer: {answer}. The models come to {one_line(result.vote, 200)}.")
