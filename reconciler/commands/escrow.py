"""`pinata-reconciler escrow`."""

from pathlib import Path

import click

from pulumi_pinata import wiring
from pulumi_pinata.adapters.escrow_age import unseal
from pulumi_pinata.core.escrow import restore
from pulumi_pinata.core.model import Mode
from reconciler.commands import options, passes
from reconciler.upstreams import DEFAULT_RATE

_EPILOG = """
\b
example:
  pinata-reconciler escrow import FILE.age shop-prod manifests/ --identity ~/escrow-identity.txt
"""


@click.group("escrow")
def command() -> None:
    """Keys that Vault would not take, sealed to an age public key (PINATA_ESCROW_RECIPIENT)."""


@command.command("import", epilog=_EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.name
@options.paths
@click.option(
    "--identity",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the age identity that opens it.",
)
def import_(file: Path, name: str, paths: tuple[Path, ...], identity: Path) -> None:
    """Put the key sealed in FILE into Vault for the account NAME, and close its intent."""
    declared = passes.one(passes.load(paths), name)
    sealed = unseal(file, identity)
    with (
        passes.upstreams(1, DEFAULT_RATE) as access,
        access.account(declared.settings, lambda line: click.echo(line, err=True)) as found,
    ):
        want = wiring.desired(declared.settings, found.account, Mode.ENABLED, None)
        minted = restore(sealed, want, found.ports).minted
    version = minted.version if minted else 0
    click.echo(
        f"{declared.settings.vault.location} version {version} holds the key; {file} is of no more use: delete it"
    )
