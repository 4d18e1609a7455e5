"""Errors and observations as conditions; pure."""

from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient
from reconciler.fleetplan import Condition

_OF_CREDENTIALS = ("credentials", "account")


def of_error(error: PinataError) -> Condition:
    """What an error says of the account that it stopped."""
    about = error.about or ""
    # The adapters' own words, fixed by tests: the core's error classes do not say which service has spoken.
    if "(402)" in error.message:
        return Condition.CREDITS_EXHAUSTED
    if isinstance(error, Conflict):
        return Condition.CONFLICT
    if about == "vault.path":
        return Condition.CONFLICT
    if about.startswith("vault") or "Vault" in error.message:
        return Condition.STORE_UNAVAILABLE
    if isinstance(error, (Transient, Ambiguous)):
        return Condition.UPSTREAM_UNAVAILABLE
    if isinstance(error, Refused) and about in _OF_CREDENTIALS:
        return Condition.CREDENTIALS_INVALID
    return Condition.UPSTREAM_UNAVAILABLE if about == "api_url" else Condition.CONFLICT


def is_outage(error: PinataError) -> bool:
    """Whether an error speaks of a service that fails, and so of more accounts than one."""
    return isinstance(error, (Transient, Ambiguous))
