"""The nouns: what is declared, what was observed, what may be done; data only, nothing here acts."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pulumi_pinata.core.secret import PrivateKey


class Mode(str, Enum):
    """What is declared for inference on the account."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    OBSERVED = "observed"


class OnDelete(str, Enum):
    """What happens to the Vault copy when inference is switched off; the key in it is dead either way."""

    SOFT_DELETE = "soft_delete"
    DESTROY = "destroy"
    RETAIN = "retain"


class OnLostKey(str, Enum):
    """What to do when inference is on but Vault has no working key."""

    REMINT = "remint"
    FAIL = "fail"


class Adopt(str, Enum):
    """What to do when inference was switched on by somebody else."""

    REFUSE = "refuse"
    REMINT = "remint"
    OBSERVE = "observe"


@dataclass(frozen=True)
class Location:
    """A secret's place in one Vault: KV v2 mount and path below it."""

    mount: str
    path: str

    def __str__(self) -> str:
        return f"{self.mount}/{self.path}"


@dataclass(frozen=True)
class Minted:
    """A key that was stored: everything about it but itself.

    `marker` is the second generation marker, from the account's secrets listing; None where it cannot be had.
    """

    location: Location
    version: int
    fingerprint: str
    attempt: str
    field: str
    created_at: str | None = None
    marker: str | None = None
    trigger: str | None = None


@dataclass(frozen=True)
class Desired:
    """One account as declared.

    `owner` names who manages it (and `former_owners` the names it had); `account` is the account's fingerprint;
    `trigger` a digest of the rotation trigger; `labels` the custom metadata that the user wants on the secret.
    `outworn` is the fingerprint of a key to replace, if that is still the one.
    `held` is the key that the caller's own state remembers: it stands in where Vault has forgotten (a wiped or
    restored Vault), so that what is ours can still be repaired or switched off.
    """

    mode: Mode
    owner: str
    account: str
    location: Location
    base_url: str
    field: str = "PINATA_LLM_KEY"
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    trigger: str | None = None
    on_delete: OnDelete = OnDelete.SOFT_DELETE
    on_lost_key: OnLostKey = OnLostKey.REMINT
    adopt: Adopt = Adopt.REFUSE
    former_owners: tuple[str, ...] = ()
    outworn: str | None = None
    held: Minted | None = None

    def owns(self, owner: str) -> bool:
        """Whether `owner` is this declaration under its present or a former name."""
        return owner == self.owner or owner in self.former_owners


@dataclass(frozen=True)
class Status:
    """Pinata's answer: on or off, and since when (an opaque generation marker, not compared as a time)."""

    enabled: bool
    created_at: str | None = None


@dataclass(frozen=True)
class Label:
    """What the secret's `custom_metadata` says: a mirror of the record, readable without reading the key.

    It is written last, so a label that names the secret's current version proves that the run which stored that
    version came to its end. Without a key it says that the path was let go of, at version `released`.
    """

    owner: str
    account: str
    minted: Minted | None
    released: int = 0


class State(Enum):
    """The current version of a secret in Vault."""

    ABSENT = "absent"
    READABLE = "readable"
    DELETED = "deleted"
    DESTROYED = "destroyed"


@dataclass(frozen=True)
class Content:
    """The secret's data: the key, the attempt that stored it and the field it stands in."""

    key: PrivateKey
    attempt: str
    field: str


@dataclass(frozen=True)
class Sealed:
    """What has to be known of a key that Vault would not take, to put it there later."""

    key: PrivateKey
    account: str
    attempt: str
    location: Location
    field: str


@dataclass(frozen=True)
class Stored:
    """A secret in Vault. `version` is its current version (0: none) and so the check-and-set base.

    `readable` lists the versions whose data can still be read; `labels` the custom metadata that is not ours.
    """

    version: int = 0
    state: State = State.ABSENT
    label: Label | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    readable: tuple[int, ...] = ()

    @property
    def described(self) -> bool:
        """Whether the label speaks of the current version."""
        return self.label is not None and self.label.minted is not None and self.label.minted.version == self.version


class Purpose(str, Enum):
    """What an intent is for."""

    MINT = "mint"
    DISABLE = "disable"
    MOVE = "move"


@dataclass(frozen=True)
class Record:
    """The account's record in Vault: an open intent, or how the last one ended.

    `version` is its KV version: lock and fence. `attempts` are the ids of all tries since a key was last stored,
    newest last: data in Vault that bears one of them is ours, whatever crash kept it from being labelled.
    `minted` is the key that was live when the record was last closed (None: none was), kept while an intent is
    open. `location` is where the intent works, `source` where a move comes from.
    """

    version: int
    open: bool
    owner: str
    purpose: Purpose
    attempts: tuple[str, ...]
    location: Location
    source: Location | None = None
    minted: Minted | None = None


class Liveness(Enum):
    """Whether the stored key still opens the endpoint, where it was tried."""

    LIVE = "live"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Actual:
    """One account as observed.

    `record` is None where there is none, or where the label alone proves that all is in order. `ours_to_resume`
    says that an open intent's holder is gone. `content` and `liveness` are read only where the label leaves a
    doubt; `origin` is the copy at the place that the record names, where that differs from the declared one.
    """

    status: Status
    stored: Stored
    record: Record | None = None
    marker: str | None = None
    ours_to_resume: bool = False
    content: Content | None = None
    origin: Stored | None = None
    liveness: Liveness = Liveness.UNKNOWN


class Condition(str, Enum):
    """How an account stands, in a word; the same words everywhere."""

    READY = "Ready"
    OBSERVED = "Observed"
    OFF = "Off"
    DRIFTED = "Drifted"
    KEY_LOST = "KeyLost"
    KEY_STALE = "KeyStale"
    INTERRUPTED = "Interrupted"
    CONFLICT = "Conflict"
