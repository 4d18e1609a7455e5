"""The fleet as JSON: a stable shape for the page and for programs, made once for each view.

Times are UTC, `2026-11-24T09:13:16Z`; what is not known is null; `schema` rises when a field changes its meaning.
"""

import gzip
import hashlib
import json
import math
from collections import Counter
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from reconciler.loop.view import AccountView, FleetView, PassView, SourceView

SCHEMA = 1


class Snapshot:
    """A view as bytes, with an ETag. It is a weak one: the same content goes out with and without compression."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.body = encoded(data)
        self.etag = f'W/"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    @cached_property
    def compressed(self) -> bytes:
        """The body, gzipped."""
        return gzip.compress(self.body, compresslevel=5, mtime=0)


class Snapshots:
    """The snapshot of now; only the event loop's thread asks."""

    def __init__(self) -> None:
        self._of: tuple[FleetView, bool] | None = None
        self._snapshot: Snapshot | None = None

    def of(self, view: FleetView, *, silent: bool) -> Snapshot:
        """The snapshot of a view: the last one if it is the same view."""
        # By identity: to compare 1,000 accounts field by field would cost as much as to write them.
        if self._snapshot is None or self._of is None or self._of[0] is not view or self._of[1] != silent:
            self._of, self._snapshot = (view, silent), Snapshot(fleet(view, silent=silent))
        return self._snapshot


def encoded(data: object) -> bytes:
    """JSON without spaces, as UTF-8; a lone surrogate, which UTF-8 has not, is escaped."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def fleet(view: FleetView, *, silent: bool) -> dict[str, Any]:
    """All of the view. `silent`: the loop gives no sign of life, so what stands here may be old."""
    accounts = [account(each) for _, each in sorted(view.accounts.items())]
    return {
        "schema": SCHEMA,
        "fleet": view.fleet,
        "counts": dict(sorted(Counter(each["condition"] for each in accounts).items())),
        "source": _source(view.source),
        "lastPass": _pass(view.last) if view.last else None,
        "lastGoodPass": _time(view.last_good),
        "nextPass": _time(view.next_pass),
        "problems": list(view.problems),
        "held": list(view.held),
        "checksum": view.checksum,
        "stopping": view.stopping,
        "silent": silent,
        "accounts": accounts,
    }


def account(view: AccountView) -> dict[str, Any]:
    """One account. `change` is what the last pass planned for it, `none` where it is as declared.

    `commit` is the last at which it was as declared.
    """
    return {
        "name": view.name,
        "condition": view.condition.value,
        "change": view.kind.value,
        "reason": view.reason or None,
        "since": _time(view.since),
        "seenAt": _time(view.seen_at),
        "path": view.path or None,
        "version": view.version or None,
        "fingerprint": view.fingerprint,
        "createdAt": view.created_at,
        "rotatesAt": _time(view.rotates_at),
        "credits": _number(view.credits),
        "creditsAlertBelow": _number(view.alert_below),
        "creditsLow": view.credits_low,
        "driftedAt": _time(view.drifted_at),
        "failures": view.failures,
        "retryAt": _time(view.retry_at),
        "declaredAt": view.declared_at,
        "commit": view.commit,
    }


def _source(view: SourceView) -> dict[str, Any]:
    return {
        "name": view.name,
        "commit": view.commit,
        "changedAt": _time(view.changed_at),
        "fetchedAt": _time(view.fetched_at),
        "error": view.error,
        "failingSince": _time(view.failing_since),
    }


def _pass(view: PassView) -> dict[str, Any]:
    return {
        "run": view.run,
        "started": _time(view.started),
        "ended": _time(view.ended),
        "good": view.good,
        "summary": view.summary,
    }


def _time(at: datetime | None) -> str | None:
    if at is None:
        return None
    return at.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
