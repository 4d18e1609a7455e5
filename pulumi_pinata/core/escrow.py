"""Put a key from escrow into Vault, under the intent that it was minted for."""

from pulumi_pinata.core import judgment
from pulumi_pinata.core.actions import Outcome
from pulumi_pinata.core.close import conclude, described
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.intent import Hold
from pulumi_pinata.core.model import Actual, Content, Desired, Liveness, Sealed
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.store import store_key


def restore(sealed: Sealed, desired: Desired, ports: Ports) -> Outcome:
    """Store the sealed key and close its intent.

    Raises Refused when that intent is not open any more: another run has repaired it, and this key is dead.
    """
    if (sealed.account, sealed.location) != (desired.account, desired.location):
        raise Refused(
            f"the sealed key belongs to account {sealed.account} and {sealed.location}.",
            hint="Give the inputs of that resource.",
        )
    record, status = ports.store.record(desired.account), ports.pinata.status()
    if not (status.enabled and record and record.open and record.attempts[-1] == sealed.attempt):
        raise Refused(
            "another run has repaired this account since; the sealed key is dead.", hint="Delete the sealed file."
        )
    if not desired.owns(record.owner):
        raise Refused(f"the account is managed by {record.owner}.", about="--owner", hint="Give that owner.")
    stored = ports.store.stat(desired.location)
    found = ports.store.read(desired.location) if stored.label is None else None
    if judgment.foreign_path(desired, Actual(status, stored, record, content=found)):
        raise Refused(
            f"{desired.location} holds something that is not ours.", about="vault.path", hint="Make room for the key."
        )
    if ports.pinata.probe(sealed.key) is Liveness.DEAD:
        raise Refused("the sealed key is dead.", hint="Delete the sealed file; the next run mints anew.")
    ports.store.preflight(desired.location, desired.account, seconds=2 * ports.lease)
    hold = Hold(desired, ports, record, ports.clock.monotonic())
    hold.renew()  # from here on no other run mints
    content = Content(sealed.key, sealed.attempt, sealed.field)
    version = store_key(hold, content, stored.version)
    return conclude(hold, described(desired, content, version, status, ports.pinata.marker()), status)
