"""Time for the core."""

import time


class SystemClock:
    """The machine's clock that never goes back and counts on while it sleeps."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; where the system has it, suspended time included."""
        boot = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boot is None else time.clock_gettime(boot)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
