"""The steps P0 to P6 of every action, each with the reason for its place; a step that fails leaves a state that
`plan.decide` knows how to go on from.
"""

from dataclasses import replace
from typing import NoReturn

from typing_extensions import assert_never

from pulumi_pinata.core import plan
from pulumi_pinata.core.close import (
    close_if_possible,
    conclude,
    described,
    left_elsewhere,
    put_label,
    retire,
    retire_others,
)
from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient
from pulumi_pinata.core.intent import Hold
from pulumi_pinata.core.model import (
    Action,
    Actual,
    Await,
    Content,
    Desired,
    Disable,
    Finish,
    Location,
    Mint,
    Minted,
    Move,
    Nothing,
    OnDelete,
    Outcome,
    Purpose,
    Record,
    Refuse,
    Relabel,
    Rewrite,
    Sealed,
    State,
    Status,
    Stored,
    Undelete,
)
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.secret import PrivateKey
from pulumi_pinata.core.store import store_key, tries


def carry_out(  # noqa: C901 - one case an action
    action: Action, desired: Desired, actual: Actual, ports: Ports
) -> Outcome:
    """Do what was decided.

    Raises Conflict or Ambiguous when the account must be observed again, Transient or Refused when it is over.
    """
    match action:
        case Nothing():
            ours = actual.record is None or desired.owns(actual.record.owner)
            return Outcome(actual.status, plan.known(desired, actual) if ours else None)
        case Refuse(reason, about, hint):
            raise Refused(reason, about=about, hint=hint)
        case Await():
            raise Conflict("another run is at work on this account.", hint="Wait for it to end, then run again.")
        case Mint():
            return _mint(action, desired, actual, ports)
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


def _mint(action: Mint, desired: Desired, actual: Actual, ports: Ports) -> Outcome:
    # P0: mint nothing while the store is not proven writable.
    ports.store.preflight(desired.location, desired.account, seconds=2 * ports.lease)
    # P1: from here on, whoever finds the account on and this intent open knows that the key reached nobody.
    hold = Hold.take(desired, actual, ports, Purpose.MINT)
    with ports.shield():
        key = _enable(action, actual, hold)
        content = Content(key, hold.attempt, desired.field)
        try:
            # P3 and P4: the first thing after the reply.
            version = store_key(hold, content, actual.stored.version)
        except Conflict:
            _reopen(hold)
            raise
        except PinataError as error:
            _give_up(error, key, hold)
    status, marker = _generation(actual.status, ports)  # P5: how to know this key again
    minted = described(desired, content, version, status, marker)
    retire_others(actual.record, hold)
    return conclude(hold, minted, status)  # P6; fails if somebody took over meanwhile


def _enable(action: Mint, actual: Actual, hold: Hold) -> PrivateKey:
    """P2, and before it the revocation of the key that is live; both only under a fresh fence."""
    pinata = hold.ports.pinata
    fresh = actual.record is None or not actual.record.open
    settled, live = fresh, hold.record.minted
    try:
        if action.disable_first:
            hold.keep()
            revoke(hold.ports)
            settled, live = True, None
        hold.keep()
        key = pinata.enable()  # sent once
    except (Transient, Refused):
        # Proven to have minted nothing; but an earlier run's loose end stays open until it is repaired.
        if settled and (live or not left_elsewhere(hold)):
            close_if_possible(hold, live)
        raise
    if key is not None:
        return key
    if fresh:
        # Nothing of ours was under way, so somebody else switched it on meanwhile: the policy decides.
        close_if_possible(hold, live)
        raise Conflict("inference was switched on by somebody else meanwhile.", hint="Run again.")
    raise Ambiguous("inference was switched on, but its key was not handed out.", hint="Run again: it is minted anew.")


def _give_up(error: PinataError, key: PrivateKey, hold: Hold) -> NoReturn:
    """Vault will not take the key: no key may be live that is nowhere."""
    ports = hold.ports
    if error.about != "vault.path" and (place := _escrowed(key, hold)):
        raise Refused(
            f"Vault did not take the new key ({error.message}); it is sealed in {place}.",
            hint="Run `pulumi-pinata escrow import` once Vault is back. (Another run instead mints anew.)",
            service=error.service,
        ) from None
    try:
        _still_ours(hold)
        revoke(ports)
    except Conflict:
        _reopen(hold)
        raise
    except PinataError:
        raise Ambiguous(
            f"the new key could not be stored ({error.message}) and could not be revoked either.",
            hint="Its intent stays open in Vault: run again, and it is revoked and minted anew.",
            service=error.service,
        ) from None
    if not left_elsewhere(hold):
        close_if_possible(hold, None)
    raise Refused(
        f"the new key could not be stored ({error.message}), so inference was switched off again.",
        about=error.about,
        hint=error.hint or "Mend Vault, then run again.",
        service=error.service,
    ) from None


def _reopen(hold: Hold) -> None:
    """Our enable may have landed after the other run's, whose key is dead then: only an open intent says so."""
    ports, desired = hold.ports, hold.desired
    record = ports.store.record(desired.account)
    owner, place = (record.owner, record.location) if record else (desired.owner, desired.location)
    theirs = replace(desired, owner=owner, location=place)
    Hold.take(theirs, Actual(Status(enabled=True), Stored(), record), ports, Purpose.MINT)


def _still_ours(hold: Hold) -> None:
    """Raise Conflict when the intent is lost; where Vault cannot tell, trust it while nobody can have taken over."""
    try:
        hold.renew()
    except Conflict:
        raise
    except PinataError:
        if hold.age > 1.5 * hold.ports.timeout:
            raise


def _escrowed(key: PrivateKey, hold: Hold) -> str | None:
    desired, escrow = hold.desired, hold.ports.escrow
    if escrow is None:
        return None
    try:
        return escrow.seal(Sealed(key, desired.account, hold.attempt, desired.location, desired.field))
    except PinataError as failure:
        hold.ports.notice(f"the key could not be sealed into escrow: {failure}")
        return None


def revoke(ports: Ports) -> None:
    """Disable, and see it confirmed; the caller holds the intent.

    Raises like `PinataApi.disable`, and Ambiguous when that went through but cannot be seen.
    """
    ports.pinata.disable()
    try:
        for _ in tries(ports):
            if not ports.pinata.status().enabled:
                return
    except PinataError:
        raise Ambiguous("inference was switched off, but its status cannot be read.", hint="Run again.") from None
    raise Ambiguous("inference still shows as on after it was switched off.", hint="Run again.")


def _generation(before: Status, ports: Ports) -> tuple[Status, str | None]:
    """The generation markers of the key just stored; where they can't be had now, a later run learns them."""
    try:
        for _ in tries(ports):
            status = ports.pinata.status()
            if status.enabled and (not before.enabled or status != before):
                return status, ports.pinata.marker()
    except PinataError:
        return Status(enabled=True), None
    return Status(enabled=True), None


def _finish(desired: Desired, actual: Actual, ports: Ports) -> Outcome:
    record, content = _record(actual), actual.content
    minted = _refreshed(desired, actual) if plan.known(desired, actual) else None
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
    minted = plan.known(desired, actual)
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
    minted, known = _refreshed(desired, actual), plan.known(desired, actual)
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
