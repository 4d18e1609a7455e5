"""What the loop knows now: written by the loop, read by the status page, metrics and health."""

import threading
from dataclasses import replace

from reconciler.loop.view import FleetView


class Board:
    """The view of now, for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._view = FleetView()
        self._beat: float | None = None

    @property
    def view(self) -> FleetView:
        """What is known now."""
        with self._lock:
            return self._view

    def change(self, **values: object) -> FleetView:
        """Put new values in; returns the view with them."""
        with self._lock:
            self._view = replace(self._view, **values)  # type: ignore[arg-type]
            return self._view

    def beat(self, now: float) -> None:
        """The loop is alive at `now`, on the monotonic clock."""
        with self._lock:
            self._beat = now

    def silence(self, now: float) -> float:
        """Seconds for which the loop has given no sign; 0 before its first."""
        with self._lock:
            return 0.0 if self._beat is None else max(0.0, now - self._beat)
