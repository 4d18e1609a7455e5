"""What the loop knows of a fleet at one moment; data only, and never a secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.fleetplan import Condition, Kind


@dataclass(frozen=True)
class AccountView:
    """One account as it was last looked at.

    `since` is when it came into its condition as far as this process knows; `drifted_at` when a difference was found
    that is still there; `failures` counts the passes in a row that failed, `retry_at` is when it is looked at again
    although it fails. `commit` is the last at which it was as declared. `credits` is the balance in
    credits, None where it is not asked for; `path` is `mount/path`.
    """

    name: str
    condition: Condition
    kind: Kind
    reason: str
    since: datetime
    seen_at: datetime
    path: str = ""
    version: int = 0
    fingerprint: str | None = None
    created_at: str | None = None
    rotates_at: datetime | None = None
    credits: float | None = None
    alert_below: float | None = None
    drifted_at: datetime | None = None
    failures: int = 0
    retry_at: datetime | None = None
    declared_at: str | None = None
    commit: str | None = None

    @property
    def credits_low(self) -> bool:
        """Whether fewer credits are left than the manifest wants to be warned at."""
        return self.credits is not None and self.alert_below is not None and self.credits < self.alert_below


@dataclass(frozen=True)
class SourceView:
    """Where the manifests come from: the commit that is followed, when it was last had, and what went wrong.

    With an `error`, the manifests of `commit` are still followed.
    """

    name: str = ""
    commit: str | None = None
    changed_at: datetime | None = None
    fetched_at: datetime | None = None
    error: str | None = None
    failing_since: datetime | None = None


@dataclass(frozen=True)
class PassView:
    """The last pass over the whole fleet: `good` when every account is as declared or was brought there."""

    run: str
    started: datetime
    ended: datetime
    good: bool
    summary: str


@dataclass(frozen=True)
class FleetView:
    """All of it. `held` are the guards' refusals, `checksum` names the plan that a person may acknowledge."""

    fleet: str = ""
    accounts: Mapping[str, AccountView] = field(default_factory=dict)
    source: SourceView = SourceView()
    last: PassView | None = None
    last_good: datetime | None = None
    problems: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    checksum: str | None = None
    next_pass: datetime | None = None
    stopping: bool = False
