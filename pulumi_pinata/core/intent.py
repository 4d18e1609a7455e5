"""The open intent: lock, fence and durable note in one KV v2 document per account.

Its check-and-set version is what two writers race for; whoever lost it must not write another word.
"""

from dataclasses import dataclass, replace

from pulumi_pinata.core import plan
from pulumi_pinata.core.errors import Ambiguous
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
            minted=plan.known(desired, actual),
        )
        hold = cls(desired, ports, record, ports.clock.monotonic())
        hold._put(record)
        return hold

    @property
    def attempt(self) -> str:
        """The id of this try."""
        return self.record.attempts[-1]

    def keep(self) -> None:
        """Renew the fence if it is old: after a stop (SIGSTOP, a slow call) somebody may have taken over.

        Raises Conflict when that has happened; the caller must then write nothing.
        """
        if self.ports.clock.monotonic() - self.touched > self.ports.timeout / 4:
            self.renew()

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
        cas = self.record.version
        try:
            version = self.ports.store.put_record(self.desired.account, record, cas=cas)
        except Ambiguous:
            # The reply was lost. What stands there now tells whether the write was: nobody else has our attempt id.
            version = cas + 1
            if self.ports.store.record(self.desired.account) != replace(record, version=version):
                raise
        self.record = replace(record, version=version)
        self.touched = self.ports.clock.monotonic()
