"""One account as it is: reads only, the fewest that the decision needs, and the key's value only in doubt."""

from dataclasses import replace

from pulumi_pinata.core import judgment
from pulumi_pinata.core.model import Actual, Desired, Minted, Mode, Purpose, State, Status
from pulumi_pinata.core.ports import Ports


def account(
    desired: Desired,
    ports: Ports,
    *,
    resume: frozenset[int] = frozenset(),
    markers: bool = True,
    by_label: bool = False,
) -> Actual:
    """Observe the account.

    `resume` holds the record versions whose holder is known to be gone; `markers` asks for the second generation
    marker too (one more call to Pinata). `by_label` takes the secret's label for proof that all is in order, without
    a look at the record: one call less, and an intent that was opened since is not seen.
    """
    # The record first: an intent that is opened over this version proves that nobody of ours changed anything since.
    skipped = by_label or desired.mode is Mode.OBSERVED
    record = None if skipped else ports.store.record(desired.account)
    status = ports.pinata.status()
    marker = ports.pinata.marker() if markers and status.enabled else None
    actual = Actual(status=status, stored=ports.store.stat(desired.location), record=record, marker=marker)
    if desired.mode is Mode.OBSERVED or (by_label and judgment.in_sync(desired, actual)):
        return actual
    if by_label:
        record = ports.store.record(desired.account)
        actual = replace(actual, record=record)
    if record and record.open:
        if record.version not in resume and not ports.attempts.made(record):
            return actual
        actual = replace(actual, ours_to_resume=True, status=_settled(status, ports))
    if record and (other := judgment.origin(desired, record)):
        actual = replace(actual, origin=ports.store.stat(other))
    return _try_key(desired, actual, ports)


def _settled(status: Status, ports: Ports) -> Status:
    """Two equal answers in a row: an interrupted call may land late, and status may lag."""
    for _ in range(5):
        ports.clock.sleep(ports.grace)
        again = ports.pinata.status()
        if again == status:
            break
        status = again
    return status


def _try_key(desired: Desired, actual: Actual, ports: Ports) -> Actual:
    """Read the data where the label does not vouch for it, and try the key where only that can tell."""
    record, minted = actual.record, judgment.known(desired, actual)
    label = actual.stored.label
    if judgment.foreign_path(desired, actual) and (not record or (label and label.minted)):
        return actual  # nobody of ours can have left it there: not ours to read
    unfinished = bool(record and record.open and record.purpose is Purpose.MINT)
    doubt = minted is not None and judgment.in_doubt(minted, actual)
    if actual.stored.state is State.READABLE and (unfinished or doubt or not _vouched(minted, actual)):
        actual = replace(actual, content=ports.store.read(desired.location))
    content = actual.content if actual.status.enabled else None
    # By working or failing, a key proves nothing about another one.
    known = bool(content and minted and content.key.fingerprint == minted.fingerprint)
    if content and (unfinished or (doubt and known)):
        actual = replace(actual, liveness=ports.pinata.probe(content.key))
    return _check_history(minted, actual, ports) if minted and minted.location == desired.location else actual


def _vouched(minted: Minted | None, actual: Actual) -> bool:
    label = actual.stored.label
    return bool(
        actual.stored.described and label and minted and label.minted and label.minted.fingerprint == minted.fingerprint
    )


def _check_history(minted: Minted, actual: Actual, ports: Ports) -> Actual:
    """Keep an older version as a way back only if its data is the key: after a wipe, numbers start anew."""
    stored, content = actual.stored, actual.content
    if _vouched(minted, actual) or (content and content.key.fingerprint == minted.fingerprint):
        return actual
    way_back = None
    if minted.version in stored.readable and minted.version != stored.version:
        way_back = ports.store.read(minted.location, minted.version)
    found = way_back is not None and way_back.key.fingerprint == minted.fingerprint
    return replace(actual, stored=replace(stored, readable=(minted.version,) if found else ()))
