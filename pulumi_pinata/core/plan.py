"""Desired and actual to one action: pure, and the only place that decides.

Recovery from a crash is a row here, not an `except` block elsewhere: an open intent is part of what is observed.
"""

from enum import Enum

from pulumi_pinata.core import refusals
from pulumi_pinata.core.model import (
    Action,
    Actual,
    Adopt,
    Await,
    Condition,
    Desired,
    Disable,
    Finish,
    Liveness,
    Location,
    Mint,
    Minted,
    Mode,
    Move,
    Nothing,
    OnLostKey,
    Outcome,
    Purpose,
    Record,
    Relabel,
    Rewrite,
    State,
    Stored,
    Undelete,
)


class Copy(Enum):
    """How the Vault copy stands towards the live key."""

    NONE = "no key of ours is known"
    CURRENT = "the live key, readable"
    DELETED = "the live key, soft-deleted"
    ROLLED_BACK = "another version covers the live key"
    ELSEWHERE = "the live key, at another path"
    LOST = "no readable version holds the live key"
    STALE = "the live key was minted by somebody else"


def decide(desired: Desired, actual: Actual) -> Action:
    """The one action that brings `actual` nearer to `desired`."""
    if desired.mode is Mode.OBSERVED:
        return Nothing()
    record = actual.record
    theirs = _theirs(desired, record)
    if theirs and desired.adopt is Adopt.OBSERVE:
        return Nothing()
    if record and record.open:
        if not actual.ours_to_resume:
            return Await(record.version)
        if theirs and (desired.adopt is not Adopt.REMINT or desired.mode is Mode.DISABLED):
            return refusals.account_taken(record.owner, "left unfinished by")
    if desired.mode is Mode.DISABLED:
        return _towards_off(desired, actual)
    return _towards_on(desired, actual)


def falls_short(desired: Desired, action: Action, outcome: Outcome) -> bool:
    """Whether an interrupted step was ended as it was begun, and what is declared now asks for more."""
    minted = outcome.minted
    done = minted is None or (minted.field == desired.field and not _rotation_wanted(desired, minted))
    return isinstance(action, (Finish, Move, Undelete)) and not done


def condition(desired: Desired, actual: Actual) -> Condition:
    """How an account that is declared enabled stands."""
    record = actual.record
    if not actual.status.enabled and not (record and record.open):
        return Condition.OFF
    if desired.adopt is Adopt.OBSERVE and _theirs(desired, record):
        return Condition.OBSERVED
    if record and record.open:
        return Condition.INTERRUPTED
    if foreign_path(desired, actual) or _theirs(desired, record):
        return Condition.CONFLICT
    match copy_state(desired, actual):
        case Copy.NONE:
            return Condition.OBSERVED if desired.adopt is Adopt.OBSERVE else Condition.KEY_LOST
        case Copy.LOST:
            return Condition.KEY_LOST
        case Copy.STALE:
            return Condition.KEY_STALE
        case Copy.CURRENT if isinstance(decide(desired, actual), Nothing):
            return Condition.READY
    return Condition.DRIFTED


def _theirs(desired: Desired, record: Record | None) -> bool:
    """Whether another owner manages the account, or is about to."""
    return record is not None and (record.open or record.minted is not None) and not desired.owns(record.owner)


def known(desired: Desired, actual: Actual) -> Minted | None:
    """The key that was last stored for this account, by the best witness: record, then label, then caller."""
    if actual.record is not None:
        return actual.record.minted
    label = actual.stored.label
    if label and label.minted and desired.owns(label.owner) and label.account == desired.account:
        return label.minted
    return desired.held


def origin(desired: Desired, record: Record) -> Location | None:
    """The other place that may hold the live key: where it was stored, or where an unfinished move was heading."""
    place = record.minted.location if record.minted else None
    if record.open and record.purpose is Purpose.MOVE and place == desired.location:
        place = record.location
    return place if place != desired.location else None


def copy_state(desired: Desired, actual: Actual) -> Copy:
    """How the Vault copy stands; see `Copy`."""
    minted = known(desired, actual)
    if minted is None:
        return Copy.NONE
    if superseded(minted, actual):
        return Copy.STALE
    if minted.location != desired.location:
        return Copy.ELSEWHERE if _restorable(minted, actual.origin) else Copy.LOST
    stored = actual.stored
    if stored.state is State.READABLE and _holds(minted, actual):
        return Copy.CURRENT
    if stored.state is State.DELETED and stored.version == minted.version:
        return Copy.DELETED
    return Copy.ROLLED_BACK if minted.version in stored.readable else Copy.LOST


