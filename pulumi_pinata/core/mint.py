"""The steps P0 to P6 of a mint, each with the reason for its place."""

from dataclasses import replace
from typing import NoReturn

from pulumi_pinata.core.actions import Mint, Outcome
from pulumi_pinata.core.close import close_if_possible, conclude, described, left_elsewhere, retire_others
from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient
from pulumi_pinata.core.intent import Hold
from pulumi_pinata.core.model import Actual, Content, Desired, Purpose, Sealed, Status, Stored
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.revocation import revoke
from pulumi_pinata.core.secret import PrivateKey
from pulumi_pinata.core.store import store_key, tries


def mint(action: Mint, desired: Desired, actual: Actual, ports: Ports) -> Outcome:
    """Enable, and store the key that comes once. Raises like `execute.carry_out`."""
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
