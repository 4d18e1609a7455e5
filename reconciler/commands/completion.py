"""`pinata-reconciler completion`."""

import click
from click.shell_completion import get_completion_class

_EPILOG = """
\b
examples:
  pinata-reconciler completion bash > ~/.local/share/bash-completion/completions/pinata-reconciler
  pinata-reconciler completion fish > ~/.config/fish/completions/pinata-reconciler.fish
"""


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL."""
    found = get_completion_class(shell)
    if found:
        click.echo(found(ctx.find_root().command, {}, "pinata-reconciler", "_PINATA_RECONCILER_COMPLETE").source())
