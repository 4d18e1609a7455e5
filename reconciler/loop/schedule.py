"""When an account that fails is looked at again; pure: the time and the dice are handed in."""

from collections.abc import Callable
from dataclasses import dataclass

from pulumi_pinata.core.errors import PinataError, Transient
from pulumi_pinata.core.reference import VaultReference
from pulumi_pinata.core.settings import Settings
from reconciler.fleetplan import Condition

_BASE = 5.0
_SLOW = 600.0
_DAY = 86400.0


@dataclass(frozen=True)
class Waiting:
    """An account that failed `failures` times in a row and is left alone until `at`, on the monotonic clock.

    It is looked at sooner when what it failed with has changed: `declared` is a digest of its declaration, `content`
    one of what its credentials' reference held.
    """

    failures: int
    at: float
    declared: str
    content: str | None

    def is_over(self, now: float, declared: str, content: str | None) -> bool:
        """Whether it is looked at now."""
        return now >= self.at or declared != self.declared or content != self.content


def after_failure(
    previous: Waiting | None,
    settings: Settings,
    condition: Condition,
    error: PinataError | None,
    *,
    declared: str,
    content: str | None,
    now: float,
    longest: float,
    dice: Callable[[], float],
) -> Waiting:
    """How long to leave it alone: a jittered while that doubles, `longest` at most.

    A refused JWT is asked about no more until another stands in its place: each try would be counted against the
    account. Once a day it is, all the same, since it may have been Pinata that was wrong. Where a look costs a call to
    Vault (a `vault:` reference), what stands there is seen at a slow pace.
    """
    failures = (previous.failures if previous else 0) + 1
    if condition is Condition.CREDENTIALS_INVALID:
        wait = max(_SLOW, longest) if isinstance(settings.credentials, VaultReference) else _DAY * (0.75 + dice() / 2)
        return Waiting(failures, now + wait, declared, content)
    bound = min(longest, _BASE * 2.0 ** min(failures - 1, 30))
    wait = bound * (0.5 + dice() / 2)
    if isinstance(error, Transient) and error.retry_after:
        wait = max(wait, min(error.retry_after, longest))
    return Waiting(failures, now + wait, declared, content)


def jittered(seconds: float, dice: Callable[[], float]) -> float:
    """An interval, a tenth shorter or longer: many reconcilers started together do not stay together."""
    return seconds * (0.9 + 0.2 * dice())
