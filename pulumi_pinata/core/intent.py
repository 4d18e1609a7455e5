"""The open intent: lock, fence and durable note in one KV v2 document per account.

Its check-and-set version is what two writers race for; whoever lost it must not write another word.
"""

from dataclasses import dataclass, replace

from pulumi_pinata.core import judgment
from pulumi_pinata.core.errors import Ambiguous, Transient
from pulumi_pinata.core.model import Actual, Desired, Location, Minted, Purpose, Record
from pulumi_pinata.core.ports import Ports


@dataclass
class Hold:
    """An intent that is ours, as long as `record.version` stays current."""

    desired: Desired
    ports: Ports
    record: Record
    touched: float

    @classmethod
    def take(
        cls, desired: Desired, actual: Actual, ports: Ports, purpose: Purpose, source: Location | None = None
    ) -> "Hold":
        """Open an intent, over an abandoned one where there is one.

        Raises Conflict when another writer was faster.
        """
        old = actual.record
        attempt = ports.attempts.fresh()
        record = Record(
            version=old.version if old else 0,
            open=True,
            owner=desired.owner,
            purpose=purpose,
            attempts=(*(old.attempts if old else ()), attempt)[-32:],
            location=desired.location,
            source=source,
            minted=judgment.known(desired, actual),
        )
        hold = cls(desired, ports, record, ports.clock.monotonic())
        hold._put(record)
        return hold

    @property
    def attempt(self) -> str:
        """The id of this try."""
        return self.record.attempts[-1]

    @property
    def age(self) -> float:
        """Seconds since the last write was sent that proved the intent ours; younger than a lease, it still is."""
        return self.ports.clock.monotonic() - self.touched

    def keep(self) -> None:
        """Renew the fence if it is old: after a stop (SIGSTOP, a slow call) somebody may have taken over.

        Raises Conflict when that has happened, and Transient when Vault is too slow to tell; the caller must then
        change nothing.
        """
        if self.age > self.ports.timeout / 4:
            self.renew()
        if self.age > self.ports.timeout / 2:
            raise Transient(
                "Vault answers too slowly to work under its lock.",
                hint="Run again, or raise `timeout`.",
                service="vault",
            )

    def renew(self) -> None:
        """Prove by a write that the intent is still ours."""
        self._put(self.record)

    def close(self, minted: Minted | None) -> Record:
        """End the intent; `minted` is the key that is live now."""
        attempts = (minted.attempt,) if minted else self.record.attempts
        self._put(
            replace(
                self.record,
                open=False,
                owner=self.desired.owner,
                minted=minted,
                attempts=attempts,
                location=minted.location if minted else self.record.location,
                source=None,
            )
        )
        return self.record

    def _put(self, record: Record) -> None:
        # Its age counts from before it is sent: it may be in force long before the reply arrives.
        sent = self.ports.clock.monotonic()
        before = self.record.version
        try:
            version = self.ports.store.put_record(self.desired.account, record, cas=before)
        except Ambiguous:
            # The reply was lost. What stands there now tells whether the write was: nobody else has our attempt id.
            found = self.ports.store.record(self.desired.account)
            if found is None or found.version == before or replace(found, version=record.version) != record:
                raise
            version = found.version
        self.record = replace(record, version=version)
        self.touched = sent
