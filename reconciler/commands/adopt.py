"""`pinata-reconciler adopt`."""

import secrets
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pulumi_pinata import wiring
from pulumi_pinata.core.adopt import adopt_key
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Adopt, Desired, Minted, Mode
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.secret import PrivateKey
from pulumi_pinata.core.settings import Settings
from reconciler import account, findings
from reconciler.commands import options, passes
from reconciler.commands.apply import audited, carried_out
from reconciler.fleetplan import Condition, Kind, Row
from reconciler.listeners.audit import AuditLog
from reconciler.manifest.declared import Declared, Manifest
from reconciler.upstreams import Upstreams

_EPILOG = """
\b
examples:
  pinata-reconciler adopt shop-prod manifests/             # the key that stands at its Vault path, as it is
  pinata-reconciler adopt shop-prod manifests/ --take-over # the key of another owner, such as a Pulumi stack, as it is
  pinata-reconciler adopt shop-prod manifests/ --remint    # a new key; whoever uses the old one is cut off

\b
exit codes: 0 adopted, 1 refused or failed
"""


@click.command("adopt", epilog=_EPILOG)
@options.name
@options.paths
@click.option("--remint", is_flag=True, help="Replace the key: an outage for whatever uses it.")
@click.option("--take-over", is_flag=True, help="Accept that another owner has it now: the same key, no outage.")
@options.output
@options.yes
@options.acknowledge
@options.audit_log
@options.rate
@options.limits
def command(
    name: str,
    paths: tuple[Path, ...],
    remint: bool,
    take_over: bool,
    output: str,
    yes: bool,
    acknowledge: str | None,
    audit_log: Path | None,
    rate: float,
    **guards: Any,
) -> int:
    """Take the account NAME, on which somebody else enabled inference, into the fleet's keeping.

    The key that a person stored at the declared Vault path and field is tried, then marked as the fleet's: no new key,
    no outage. With --take-over the mark is another owner's, a stack's or a fleet's, which must have let go of it. Where
    the key is lost, --remint mints a new one.
    """
    if remint and take_over:
        raise click.UsageError("--take-over keeps the key and --remint replaces it: give one of them.")
    manifest = passes.load(paths)
    declared = passes.one(manifest, name)
    with audited(audit_log, "adopt") as audit, passes.upstreams(1, rate) as access:
        if remint:
            manifest = _reminting(manifest, declared)
        elif not take_over:
            said = _as_it_is(declared, access, audit)
            click.echo(f"{name}: {said}", err=output != "text")
        plan = passes.look(manifest, access, 1, only=name)
        if take_over:
            plan = replace(plan, rows=(_taken_over(plan.rows[0], declared, access),))
        # That somebody else has the account is what the person who types this knows.
        plan = replace(plan, rows=tuple(replace(row, foreign=None) for row in plan.rows))
        return carried_out(plan, access, output, options.limits_of(guards), acknowledge, yes or not remint, 1, audit)


def _reminting(manifest: Manifest, declared: Declared) -> Manifest:
    taker = replace(declared, settings=replace(declared.settings, adopt=Adopt.REMINT))
    accounts = tuple(taker if each.name == declared.name else each for each in manifest.accounts)
    return replace(manifest, accounts=accounts)


def _taken_over(row: Row, declared: Declared, access: Upstreams) -> Row:
    settings = _enabled(declared)
    with access.account(settings, lambda line: click.echo(line, err=True)) as found:
        location = settings.vault.location
        label = found.ports.store.stat(location).label
        if label is None or label.minted is None or label.owner == settings.owner:
            held = "by nobody" if label is None or label.minted is None else "by this fleet"
            raise Refused(
                f"{location} is held {held}: there is nobody to take it over from.",
                about=declared.name,
                hint="Leave out --take-over.",
            )
        # As an account whose name the fleet has changed: the other owner's marks are ours, and are renewed.
        want = wiring.desired(settings, found.account, Mode.ENABLED, None, label.owner)
        actual = account.look(want, found.ports)
    base = replace(findings.blank(declared, row.entry), account=found.account.fingerprint, settings=settings)
    made = findings.decided(base, declared, want, actual, passes.now())
    if made.kind is not Kind.RESTORE:
        raise made.error or Refused(
            f"there is no live key of {label.owner} to take over (condition {made.condition.value}).",
            about=declared.name,
            hint="Let its owner repair it first, or use --remint.",
        )
    return replace(made, reason=f"taken over from {label.owner}, with the same key")


def _enabled(declared: Declared) -> Settings:
    if declared.mode is not Mode.ENABLED or declared.suspend:
        raise Refused("it is not declared enabled.", about=declared.name, hint="Declare `inference: enabled`.")
    return declared.settings


def _as_it_is(declared: Declared, access: Upstreams, audit: AuditLog | None) -> str:
    settings = _enabled(declared)
    location, field = settings.vault.location, settings.vault.field
    with access.account(settings, lambda line: click.echo(line, err=True)) as found:
        value = found.field(location, field)
        if value is None:
            raise Refused(
                f"{location} has no field {field!r}.",
                about=f"{declared.name}: vault.field",
                hint="Store the key there, or name the field that holds it; if it is lost, use --remint.",
            )
        want = wiring.desired(settings, found.account, Mode.ENABLED, None)
        _require_unmanaged(name=declared.name, want=want, ports=found.ports)
        row = Row(
            declared.name,
            Kind.RESTORE,
            Condition.CONFLICT,
            "adopted as it is, with the same key",
            path=str(location),
            account=want.account,
            settings=settings,
        )
        with audit.around(row, secrets.token_hex(4), "adopt") if audit else nullcontext() as told:
            minted = _adopted(declared.name, PrivateKey(value.reveal()), want, found.ports)
            if told and minted:
                told(minted.version, minted.fingerprint)
    return f"adopted: the key at {location}, version {minted.version if minted else '?'}, is now the fleet's"


def _require_unmanaged(*, name: str, want: Desired, ports: Ports) -> None:
    """Raise Refused where somebody manages the account or the secret already, naming who."""
    label, record = ports.store.stat(want.location).label, ports.store.record(want.account)
    holder = label.owner if label and label.minted else record.owner if record and record.minted else None
    if holder == want.owner:
        raise Refused(
            "the fleet has this account in its keeping already.",
            about=name,
            hint="There is nothing to adopt: apply enables what is off and repairs what is ours.",
        )
    if holder and label and label.minted:
        raise Refused(
            f"{want.location} is managed by {holder} already.",
            about=name,
            hint="Once it has let go of it, --take-over takes it with the same key.",
        )
    if holder and record and record.minted:
        raise Refused(
            f"inference on this account is managed by {holder} already, with its key at {record.minted.location}.",
            about=name,
            hint="Declare that `vault.path`; then --take-over takes it with the same key, once it has let go of it.",
        )
    if label:
        raise Refused(
            f"{want.location} bears the mark of {label.owner}, which has let go of it.",
            about=name,
            hint="Store the key at another place, and declare that as `vault.path`.",
        )


def _adopted(name: str, key: PrivateKey, want: Desired, ports: Ports) -> Minted | None:
    try:
        return adopt_key(key, want, ports).minted
    except Refused as refused:
        # The core's hints are for Pulumi's users.
        raise Refused(
            refused.message,
            about=name,
            hint="apply enables what is off and repairs what is ours; --take-over takes what another owner manages.",
        ) from None
