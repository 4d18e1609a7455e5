"""Errors and refusals in the words of a fleet: what a manifest calls things, and the commands that help; pure."""

from collections.abc import Sequence
from copy import copy

from pulumi_pinata.core.actions import Refuse
from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.model import Actual, Desired, Mode

# What a manifest calls the inputs that errors are about.
_NAMES = {"api_url": "apiUrl", "on_lost_key": "lostKey", "vault.ca_cert": "vault.caCert"}
_ADOPT = "`pinata-reconciler adopt NAME`"
_TAKE_OVER = "`pinata-reconciler adopt NAME --take-over`"


def renamed(error: PinataError) -> PinataError:
    """The same error, about what a manifest calls the input; for people: `of_error` judges it as it was raised."""
    shown = copy(error)
    shown.about = _NAMES.get(error.about or "", error.about)
    if error.hint:
        shown.hint = error.hint.replace("`api_url`", "`apiUrl`").replace("`ca_cert`", "`caCert`")
    return shown


def refused(action: Refuse, desired: Desired, actual: Actual) -> Refused:
    """With the names that a manifest has for things, and the commands that keep the key."""
    hint = _way_out(action, desired, actual) or (action.hint or "").replace("on_lost_key", "lostKey")
    return Refused(action.reason, about=_NAMES.get(action.about or "", action.about), hint=hint or None)


def _way_out(action: Refuse, desired: Desired, actual: Actual) -> str | None:
    """How to have an account without a new key; None where there is no such way."""
    label, record = actual.stored.label, actual.record
    match action.about:
        case "vault.path" if label is None and actual.status.enabled:
            return f"If it is the key in use, {_ADOPT} takes it as it is; else choose another `vault.path`."
        case "vault.path" if label and label.minted and label.account == desired.account:
            return f"Once its owner lets go of it, {_TAKE_OVER} keeps the key; else choose another `vault.path`."
        case "owner" if record and not desired.owns(record.owner):
            there = f"`vault.path` as at {record.minted.location}" if record and record.minted else "their `vault.path`"
            return (
                f"Manage an account in one place. To take it over with the same key, declare {there}, then "
                f"{_TAKE_OVER}; `adopt: remint` replaces the key."
            )
        case "adopt" if desired.mode is Mode.ENABLED:
            return (
                f"If its key is known, store it in {desired.location}, field {desired.field}, then {_ADOPT}: the same "
                "key, no outage. If this fleet kept it in another Vault or mount, name that in `spec.formerVaults` of "
                "InferenceDefaults: the key is fetched from there. `adopt: remint` mints a new one (whoever uses the "
                "old one is cut off); `adopt: observe` leaves it alone."
            )
    return None


def of_another(name: str, recorded: str, found: str, marks: Sequence[str] = ()) -> Refused:
    """The error where credentials speak for account `found`; `marks` are the owner marks that the fleet has on that."""
    others = sorted({mark.rpartition("/")[2] for mark in marks})
    whose = f"are those of {' and '.join(others)}: they speak" if others else "speak"
    return Refused(
        f"these credentials {whose} for account {found}, but {name} was applied to {recorded}.",
        about="credentials",
        hint="Point them at that account's JWT, or give the new account a name of its own.",
    )
