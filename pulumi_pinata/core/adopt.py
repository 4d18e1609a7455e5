"""Take a key that a person stored in Vault into our keeping, as it is: no mint, and so no outage."""

from pulumi_pinata.core import judgment
from pulumi_pinata.core.actions import Outcome
from pulumi_pinata.core.close import conclude, described
from pulumi_pinata.core.converge import is_abandoned
from pulumi_pinata.core.errors import Conflict, Refused
from pulumi_pinata.core.intent import Hold
from pulumi_pinata.core.model import Actual, Content, Desired, Liveness, Purpose
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.secret import PrivateKey
from pulumi_pinata.core.store import store_key


def adopt_key(key: PrivateKey, desired: Desired, ports: Ports) -> Outcome:
    """Store `key`, which stands unmarked at the declared place, as a new version with our marks.

    Raises Refused unless inference is on, the key is proven to be the live one, and nobody else manages it.
    """
    status, stored = ports.pinata.status(), ports.store.stat(desired.location)
    actual = Actual(status, stored, ports.store.record(desired.account), marker=ports.pinata.marker())
    if not status.enabled:
        raise Refused(
            "inference is off, so the key in Vault is dead.", hint="Apply without adopting it: one is minted."
        )
    if stored.label is not None or judgment.known(desired, actual) is not None:
        raise Refused("this account or path is managed already.", hint="There is nothing to adopt.")
    record = actual.record
    if record and record.open and not is_abandoned(desired.account, record.version, ports):
        raise Conflict("another run is at work on this account.", hint="Wait for it to end, then run again.")
    if ports.pinata.probe(key) is not Liveness.LIVE:
        raise Refused(
            "the key in Vault is not proven to be the live one.",
            about="vault.field",
            hint="Check the field; if the key is lost, set `adopt` to remint and apply that instead.",
        )
    ports.store.preflight(desired.location, desired.account, seconds=2 * ports.lease)
    hold = Hold.take(desired, actual, ports, Purpose.MOVE)
    content = Content(key, hold.attempt, desired.field)
    version = store_key(hold, content, stored.version)
    return conclude(hold, described(desired, content, version, status, actual.marker), status)
