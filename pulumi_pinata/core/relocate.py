"""Move a key to another mount, namespace or Vault: two records, two fences, and never two places without the key.

A move within one mount needs none of this: `plan` sees it in the record.
"""

from dataclasses import replace

from pulumi_pinata.core import judgment, observe
from pulumi_pinata.core.actions import Outcome
from pulumi_pinata.core.close import close_if_possible, conclude, retire
from pulumi_pinata.core.converge import converge, is_abandoned
from pulumi_pinata.core.errors import Conflict, Refused
from pulumi_pinata.core.intent import Hold
from pulumi_pinata.core.model import Actual, Content, Desired, Liveness, Minted, OnDelete, Purpose
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.store import store_key


def relocate(old: Desired, old_ports: Ports, new: Desired, new_ports: Ports) -> Outcome:
    """Bring the key from where `old` declares it to where `new` does, and the account to what `new` says.

    Idempotent over crashes. The intent at the old home stays open to the end: until the caller's state names the new
    home, a run may still come to the old one, and must learn there that a key may be live which it does not hold.

    Raises like `converge`; Refused for a path of somebody else's leaves the key where it was.
    """
    old = replace(old, former_owners=(*old.former_owners, new.owner))
    # What the caller's state remembers is the old place; at the new one only Vault itself is a witness.
    bare = replace(new, held=None)
    source, target = _observe(old, old_ports), _observe(bare, new_ports)
    if source.record and target.record == source.record:
        return converge(new, new_ports)  # one Vault under two names: the paths may differ, an ordinary move
    arrived = judgment.copy_state(bare, target) is judgment.Copy.CURRENT and _opens(new_ports, bare)
    loose = bool(source.record and source.record.open and source.record.purpose is not Purpose.MOVE)
    repaired = loose and not arrived and _repair(old, old_ports, new)
    if repaired:
        source, target = _observe(old, old_ports), _observe(bare, new_ports)
    minted = judgment.known(old, source)
    hold = Hold.take(old, source, old_ports, Purpose.MINT)
    if new_ports.store.record(new.account) == hold.record:
        hold.close(minted)  # one Vault after all, which the first intent of all has just shown
        return converge(new, new_ports)
    try:
        if minted and not arrived and (repaired or not loose):
            _move(minted, new, target, old_ports, new_ports, live=repaired)
        # In the new home it proves that the account is ours, and no more.
        held = replace(new.held, location=new.location, version=0) if new.held else None
        outcome = converge(replace(new, held=held), new_ports)
    except Refused:
        close_if_possible(hold, minted)
        raise
    # The key is durable in its new home, recorded and labelled there; only now may the old one go.
    replaced = outcome.minted and not (minted and minted.fingerprint == outcome.minted.fingerprint)
    if replaced and not _opens(new_ports, new):
        # Two homes have two fences: a run at the old one may have minted since, and the key there is the live one.
        raise Conflict("the account was changed in its old home meanwhile.", hint="Run again.")
    if minted:
        stored = old_ports.store.stat(minted.location)  # before the fence is proven: nothing stored later is named
        hold.keep()
        retire(minted.location, stored, old, OnDelete.DESTROY, old_ports)
    hold.close(None)
    return outcome


def _repair(old: Desired, ports: Ports, new: Desired) -> bool:
    """A key may be live that reached nobody: that is repaired where it was minted, and rotated there if asked for.

    False where the old path is somebody else's by now: the new home then mints one of its own.
    """
    owners = (*new.former_owners, old.owner)
    try:
        converge(replace(new, location=old.location, held=old.held, former_owners=owners), ports)
    except Refused as refused:
        if refused.about != "vault.path":
            raise
        return False
    return True


def _move(minted: Minted, new: Desired, target: Actual, old_ports: Ports, new_ports: Ports, *, live: bool) -> None:
    """Copy the key, unless it is there, cannot be had, or the new home has a mint of its own to end first.

    `live` says that it was just minted or seen to work, so that whatever the new home has is dead.
    """
    record = target.record
    if record and record.open and record.purpose is Purpose.MINT and not live:
        return
    there = record.minted if record and not record.open else None
    if there and there.fingerprint != minted.fingerprint and not live:
        return  # minted there since
    if there and _holds(minted, new_ports.store.read(new.location)):
        return  # copied already
    content = old_ports.store.read(minted.location, minted.version)
    if content and _holds(minted, content):
        _arrive(content, minted, replace(new, held=None), target, new_ports)


def _opens(ports: Ports, desired: Desired) -> bool:
    """Whether the key at the declared place is not known to be dead: markers alone can be another run's."""
    content = ports.store.read(desired.location)
    return content is not None and ports.pinata.probe(content.key) is not Liveness.DEAD


def _holds(minted: Minted, content: Content | None) -> bool:
    return content is not None and content.key.fingerprint == minted.fingerprint


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
    if judgment.foreign_path(new, target):
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
