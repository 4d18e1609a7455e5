"""Fleets to look at: made up, but of the shape that the loop writes."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from reconciler.fleetplan import Condition, Kind
from reconciler.loop.view import AccountView, FleetView, PassView, SourceView

COMMIT = "9f1c2e7ab04d5566778899aabbccddeeff001122"
CHECKSUM = "5f" * 32
_TEAMS = ("shop", "search", "billing", "support", "ads", "maps", "mail", "docs")
_PLACES = ("eu", "us", "ap", "staging", "dev")
_TROUBLES: dict[int, tuple[Condition, Kind, str]] = {
    7: (Condition.DRIFTED, Kind.RESTORE, "the Vault copy was covered by version 9, which is not ours"),
    31: (Condition.KEY_LOST, Kind.REMINT, "inference is on, but no readable version holds the live key"),
    77: (Condition.CREDITS_EXHAUSTED, Kind.NONE, "Pinata answered 402: the account has no credits"),
    113: (Condition.CREDENTIALS_INVALID, Kind.ERROR, "credentials: Pinata refused the JWT (401)."),
    240: (Condition.UPSTREAM_UNAVAILABLE, Kind.ERROR, "Pinata answered 503 three times."),
    391: (Condition.CONFLICT, Kind.REFUSED, "vault.path: secret/shop/llm is held by pulumi:acme/shop/prod/llm."),
    512: (Condition.INTERRUPTED, Kind.RESUME, "a run ended half-way, its intent is open"),
    613: (Condition.SUSPENDED, Kind.SKIP, "suspended"),
    800: (Condition.OFF, Kind.NONE, ""),
}


def now() -> datetime:
    return datetime.now(timezone.utc)


def account(name: str = "prod", **values: Any) -> AccountView:
    at = now()
    facts: dict[str, Any] = {
        "condition": Condition.READY,
        "kind": Kind.NONE,
        "reason": "",
        "since": at - timedelta(days=3),
        "seen_at": at - timedelta(seconds=90),
        "path": f"secret/{name}/llm",
        "version": 3,
        "fingerprint": "0123456789abcdef0123456789abcdef",
        "created_at": "2026-11-02T08:00:00Z",
        "declared_at": f"manifests/{name}.yaml:3:1",
    }
    return AccountView(name, **{**facts, **values})


def many(count: int) -> list[AccountView]:
    """`count` accounts, of which about one in a hundred wants to be looked at."""
    return [_one(number) for number in range(count)]


def view(accounts: Iterable[AccountView], **values: Any) -> FleetView:
    at = now()
    listed = {each.name: each for each in accounts}
    whole = FleetView(
        fleet="acme",
        accounts=listed,
        source=SourceView(
            "https://git.example/acme/fleet.git, main", COMMIT, at - timedelta(hours=5), at - timedelta(seconds=40)
        ),
        last=PassView(
            "run-1", at - timedelta(seconds=92), at - timedelta(seconds=90), True, f"{len(listed)} looked at, 0 changed"
        ),
        last_good=at - timedelta(seconds=90),
        next_pass=at + timedelta(seconds=210),
    )
    return replace(whole, **values)


def _one(number: int) -> AccountView:
    at = now()
    team, place = _TEAMS[number % len(_TEAMS)], _PLACES[number // len(_TEAMS) % len(_PLACES)]
    name = f"{team}-{place}-{number:04}"
    condition, kind, reason = _TROUBLES.get(number % 997, (Condition.READY, Kind.NONE, ""))
    credits = 8.5 if number % 451 == 450 else 100.0 + number % 90
    return account(
        name,
        condition=condition,
        kind=kind,
        reason=reason,
        since=at - timedelta(hours=1 + number * 7 % 900),
        path=f"secret/{team}/{place}/{number:04}",
        version=1 + number % 12,
        rotates_at=at + timedelta(days=1 + number * 13 % 90) if number % 3 else None,
        credits=credits,
        alert_below=10.0,
        failures=3 if kind is Kind.ERROR else 0,
        retry_at=at + timedelta(minutes=4) if kind is Kind.ERROR else None,
        drifted_at=at - timedelta(minutes=4) if condition is Condition.DRIFTED else None,
    )
