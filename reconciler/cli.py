"""The command `pinata-reconciler`: which commands there are, and what their errors mean as exit codes.

Commands are loaded when they are used, so that `--help` and shell completion are quick.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from pulumi_pinata import __version__
from pulumi_pinata.core.errors import PinataError

OK, ERROR, PENDING, PARTLY, USAGE, INTERRUPTED = 0, 1, 2, 3, 64, 130

COMMANDS = {
    "init": "Write a repository to start from: manifest, README, CI workflow.",
    "validate": "Check manifests, and the references in them as far as this machine can tell.",
    "plan": "Show what apply would do; changes nothing.",
    "apply": "Bring the accounts to what is declared.",
    "run": "Keep the accounts as declared, following a folder or a Git repository.",
    "status": "Show how every account stands.",
    "rotate": "Replace one account's key now: an outage for whatever uses it.",
    "adopt": "Take a key that a person made into the fleet's keeping.",
    "doctor": "Check credentials, Vault and open intents, and say what to do.",
    "import-file": "Write the file by which Pulumi takes an account over.",
    "escrow": "Keys that Vault would not take.",
    "schema": "Print the manifests' JSON Schema, for editors.",
    "completion": "Print the completion script for a shell.",
}

_EPILOG = """
\b
examples:
  pinata-reconciler init my-fleet
  pinata-reconciler plan manifests/ -o markdown
  pinata-reconciler plan manifests/ --out plan.json && pinata-reconciler apply plan.json
  pinata-reconciler apply manifests/ --yes
  pinata-reconciler run --git https://git.example/fleet.git manifests/ --http 127.0.0.1:8080

\b
exit codes:
  0   clean, or all of it applied      3   partly applied
  1   an error                         64  wrong usage
  2   changes pending (plan, status)   130 interrupted
"""


class _Commands(click.Group):
    """Commands by name, each in a module of its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"reconciler.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "PINATA_RECONCILER",
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="pinata-reconciler")
def cli() -> None:
    """Keep Pinata Inference of many accounts as declared in Git, and their keys in Vault."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    try:
        code = cli.main(arguments, prog_name="pinata-reconciler", standalone_mode=False)
        return code if isinstance(code, int) else OK
    except click.UsageError as error:
        error.show()
        return USAGE  # click's own 2 is taken: changes pending
    except click.Abort:
        click.echo("pinata-reconciler: interrupted", err=True)
        return INTERRUPTED
    except KeyboardInterrupt:
        click.echo("pinata-reconciler: interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return ERROR
    except PinataError as error:
        click.echo(f"pinata-reconciler: {error}", err=True)
        return ERROR
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has seen enough
        return ERROR
