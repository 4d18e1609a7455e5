"""Logging in to Vault by each of the supported methods, and asking for more time."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hvac
from hvac import exceptions

from pulumi_pinata.adapters.vault_errors import SERVICE, asked, data_of, translated
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.secret import Secret

_USER = re.compile(r"(?!\.+$)[^\s/?#%\\\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Credentials:
    """What a login needs. `method` is token, approle, kubernetes, jwt or userpass; `mount` the auth mount.

    `name` is the role (kubernetes, jwt), role id (approle) or user name (userpass); `secret` the token, secret id,
    JWT or password.
    """

    method: str
    secret: Secret
    name: str | Secret = ""
    mount: str = ""


@dataclass(frozen=True)
class Lifetime:
    """How long a login lasts: seconds (None: not known without asking; 0: for ever) and uses (0: any number).

    `renewable`: whether Vault may give it more time.
    """

    seconds: int | None = None
    uses: int = 0
    renewable: bool = False


def log_in(client: hvac.Client, credentials: Credentials) -> Lifetime:
    """Give `client` a token; returns how long it is good for.

    Raises Refused when the credentials are not accepted, Transient when Vault cannot be asked.
    """
    if credentials.method == "token":
        client.token = credentials.secret.reveal()
        return Lifetime()
    try:
        with translated(f"log in by {credentials.method}"):
            answer = _call(client, credentials)
            auth = answer.get("auth") if isinstance(answer, dict) else None
            if not auth or not auth.get("client_token"):
                raise Refused(
                    f"Vault gave no token for {credentials.method}.",
                    about="vault.auth",
                    hint="Is MFA on?",
                    service=SERVICE,
                )
            return _granted(auth, "lease_duration")
    except exceptions.InvalidPath:
        raise Refused(
            f"there is no {credentials.method} auth method at {credentials.mount!r}.",
            about="vault.auth.mount",
            hint="Name the mount that `vault auth list` shows.",
            service=SERVICE,
        ) from None


def renew(client: hvac.Client) -> Lifetime:
    """Ask for more time; returns how long the token is good for now. Raises Refused or Transient."""
    with asked("renew its own token"):
        answer = client.auth.token.renew_self()
        return _granted(answer["auth"], "lease_duration")


def look_up(client: hvac.Client) -> Lifetime:
    """How long the token is good for. Raises Refused where it is dead or may not ask, Transient."""
    with asked("look up its own token"):
        return _granted(data_of(client.auth.token.lookup_self()), "ttl")


def _granted(said: Mapping[str, Any], seconds: str) -> Lifetime:
    return Lifetime(int(said.get(seconds) or 0), int(said.get("num_uses") or 0), bool(said.get("renewable")))


def _call(client: hvac.Client, credentials: Credentials) -> object:
    secret, mount = credentials.secret.reveal(), credentials.mount
    name = credentials.name if isinstance(credentials.name, str) else credentials.name.reveal()
    if credentials.method == "userpass" and not _USER.fullmatch(name):
        raise Refused("not a user name.", about="vault.auth.username", hint="It is one part of a URL: no slashes.")
    match credentials.method:
        case "approle":
            return client.auth.approle.login(role_id=name, secret_id=secret, mount_point=mount)
        case "kubernetes":
            return client.auth.kubernetes.login(role=name, jwt=secret, mount_point=mount)
        case "jwt":
            return client.auth.jwt.jwt_login(role=name, jwt=secret, path=mount)
        case "userpass":
            return client.auth.userpass.login(username=name, password=secret, mount_point=mount)
    raise AssertionError(credentials.method)
