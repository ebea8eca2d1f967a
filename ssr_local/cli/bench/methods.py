"""``ssr-local bench methods``: the grammar of methods' names."""

from __future__ import annotations

import json

import click
import msgspec

from ssr_local.bench.methods import BASES, EXITS, MODIFIERS


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="print the list as one JSON object")
def command(as_json: bool) -> None:
    """List the names of methods: a base, for several paths an early exit, and modifiers.

    ssr-m3-fast2+random is three SSR paths on strategies drawn at random, ended when two
    answers agree.
    """
    if as_json:
        parts = {"bases": BASES, "exits": EXITS, "modifiers": MODIFIERS}
        click.echo(json.dumps(msgspec.to_builtins(parts), indent=2))
        return
    heads = (
        ("Methods, N from 1 to 12:", BASES),
        ("Early exits, after parallel-N, parallel-spm-N and ssr-mN:", EXITS),
        ("Modifiers, as many as apply:", MODIFIERS),
    )
    for head, forms in heads:
        click.echo(head)
        for form in forms:
            click.echo(f"  {form.name.ljust(18)} {form.meaning}")
