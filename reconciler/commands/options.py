"""The options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from reconciler.guards import Limits
from reconciler.pool import WORKERS
from reconciler.upstreams import DEFAULT_RATE

F = TypeVar("F", bound=Callable[..., Any])

paths = click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
name = click.argument("name", metavar="NAME")
output = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "yaml", "markdown"]),
    default="text",
    show_default=True,
    help="Form of the report.",
)
workers = click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=WORKERS,
    show_default=True,
    help="Accounts looked at or changed at once.",
)
rate = click.option(
    "--rate",
    type=click.FloatRange(0),
    default=DEFAULT_RATE,
    show_default=True,
    help="Calls a second to each Pinata API; 0: as many as it takes.",
)
audit_log = click.option(
    "--audit-log",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar="PINATA_AUDIT_LOG",
    show_envvar=True,
    help="Note every change in this file, before and after; what cannot be noted is not done.",
)
yes = click.option("--yes", is_flag=True, help="Do not ask.")
acknowledge = click.option(
    "--acknowledge",
    metavar="CHECKSUM",
    help="Do what the guards refuse, for the plan of this checksum and no other.",
)


def limits(command: F) -> F:
    """The thresholds of the guards; the command takes them as `limits_of` reads them."""
    for option in (
        click.option(
            "--max-mints-a-day",
            type=click.IntRange(1),
            default=Limits.mints_a_day,
            show_default=True,
            help="Guard: mints of one account in a day.",
        ),
        click.option(
            "--max-remints-percent",
            type=click.FloatRange(0, 100),
            default=Limits.remints_percent,
            show_default=True,
            help="Guard: live keys replaced at once, as a share of the fleet.",
        ),
        click.option(
            "--max-remints",
            type=click.IntRange(0),
            default=Limits.remints,
            show_default=True,
            help="Guard: so many may be replaced at once however small the fleet.",
        ),
        click.option(
            "--max-disables-percent",
            type=click.FloatRange(0, 100),
            default=Limits.disables_percent,
            show_default=True,
            help="Guard: accounts switched off at once, as a share of the fleet.",
        ),
        click.option(
            "--max-disables",
            type=click.IntRange(0),
            default=Limits.disables,
            show_default=True,
            help="Guard: so many may be switched off at once however small the fleet.",
        ),
    ):
        command = option(command)
    return command


def limits_of(values: dict[str, Any]) -> Limits:
    """The limits among a command's options."""
    return Limits(
        disables=values["max_disables"],
        disables_percent=values["max_disables_percent"],
        remints=values["max_remints"],
        remints_percent=values["max_remints_percent"],
        mints_a_day=values["max_mints_a_day"],
    )
