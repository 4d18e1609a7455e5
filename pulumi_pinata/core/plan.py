"""Desired and actual to one action: pure, and the only place that decides.

Recovery from a crash is a row here, not an `except` block elsewhere: an open intent is part of what is observed.
"""

from pulumi_pinata.core import judgment, refusals
from pulumi_pinata.core.actions import (
    Action,
    Await,
    Disable,
    Finish,
    Mint,
    Move,
    Nothing,
    Outcome,
    Relabel,
    Rewrite,
    Undelete,
)
from pulumi_pinata.core.model import (
    Actual,
    Adopt,
    Condition,
    Desired,
    Liveness,
    Minted,
    Mode,
    OnLostKey,
    Purpose,
    Record,
)


def decide(desired: Desired, actual: Actual) -> Action:
    """The one action that brings `actual` nearer to `desired`."""
    if desired.mode is Mode.OBSERVED:
        return Nothing()
    record = actual.record
    theirs = judgment.theirs(desired, record)
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
    done = minted is None or (minted.field == desired.field and not judgment.rotation_wanted(desired, minted))
    return isinstance(action, (Finish, Move, Undelete)) and not done


def condition(desired: Desired, actual: Actual) -> Condition:
    """How an account that is declared enabled stands."""
    record = actual.record
    if not actual.status.enabled and not (record and record.open):
        return Condition.OFF
    if desired.adopt is Adopt.OBSERVE and judgment.theirs(desired, record):
        return Condition.OBSERVED
    if record and record.open:
        return Condition.INTERRUPTED
    if judgment.foreign_path(desired, actual) or judgment.theirs(desired, record):
        return Condition.CONFLICT
    match judgment.copy_state(desired, actual):
        case judgment.Copy.NONE:
            return Condition.OBSERVED if desired.adopt is Adopt.OBSERVE else Condition.KEY_LOST
        case judgment.Copy.LOST:
            return Condition.KEY_LOST
        case judgment.Copy.STALE:
            return Condition.KEY_STALE
        case judgment.Copy.CURRENT if isinstance(decide(desired, actual), Nothing):
            return Condition.READY
    return Condition.DRIFTED


def _towards_off(desired: Desired, actual: Actual) -> Action:
    record = actual.record
    if record and record.minted and not desired.owns(record.owner):
        if actual.status.enabled and desired.held and desired.held.fingerprint == record.minted.fingerprint:
            # A rename that was cut off, or a handing over: only a person can tell.
            return refusals.handed_over(record.owner)
        return Nothing()  # taken over since: it is theirs to switch off
    unfinished = record is not None and record.open
    copy = not judgment.foreign_path(desired, actual)
    if not actual.status.enabled:
        label = actual.stored.label
        left = copy and label is not None and label.minted is not None
        tidy = unfinished or left or (record is not None and record.minted is not None)
        return Disable(already_off=True, ours=copy) if tidy else Nothing()
    if unfinished or judgment.known(desired, actual) is not None or desired.adopt is Adopt.REMINT:
        return Disable(already_off=False, ours=copy)
    if desired.adopt is Adopt.OBSERVE:
        return Nothing()
    return refusals.not_from_here()


def _towards_on(desired: Desired, actual: Actual) -> Action:
    record = actual.record
    if judgment.foreign_path(desired, actual):
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
            and judgment.holds(minted, actual)
            and actual.liveness is Liveness.LIVE
            and not judgment.rotation_wanted(desired, record.minted)
        ):
            return Finish()  # stopped before anything was switched off
        return Mint(disable_first=True, reason="an interrupted run minted a key that reached nobody")
    rotate = judgment.rotation_wanted(desired, minted)  # what is minted anew need not be moved
    if record.purpose is Purpose.MOVE and not judgment.superseded(minted, actual) and not rotate:
        here = judgment.holds(minted, actual)
        there = judgment.restorable(minted, actual.origin)
        source = judgment.origin(desired, record)
        if source and (here or there):
            return Move(source)
    action = _maintain(desired, actual)
    return Finish() if isinstance(action, (Nothing, Relabel)) else action


def _maintain(desired: Desired, actual: Actual) -> Action:
    """Inference is on and no step is open: is the live key where it should be?"""
    minted = judgment.known(desired, actual)
    copy = judgment.copy_state(desired, actual)
    if minted is None:
        return _adopt(desired, actual)
    if judgment.rotation_wanted(desired, minted):
        return Mint(disable_first=True, reason="the rotation trigger changed")
    match copy:
        case judgment.Copy.ELSEWHERE:
            return Move(minted.location)
        case judgment.Copy.DELETED:
            return Undelete(minted.version)
        case judgment.Copy.ROLLED_BACK:
            return Rewrite(minted.version)
        case judgment.Copy.CURRENT:
            return _tune(desired, actual, minted)
    if desired.on_lost_key is OnLostKey.REMINT:
        return Mint(disable_first=True, reason=copy.value)
    return refusals.key_lost(copy.value)


def _tune(desired: Desired, actual: Actual, minted: Minted) -> Action:
    """The key is in place; is everything about it as declared?"""
    if not judgment.in_field(desired, actual, minted):
        return Rewrite(actual.stored.version)
    return Nothing() if judgment.labelled(desired, actual, minted) else Relabel()


def _adopt(desired: Desired, actual: Actual) -> Action:
    if desired.adopt is Adopt.OBSERVE:
        return Nothing()
    if desired.adopt is Adopt.REMINT:
        return Mint(disable_first=actual.status.enabled, reason="taken over by `adopt: remint`")
    return refusals.not_ours()


def _is_attempt(record: Record, actual: Actual) -> bool:
    return actual.content is not None and actual.content.attempt == record.attempts[-1]
