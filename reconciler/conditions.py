"""Errors and observations as conditions; pure."""

from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient, Unfunded
from reconciler.fleetplan import Condition

_OF_CREDENTIALS = ("credentials", "account")


def of_error(error: PinataError) -> Condition:
    """What an error says of the account that it stopped."""
    about = error.about or ""
    if isinstance(error, Unfunded):
        return Condition.CREDITS_EXHAUSTED
    if isinstance(error, Conflict) or about == "vault.path":
        return Condition.CONFLICT
    if error.service == "vault" or about.startswith("vault"):
        return Condition.STORE_UNAVAILABLE
    if isinstance(error, (Transient, Ambiguous)):
        return Condition.UPSTREAM_UNAVAILABLE
    if isinstance(error, Refused) and about in _OF_CREDENTIALS:
        return Condition.CREDENTIALS_INVALID
    return Condition.UPSTREAM_UNAVAILABLE if about == "api_url" else Condition.CONFLICT


def is_outage(error: PinataError) -> bool:
    """Whether an error speaks of a service that fails, and so of more accounts than one."""
    return isinstance(error, (Transient, Ambiguous))
