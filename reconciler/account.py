"""One account of a plan: looked at, with the fewest reads that tell; nothing is changed."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime

from pulumi_pinata import wiring
from pulumi_pinata.core import judgment, observe, plan
from pulumi_pinata.core.actions import Await, Disable
from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.model import Actual, Adopt, Desired, Mode
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.settings import Settings
from reconciler import findings, wording
from reconciler.fleetplan import Condition, Kind, Row
from reconciler.inventory import Entry
from reconciler.manifest.declared import Declared
from reconciler.upstreams import Access


@dataclass(frozen=True)
class Survey:
    """How the accounts of one pass are looked at: `owners` tells the former marks of (account, name); see `look`."""

    access: Access
    owners: Callable[[str, str], list[str]]
    now: datetime
    deep: bool = False

    def declared(self, base: Row, declared: Declared, moved: Entry | None) -> Row:
        """Look at a declared account; `moved` is its entry at a former home."""
        if moved and declared.mode is Mode.DISABLED:
            if base.entry is not moved:  # a move that was cut off: its key may be in its new home already
                here = self._looked_at(base, declared, declared.settings, None)
                if here.kind is not Kind.REFUSED:
                    return here
            # There is nothing to fetch: it is switched off where it is, by its former settings.
            return self._looked_at(base, declared, moved.settings_of(declared.settings), None)
        if moved and base.entry is moved and declared.mode is Mode.ENABLED:
            there = self._looked_at(base, declared, moved.settings_of(declared.settings), None)
            if there.kind in (Kind.REMINT, Kind.RESTORE) or there.condition is Condition.KEY_LOST:
                return there  # there is nothing to fetch before that is done, and it may be an outage to announce
        return self._looked_at(base, declared, declared.settings, moved)

    def gone(self, base: Row, entry: Entry) -> Row:
        """Look at an account that nothing declares any more and that is to be switched off."""
        settings = replace(entry.settings(), adopt=Adopt.REFUSE)  # what others switched on since is theirs
        with self.access.account(settings, _unheard) as found:
            if found.account.fingerprint != entry.account:
                return findings.mismatched(
                    base, wording.of_another(base.name, entry.account, found.account.fingerprint)
                )
            desired = wiring.desired(settings, found.account, Mode.DISABLED, None)
            actual = look(desired, found.ports)
        action = plan.decide(desired, actual)
        condition = Condition.READY if actual.status.enabled else Condition.OFF
        base = replace(base, account=entry.account, settings=settings, desired=desired, condition=condition)
        base = findings.described(base, judgment.known(desired, actual))
        if isinstance(action, (Disable, Await)):
            return replace(base, kind=Kind.PRUNE, reason="no longer declared, and `prune` is on")
        whose = "; it is somebody else's now" if actual.status.enabled else ", and off"
        return replace(base, kind=Kind.FORGET, reason=f"no longer declared{whose}")

    def _looked_at(self, base: Row, declared: Declared, settings: Settings, moved: Entry | None) -> Row:
        with self.access.account(settings, _unheard) as found:
            name = found.account.fingerprint
            for entry in (base.entry, moved):  # moved from there, another account would be let go of there
                if entry and entry.account != name:
                    others = self.owners(name, base.name)
                    return findings.mismatched(base, wording.of_another(base.name, entry.account, name, others))
            desired = wiring.desired(settings, found.account, declared.mode, None, *self.owners(name, declared.name))
            settled = declared.mode is Mode.DISABLED and findings.is_applied(declared, base.entry)
            actual = look(desired, found.ports, settled=settled, deep=self.deep)
            made = findings.decided(replace(base, account=name, settings=settings), declared, desired, actual, self.now)
            if made.kind is Kind.REMINT and desired.former_owners and not actual.record:
                reason = (
                    f"its key is kept as {desired.former_owners[0]} in another Vault: let it move by that name first"
                )
                made = replace(made, kind=Kind.REFUSED, condition=Condition.CONFLICT, reason=reason)
            if moved and declared.mode is Mode.ENABLED:
                former = moved.inputs["vault"]
                reason = f"the key comes from {former.get('address')}, {former.get('mount')}/{former.get('path')}"
                made = replace(made, kind=Kind.MOVE, reason=reason, moved_from=moved)
            if declared.credits.top_up is not None:
                made = _with_credits(made, declared.credits.top_up, found)
            if declared.credits.alert_below is not None:
                made = _with_balance(made, found, on=actual.status.enabled)
        return findings.judged(made)


def look(desired: Desired, ports: Ports, *, settled: bool = False, deep: bool = False) -> Actual:
    """One status call and one read of metadata where all is as declared; else a second look, at everything.

    A plan announces outages, so what is not in order is seen with both generation markers, as an apply sees it.
    What is to be off is taken to be in order by its marks only where that was `settled` by an apply that ended: one
    that was cut off has left its intent open, which the marks do not show. `deep` reads the second marker too: where
    `createdAt` stays, it alone tells of a key that was minted elsewhere.
    """
    if desired.mode is Mode.DISABLED and not settled:
        return observe.account(desired, ports)
    status = ports.pinata.status()
    marker = ports.pinata.marker() if deep and status.enabled and desired.mode is Mode.ENABLED else None
    actual = Actual(status, ports.store.stat(desired.location), marker=marker)
    return actual if _in_order(desired, actual) else observe.account(desired, ports)


def _in_order(desired: Desired, actual: Actual) -> bool:
    if desired.mode is Mode.DISABLED:
        label = actual.stored.label
        released = label is not None and label.minted is None
        return not actual.status.enabled and (released or actual.stored.version == 0)
    return desired.mode is Mode.OBSERVED or judgment.in_sync(desired, actual)


def _with_credits(made: Row, wanted: tuple[float, int], found: wiring.Session) -> Row:
    if made.kind in (Kind.REFUSED, Kind.ERROR):
        return made
    try:
        with closing(found.credits()) as client:
            current = client.get()
    except PinataError as error:
        # Healing a key must not wait for the credits service; where there is nothing to heal, the error is the news.
        return findings.failed(made, error) if made.kind is Kind.NONE else made
    if current == wanted:
        return made
    shown = f"top-up {_pair(current)} → {_pair(wanted)}"
    if made.kind is Kind.NONE:
        return replace(made, kind=Kind.CREDITS, condition=Condition.DRIFTED, reason=shown, topup=wanted)
    return replace(made, reason=f"{made.reason}; {shown}", topup=wanted)


def _with_balance(made: Row, found: wiring.Session, *, on: bool) -> Row:
    try:
        with closing(found.credits()) as client:
            left = client.balance()
    except PinataError as error:
        # Only the warning depends on it: whatever else is found of the account stands.
        said = f"the balance of credits cannot be read: {error.message}"
        return replace(made, reason=f"{made.reason}; {said}" if made.reason else said)
    made = replace(made, credits=left)
    if on and left <= 0 and made.kind is Kind.NONE:
        return replace(made, condition=Condition.CREDITS_EXHAUSTED, reason="no credits are left; the key is kept")
    return made


def _pair(config: tuple[float, int] | None) -> str:
    return f"{config[0]:g}/{config[1]}" if config else "off"


def _unheard(_line: str) -> None:
    """Nothing that is only looked at has anything to say."""
