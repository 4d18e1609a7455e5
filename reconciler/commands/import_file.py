"""`pinata-reconciler import-file`."""

from pathlib import Path
from typing import Any

import click

from pulumi_pinata import properties
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Condition as CoreCondition
from pulumi_pinata.core.model import Location, Minted, Status
from reconciler import report
from reconciler.commands import options, passes
from reconciler.fleetplan import Condition, Row
from reconciler.pulumi_format import PROVIDER, TYPE
from reconciler.settings_document import to_document
from reconciler.upstreams import DEFAULT_RATE

_EPILOG = """
\b
example, in the Pulumi project that takes the account over:
  pinata-reconciler import-file shop-prod manifests/ > import.json
  pulumi import --file import.json
  pulumi up
  # only then remove shop-prod from the manifests
"""


@click.command("import-file", epilog=_EPILOG)
@options.name
@options.paths
@click.option("--as", "resource", metavar="RESOURCE", help="Name of the resource in the program; the default is NAME.")
def command(name: str, paths: tuple[Path, ...], resource: str | None) -> None:
    """Write the file by which `pulumi import --file` takes the account NAME over: no new key, no outage.

    It names the fleet as the owner; the first `pulumi up` sees that, and writes the stack's own mark.
    """
    manifest = passes.load(paths)
    passes.one(manifest, name)
    with passes.upstreams(1, DEFAULT_RATE) as access:
        row = passes.look(manifest, access, 1, only=name).rows[0]
    click.echo(report.as_json({"resources": [_resource(row, resource or name)]}))


def _resource(row: Row, name: str) -> dict[str, Any]:
    if row.error:
        raise row.error
    if row.settings is None or row.fingerprint is None or row.condition is not Condition.READY:
        raise Refused(
            f"there is no live key to hand over (condition {row.condition.value}).",
            about=row.name,
            hint="Run apply first.",
        )
    vault, account = row.settings.vault, row.account or ""
    location = Location(vault.location.mount, vault.location.path)
    minted = Minted(location, row.version, row.fingerprint, "", vault.field, row.created_at)
    inputs = to_document(row.settings)
    outputs = properties.outputs(inputs, account, Status(True, row.created_at), minted, CoreCondition.READY)
    provider = {"__provider": PROVIDER}
    return {
        "type": TYPE,
        "name": name,
        "id": account,
        "inputs": inputs | provider,
        "outputs": {key: value for key, value in outputs.items() if value is not None} | provider,
    }
