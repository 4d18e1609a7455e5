"""One account of a plan: observe, decide, and say it as a row; reads only."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime

from pulumi_pinata import wiring
from pulumi_pinata.core import judgment, observe, plan
from pulumi_pinata.core.actions import Action, Await, Disable, Mint, Move, Nothing, Refuse
from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.model import Actual, Adopt, Desired, Minted, Mode
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.settings import Settings
from reconciler import wording
from reconciler.conditions import of_error
from reconciler.fleetplan import Condition, Kind, Row, digest
from reconciler.inventory import Entry
from reconciler.manifest.declared import Declared, Drift
from reconciler.rotation import created, due_at, is_due
from reconciler.settings_document import to_document
from reconciler.upstreams import Access

_HEALS = frozenset({Kind.CREATE, Kind.REMINT, Kind.RESTORE, Kind.DISABLE, Kind.CREDITS})


def blank(declared: Declared | None, entry: Entry | None) -> Row:
    """The row of an account that was not looked at."""
    name = declared.name if declared else entry.name if entry else ""
    place = ""
    if declared:
        place = str(declared.settings.vault.location)
    elif entry:
        place = f"{entry.inputs['vault'].get('mount')}/{entry.inputs['vault'].get('path')}"
    return Row(name, Kind.SKIP, Condition.SUSPENDED, "", path=place, declared=declared, entry=entry)


def failed(base: Row, error: PinataError) -> Row:
    """The row of an account that could not be looked at."""
    shown = wording.renamed(error)
    return replace(base, kind=Kind.ERROR, condition=of_error(error), reason=str(shown), error=shown)


def declaration(declared: Declared) -> str:
    """A digest of what is declared: where it is unchanged since it was last applied, a difference is drift."""
    settings = declared.settings
    wanted = [to_document(settings), settings.trigger, declared.mode.value, declared.credits.top_up]
    return digest(wanted)


def is_applied(declared: Declared, entry: Entry | None) -> bool:
    """Whether what is declared was applied in full: what differs by then is drift."""
    return entry is not None and entry.declared == declaration(declared)


def row(
    base: Row,
    declared: Declared,
    moved: Entry | None,
    owners: Callable[[str, str], list[str]],
    access: Access,
    now: datetime,
    *,
    deep: bool = False,
) -> Row:
    """Look at a declared account. `moved` is its entry at a former home, `owners` tells its former marks."""
    if moved and declared.mode is Mode.DISABLED:
        # There is nothing to fetch: it is switched off where it is, by its former settings.
        return _looked_at(base, declared, moved.settings(), None, owners, access, now, deep=deep)
    return _looked_at(base, declared, declared.settings, moved, owners, access, now, deep=deep)


def _looked_at(
    base: Row,
    declared: Declared,
    settings: Settings,
    moved: Entry | None,
    owners: Callable[[str, str], list[str]],
    access: Access,
    now: datetime,
    *,
    deep: bool,
) -> Row:
    with access.account(settings, _unheard) as found:
        name = found.account.fingerprint
        if base.entry and base.entry.account != name:
            return _refused_row(base, wording.of_another(base.name, base.entry.account, name, owners(name, base.name)))
        desired = wiring.desired(settings, found.account, declared.mode, None, *owners(name, declared.name))
        settled = declared.mode is Mode.DISABLED and is_applied(declared, base.entry)
        actual = look(desired, found.ports, settled=settled, deep=deep)
        made = decided(replace(base, account=name, settings=settings), declared, desired, actual, now)
        if moved and declared.mode is Mode.ENABLED:
            former = moved.inputs["vault"]
            reason = f"the key comes from {former.get('address')}, {former.get('mount')}/{former.get('path')}"
            made = replace(made, kind=Kind.MOVE, reason=reason, moved_from=moved)
        if declared.credits.top_up is not None:
            made = _with_credits(made, declared.credits.top_up, found)
        if declared.credits.alert_below is not None:
            made = _with_balance(made, found, on=actual.status.enabled)
    return _judged(made)


def pruned(base: Row, entry: Entry, access: Access) -> Row:
    """Look at an account that nothing declares any more and that is to be switched off."""
    settings = replace(entry.settings(), adopt=Adopt.REFUSE)  # what others switched on since is theirs
    with access.account(settings, _unheard) as found:
        if found.account.fingerprint != entry.account:
            return _refused_row(base, wording.of_another(base.name, entry.account, found.account.fingerprint))
        desired = wiring.desired(settings, found.account, Mode.DISABLED, None)
        actual = look(desired, found.ports)
    action = plan.decide(desired, actual)
    condition = Condition.READY if actual.status.enabled else Condition.OFF
    base = replace(base, account=entry.account, settings=settings, desired=desired, condition=condition)
    base = _described(base, judgment.known(desired, actual))
    if isinstance(action, (Disable, Await)):
        return replace(base, kind=Kind.PRUNE, reason="no longer declared, and `prune` is on")
    reason = "no longer declared; it is somebody else's now" if actual.status.enabled else "no longer declared, and off"
    return replace(base, kind=Kind.FORGET, reason=reason)


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


def decided(base: Row, declared: Declared, desired: Desired, actual: Actual, now: datetime) -> Row:
    """The row of what was observed; pure."""
    minted = judgment.known(desired, actual)
    due = False
    if desired.mode is Mode.ENABLED and actual.status.enabled and minted:
        due = is_due(declared.rotation, minted.created_at, now)
        desired = replace(desired, outworn=minted.fingerprint) if due else desired
    action = plan.decide(desired, actual)
    triggered = desired.trigger is not None and minted is not None and minted.trigger != desired.trigger
    kind = _kind(action, rotates=due or triggered)
    refused = wording.refused(action, desired, actual) if isinstance(action, Refuse) else None
    reason = str(refused) if refused else _reason(action, base)
    if due and kind is Kind.ROTATE and minted:
        born, age = created(minted.created_at), declared.rotation.max_age
        reason = f"the key is {_days(now - born) if born else '?'} old (maxAge {_days(age) if age else '?'})"
    record = actual.record
    theirs = record and (record.open or record.minted) and not desired.owns(record.owner)
    made = replace(
        base,
        kind=kind,
        condition=_condition(desired, actual, action, was_on=_was_on(base)),
        reason=reason,
        desired=desired,
        foreign=record.owner if record and theirs and isinstance(action, (Mint, Disable)) else None,
        rotates_at=due_at(declared.rotation, minted.created_at) if minted else None,
        error=refused,
    )
    return _described(made, minted)


def _described(made: Row, minted: Minted | None) -> Row:
    if minted is None:
        return made
    return replace(made, version=minted.version, fingerprint=minted.fingerprint, created_at=minted.created_at)


def _kind(action: Action, *, rotates: bool) -> Kind:
    match action:
        case Nothing():
            return Kind.NONE
        case Await():
            return Kind.RESUME
        case Refuse():
            return Kind.REFUSED
        case Mint(disable_first=False):
            return Kind.CREATE
        case Mint():
            return Kind.ROTATE if rotates else Kind.REMINT
        case Move():
            return Kind.MOVE
        case Disable():
            return Kind.DISABLE
    return Kind.RESTORE


def _reason(action: Action, base: Row) -> str:
    match action:
        case Nothing():
            return ""
        case Await():
            return "a run was interrupted; it is finished once that run is proven gone"
        case Mint(disable_first=False):
            return "inference was switched off elsewhere" if _was_on(base) else "inference is off"
        case Mint():
            return action.reason
        case Move(source):
            return f"the key is at {source}"
        case Disable(already_off=True):
            return "what is left of it is tidied up"
        case Disable():
            return "declared disabled"
    return "the Vault copy or its marks were changed; restored with the same key"


def _condition(desired: Desired, actual: Actual, action: Action, *, was_on: bool) -> Condition:
    on = actual.status.enabled
    if desired.mode is Mode.OBSERVED:
        return Condition.OBSERVED if on else Condition.OFF
    if isinstance(action, Await):
        return Condition.INTERRUPTED
    if desired.mode is Mode.DISABLED:
        return Condition.OFF if not on else Condition.CONFLICT if isinstance(action, Refuse) else Condition.DRIFTED
    # A rotation that is asked for is no fault of the key.
    found = Condition(plan.condition(replace(desired, trigger=None, outworn=None), actual).value)
    return Condition.DRIFTED if found is Condition.OFF and was_on else found


def _was_on(base: Row) -> bool:
    return base.entry is not None and base.entry.declared != ""


def _with_credits(made: Row, wanted: tuple[float, int], found: wiring.Session) -> Row:
    if made.kind in (Kind.REFUSED, Kind.ERROR):
        return made
    try:
        with closing(found.credits()) as client:
            current = client.get()
    except PinataError as error:
        # Healing a key must not wait for the credits service; where there is nothing to heal, the error is the news.
        return failed(made, error) if made.kind is Kind.NONE else made
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


def _judged(made: Row) -> Row:
    """Whether the difference is drift, and what is then to be done about it."""
    declared, entry = made.declared, made.entry
    if made.kind not in _HEALS or declared is None or not is_applied(declared, entry):
        return made
    made = replace(made, drifted=True)
    if declared.drift is Drift.HEAL:
        return made
    return replace(made, kind=Kind.REPORT, reason=f"{made.reason} (`drift: report`: left as it is)", topup=None)


def _refused_row(base: Row, error: Refused) -> Row:
    return replace(base, kind=Kind.REFUSED, condition=Condition.CREDENTIALS_INVALID, reason=str(error), error=error)


def _days(span: object) -> str:
    seconds = getattr(span, "total_seconds", lambda: 0.0)()
    return f"{seconds / 86400:.0f} d" if seconds >= 86400 else f"{seconds / 3600:.1f} h"


def _unheard(_line: str) -> None:
    """Nothing that is only looked at has anything to say."""
