"""`pinata-reconciler escrow`."""

import secrets
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import click

from pulumi_pinata import wiring
from pulumi_pinata.adapters.escrow_age import unseal
from pulumi_pinata.core.escrow import restore
from pulumi_pinata.core.model import Mode
from reconciler import findings
from reconciler.commands import options, passes
from reconciler.commands.apply import audited
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
@options.audit_log
def import_(file: Path, name: str, paths: tuple[Path, ...], identity: Path, audit_log: Path | None) -> None:
    """Put the key sealed in FILE into Vault for the account NAME, and close its intent."""
    declared = passes.one(passes.load(paths), name)
    sealed = unseal(file, identity)
    with (
        audited(audit_log, "escrow import") as audit,
        passes.upstreams(1, DEFAULT_RATE) as access,
        access.account(declared.settings, lambda line: click.echo(line, err=True)) as found,
    ):
        want = wiring.desired(declared.settings, found.account, Mode.ENABLED, None)
        row = replace(findings.blank(declared, None), account=want.account, settings=declared.settings)
        row = replace(row, reason=f"the key sealed in {file}")
        with audit.around(row, secrets.token_hex(4), "escrow-import") if audit else nullcontext() as told:
            minted = restore(sealed, want, found.ports).minted
            if told and minted:
                told(minted.version, minted.fingerprint)
    version = minted.version if minted else 0
    click.echo(
        f"{declared.settings.vault.location} version {version} holds the key; {file} is of no more use: delete it"
    )