def _restorable(minted: Minted, copy: Stored | None) -> bool:
    """Whether a copy elsewhere can still give the key back."""
    if copy is None:
        return False
    deleted = copy.state is State.DELETED and copy.version == minted.version
    return deleted or minted.version in copy.readable


def superseded(minted: Minted, actual: Actual) -> bool:
    """Whether the live key is another than `minted`.

    A generation marker that moved says so, unless the stored key was just seen to work.
    """
    if actual.liveness is not Liveness.UNKNOWN:
        return actual.liveness is Liveness.DEAD
    return generation_moved(minted, actual)


def in_doubt(minted: Minted, actual: Actual) -> bool:
    """Whether only trying the stored key can tell if it is the live one."""
    learned = (minted.created_at is None and actual.status.created_at is not None) or (
        minted.marker is None and actual.marker is not None
    )
    return learned or generation_moved(minted, actual)


def generation_moved(minted: Minted, actual: Actual) -> bool:
    """Whether a generation marker differs from the one seen when `minted` was stored; unknown never differs."""
    pairs = ((minted.created_at, actual.status.created_at), (minted.marker, actual.marker))
    return any(then is not None and now is not None and then != now for then, now in pairs)


def foreign_path(desired: Desired, actual: Actual) -> bool:
    """Whether the declared Vault path holds something that is not ours to write over."""
    stored, record = actual.stored, actual.record
    if stored.label is not None:
        if stored.label.minted is None:
            return stored.version > stored.label.released and not _bears_attempt(actual)  # somebody's since
        return not desired.owns(stored.label.owner) or stored.label.account != desired.account
    if stored.version == 0 or (stored.state is State.DESTROYED and not stored.readable):
        return False  # nothing there that could be written over
    # No label: a crash before it was written, or somebody's own secret. Only our record can tell.
    witness = record.minted if record and desired.owns(record.owner) else desired.held
    if witness and witness.version and witness.location == desired.location:
        return False
    return not _bears_attempt(actual)


def _bears_attempt(actual: Actual) -> bool:
    """Whether the data was stored by one of our tries, which a crash kept from labelling it."""
    record, content = actual.record, actual.content
    if record is None or content is None:
        return False
    # A copy of the live key that nobody labelled is ours too: a holder that was stopped in a move wrote it late.
    copied = record.minted is not None and content.key.fingerprint == record.minted.fingerprint
    return copied or content.attempt in record.attempts


def in_sync(desired: Desired, actual: Actual) -> bool:
    """Whether the label alone proves that an enabled account is as declared, so that nothing else need be read."""
    stored = actual.stored
    label = stored.label
    return (
        desired.mode is Mode.ENABLED
        and actual.status.enabled
        and stored.state is State.READABLE
        and stored.described
        and label is not None
        and label.minted is not None
        and label.owner == desired.owner
        and label.account == desired.account
        and isinstance(_tune(desired, actual, label.minted), Nothing)
    )


def _towards_off(desired: Desired, actual: Actual) -> Action:
    record = actual.record
    if record and record.minted and not desired.owns(record.owner):
        if actual.status.enabled and desired.held and desired.held.fingerprint == record.minted.fingerprint:
            # A rename that was cut off, or a handing over: only a person can tell.
            return refusals.handed_over(record.owner)
        return Nothing()  # taken over since: it is theirs to switch off
    unfinished = record is not None and record.open
    copy = not foreign_path(desired, actual)
    if not actual.status.enabled:
        label = actual.stored.label
        left = copy and label is not None and label.minted is not None
        tidy = unfinished or left or (record is not None and record.minted is not None)
        return Disable(already_off=True, ours=copy) if tidy else Nothing()
    if unfinished or known(desired, actual) is not None or desired.adopt is Adopt.REMINT:
        return Disable(already_off=False, ours=copy)
    if desired.adopt is Adopt.OBSERVE:
        return Nothing()
    return refusals.not_from_here()


