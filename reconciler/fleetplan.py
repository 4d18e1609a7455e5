"""The nouns of a pass over a fleet: conditions, what would be done to each account, the plan; data only."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.model import Desired, Mode
from pulumi_pinata.core.settings import Settings
from reconciler.inventory import Entry, Home, Inventory
from reconciler.manifest.declared import Declared, Problem

SCHEMA = 1


class Condition(str, Enum):
    """How an account stands, in a word: the core's words, and what only a fleet can say."""

    READY = "Ready"
    OBSERVED = "Observed"
    OFF = "Off"
    DRIFTED = "Drifted"
    KEY_LOST = "KeyLost"
    KEY_STALE = "KeyStale"
    INTERRUPTED = "Interrupted"
    CONFLICT = "Conflict"
    CREDITS_EXHAUSTED = "CreditsExhausted"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    STORE_UNAVAILABLE = "StoreUnavailable"
    UPSTREAM_UNAVAILABLE = "UpstreamUnavailable"
    SUSPENDED = "Suspended"


class Kind(str, Enum):
    """What an apply does to an account."""

    NONE = "none"
    CREATE = "create"
    REMINT = "remint"
    ROTATE = "rotate"
    RESTORE = "restore"
    MOVE = "move"
    RESUME = "resume"
    CREDITS = "credits"
    DISABLE = "disable"
    PRUNE = "prune"
    FORGET = "forget"
    REPORT = "report"
    SKIP = "skip"
    REFUSED = "refused"
    ERROR = "error"


CHANGES = frozenset(
    {
        Kind.CREATE,
        Kind.REMINT,
        Kind.ROTATE,
        Kind.RESTORE,
        Kind.MOVE,
        Kind.RESUME,
        Kind.CREDITS,
        Kind.DISABLE,
        Kind.PRUNE,
        Kind.FORGET,
    }
)
FAILURES = frozenset({Kind.REFUSED, Kind.ERROR})
MINTS = frozenset({Kind.CREATE, Kind.REMINT, Kind.ROTATE})


@dataclass(frozen=True)
class Row:
    """One account of a plan.

    `path` is the Vault path as `mount/path`; `account` the fingerprint; `version`, `fingerprint` and `created_at`
    describe the key that is known; `foreign` names another owner whose account would be taken over. `settings` and
    `desired` are what an apply works with, `moved_from` where the key has to be fetched first, `topup` the top-up
    configuration to set. `drifted` tells that no declaration has caused the difference.
    `credits` is the balance, where the manifest asks for it.
    """

    name: str
    kind: Kind
    condition: Condition
    reason: str
    path: str = ""
    account: str | None = None
    version: int = 0
    fingerprint: str | None = None
    created_at: str | None = None
    rotates_at: datetime | None = None
    foreign: str | None = None
    declared: Declared | None = None
    settings: Settings | None = None
    desired: Desired | None = None
    entry: Entry | None = None
    moved_from: Entry | None = None
    topup: tuple[float, int] | None = None
    error: PinataError | None = None
    drifted: bool = False
    credits: float | None = None

    @property
    def outage(self) -> bool:
        """Whether consumers of the key are cut off by it."""
        if self.kind in (Kind.REMINT, Kind.ROTATE):
            return True
        return self.kind in (Kind.DISABLE, Kind.PRUNE) and self.condition is not Condition.OFF

    @property
    def protected(self) -> bool:
        """Whether the declaration, or the last one that there was, protects it."""
        return self.declared.protect if self.declared else bool(self.entry and self.entry.protect)

    def relied_on(self) -> dict[str, Any]:
        """The facts that the row was decided on, as JSON values."""
        condition = self.condition
        if self.kind is Kind.NONE and condition is Condition.CREDITS_EXHAUSTED:
            # Balances move all the time, and nothing is done about them.
            observed = self.desired is not None and self.desired.mode is Mode.OBSERVED
            condition = Condition.OBSERVED if observed else Condition.READY
        return {
            "name": self.name,
            "kind": self.kind.value,
            "condition": condition.value,
            "account": self.account,
            "path": self.path,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "createdAt": self.created_at,
            "topup": list(self.topup) if self.topup else None,
        }


@dataclass(frozen=True)
class FleetPlan:
    """What a pass over all accounts has found and would do. `inventories` are by home, as they were read."""

    fleet: str
    manifest: str
    rows: tuple[Row, ...]
    inventories: Mapping[Home, Inventory] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    declared: int = 0
    homes: frozenset[Home] = frozenset()

    @property
    def changes(self) -> list[Row]:
        """The rows that an apply acts on."""
        return [row for row in self.rows if row.kind in CHANGES]

    @property
    def failures(self) -> list[Row]:
        """The rows that say why an account cannot be had as declared."""
        return [row for row in self.rows if row.kind in FAILURES]

    @property
    def managed(self) -> int:
        """How many accounts the fleet has: those it keeps, and those it is to keep."""
        kept = {name for inventory in self.inventories.values() for name in inventory.entries}
        return len(kept | {row.name for row in self.rows})

    def relied_on(self) -> dict[str, Any]:
        """All that the plan was made from, as JSON values."""
        versions = {str(home): inventory.version for home, inventory in self.inventories.items()}
        rows = [row.relied_on() for row in self.rows]
        return {
            "schema": SCHEMA,
            "fleet": self.fleet,
            "manifest": self.manifest,
            "inventories": versions,
            "rows": rows,
        }

    @property
    def checksum(self) -> str:
        """Names the plan and all that it relies on."""
        return digest(self.relied_on())


class Ending(str, Enum):
    """What became of one account."""

    DONE = "done"
    FAILED = "failed"
    NOT_STARTED = "not started"


@dataclass(frozen=True)
class Result:
    """What became of a row; `version` and `fingerprint` describe the key that is live now."""

    row: Row
    ending: Ending
    condition: Condition
    version: int = 0
    fingerprint: str | None = None
    error: PinataError | None = None


def digest(value: object) -> str:
    """A checksum over canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
