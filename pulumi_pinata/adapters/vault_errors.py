"""hvac's and requests' errors as ours; their texts quote URLs and bodies, so none of them is passed on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from hvac import exceptions
from urllib3.exceptions import NewConnectionError

from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient

SERVICE = "vault"
_CAS = "check-and-set parameter did not match the current version"


@contextmanager
def translated(what: str, *, write: bool = False, about: str = "vault.auth") -> Iterator[None]:
    """Run a Vault call; `what` names it in messages, `write` says that its effect matters.

    `exceptions.InvalidPath` passes through: what a missing path means is the caller's to say.
    """
    try:
        yield
    except exceptions.InvalidPath:
        raise
    except exceptions.VaultError as error:
        raise _of_vault(error, what, write, about) from None
    except requests.RequestException as error:
        raise _of_transport(error, what, write) from None
    except UnicodeEncodeError:
        raise _unsendable() from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        # An answer of another form than hvac or we expect; these errors quote what they could not read.
        raise (
            Ambiguous(f"Vault's answer makes no sense when asked to {what}.", service=SERVICE) if write else _strange()
        ) from None


def data_of(answer: Any) -> Mapping[str, Any]:
    """The `data` of an answer. Raises Transient when it is not one of Vault's: a redirect, or a page in between."""
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        raise _strange()
    data: Mapping[str, Any] = answer["data"]
    return data


def accepted(answer: Any) -> None:
    """Raise Transient unless Vault did what it was asked to: hvac takes a redirect for success."""
    if not isinstance(answer, dict) and not 200 <= getattr(answer, "status_code", 0) < 300:
        raise _strange()


def _strange() -> Transient:
    return Transient(
        "Vault's answer is not one of its own.",
        about="vault.address",
        hint="Is this the address of the active node, or of a load balancer that leads to it?",
        service=SERVICE,
    )


def _of_vault(error: exceptions.VaultError, what: str, write: bool, about: str) -> PinataError:
    match error:
        case exceptions.InvalidRequest() if _CAS in str(error):
            return Conflict(f"somebody else changed it first: {what}.", hint="Run again.", service=SERVICE)
        case exceptions.InvalidRequest():
            return Refused(
                f"Vault refused to {what} (400).", about=about, hint="Check the values given for it.", service=SERVICE
            )
        case exceptions.Unauthorized() | exceptions.Forbidden():
            return Refused(
                f"this Vault login may not {what}.",
                about=about,
                hint="The token is expired or its policy lacks this; README, “The Vault policy”, has what is needed.",
                service=SERVICE,
            )
        case exceptions.RateLimitExceeded():
            return Transient(
                f"Vault limits the rate of calls: could not {what}.", hint="Try again later.", service=SERVICE
            )
        case exceptions.VaultNotInitialized():
            return Transient(f"Vault is not initialised: could not {what}.", about="vault.address", service=SERVICE)
        case exceptions.VaultDown() if not write:
            return Transient(
                f"Vault is sealed or has no active node: could not {what}.",
                about="vault.address",
                hint="Unseal it, then run again.",
                service=SERVICE,
            )
    if write:
        return Ambiguous(f"Vault failed when asked to {what}.", service=SERVICE)
    return Transient(
        f"Vault failed when asked to {what}.", about="vault.address", hint="Try again later.", service=SERVICE
    )


def _unsendable() -> Refused:
    return Refused(
        "the Vault login or namespace has characters that no header can carry.", about="vault.auth", service=SERVICE
    )


def _of_transport(error: requests.RequestException, what: str, write: bool) -> PinataError:
    if isinstance(error, requests.exceptions.InvalidHeader):
        return _unsendable()
    if isinstance(error, requests.exceptions.SSLError):
        return Refused(
            f"Vault's certificate is not trusted: could not {what}.",
            about="vault.ca_cert",
            hint="Point `ca_cert` or VAULT_CACERT at the CA that signed it.",
            service=SERVICE,
        )
    reason = getattr(error.args[0], "reason", None) if error.args else None
    never_sent = isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(reason, NewConnectionError)
    if write and not never_sent:
        return Ambiguous(f"Vault's reply was lost when asked to {what}.", service=SERVICE)
    return Transient(
        f"Vault cannot be reached: could not {what}.",
        about="vault.address",
        hint="Check the address, the network, and that Vault is up.",
        service=SERVICE,
    )


@contextmanager
def asked(what: str) -> Iterator[None]:
    """As `translated`, for what every Vault has: where it is missing, this is none. Raises Refused for that."""
    try:
        with translated(what):
            yield
    except exceptions.InvalidPath:
        raise Refused(
            f"this is no Vault, or no namespace of it: could not {what} (404).",
            about="vault.address",
            hint="Check `vault.address` and `vault.namespace`.",
            service=SERVICE,
        ) from None
