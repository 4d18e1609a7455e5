"""The credits of one account: balance, holds for calls in flight, auto top-up; no prices."""

import threading
from dataclasses import dataclass

MICRO = 1_000_000


@dataclass(frozen=True)
class Balance:
    """In credits (docs.pinata.cloud/inference/credits): available = total - loaned."""

    total: float
    loaned: float
    available: float


@dataclass(frozen=True)
class TopUp:
    """Auto top-up in credits; both None = off (that a half-set pair is refused is our reading)."""

    threshold: float | None = None
    amount: int | None = None

    def __post_init__(self) -> None:
        if (self.threshold is None) != (self.amount is None):
            raise ValueError("threshold and amount must both be set or both be null")
        if self.threshold is not None and self.threshold < 5:
            raise ValueError("threshold must be at least 5")
        if self.amount is not None and self.amount <= 0:
            raise ValueError("amount must be a positive integer")


class Credits:
    """Counts in whole microcredits, so that many small draws add up exactly; safe for many threads."""

    def __init__(self, credits: float) -> None:
        self._lock = threading.Lock()
        self._total = round(credits * MICRO)
        self._loaned = 0
        self._topup = TopUp()

    @property
    def topup(self) -> TopUp:
        """The auto top-up in force."""
        return self._topup

    @topup.setter
    def topup(self, topup: TopUp) -> None:
        with self._lock:
            self._topup = topup

    def set(self, credits: float) -> None:
        """Set the total, in credits."""
        with self._lock:
            self._total = round(credits * MICRO)

    def balance(self) -> Balance:
        """Return the balance in credits."""
        with self._lock:
            free = self._total - self._loaned
            return Balance(total=self._total / MICRO, loaned=self._loaned / MICRO, available=free / MICRO)

    def available_microcredits(self) -> int:
        """Return what is free to draw."""
        with self._lock:
            return self._total - self._loaned

    def hold(self, microcredits: int) -> int | None:
        """Loan up to `microcredits` to a call in flight and return the sum held; None = nothing is free."""
        with self._lock:
            held = min(microcredits, self._total - self._loaned)
            if held <= 0:
                return None
            self._loaned += held
            return held

    def settle(self, *, held: int, used: int) -> None:
        """Give back a hold and draw what was used, never more than was held; may fire the auto top-up."""
        with self._lock:
            self._loaned -= held
            self._total = max(0, self._total - min(used, held))
            if self._total - self._loaned < (self._topup.threshold or 0) * MICRO:
                self._total += (self._topup.amount or 0) * MICRO
