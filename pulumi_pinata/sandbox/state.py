"""What the HTTP faces of one sandbox share: accounts, faults, the log of calls; no HTTP."""

import asyncio
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pulumi_pinata.sandbox.directory import Directory
from pulumi_pinata.sandbox.faults import FaultScript

KEPT_CALLS = 50_000


@dataclass(frozen=True)
class Call:
    """One request in order of arrival, without tokens and bodies; `status` None = no reply was sent."""

    seq: int
    account: str | None
    method: str
    path: str
    status: int | None


class CallLog:
    """The last KEPT_CALLS calls; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[int, Call] = {}
        self._last = 0

    def arrived(self, *, account: str | None, method: str, path: str) -> int:
        """Note a request and return its number, from 1 up."""
        with self._lock:
            self._last += 1
            if len(self._calls) >= KEPT_CALLS:
                del self._calls[next(iter(self._calls))]
            self._calls[self._last] = Call(self._last, account, method, path, None)
            return self._last

    def answered(self, seq: int, status: int) -> None:
        """Note the reply to a request."""
        with self._lock:
            if seq in self._calls:
                self._calls[seq] = replace(self._calls[seq], status=status)

    def calls(self, account: str | None = None) -> list[Call]:
        """Return all calls, or those of one account."""
        with self._lock:
            return [call for call in self._calls.values() if account in (None, call.account)]

    def clear(self) -> None:
        """Forget the calls; the numbers go on."""
        with self._lock:
            self._calls.clear()


@dataclass
class SandboxState:
    """`token` guards the control routes; `stopping`, set on the server's loop, ends all waits."""

    clock: Callable[[], float]
    directory: Directory
    faults: FaultScript = field(default_factory=FaultScript)
    calls: CallLog = field(default_factory=CallLog)
    token: str = field(default_factory=lambda: f"sbx_{secrets.token_urlsafe(24)}", repr=False)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
