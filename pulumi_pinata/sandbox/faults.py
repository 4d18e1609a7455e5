"""Scripted faults: which request meets which fault, seeded and counted; carrying them out is wire.py's."""

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from fnmatch import fnmatchcase


class FaultKind(Enum):
    """What happens to a request that a fault meets."""

    LATENCY = "latency"
    """The request waits `seconds`, then meets the other faults, or goes on."""
    LOST_BEFORE = "lost_before"
    """The connection closes without a reply; nothing was done."""
    LOST_AFTER = "lost_after"
    """Everything was done; the connection closes without a reply."""
    LATE = "late"
    """The connection closes now; the request takes effect after `seconds`."""
    STATUS = "status"
    """Nothing is done; the answer is `status` in the account's error shape."""
    HTML = "html"
    """Nothing is done; the answer is `status` with an HTML page, as from a CDN in front."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One rule.

    `method` and `path` are shell patterns, `account` a name (None = any, and requests of nobody too).
    `times` = how many requests it hits (None = for ever); each matching request is hit with `probability`,
    drawn from `seed`. `status` is for STATUS (default 503) and HTML (default 502, 200 is allowed);
    `retry_after`, in seconds, becomes a Retry-After header.
    """

    kind: FaultKind
    method: str = "*"
    path: str = "*"
    account: str | None = None
    times: int | None = 1
    probability: float = 1.0
    seed: int = 0
    seconds: float = 0.0
    status: int | None = None
    retry_after: float | None = None

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError("fault times must be at least 1, or null for ever")
        if not 0 <= self.probability <= 1:
            raise ValueError("fault probability must be between 0 and 1")
        if not 0 <= self.seconds <= 3600:
            raise ValueError("fault seconds must be between 0 and 3600")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("fault status must be between 200 and 599")

    @staticmethod
    def read(values: Mapping[str, object]) -> "Fault":
        """Build a fault from plain values such as a JSON object; ValueError names what is wrong."""
        unknown = set(values) - {field.name for field in fields(Fault)}
        if unknown:
            raise ValueError(f"fault has no {', '.join(sorted(unknown))}")
        given = values.get("kind")
        try:
            kind = FaultKind(given.value if isinstance(given, Enum) else given)
        except ValueError:
            known = ", ".join(member.value for member in FaultKind)
            raise ValueError(f"fault kind {given!r} is unknown; one of: {known}") from None
        if not all(isinstance(values.get(name, "*"), str) for name in ("method", "path")):
            raise ValueError("fault method and path must be strings")
        try:
            return Fault(**{**values, "kind": kind})  # type: ignore[arg-type]  # __post_init__ checks the values
        except TypeError as error:
            raise ValueError(f"fault has a value of the wrong type: {error}") from None

    def meets(self, *, method: str, path: str, account: str | None) -> bool:
        """Whether this rule is about such a request."""
        if self.account is not None and self.account != account:
            return False
        return fnmatchcase(method, self.method.upper()) and fnmatchcase(path, self.path)


@dataclass(frozen=True)
class Fate:
    """What one request meets: first the latency in seconds, then the fault, if any."""

    latency: float = 0.0
    fault: Fault | None = None


class _Rule:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.times
        # Faults are for tests: repeatable is what matters, not unguessable.
        self.dice = random.Random(fault.seed)  # noqa: S311

    def fires(self) -> bool:
        if self.left == 0 or self.dice.random() >= self.fault.probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True


class FaultScript:
    """The rules in force, tried in the order they were added; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []

    def add(self, fault: Fault) -> None:
        """Add a rule after the others."""
        with self._lock:
            self._rules.append(_Rule(fault))

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def fate_of(self, *, method: str, path: str, account: str | None) -> Fate:
        """Decide one request: latencies add up, the first other rule that fires decides."""
        latency = 0.0
        with self._lock:
            for rule in self._rules:
                if not rule.fault.meets(method=method, path=path, account=account) or not rule.fires():
                    continue
                if rule.fault.kind is not FaultKind.LATENCY:
                    return Fate(latency, rule.fault)
                latency += rule.fault.seconds
        return Fate(latency)
