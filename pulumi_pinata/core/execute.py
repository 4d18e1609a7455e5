"""Every action carried out; a step that fails leaves a state that `plan.decide` knows how to go on from."""

from dataclasses import replace

from typing_extensions import assert_never

from pulumi_pinata.core import judgment
from pulumi_pinata.core.actions import (
    Action,
    Await,
    Disable,
    Finish,
    Mint,
    Move,
    Nothing,
    Outcome,
    Refuse,
    Relabel,
    Rewrite,
    Undelete,
)
from pulumi_pinata.core.close import conclude, described, put_label, retire, retire_others
from pulumi_pinata.core.errors import Conflict, Refused
from pulumi_pinata.core.intent import Hold
from pulumi_pinata.core.mint import mint
from pulumi_pinata.core.model import Actual, Content, Desired, Location, Minted, OnDelete, Purpose, Record, State
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.revocation import revoke
from pulumi_pinata.core.store import store_key


def carry_out(  # noqa: C901 - one case an action
    action: Action, desired: Desired, actual: Actual, ports: Ports
) -> Outcome:
    """Do what was decided.

    Raises Conflict or Ambiguous when the account must be observed again, Transient or Refused when it is over.
    """
    match action:
        case Nothing():
            ours = actual.record is None or desired.owns(actual.record.owner)
            return Outcome(actual.status, judgment.known(desired, actual) if ours else None)
        case Refuse(reason, about, hint):
            raise Refused(reason, about=about, hint=hint)
        case Await():
            raise Conflict("another run is at work on this account.", hint="Wait for it to end, then run again.")
        case Mint():
            return mint(action, desired, actual, ports)
        case Finish():
            return _finish(desired, actual, ports)
        case Relabel():
            return _settle(_refreshed(desired, actual), desired, actual, ports)
        case Rewrite(version):
            return _rewrite(version, desired, actual, ports)
        case Undelete(version):
            return _undelete(version, desired, actual, ports)
        case Move(source):
            return _move(source, desired, actual, ports)
        case Disable():
            return _disable(action, desired, actual, ports)
        case _:
            assert_never(action)


def _finish(desired: Desired, actual: Actual, ports: Ports) -> Outcome:
    record, content = _record(actual), actual.content
    minted = _refreshed(desired, actual) if judgment.known(desired, actual) else None
    if content and content.attempt == record.attempts[-1] and (record.purpose is Purpose.MINT or not record.minted):
        minted = described(desired, content, actual.stored.version, actual.status, actual.marker)
    if minted is None:
        raise Conflict("the account changed while it was looked at.")
    return _settle(minted, desired, actual, ports)


def _settle(minted: Minted, desired: Desired, actual: Actual, ports: Ports) -> Outcome:
    """Write record and label for a key that is in place; the record first, for the label is its mirror."""
    old = actual.record
    if old is None or old.open or old.minted != minted or old.owner != desired.owner:
        base = old or Record(0, False, desired.owner, Purpose.MINT, (minted.attempt,), desired.location)
        hold = Hold(desired, ports, base, ports.clock.monotonic())
        if old and old.open:
            hold.renew()
            retire_others(old, hold)
        hold.close(minted)
    put_label(minted, desired, ports)
    return Outcome(actual.status, minted)


def _refreshed(desired: Desired, actual: Actual) -> Minted:
    """The known key with what is seen of it now; what cannot be seen stays as it was."""
    minted = judgment.known(desired, actual)
    if minted is None:
        raise Conflict("the account changed while it was looked at.")
    content = actual.content
    if content and content.key.fingerprint == minted.fingerprint:
        # Read at the declared place: a move that was cut off may have copied it there already.
        minted = replace(minted, location=desired.location, attempt=content.attempt, field=content.field)
    return replace(
        minted,
        version=actual.stored.version,
        created_at=actual.status.created_at or minted.created_at,
        marker=actual.marker or minted.marker,
    )


def _rewrite(version: int, desired: Desired, actual: Actual, ports: Ports) -> Outcome:
    minted = _refreshed(desired, actual)
    content = ports.store.read(desired.location, version)
    if content is None or content.key.fingerprint != minted.fingerprint:
        raise Conflict("the Vault copy changed while it was looked at.")
    hold = Hold.take(desired, actual, ports, Purpose.MOVE)
    copy = Content(content.key, hold.attempt, desired.field)
    written = store_key(hold, copy, actual.stored.version)
    return conclude(hold, replace(minted, version=written, attempt=hold.attempt, field=desired.field), actual.status)


def _undelete(version: int, desired: Desired, actual: Actual, ports: Ports) -> Outcome:
    minted = _refreshed(desired, actual)
    hold = Hold.take(desired, actual, ports, Purpose.MOVE)  # a rival may be retiring it
    ports.store.undelete(desired.location, version)
    return conclude(hold, minted, actual.status)


def _move(source: Location, desired: Desired, actual: Actual, ports: Ports) -> Outcome:
    minted, known = _refreshed(desired, actual), judgment.known(desired, actual)
    ports.store.preflight(desired.location, desired.account, seconds=2 * ports.lease)
    hold = Hold.take(desired, actual, ports, Purpose.MOVE, source)
    if actual.origin and actual.origin.state is State.DELETED:
        ports.store.undelete(source, actual.origin.version)
    stored_at = known.version if known and known.location == source else None
    places = ((desired.location, None), (source, stored_at))
    copies = (ports.store.read(place, version) for place, version in places)
    content = next((c for c in copies if c and c.key.fingerprint == minted.fingerprint), None)
    if content is None:
        raise Conflict("the Vault copy changed while it was looked at.")
    copy = Content(content.key, hold.attempt, desired.field)
    version = store_key(hold, copy, actual.stored.version)
    # Only now is the live key safe without its old copy; and that is no dead key, so it goes whatever the policy.
    old = ports.store.stat(source)  # before the fence is proven: a version stored after that is not named
    hold.keep()
    retire(source, old, desired, OnDelete.DESTROY, ports)
    moved = replace(minted, location=desired.location, version=version, attempt=hold.attempt, field=desired.field)
    return conclude(hold, moved, actual.status)


def _disable(action: Disable, desired: Desired, actual: Actual, ports: Ports) -> Outcome:
    hold = Hold.take(desired, actual, ports, Purpose.DISABLE)
    # Even where it seems to be off: a status can lag, and what is retired next must be dead.
    hold.keep()
    revoke(ports)
    # Confirmed off: whatever is left in Vault is a dead key, and an interruption here only leaves tidying to do.
    hold.keep()  # whoever took over may have stored a new key there
    if action.ours:
        retire(desired.location, actual.stored, desired, desired.on_delete, ports)
    retire_others(actual.record, hold)
    hold.close(None)
    return Outcome(replace(actual.status, enabled=False))


def _record(actual: Actual) -> Record:
    if actual.record is None:
        raise Conflict("the account changed while it was looked at.")
    return actual.record
