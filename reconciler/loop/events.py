"""What is worth telling people, from the view before a pass and the view after it; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from reconciler.fleetplan import CHANGES, MINTS, Condition, Ending, Kind, Result, Row
from reconciler.loop.view import AccountView, FleetView

REPEATED = 3  # failures in a row: one alone is a hiccup


class EventKind(str, Enum):
    """What has happened; stable names, for programs."""

    KEY_CHANGED = "key-changed"
    KEY_GONE = "key-gone"
    DRIFT = "drift"
    CREDITS_LOW = "credits-low"
    FAILING = "failing"
    RECOVERED = "recovered"
    HELD = "held"
    RELEASED = "released"
    MANIFEST_PROBLEMS = "manifest-problems"
    MANIFESTS_MENDED = "manifests-mended"
    SOURCE_FAILING = "source-failing"
    SOURCE_RECOVERED = "source-recovered"


@dataclass(frozen=True)
class Event:
    """One thing that has happened; `account` is None where it concerns the fleet. Never a secret."""

    kind: EventKind
    at: datetime
    message: str
    fleet: str
    account: str | None = None
    path: str | None = None
    version: int | None = None
    fingerprint: str | None = None
    commit: str | None = None
    run: str | None = None


def between(
    before: FleetView, after: FleetView, rows: Sequence[Row], results: Sequence[Result], run: str, now: datetime
) -> list[Event]:
    """The events of one pass, the fleet's first, then by account."""
    done = {result.row.name: result for result in results if result.ending is Ending.DONE}
    found = [*_held(before, after, rows, results, now), *_problems(before, after, rows, now)]
    for row in sorted(rows, key=lambda row: row.name):
        found += _account(before.accounts.get(row.name), after, row, done.get(row.name), now)
    return [replace(event, run=run) for event in found]


def source(before: FleetView, after: FleetView, now: datetime) -> list[Event]:
    """The events of one look at the source."""
    was, is_ = before.source.error, after.source.error
    if is_ and not was:
        return [_event(EventKind.SOURCE_FAILING, f"the manifests cannot be had: {is_}", after, now)]
    if was and not is_:
        return [_event(EventKind.SOURCE_RECOVERED, "the manifests can be had again", after, now)]
    return []


def _held(
    before: FleetView, after: FleetView, rows: Sequence[Row], results: Sequence[Result], now: datetime
) -> Iterator[Event]:
    if after.held and after.held != before.held:
        begun = {result.row.name for result in results}
        waiting = sum(row.kind in CHANGES and row.name not in begun for row in rows)
        # What to do comes before why: a chat is sent no more than the beginning.
        todo = f"then correct the manifests or `pinata-reconciler apply --acknowledge {after.checksum}`"
        message = f"{_counted(waiting)} held back. Next: `pinata-reconciler plan`, {todo}. {_first(after.held)}"
        yield _event(EventKind.HELD, message, after, now)
    elif before.held and not after.held:
        yield _event(EventKind.RELEASED, "no guard holds anything back any more", after, now)


def _problems(before: FleetView, after: FleetView, rows: Sequence[Row], now: datetime) -> Iterator[Event]:
    if set(after.problems) - set(before.problems):
        many = f"{len(after.problems)} problems" if len(after.problems) > 1 else "a problem"
        left = _counted(sum(row.kind is Kind.SKIP for row in rows))
        message = f"the manifests have {many}, and {left} left as they stand: {_first(after.problems)}"
        yield _event(EventKind.MANIFEST_PROBLEMS, message, after, now)
    elif before.problems and not after.problems:
        yield _event(EventKind.MANIFESTS_MENDED, "the manifests have no problem any more", after, now)


def _first(lines: Sequence[str]) -> str:
    return f"{lines[0]} (and {len(lines) - 1} more)" if len(lines) > 1 else lines[0]


def _counted(accounts: int) -> str:
    return "1 account is" if accounts == 1 else f"{accounts} accounts are"


def _account(
    old: AccountView | None, after: FleetView, row: Row, done: Result | None, now: datetime
) -> Iterator[Event]:
    account = after.accounts.get(row.name)
    if row.drifted and not (old and old.drifted_at):
        yield _event(EventKind.DRIFT, f"not as declared: {row.reason}", after, now, row)
    if done and (row.kind in MINTS or _finished(old, row, done)):
        message = f"a new key is at {row.path}, version {done.version}{f': {row.reason}' if row.reason else ''}"
        event = _event(EventKind.KEY_CHANGED, message, after, now, row)
        yield replace(event, version=done.version or None, fingerprint=done.fingerprint)
    elif done and row.outage:
        yield _event(EventKind.KEY_GONE, f"the key at {row.path} is dead: {row.reason}", after, now, row)
    if account is None:
        return
    if account.credits_low and not (old and old.credits_low):
        message = f"{account.credits:g} credits are left, fewer than {account.alert_below:g}"
        yield _event(EventKind.CREDITS_LOW, message, after, now, row)
    failing = old is not None and _is_failing(old)
    if _is_failing(account) and not failing:
        times = "once" if account.failures == 1 else f"{account.failures} times in a row"
        message = f"has failed {times} ({account.condition.value}): {account.reason}"
        yield _event(EventKind.FAILING, message, after, now, row)
    elif failing and not account.failures:
        yield _event(EventKind.RECOVERED, f"is {account.condition.value} again", after, now, row)


def _is_failing(account: AccountView) -> bool:
    """Whether it fails for longer than a hiccup. A refused JWT is not tried again: the first time is the only one."""
    at_once = account.condition is Condition.CREDENTIALS_INVALID
    return account.failures >= (1 if at_once else REPEATED)


def _finished(old: AccountView | None, row: Row, done: Result) -> bool:
    """Whether it has ended a mint that was cut off before, or that had failed after the key was stored."""
    if not done.fingerprint or row.kind not in (Kind.RESUME, Kind.RESTORE):
        return False
    if row.kind is Kind.RESUME and done.fingerprint != row.fingerprint:
        return True
    return old is not None and old.kind in MINTS and old.fingerprint != done.fingerprint


def _event(kind: EventKind, message: str, view: FleetView, now: datetime, row: Row | None = None) -> Event:
    return Event(
        kind,
        now,
        message,
        view.fleet,
        account=row.name if row else None,
        path=row.path or None if row else None,
        version=row.version or None if row else None,
        fingerprint=row.fingerprint if row else None,
        commit=view.source.commit,
    )
