"""Move a key to another mount, namespace or Vault: two records, two fences, and never two places without the key.

A move within one mount needs none of this: `plan` sees it in the record.
"""

from dataclasses import replace

from pulumi_pinata.core import observe, plan
from pulumi_pinata.core.close import close_if_possible, conclude, retire
from pulumi_pinata.core.converge import converge, is_abandoned
from pulumi_pinata.core.errors import Conflict, Refused
from pulumi_pinata.core.intent import Hold
from pulumi_pinata.core.model import Actual, Content, Desired, Minted, OnDelete, Purpose
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.store import store_key


def relocate(old: Desired, old_ports: Ports, new: Desired, new_ports: Ports) -> None:
    """Bring the key from where `old` declares it to where `new` does, if it is still to be had.

    Idempotent over crashes. What it leaves undone (a lost key, labels, a rotation) is for `converge(new)`.

    Raises Refused when the new path is somebody else's; the key then stays where it was.
    """
    old = replace(old, former_owners=(*old.former_owners, new.owner))
    source = _observe(old, old_ports)
    if source.record and source.record.open and source.record.purpose is not Purpose.MOVE:
        # A key may be live that reached nobody: that is repaired first, and with the rotation asked for, once.
        owners = (*new.former_owners, old.owner)
        converge(replace(new, location=old.location, held=old.held, former_owners=owners), old_ports)
        source = _observe(old, old_ports)
    minted = plan.known(old, source)
    if minted is None:
        return
    # What the caller's state remembers is the old place; at the new one only Vault itself is a witness.
    new = replace(new, held=None)
    target = _observe(new, new_ports)
    if source.record and target.record == source.record:
        return  # one Vault under two names: the paths may differ, and that is an ordinary move
    hold = Hold.take(old, source, old_ports, Purpose.MOVE)
    try:
        if new_ports.store.record(new.account) == hold.record:
            hold.close(minted)  # one Vault after all, which the first intent of all has just shown
            return
        if not _holds(minted, new_ports.store.read(new.location)) or _unfinished(target):
            content = old_ports.store.read(minted.location, minted.version)
            if content is None or not _holds(minted, content):
                hold.close(minted)
                return
            _arrive(content, minted, new, target, new_ports)
    except Refused:
        close_if_possible(hold, minted)
        raise
    # The key is durable in its new home, recorded and labelled there; only now may the old one go.
    stored = old_ports.store.stat(minted.location)  # before the fence is proven: nothing stored later is named
    hold.keep()
    retire(minted.location, stored, old, OnDelete.DESTROY, old_ports)
    hold.close(None)


def _holds(minted: Minted, content: Content | None) -> bool:
    return content is not None and content.key.fingerprint == minted.fingerprint


def _unfinished(target: Actual) -> bool:
    return target.record is None or target.record.open or target.record.minted is None


def _observe(desired: Desired, ports: Ports) -> Actual:
    desired = replace(desired, trigger=None)
    actual = observe.account(desired, ports, markers=False)
    record = actual.record
    if record and record.open and not actual.ours_to_resume:
        if not is_abandoned(desired.account, record.version, ports):
            raise Conflict("another run is at work on this account.", hint="Wait for it to end, then run again.")
        actual = observe.account(desired, ports, resume=frozenset({record.version}), markers=False)
    return actual


def _arrive(content: Content, minted: Minted, new: Desired, target: Actual, ports: Ports) -> None:
    if plan.foreign_path(new, target):
        raise Refused(
            f"{new.location} is taken by somebody else.",
            about="vault.path",
            hint="Choose another `vault.path`; the key stays where it was.",
        )
    ports.store.preflight(new.location, new.account, seconds=2 * ports.lease)
    hold = Hold.take(new, target, ports, Purpose.MOVE)
    copy = Content(content.key, hold.attempt, new.field)
    version = store_key(hold, copy, target.stored.version)
    conclude(
        hold,
        replace(minted, location=new.location, version=version, attempt=hold.attempt, field=new.field),
        target.status,
    )
