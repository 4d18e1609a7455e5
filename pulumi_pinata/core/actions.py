"""What may be done for one account, and how it stands afterwards; data only, nothing here acts."""

from dataclasses import dataclass

from pulumi_pinata.core.model import Location, Minted, Status


@dataclass(frozen=True)
class Nothing:
    """All is as declared (or only looked at)."""


@dataclass(frozen=True)
class Await:
    """Another writer's intent is open: wait until it closes or is proven abandoned."""

    version: int


@dataclass(frozen=True)
class Refuse:
    """A person has to decide."""

    reason: str
    about: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Mint:
    """Enable and store the key; with `disable_first`, revoke the one that is live: an outage for its users."""

    disable_first: bool
    reason: str


@dataclass(frozen=True)
class Finish:
    """The key is durable; close the intent and label the secret."""


@dataclass(frozen=True)
class Relabel:
    """Bring record and label in line: owner, custom metadata, generation markers."""


@dataclass(frozen=True)
class Rewrite:
    """Store the same key again, from `version`: restores it, or puts it under another field."""

    version: int


@dataclass(frozen=True)
class Undelete:
    """Bring back the current version, which was soft-deleted."""

    version: int


@dataclass(frozen=True)
class Move:
    """Copy the secret from `source` to the declared place, verify, then delete it there."""

    source: Location


@dataclass(frozen=True)
class Disable:
    """Switch off (unless `already_off`), treat the Vault copy by policy where it is ours, close."""

    already_off: bool
    ours: bool


Action = Nothing | Await | Refuse | Mint | Finish | Relabel | Rewrite | Undelete | Move | Disable


@dataclass(frozen=True)
class Outcome:
    """How the account stands after an action was carried out."""

    status: Status
    minted: Minted | None = None
