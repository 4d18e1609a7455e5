"""What was observed of an account, said as a row of the plan; pure."""

from dataclasses import replace
from datetime import datetime

from pulumi_pinata.core import judgment, plan
from pulumi_pinata.core.actions import Action, Await, Disable, Mint, Move, Nothing, Refuse
from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.model import Actual, Desired, Minted, Mode, Purpose
from reconciler import wording
from reconciler.conditions import of_error
from reconciler.fleetplan import Condition, Kind, Row, digest
from reconciler.inventory import Entry
from reconciler.manifest.declared import Declared, Drift
from reconciler.rotation import created, due_at, is_due
from reconciler.settings_document import to_document

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


def mismatched(base: Row, error: Refused) -> Row:
    """The row of an account whose credentials are another's."""
    return replace(base, kind=Kind.REFUSED, condition=Condition.CREDENTIALS_INVALID, reason=str(error), error=error)


def declaration(declared: Declared) -> str:
    """A digest of what is declared: where it is unchanged since it was last applied, a difference is drift."""
    settings = declared.settings
    wanted = [to_document(settings), settings.trigger, declared.mode.value, declared.credits.top_up]
    return digest(wanted)


def is_applied(declared: Declared, entry: Entry | None) -> bool:
    """Whether what is declared was applied in full: what differs by then is drift."""
    return entry is not None and entry.declared == declaration(declared)


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
    if kind is Kind.RESUME:
        kind = _resumed(desired, actual, rotates=due or triggered)
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
    return described(made, minted)


def described(made: Row, minted: Minted | None) -> Row:
    """The row with what is known of the key."""
    if minted is None:
        return made
    return replace(made, version=minted.version, fingerprint=minted.fingerprint, created_at=minted.created_at)


def judged(made: Row) -> Row:
    """Whether the difference is drift, and what is then to be done about it."""
    declared, entry = made.declared, made.entry
    if made.kind not in _HEALS or declared is None or not is_applied(declared, entry):
        return made
    made = replace(made, drifted=True)
    if declared.drift is Drift.HEAL:
        return made
    return replace(made, kind=Kind.REPORT, reason=f"{made.reason} (`drift: report`: left as it is)", topup=None)


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


def _resumed(desired: Desired, actual: Actual, *, rotates: bool) -> Kind:
    """What finishing an interrupted run comes to where that cuts somebody off."""
    if desired.mode is Mode.DISABLED:
        return Kind.DISABLE
    # The key of a mint that was cut off has reached nobody.
    kept = actual.status.enabled and actual.record is not None and actual.record.purpose is not Purpose.MINT
    return Kind.ROTATE if kept and rotates else Kind.RESUME


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
    if desired.mode is Mode.DISABLED and not on:
        return Condition.OFF
    if isinstance(action, Await):
        return Condition.INTERRUPTED
    if desired.mode is Mode.DISABLED:
        return Condition.CONFLICT if isinstance(action, Refuse) else Condition.DRIFTED
    # A rotation that is asked for is no fault of the key.
    found = Condition(plan.condition(replace(desired, trigger=None, outworn=None), actual).value)
    return Condition.DRIFTED if found is Condition.OFF and was_on else found


def _was_on(base: Row) -> bool:
    return base.entry is not None and base.entry.declared != ""


def _days(span: object) -> str:
    seconds = getattr(span, "total_seconds", lambda: 0.0)()
    return f"{seconds / 86400:.0f} d" if seconds >= 86400 else f"{seconds / 3600:.1f} h"
