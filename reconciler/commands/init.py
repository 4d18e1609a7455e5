"""`pinata-reconciler init`."""

import re
from importlib.resources import files
from pathlib import Path

import click

from pulumi_pinata.core.errors import Refused
from reconciler import starter

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_EPILOG = """
\b
example:
  pinata-reconciler init my-fleet --account shop-prod
"""


def _label(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise click.BadParameter("must be 1 to 63 lower-case letters, digits and hyphens.", ctx, parameter)
    return value


@click.command("init", epilog=_EPILOG)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--fleet", default="default", show_default=True, callback=_label, help="Name of the fleet.")
@click.option("--account", default="prod", show_default=True, callback=_label, help="Name of the first account.")
def command(folder: Path, fleet: str, account: str) -> None:
    """Write a repository to start from into FOLDER (default: here): a manifest, README and a GitHub workflow.

    Nothing that is there is written over.
    """
    content = starter.files(fleet, account)
    content["schema.json"] = files("reconciler.manifest").joinpath("schema.json").read_text()
    taken = [name for name in content if (folder / name).exists()]
    if taken:
        raise Refused(f"there is a {taken[0]} already; nothing was written.", about=str(folder), hint="Name another.")
    try:
        for name, text in content.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    except OSError as error:
        raise Refused(f"cannot be written to ({type(error).__name__}).", about=str(folder)) from None
    for name in content:
        click.echo(folder / name)
    click.echo(f"next: pinata-reconciler doctor {folder / 'manifests'}")
