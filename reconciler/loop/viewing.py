"""Rows and results to what is shown of each account; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.fleetplan import CHANGES, FAILURES, Ending, FleetPlan, Kind, Result, Row
from reconciler.guards import Verdict
from reconciler.loop.view import AccountView

_GONE = frozenset({Kind.PRUNE, Kind.FORGET})


def accounts(
    before: Mapping[str, AccountView],
    plan: FleetPlan,
    verdict: Verdict,
    results: Sequence[Result],
    *,
    resting: Mapping[str, Row],
    whole: bool,
    commit: str | None,
    now: datetime,
) -> dict[str, AccountView]:
    """The accounts after a pass. `resting` were not looked at; a pass that is not `whole` leaves the others as is."""
    ended = {result.row.name: result for result in results}
    held = {each.name: each.message for each in verdict.held} if not verdict.acknowledged else {}
    found = {} if whole else dict(before)
    for row in plan.rows:
        old, result = before.get(row.name), ended.get(row.name)
        if row.name in resting and old:
            found[row.name] = old
        elif row.kind in _GONE and result and result.ending is Ending.DONE:
            found.pop(row.name, None)
        else:
            why = held.get(row.name) or (held.get(None) if row.kind in CHANGES and result is None else None)
            made = _one(row, result, old, why, now)
            in_order = made.kind is Kind.NONE
            found[row.name] = replace(made, commit=commit if in_order else old.commit if old else None)
    return found


def failed(row: Row, result: Result | None) -> bool:
    """Whether the account could not be had as declared in this pass."""
    return row.kind in FAILURES if result is None else result.ending is Ending.FAILED


def _one(row: Row, result: Result | None, old: AccountView | None, held: str | None, now: datetime) -> AccountView:
    done = result is not None and result.ending is Ending.DONE
    condition = result.condition if result else row.condition
    reason = "" if done else str(result.error) if result and result.error else row.reason
    if held:
        reason = f"held back ({reason}): {held}" if reason else f"held back: {held}"
    new_key = done and result is not None and result.fingerprint not in (None, row.fingerprint)
    drifted = row.drifted and not done
    declared = row.declared
    # Of an account that could not be looked at, what was known of it still stands.
    known = old if old and row.kind in (Kind.SKIP, Kind.ERROR) else None
    return AccountView(
        name=row.name,
        condition=condition,
        kind=Kind.NONE if done else row.kind,
        reason=reason,
        since=old.since if old and old.condition is condition else now,
        seen_at=now,
        path=row.path or (known.path if known else ""),
        version=(result.version if result else 0) or row.version or (known.version if known else 0),
        fingerprint=(result.fingerprint if result else None)
        or row.fingerprint
        or (known.fingerprint if known else None),
        created_at=known.created_at if known else None if new_key else row.created_at,
        rotates_at=known.rotates_at if known else None if new_key else row.rotates_at,
        credits=known.credits if known else row.credits,
        alert_below=declared.credits.alert_below if declared else None,
        drifted_at=((old.drifted_at if old else None) or now) if drifted else known.drifted_at if known else None,
        failures=_failures(row, result, old),
        declared_at=str(declared.place) if declared else None,
    )


def _failures(row: Row, result: Result | None, old: AccountView | None) -> int:
    before = old.failures if old else 0
    if failed(row, result):
        return before + 1
    # What was planned and not done, since a guard or the inventory stood in the way, is not in order yet.
    return before if row.kind in CHANGES and result is None else 0


def good(plan: FleetPlan, verdict: Verdict, results: Sequence[Result]) -> bool:
    """Whether every account is as declared, or was brought there."""
    held = bool(verdict.held) and not verdict.acknowledged
    whole = all(result.ending is Ending.DONE for result in results)
    return whole and not (held or plan.failures or plan.problems)
