"""P3 and P4: a key into Vault, written under check-and-set and read back; nothing here mints or revokes."""

from collections.abc import Iterator

from pulumi_pinata.core import judgment
from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient
from pulumi_pinata.core.intent import Hold
from pulumi_pinata.core.model import Actual, Content, State, Status
from pulumi_pinata.core.ports import Ports

# In parts of the timeout: together less than one of it, and the first ones short.
_PAUSES = (0.005, 0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.25)


def store_key(hold: Hold, content: Content, cas: int) -> int:
    """Write the key under check-and-set and read it back; returns its version.

    Raises Conflict when the intent was lost (the key is then dead and must not be written), else the store's error.
    """
    error: PinataError = Transient("Vault did not confirm the key.", service="vault")
    for _ in tries(hold.ports):
        try:
            hold.keep()
            version = _store_once(hold, content, cas)
        except (Transient, Ambiguous) as failure:
            error = failure
        else:
            _prove(hold, content, version)
            return version
    raise error


def _prove(hold: Hold, content: Content, version: int) -> None:
    """A holder that was stopped in its write may have left a copy that no record names: it would block the path."""
    try:
        hold.keep()
    except Conflict:
        record = hold.ports.store.record(hold.desired.account)
        if record and content.attempt not in record.attempts:
            hold.ports.store.destroy(hold.desired.location, (version,))
        raise
    except PinataError:
        return  # the key is in place; closing the intent will tell


def tries(ports: Ports) -> Iterator[None]:
    """Once now, then with growing pauses for about one timeout, however long each try takes."""
    end = ports.clock.monotonic() + ports.timeout
    yield
    for part in _PAUSES:
        if ports.clock.monotonic() >= end:
            return
        ports.clock.sleep(part * ports.timeout)
        yield


def _store_once(hold: Hold, content: Content, cas: int) -> int:
    desired, store = hold.desired, hold.ports.store
    try:
        version = store.write(desired.location, content, base_url=desired.base_url, cas=cas)
    except (Ambiguous, Conflict) as failure:
        # A lost reply, or somebody was faster: what stands there now decides, not what was heard.
        stored = store.stat(desired.location)
        found = store.read(desired.location) if stored.state is State.READABLE else None
        if _same(found, content):
            return stored.version
        if isinstance(failure, Ambiguous):
            raise
        hold.renew()  # a holder that was paused may have slipped in a dead key; only the present one may cover it
        seen = Actual(Status(enabled=True), stored, hold.record, content=found)
        if judgment.foreign_path(desired, seen):
            raise Refused(f"{desired.location} was just taken by somebody else.", about="vault.path") from None
        try:
            version = store.write(desired.location, content, base_url=desired.base_url, cas=stored.version)
        except Conflict:
            raise Transient(f"{desired.location} keeps changing.", service="vault") from None
    if not _same(store.read(desired.location, version), content):
        raise Transient("Vault did not give back what was written.", service="vault")
    return version


def _same(found: Content | None, content: Content) -> bool:
    return found is not None and found.attempt == content.attempt and found.key.fingerprint == content.key.fingerprint
