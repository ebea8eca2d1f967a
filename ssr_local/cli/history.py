"""``ssr-local history``: what was done on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import click
import msgspec

from ssr_local.cli.at_work import remark
from ssr_local.cli.files import write_new
from ssr_local.cli.judging import show_check
from ssr_local.cli.saving import opened_history
from ssr_local.cli.status import Screen
from ssr_local.cli.view import LineView
from ssr_local.core.display import clean, human_bytes, one_line
from ssr_local.core.errors import UsageError
from ssr_local.core.events import encode_event
from ssr_local.history.store import Entry
from ssr_local.pages.results import result_of
from ssr_local.tutoring.checking import CheckResult
from ssr_local.tutoring.hints import Hint

_FORMATS = ("json", "jsonl", "md", "html")
_SHOWN_PROBLEM_CHARS = 60


@click.group()
def command() -> None:
    """Every run, check and hint of this machine; nothing of it leaves the machine."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def list_entries(limit: int, as_json: bool) -> None:
    """List the newest entries."""
    with opened_history() as history:
        _show_list(history.entries(limit), as_json, "Nothing has been saved yet.")


@command.command()
@click.argument("text")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def search(text: str, limit: int, as_json: bool) -> None:
    """Find entries that have all the words of TEXT, or their beginnings."""
    with opened_history() as history:
        _show_list(history.search(text, limit), as_json, "Nothing is found.")


@command.command()
@click.argument("number", type=int)
def show(number: int) -> None:
    """Show an entry with everything that happened."""
    with opened_history() as history:
        entry = history.entry(number)
        click.echo(_head(entry))
        click.echo(clean(entry.problem))
        click.echo()
        if entry.kind == "run":
            view = LineView(Screen().echo)
            for event in history.events(number):
                view.show(event)
            if entry.status == "interrupted":
                click.echo("It was interrupted there.")
        elif isinstance(result := result_of(entry), CheckResult):
            show_check(result)
        elif isinstance(result, Hint):
            click.echo(clean(result.text))
        if entry.error:
            click.echo(clean(entry.error))


@command.command()
@click.argument("number", type=int)
@click.option("--format", "form", type=click.Choice(_FORMATS), default="json", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="write to this file, not to standard output"
)
def export(number: int, form: str, out: Path | None) -> None:
    """Export an entry.

    json: all of it; jsonl: a run's events, for replay; md: a report; html: a page for the
    browser, complete in one file.
    """
    with opened_history() as history:
        entry = history.entry(number)
        if form == "jsonl":
            lines = [encode_event(event) for event in history.events(number)]
            if not lines:
                raise UsageError(f"Entry {number} has no events.", "", "Take --format json.")
            data = b"\n".join(lines) + b"\n"
        elif form == "json":
            data = _as_json(entry)
        else:
            from ssr_local.pages.html_page import page_of
            from ssr_local.pages.markdown import markdown_of

            made = page_of if form == "html" else markdown_of
            data = made(entry, history.events(number)).encode()
    if out is None:
        sys.stdout.flush()
        click.echo(data, nl=False)
        return
    write_new(out, data)
    remark(f"Written: {out}")


@command.command()
@click.argument("numbers", type=int, nargs=-1, required=True)
def rm(numbers: tuple[int, ...]) -> None:
    """Forget entries."""
    with opened_history() as history:
        history.remove(*numbers)
    click.echo(f"Removed: {', '.join(map(str, numbers))}")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def stats(as_json: bool) -> None:
    """Say how much there is."""
    with opened_history() as history:
        found = history.statistics()
        if as_json:
            click.echo(msgspec.json.encode(found).decode())
            return
        click.echo(f"{found.num_entries} entries, {human_bytes(found.num_bytes)}, {history.file}")
        for counts in (found.by_kind, found.by_status):
            if counts:
                click.echo(", ".join(f"{number} {name}" for name, number in sorted(counts.items())))
        if found.oldest and found.newest:
            click.echo(f"From {_local(found.oldest)} to {_local(found.newest)}")


def _show_list(entries: Iterable[Entry], as_json: bool, empty: str) -> None:
    entries = list(entries)
    if as_json:
        click.echo(json.dumps([msgspec.to_builtins(entry) for entry in entries], indent=2))
        return
    if not entries:
        remark(empty)
    for entry in entries:
        answer = f" → {one_line(entry.answer, 30)}" if entry.answer else ""
        problem = one_line(entry.problem, _SHOWN_PROBLEM_CHARS)
        when = _local(entry.started)
        click.echo(f"{entry.id:>5}  {when}  {entry.kind:5}  {entry.status}  {problem}{answer}")


def _head(entry: Entry) -> str:
    how = ", ".join(one for one in (entry.pair, entry.method) if one)
    return clean(f"{entry.kind} {entry.id}, {_local(entry.started)}, {entry.status} ({how})")


def _local(moment: str) -> str:
    """A saved time in the machine's own."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")


def _as_json(entry: Entry) -> bytes:
    """The entry, its result as an object in it."""
    fields = msgspec.to_builtins(entry)
    fields["result"] = None if entry.result is None else msgspec.json.decode(entry.result)
    return msgspec.json.format(msgspec.json.encode(fields)) + b"\n"
