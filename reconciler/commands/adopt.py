"""`pinata-reconciler adopt`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pulumi_pinata import wiring
from pulumi_pinata.core.adopt import adopt_key
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Adopt, Mode
from pulumi_pinata.core.secret import PrivateKey
from reconciler.commands import options, passes
from reconciler.commands.apply import carried_out
from reconciler.declared import Declared, Manifest
from reconciler.upstreams import Upstreams

_EPILOG = """
\b
examples:
  pinata-reconciler adopt shop-prod manifests/             # the key that stands at its Vault path, as it is
  pinata-reconciler adopt shop-prod manifests/ --remint    # a new key; whoever uses the old one is cut off

\b
exit codes: 0 adopted, 1 refused or failed
"""


@click.command("adopt", epilog=_EPILOG)
@options.name
@options.paths
@click.option("--remint", is_flag=True, help="Replace the key: an outage for whatever uses it.")
@options.output
@options.yes
@options.acknowledge
@options.rate
@options.limits
def command(
    name: str,
    paths: tuple[Path, ...],
    remint: bool,
    output: str,
    yes: bool,
    acknowledge: str | None,
    rate: float,
    **guards: Any,
) -> int:
    """Take the account NAME, on which a person enabled inference, into the fleet's keeping.

    The key that they stored at the declared Vault path and field is tried, then marked as the fleet's: no new key, no
    outage. Where the key is lost, or another tool manages it, --remint mints a new one.
    """
    manifest = passes.load(paths)
    declared = passes.one(manifest, name)
    with passes.upstreams(1, rate) as access:
        if remint:
            manifest = _taking_over(manifest, declared)
        else:
            _as_it_is(declared, access)
        plan = passes.look(manifest, access, 1, only=name)
        # That somebody else has the account is what the person who types this knows.
        plan = replace(plan, rows=tuple(replace(row, foreign=None) for row in plan.rows))
        return carried_out(plan, access, output, options.limits_of(guards), acknowledge, yes or not remint, 1)


def _taking_over(manifest: Manifest, declared: Declared) -> Manifest:
    taker = replace(declared, settings=replace(declared.settings, adopt=Adopt.REMINT))
    accounts = tuple(taker if each.name == declared.name else each for each in manifest.accounts)
    return replace(manifest, accounts=accounts)


def _as_it_is(declared: Declared, access: Upstreams) -> None:
    settings = declared.settings
    location, field = settings.vault.location, settings.vault.field
    if declared.mode is not Mode.ENABLED or declared.suspend:
        raise Refused("it is not declared enabled.", about=declared.name, hint="Declare `inference: enabled`.")
    with access.account(settings, lambda line: click.echo(line, err=True)) as found:
        value = found.field(location, field)
        if value is None:
            raise Refused(
                f"{location} has no field {field!r}.",
                about=f"{declared.name}: vault.field",
                hint="Store the key there, or name the field that holds it; if it is lost, use --remint.",
            )
        want = wiring.desired(settings, found.account, Mode.ENABLED, None)
        try:
            adopt_key(PrivateKey(value.reveal()), want, found.ports)
        except Refused as refused:
            # The core's hints are for Pulumi's users.
            raise Refused(
                refused.message,
                about=declared.name,
                hint="apply enables what is off and repairs what is managed; adopt --remint replaces a lost key.",
            ) from None
