"""`pinata-reconciler rotate`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Mode
from reconciler.commands import options, passes
from reconciler.commands.apply import audited, carried_out
from reconciler.fleetplan import FAILURES, Condition, FleetPlan, Kind

_EPILOG = """
\b
examples:
  pinata-reconciler rotate shop-prod manifests/
  pinata-reconciler rotate shop-prod manifests/ --yes -o json

\b
exit codes: 0 replaced, 1 refused or failed
"""


@click.command("rotate", epilog=_EPILOG)
@options.name
@options.paths
@options.output
@options.yes
@options.acknowledge
@options.audit_log
@options.rate
@options.limits
def command(
    name: str,
    paths: tuple[Path, ...],
    output: str,
    yes: bool,
    acknowledge: str | None,
    audit_log: Path | None,
    rate: float,
    **guards: Any,
) -> int:
    """Replace the key of the account NAME now, once.

    Pinata has no rotate call: the present key is revoked, then a new one is minted and stored. Whatever uses the key
    fails until it reads the new one.
    """
    manifest = passes.load(paths)
    passes.one(manifest, name)
    with audited(audit_log, "rotate") as audit, passes.upstreams(1, rate) as access:
        plan = rotated(passes.look(manifest, access, 1, only=name))
        return carried_out(plan, access, output, options.limits_of(guards), acknowledge, yes, 1, audit)


def rotated(plan: FleetPlan) -> FleetPlan:
    """The plan of one account with its present key to be replaced. Raises Refused where there is none to replace."""
    row = plan.rows[0]
    if row.kind in FAILURES or row.kind is Kind.SKIP:
        raise row.error or Refused(row.reason, about=row.name)
    desired = row.desired
    usable = row.condition in (Condition.READY, Condition.DRIFTED) and row.kind not in (Kind.CREATE, Kind.RESUME)
    if desired is None or desired.mode is not Mode.ENABLED or row.fingerprint is None or not usable:
        raise Refused(
            f"there is no key of ours in use to be replaced (condition {row.condition.value}).",
            about=row.name,
            hint="Run apply first; it mints one where one is declared.",
        )
    desired = replace(desired, outworn=row.fingerprint)
    return replace(plan, rows=(replace(row, kind=Kind.ROTATE, reason="asked for by rotate", desired=desired),))
