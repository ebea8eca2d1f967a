"""``ssr-local completion``: what a shell reads to complete our command lines."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(name="completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options and model names.

    \b
    bash:  echo 'eval "$(ssr-local completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(ssr-local completion zsh)"' >> ~/.zshrc
    fish:  ssr-local completion fish > ~/.config/fish/completions/ssr-local.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click has all three"
    click.echo(kind(ctx.find_root().command, {}, "ssr-local", "_SSR_LOCAL_COMPLETE").source())