def _towards_on(desired: Desired, actual: Actual) -> Action:
    record = actual.record
    if foreign_path(desired, actual):
        return refusals.path_taken(desired, actual.stored)
    if record and not record.open and record.minted and not desired.owns(record.owner):
        if desired.adopt is Adopt.REFUSE:
            return refusals.account_taken(record.owner, "managed by")
        return _adopt(desired, actual)
    if not actual.status.enabled:
        return Mint(disable_first=False, reason="inference is off")
    if record and record.open:
        return _resume(desired, actual, record)
    return _maintain(desired, actual)


def _resume(desired: Desired, actual: Actual, record: Record) -> Action:
    """Inference is on and an intent was left open: how far did it come?"""
    minted = record.minted if desired.owns(record.owner) else None
    if minted is None or record.purpose is Purpose.MINT:
        if actual.liveness is not Liveness.DEAD and _is_attempt(record, actual):
            return Finish()
        if record.purpose is Purpose.MOVE:
            return _adopt(desired, actual)  # a person's key was being adopted: it is still theirs
        if (
            minted
            and _holds(minted, actual)
            and actual.liveness is Liveness.LIVE
            and not _rotation_wanted(desired, record.minted)
        ):
            return Finish()  # stopped before anything was switched off
        return Mint(disable_first=True, reason="an interrupted run minted a key that reached nobody")
    rotate = _rotation_wanted(desired, minted)  # what is minted anew need not be moved
    if record.purpose is Purpose.MOVE and not superseded(minted, actual) and not rotate:
        here = _holds(minted, actual)
        there = _restorable(minted, actual.origin)
        source = origin(desired, record)
        if source and (here or there):
            return Move(source)
    action = _maintain(desired, actual)
    return Finish() if isinstance(action, (Nothing, Relabel)) else action


def _maintain(desired: Desired, actual: Actual) -> Action:
    """Inference is on and no step is open: is the live key where it should be?"""
    minted = known(desired, actual)
    copy = copy_state(desired, actual)
    if minted is None:
        return _adopt(desired, actual)
    if _rotation_wanted(desired, minted):
        return Mint(disable_first=True, reason="the rotation trigger changed")
    match copy:
        case Copy.ELSEWHERE:
            return Move(minted.location)
        case Copy.DELETED:
            return Undelete(minted.version)
        case Copy.ROLLED_BACK:
            return Rewrite(minted.version)
        case Copy.CURRENT:
            return _tune(desired, actual, minted)
    if desired.on_lost_key is OnLostKey.REMINT:
        return Mint(disable_first=True, reason=copy.value)
    return refusals.key_lost(copy.value)


def _tune(desired: Desired, actual: Actual, minted: Minted) -> Action:
    """The key is in place; is everything about it as declared?"""
    if _rotation_wanted(desired, minted):
        return Mint(disable_first=True, reason="the rotation trigger changed")
    if (actual.content.field if actual.content else minted.field) != desired.field:
        return Rewrite(actual.stored.version)
    label, record = actual.stored.label, actual.record
    labelled = label is not None and label.owner == desired.owner and label.minted == minted
    recorded = record is None or record.owner == desired.owner
    current = minted.version == actual.stored.version and not in_doubt(minted, actual)
    wanted = dict(actual.stored.labels) == dict(desired.labels)
    return Nothing() if labelled and recorded and current and wanted else Relabel()


def _adopt(desired: Desired, actual: Actual) -> Action:
    if desired.adopt is Adopt.OBSERVE:
        return Nothing()
    if desired.adopt is Adopt.REMINT:
        return Mint(disable_first=actual.status.enabled, reason="taken over by `adopt: remint`")
    return refusals.not_ours()


def _rotation_wanted(desired: Desired, minted: Minted | None) -> bool:
    outworn = minted is not None and minted.fingerprint == desired.outworn
    triggered = desired.trigger is not None and (minted is None or minted.trigger != desired.trigger)
    return outworn or triggered


def _is_attempt(record: Record, actual: Actual) -> bool:
    return actual.content is not None and actual.content.attempt == record.attempts[-1]


def _holds(minted: Minted, actual: Actual) -> bool:
    """Whether the current version of the declared secret is `minted`'s key."""
    label = actual.stored.label
    if actual.stored.described and label and label.minted:
        return label.minted.fingerprint == minted.fingerprint
    return actual.content is not None and actual.content.key.fingerprint == minted.fingerprint
