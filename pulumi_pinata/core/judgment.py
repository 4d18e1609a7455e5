"""What can be told from one account as observed; pure, and what deciding, observing and carrying out all stand on."""

from enum import Enum

from pulumi_pinata.core.model import Actual, Desired, Liveness, Location, Minted, Mode, Purpose, Record, State, Stored


class Copy(Enum):
    """How the Vault copy stands towards the live key."""

    NONE = "no key of ours is known"
    CURRENT = "the live key, readable"
    DELETED = "the live key, soft-deleted"
    ROLLED_BACK = "another version covers the live key"
    ELSEWHERE = "the live key, at another path"
    LOST = "no readable version holds the live key"
    STALE = "the live key was minted by somebody else"


def theirs(desired: Desired, record: Record | None) -> bool:
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
        return Copy.ELSEWHERE if restorable(minted, actual.origin) else Copy.LOST
    stored = actual.stored
    if stored.state is State.READABLE and holds(minted, actual):
        return Copy.CURRENT
    if stored.state is State.DELETED and stored.version == minted.version:
        return Copy.DELETED
    return Copy.ROLLED_BACK if minted.version in stored.readable else Copy.LOST


def holds(minted: Minted, actual: Actual) -> bool:
    """Whether the current version of the declared secret is `minted`'s key."""
    label = actual.stored.label
    if actual.stored.described and label and label.minted:
        return label.minted.fingerprint == minted.fingerprint
    return actual.content is not None and actual.content.key.fingerprint == minted.fingerprint


def restorable(minted: Minted, copy: Stored | None) -> bool:
    """Whether a copy elsewhere can still give the key back."""
    if copy is None:
        return False
    deleted = copy.state is State.DELETED and copy.version == minted.version
    return deleted or minted.version in copy.readable


def rotation_wanted(desired: Desired, minted: Minted | None) -> bool:
    """Whether a new key is asked for: by another trigger than the one `minted` was stored under, or by its name."""
    outworn = minted is not None and minted.fingerprint == desired.outworn
    triggered = desired.trigger is not None and (minted is None or minted.trigger != desired.trigger)
    return outworn or triggered


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
        and not rotation_wanted(desired, label.minted)
        and in_field(desired, actual, label.minted)
        and labelled(desired, actual, label.minted)
    )


def in_field(desired: Desired, actual: Actual, minted: Minted) -> bool:
    """Whether the key stands in the declared field of its secret."""
    return (actual.content.field if actual.content else minted.field) == desired.field


def labelled(desired: Desired, actual: Actual, minted: Minted) -> bool:
    """Whether label and record say of the key in place what is to be said of it."""
    label, record = actual.stored.label, actual.record
    mirrored = label is not None and label.owner == desired.owner and label.minted == minted
    recorded = record is None or record.owner == desired.owner
    current = minted.version == actual.stored.version and not in_doubt(minted, actual)
    return mirrored and recorded and current and dict(actual.stored.labels) == dict(desired.labels)
