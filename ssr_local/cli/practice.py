"""``ssr-local practice``: problems that went wrong come back."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ssr_local.cli.at_work import remark, settings_in_force, solver_at_work
from ssr_local.cli.judging import Work, judge, judging_options, read_work
from ssr_local.cli.saving import opened_history
from ssr_local.core.display import clean, one_line
from ssr_local.core.errors import UsageError
from ssr_local.history.practice import Due, Practice
from ssr_local.tutoring.checking import CheckResult

_EXIT_WRONG = 1


@click.command()
@click.option("--list", "listed", is_flag=True, help="list all problems in practice")
@click.option("--number", type=int, help="this problem, not the one that is due first")
@click.option("--steps", "file", help='check this solution of it: a file, or "-"')
@click.option("--drop", is_flag=True, help="take the problem of --number out of practice")
@judging_options
def command(
    listed: bool,
    number: int | None,
    file: str | None,
    reveal: bool,
    no_vote: bool,
    drop: bool,
    no_save: bool,
    as_json: bool,
    verifier: str,
    **overrides: Any,
) -> int:
    """Show the problem that is due, or check your solution of it.

    A problem comes into practice when 'ssr-local check' finds a wrong step; the better it
    goes, the later it comes back. Exit code 0: nothing is wrong, or nothing is due; 1: the
    solution has a wrong step; the others as for 'check'.
    """
    with opened_history() as history:
        practice = Practice(history)
        if listed:
            _show(practice.problems(), as_json)
            return 0
        if drop:
            if number is None:
                raise UsageError("--drop needs the --number of a problem.")
            practice.drop(number)
            return 0
        due_now = (one for one in practice.problems() if one.is_due)
        chosen = next(due_now, None) if number is None else practice.problem(number)
    if chosen is None:
        remark("Nothing is due.")
        return 0
    if file is None:
        if as_json:
            click.echo(msgspec.json.encode(chosen) + b"\n", nl=False)
        else:
            click.echo(clean(chosen.problem))
            remark(f"Check your solution: ssr-local practice --number {chosen.number} --steps FILE")
        return 0
    _, steps = read_work(chosen.problem, file)
    settings = settings_in_force(overrides)
    with solver_at_work(settings) as (solver, stop):
        work = Work(solver, settings, verifier, not no_vote, stop.asked, no_save)
        result, due = judge(work, chosen.problem, steps, as_json=as_json, reveal=reveal)
    if not as_json:
        remark(_what_becomes_of_it(chosen, result, due))
    return 0 if result.is_good else _EXIT_WRONG


def _what_becomes_of_it(chosen: Due, result: CheckResult, due: Due | None) -> str:
    if due is not None:
        return f"It comes back on {due.due[:10]}."
    why = (
        "Too little of it could be judged" if result.is_solved is None else "Nothing is kept of it"
    )
    when = "it stays due" if chosen.is_due else f"it comes back on {chosen.due[:10]}, as before"
    return f"{why}: {when}."


def _show(problems: list[Due], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(problems)).decode())
        return
    if not problems:
        remark("No problem is in practice.")
    for one in problems:
        when = "due" if one.is_due else one.due[:10]
        click.echo(
            f"{one.number:>5}  {when:10}  {one.num_reviews:>3} ×  {one_line(one.problem, 60)}"
        )
