"""Inference off, and seen to be."""

from pulumi_pinata.core.errors import Ambiguous, PinataError
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.store import tries


def revoke(ports: Ports) -> None:
    """Disable, and see it confirmed; the caller holds the intent.

    Raises like `PinataApi.disable`, and Ambiguous when that went through but cannot be seen.
    """
    ports.pinata.disable()
    try:
        for _ in tries(ports):
            if not ports.pinata.status().enabled:
                return
    except PinataError:
        raise Ambiguous("inference was switched off, but its status cannot be read.", hint="Run again.") from None
    raise Ambiguous("inference still shows as on after it was switched off.", hint="Run again.")
