"""What commands about worked solutions share: their options, the check itself, how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import click
import msgspec

from ssr_local.api import Solver
from ssr_local.cli.at_work import remark
from ssr_local.cli.files import STANDARD_INPUT, read_input
from ssr_local.cli.parameters import option_type, options_of
from ssr_local.cli.saving import no_save_option, saved
from ssr_local.core.config import Settings
from ssr_local.core.display import clean, one_line
from ssr_local.core.errors import UsageError
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.history.practice import Due
from ssr_local.tutoring.checking import (
    STUDENT_VERIFIER,
    CheckedStep,
    CheckResult,
    check,
    steps_of,
)
from ssr_local.tutoring.keeping import kept_check
from ssr_local.tutoring.wording import in_words

_F = TypeVar("_F", bound=Callable[..., Any])


def judging_options(function: _F) -> _F:
    """--reveal, --no-vote, --no-save, --json, --verifier and the options of solving."""
    solving = [name for name in SolveOptions.__struct_fields__ if name != "verifier"]
    for add in (
        options_of(EngineOptions),
        options_of(SolveOptions, solving),
        click.option(
            "--verifier",
            type=option_type(SolveOptions, "verifier"),
            default=STUDENT_VERIFIER,
            show_default=True,
            help="how the target scores your steps",
        ),
        click.option(
            "--json", "as_json", is_flag=True, help="print the whole result as one JSON object"
        ),
        no_save_option,
        click.option(
            "--no-vote", is_flag=True, help="do not solve the problem to compare the answer"
        ),
        click.option(
            "--reveal", is_flag=True, help="show how the first wrong step could be written"
        ),
    ):
        function = add(function)
    return function


def read_work(problem: str, file: str | None) -> tuple[str, list[str]]:
    """A problem, "-" for standard input, and the steps in a file, none without one."""
    if problem == STANDARD_INPUT == file:
        raise UsageError("Standard input cannot be both the problem and the steps.")
    if problem == STANDARD_INPUT:
        problem = read_input(STANDARD_INPUT, "The problem")
    return problem, steps_of(read_input(file, "The solution")) if file else []


class Work(NamedTuple):
    """What solutions are checked with."""

    solver: Solver
    settings: Settings
    verifier: str
    with_vote: bool
    should_stop: Callable[[], bool]
    no_save: bool


def judge(
    work: Work, problem: str, steps: list[str], *, as_json: bool, reveal: bool
) -> tuple[CheckResult, Due | None]:
    """Check a solution, saved and shown as it goes on; also what becomes of it in practice."""
    checking = partial(
        check,
        problem,
        steps,
        solver=work.solver,
        options=work.settings.solve,
        with_vote=work.with_vote,
        verifier=work.verifier,
        should_stop=work.should_stop,
        on_step=(lambda number, step: None) if as_json else _show_step,
    )
    with saved("check", problem, work.settings, no_save=work.no_save) as saver:
        result = kept_check(saver, checking)
        due = saver.solved(result.problem.strip(), good=result.is_solved)
    if as_json:
        # How the first wrong step could go is told only when asked.
        told = result if reveal else msgspec.structs.replace(result, correction="")
        click.echo(msgspec.json.encode(told) + b"\n", nl=False)
    else:
        _show_end(result, reveal=reveal)
    return result, due


def show_check(result: CheckResult) -> None:
    """Write a finished check."""
    for number, step in enumerate(result.steps):
        _show_step(number, step)
    _show_end(result, reveal=True)


def _show_step(number: int, step: CheckedStep) -> None:
    click.echo(f"Step {number + 1}: {in_words(step)}")
    _indented(step.text)


def _show_end(result: CheckResult, *, reveal: bool) -> None:
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
            _indented(result.correction)
        elif result.correction:
            click.echo("With --reveal you see how it could go.")
    click.echo(_answer_words(result))


def _answer_words(result: CheckResult) -> str:
    if result.answer is None:
        return "The solution states no answer."
    words = f"Answer: {one_line(result.answer, 200)}."
    if result.vote is None:
        return words
    vote = one_line(result.vote, 200)
    return {
        True: f"{words} The models come to the same.",
        False: f"{words} The models come to {vote}.",
        None: f"{words} The models come to {vote}: compare the two.",
    }[result.answer_accepted]


def _indented(text: str) -> None:
    for line in clean(text).splitlines():
        click.echo(f"    {line}")
