"""How fast an upstream may be asked, and when to leave it alone; pure: the time and the dice are handed in.

A call in the middle of a mint is never held back, since the fence around it would grow old: it is charged, and the
next account waits until the debt is paid.
"""

from collections.abc import Callable
from dataclasses import dataclass

_LONGEST_PAUSE = 60.0


def full_jitter(attempt: int, *, base: float, cap: float, dice: Callable[[], float]) -> float:
    """Seconds to wait before try number `attempt` (from 0): up to a bound that doubles; `dice` gives 0 to 1."""
    return dice() * min(cap, base * 2.0 ** min(attempt, 62))


@dataclass
class Bucket:
    """A token bucket that may go into debt: `rate` calls a second (0: any number), `burst` at once."""

    rate: float
    burst: float
    tokens: float = 0.0
    at: float | None = None

    def charge(self, now: float, calls: float = 1.0) -> None:
        """Count calls that are being sent."""
        self._refill(now)
        self.tokens -= calls

    def wait(self, now: float) -> float:
        """Seconds until the next account may be begun."""
        if not self.rate:
            return 0.0
        self._refill(now)
        return max(0.0, (1.0 - self.tokens) / self.rate)

    def _refill(self, now: float) -> None:
        if self.at is None:
            self.tokens = self.burst
        else:
            self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = now


@dataclass
class Breaker:
    """Opens after `limit` failures in a row, for a jittered while that doubles; then lets one account try."""

    dice: Callable[[], float]
    limit: int = 5
    base: float = 4.0
    cap: float = 120.0
    failures: int = 0
    openings: int = 0
    open_until: float = 0.0
    trying: bool = False

    def blocked(self, now: float) -> float | None:
        """Seconds for which nobody is let through, or None; past the opening, one at a time is."""
        if self.failures < self.limit:
            return None
        if now < self.open_until:
            return self.open_until - now
        if self.trying:
            return self.base
        self.trying = True
        return None

    def succeeded(self) -> None:
        """An account got its answers."""
        self.failures = self.openings = 0
        self.trying = False

    def failed(self, now: float) -> None:
        """An account got none."""
        self.failures += 1
        self.trying = False
        # Those who were under way when it opened prove nothing more.
        if self.failures >= self.limit and now >= self.open_until:
            # At least half of the bound, so that "open" means something; the rest is chance.
            bound = min(self.cap, self.base * 2.0 ** min(self.openings, 62))
            self.open_until = now + bound / 2 + full_jitter(0, base=bound / 2, cap=bound, dice=self.dice)
            self.openings += 1

    def unsure(self) -> None:
        """An account ended without telling anything about the upstream."""
        self.trying = False


@dataclass
class Pause:
    """Until when an upstream has asked to be left alone (Retry-After)."""

    until: float = 0.0

    def asked(self, now: float, seconds: float) -> None:
        """It asked for `seconds`; a server that asks for hours is asked again after a minute."""
        self.until = max(self.until, now + min(seconds, _LONGEST_PAUSE))

    def wait(self, now: float) -> float:
        """Seconds until it may be asked again."""
        return max(0.0, self.until - now)
