"""Every effect of the core, as three contracts; what each may raise is part of it (see `errors`).

Implementations translate all library errors, so that the core catches nothing else.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from pulumi_pinata.core.model import Content, Liveness, Location, Record, Sealed, Status, Stored
from pulumi_pinata.core.secret import PrivateKey


class PinataApi(Protocol):
    """The management calls of one account (docs.pinata.cloud/inference/overview)."""

    def status(self) -> Status:
        """On or off. Reads may be retried inside. Raises Transient or Refused, never guesses."""
        ...

    def marker(self) -> str | None:
        """The secrets listing's id and time of the account's managed key, or None where it cannot be had."""
        ...

    def enable(self) -> PrivateKey | None:
        """Mint. None when the account says it is on already and hands out no key.

        Sent once. Raises Transient or Refused only where it is proven that nothing was minted, else Ambiguous.
        """
        ...

    def disable(self) -> None:
        """Revoke; off already is success. Sent once. Raises like `enable`."""
        ...

    def probe(self, key: PrivateKey) -> Liveness:
        """Whether `key` opens the endpoint, without spending credits; UNKNOWN when it cannot be told."""
        ...


class KeyStore(Protocol):
    """One Vault as one login sees it. Versions are KV v2's; `cas` is the version that must be current."""

    def preflight(self, location: Location, account: str, seconds: float) -> None:
        """Prove that the key could be stored now: login good for `seconds`, KV v2, every capability needed.

        Raises Transient or Refused with what is missing. Changes nothing.
        """
        ...

    def stat(self, location: Location) -> Stored:
        """The secret's metadata, never its data."""
        ...

    def read(self, location: Location, version: int | None = None) -> Content | None:
        """The data of a version (None: the current one), or None when it holds no key that it vouches for."""
        ...

    def write(self, location: Location, content: Content, *, base_url: str, cas: int) -> int:
        """Store the key as a new version; returns that version.

        Raises Conflict when `cas` is not current, Ambiguous when the reply was lost, else Transient or Refused.
        """
        ...

    def label(self, location: Location, stored: Stored) -> None:
        """Replace the secret's custom metadata by `stored.label` and `stored.labels`."""
        ...

    def undelete(self, location: Location, version: int) -> None:
        """Bring back a soft-deleted version."""
        ...

    def soft_delete(self, location: Location, version: int) -> None:
        """Soft-delete one version."""
        ...

    def destroy(self, location: Location, versions: tuple[int, ...]) -> None:
        """Remove the data of these versions for good; the metadata stays."""
        ...

    def record(self, account: str) -> Record | None:
        """The account's record. Raises Refused when what is there is not one of ours."""
        ...

    def put_record(self, account: str, record: Record, *, cas: int) -> int:
        """Write the record; returns its new version. Raises like `write`."""
        ...


class Escrow(Protocol):
    """A place for keys that Vault will not take, which only the holder of a private key can open."""

    def seal(self, sealed: Sealed) -> str:
        """Store durably; returns where, for a person to read. Raises Refused when it cannot."""
        ...


class Clock(Protocol):
    """Time that only moves forward; wall clocks decide nothing here."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, counting on while the process is stopped."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Attempts:
    """Ids for the tries of one run: unique, and recognisable as this run's own."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._numbers = count(1)

    def fresh(self) -> str:
        """A new id."""
        return f"{self._run}.{next(self._numbers)}"

    def made(self, record: Record) -> bool:
        """Whether the newest try that `record` names is this run's."""
        return record.attempts[-1].rpartition(".")[0] == self._run


@dataclass(frozen=True)
class Ports:
    """All that one account's convergence acts through.

    `timeout` bounds one call in seconds; `attempts` names the tries of this run; `notice` tells a person, in one
    line, what they would otherwise wonder about; `escrow` takes a key that Vault will not, where there is one;
    `shield` makes a block that signals do not interrupt.
    """

    pinata: PinataApi
    store: KeyStore
    clock: Clock
    attempts: Attempts
    timeout: float
    notice: Callable[[str], None]
    escrow: Escrow | None = None
    shield: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def lease(self) -> float:
        """How long (s) an open intent must stand still before its holder counts as gone.

        The holder mints or revokes only while its last proof is younger than half a timeout, or than one and a half
        where it can no longer reach Vault and revokes what it minted; such a call then takes at most one more.
        """
        return 2.5 * self.timeout + 1

    @property
    def grace(self) -> float:
        """How long (s) to let a late effect land before a second look."""
        return min(2.0, self.timeout / 8)
