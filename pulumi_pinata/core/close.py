"""P6: how an intent ends, and what becomes of Vault copies that are of no more use."""

from pulumi_pinata.core.actions import Outcome
from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.intent import Hold
from pulumi_pinata.core.model import Content, Desired, Label, Location, Minted, OnDelete, Record, State, Status, Stored
from pulumi_pinata.core.ports import Ports


def described(desired: Desired, content: Content, version: int, status: Status, marker: str | None) -> Minted:
    """Everything about a key that was just stored but itself."""
    return Minted(
        location=desired.location,
        version=version,
        fingerprint=content.key.fingerprint,
        attempt=content.attempt,
        field=content.field,
        created_at=status.created_at,
        marker=marker,
        trigger=desired.trigger,
    )


def conclude(hold: Hold, minted: Minted, status: Status) -> Outcome:
    """P6: close the intent, then label the secret."""
    hold.close(minted)
    put_label(minted, hold.desired, hold.ports)
    return Outcome(status, minted)


def put_label(minted: Minted, desired: Desired, ports: Ports) -> None:
    """Mirror the record into the secret's custom metadata; last, since it vouches for all that came before."""
    label = Label(desired.owner, desired.account, minted)
    ports.store.label(minted.location, Stored(label=label, labels=desired.labels))


def retire(location: Location, stored: Stored, desired: Desired, policy: OnDelete, ports: Ports) -> None:
    """Treat the versions of a Vault copy that are of no more use by `policy`, and let go of the path.

    Versions are named, never "the latest": a run that took over may have stored a live key in a newer one.
    """
    if (stored.version == 0 and stored.label is None) or (stored.label and not desired.owns(stored.label.owner)):
        return
    # The label first: what is deleted without one cannot be told from somebody else's secret any more.
    label = Label(desired.owner, desired.account, None, released=stored.version)
    ports.store.label(location, Stored(label=label, labels=stored.labels))
    if policy is OnDelete.DESTROY and stored.version:
        ports.store.destroy(location, tuple(range(1, stored.version + 1)))
    if policy is OnDelete.SOFT_DELETE and stored.state is State.READABLE:
        ports.store.soft_delete(location, stored.version)


def retire_others(record: Record | None, hold: Hold) -> None:
    """Retire what earlier runs left at other places than the declared one; before the intent closes, to be sure."""
    if record is None:
        return
    hold.keep()
    desired, ports = hold.desired, hold.ports
    places = {record.location, record.source, record.minted.location if record.minted else None}
    for place in places - {desired.location}:
        if place is None:
            continue
        stored = ports.store.stat(place)
        found = ports.store.read(place) if stored.label is None and stored.state is State.READABLE else None
        if stored.label or (found and found.attempt in record.attempts):
            retire(place, stored, desired, desired.on_delete, ports)


def close_if_possible(hold: Hold, minted: Minted | None) -> None:
    """Close on the way out of a failure, which is the error that matters."""
    try:
        hold.close(minted)
    except PinataError:
        return  # an intent left open is safe: the next run finds it


def left_elsewhere(hold: Hold) -> bool:
    """Whether a dead key is left at another path, so that the intent must stay open for the next run to tidy."""
    minted = hold.record.minted
    return minted is not None and minted.location != hold.desired.location
