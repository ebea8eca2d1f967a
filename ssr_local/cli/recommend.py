"""``ssr-local models recommend``: which pairs this machine can hold, and how fast they would be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from ssr_local.cli.at_work import settings_in_force
from ssr_local.core.display import human_bytes, printable

if TYPE_CHECKING:
    from rich.table import Table

    from ssr_local.diagnosis.recommend import Machine, Recommendation


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Show what this machine can hold, from the best pair to the lightest.

    Memory is for both models and their KV caches; tokens/s are the target's with one path.
    """
    from ssr_local.diagnosis.candidates import look_around  # takes a second that others need not

    settings = settings_in_force({})
    machine, found = look_around(settings)
    now = settings.engine.pair
    if as_json:
        report = {"machine": machine, "pairs": found}
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
        return
    from rich.console import Console

    # Without a terminal no line may be folded: another program reads it.
    console = Console(width=None if sys.stdout.isatty() else 400)
    console.print(_table(found))
    click.echo()
    why = (f"{printable(one.pair)}: {printable(one.reason)}." for one in found if one.reason)
    for line in (_of_machine(machine), *why, *_of_speeds(found, now), *_next_steps(found, now)):
        click.echo(line)


def _table(found: Sequence[Recommendation]) -> Table:
    """Eighty columns wide at least, of which the last two fold."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("", "pair", "fits"):
        table.add_column(name, no_wrap=True)
    for name in ("memory", "tokens/s", "to fetch"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("licence", max_width=10)
    table.add_column("good at")
    for one in found:
        row = (
            "*" if one.is_best else "",
            one.pair,
            one.fits,
            _bytes(one.memory_bytes, one.is_approximate),
            _speed(one),
            "on disk" if one.missing_bytes == 0 else _bytes(one.missing_bytes, one.is_approximate),
            one.licence,
            _good_at(one),
        )
        style = "bold" if one.is_best else "dim" if one.fits == "no" else ""
        table.add_row(*(Text(printable(cell)) for cell in row), style=style)
    return table


def _bytes(number: int | None, is_approximate: bool) -> str:
    return "?" if number is None else f"{'~' if is_approximate else ''}{human_bytes(number)}"


def _speed(one: Recommendation) -> str:
    if one.tokens_per_s is None:
        return "?"
    digits = 1 if one.tokens_per_s < 10 else 0
    return f"{'~' if one.is_predicted else ''}{one.tokens_per_s:.{digits}f}"


def _good_at(one: Recommendation) -> str:
    published = ""
    if one.gsm8k:
        about = "about " if one.gsm8k.is_rounded else ""
        published = f"gsm8k {about}{one.gsm8k.percent:g} % as published"
    state = "tested" if one.tested else "untested"
    return "; ".join(filter(None, (one.good_at or one.for_whom, published, state)))


def _of_machine(machine: Machine) -> str:
    if not machine.total_bytes:
        return "This system does not say how much memory there is."
    total, free = human_bytes(machine.total_bytes), human_bytes(machine.available_bytes)
    gpu = f" and {human_bytes(machine.gpu_bytes)} on GPUs" if machine.gpu_bytes else ""
    return f"This machine: {total} of memory, {free} of it free{gpu}."


def _of_speeds(found: Sequence[Recommendation], now: str) -> list[str]:
    """Where the speeds come from."""
    if not any(one.tokens_per_s for one in found):
        here = next((one.pair for one in found if one.missing_bytes == 0), None)
        first = "" if here else "after ssr-local models pull, "
        pair = f" --pair {here}" if here not in (None, now) else ""
        return [f"No speed was measured here yet: {first}ssr-local doctor{pair} does."]
    used = {one.measured_with for one in found if one.is_predicted}
    lines = []
    if used:
        names = printable(", ".join(sorted(used)))
        lines.append(f"~ tokens/s: predicted by size from the measured speed of {names}.")
    if any(one.is_disturbed for one in found):
        lines.append(
            "These speeds are too low: other programs were in the way. ssr-local doctor measures"
            " again."
        )
    return lines


def _next_steps(found: Sequence[Recommendation], now: str) -> list[str]:
    """``now`` is the pair that runs take by themselves."""
    best = next((one for one in found if one.is_best), None)
    if best is None:
        return ["No pair fits. A model of your own: docs/models.md."]
    get = "" if best.missing_bytes == 0 else f"ssr-local models pull {best.pair}, then "
    keep = "" if best.pair == now else f" (always: ssr-local config set pair {best.pair})"
    return [f'* The best that fits: {get}ssr-local solve --pair {best.pair} "..."{keep}.']
