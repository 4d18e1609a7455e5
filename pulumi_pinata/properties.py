"""Pulumi's property dicts to settings and back; pure, and tolerant of what earlier versions wrote."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pulumi_pinata.core import reference
from pulumi_pinata.core.address import checked_path, checked_url
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Adopt, Condition, Location, Minted, OnDelete, OnLostKey, Status
from pulumi_pinata.core.reference import Reference
from pulumi_pinata.core.secret import digest
from pulumi_pinata.core.settings import AuthSettings, Settings, VaultSettings
from pulumi_pinata.property_reader import Failures, Reader, is_known

SCHEMA_VERSION = 1
DEFAULT_API_URL = "https://agents.pinata.cloud"
DEFAULT_FIELD = "PINATA_LLM_KEY"
DEFAULT_MOUNT = "secret"
DEFAULT_TIMEOUT = 20.0
SERVICE_ACCOUNT_TOKEN = "file:/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path

INPUTS = (
    "credentials",
    "vault",
    "rotation_trigger",
    "on_delete",
    "on_lost_key",
    "adopt",
    "account",
    "api_url",
    "timeout",
    "owner",
)
OUTPUTS = (
    "enabled",
    "created_at",
    "account_fingerprint",
    "vault_mount",
    "vault_path",
    "vault_version",
    "fingerprint",
    "base_url",
    "condition",
    "schema_version",
)
_VAULT = ("address", "mount", "path", "namespace", "field", "custom_metadata", "auth", "ca_cert")
_AUTH = {
    "token": ("token",),
    "approle": ("role_id", "secret_id"),
    "kubernetes": ("role", "jwt"),
    "jwt": ("role", "jwt"),
    "userpass": ("username", "password"),
}
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKEN = ("PINATA_LLM_BASE_URL", "PINATA_LLM_KEY_FINGERPRINT", "PINATA_LLM_KEY_ATTEMPT")


def check(news: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], Failures]:
    """Fill in defaults and find everything that is wrong; returns the inputs to keep and (property, reason) pairs."""
    failures: Failures = []
    top = Reader(news, "", failures)
    top.only(INPUTS)
    inputs: dict[str, Any] = {
        "credentials": top.text("credentials", "env:PINATA_JWT", reference_text),
        "rotation_trigger": news.get("rotation_trigger"),
        "on_delete": top.choice("on_delete", OnDelete, OnDelete.SOFT_DELETE),
        "on_lost_key": top.choice("on_lost_key", OnLostKey, OnLostKey.REMINT),
        "adopt": top.choice("adopt", Adopt, Adopt.REFUSE),
        "account": top.text("account"),
        "api_url": top.text("api_url", environ.get("PINATA_API_URL") or DEFAULT_API_URL, checked_url),
        "timeout": top.number("timeout", DEFAULT_TIMEOUT, 1, 300),
        "owner": top.text("owner", "", _owner),
        "vault": _check_vault(top, environ),
    }
    return {name: value for name, value in inputs.items() if value is not None}, failures


def _check_vault(top: Reader, environ: Mapping[str, str]) -> Any:
    raw = top.values.get("vault")
    if not is_known(raw):
        return raw
    vault = top.inner("vault")
    vault.only(_VAULT)
    owner = top.values.get("owner")
    name = owner.rpartition("/")[2] if isinstance(owner, str) else ""
    values: dict[str, Any] = {
        "address": vault.text("address", environ.get("VAULT_ADDR") or None, checked_url),
        "mount": vault.text("mount", DEFAULT_MOUNT, checked_path),
        "path": vault.text("path", f"pinata/{name}" if name else None, _secret_path),
        "namespace": vault.text("namespace", environ.get("VAULT_NAMESPACE") or None),
        "field": vault.text("field", DEFAULT_FIELD, _field),
        "custom_metadata": vault.labels("custom_metadata"),
        "ca_cert": vault.text("ca_cert"),
        "auth": _check_auth(vault),
    }
    if values["address"] is None:
        vault.fail("address", "no Vault address. Set `vault.address` or VAULT_ADDR.")
    if values["path"] is None:
        vault.fail("path", "no path for the secret. Set `vault.path`.")
    return {name: value for name, value in values.items() if value is not None}


def _check_auth(vault: Reader) -> Any:
    raw = vault.values.get("auth")
    if raw is None or not is_known(raw):
        return raw  # none: VAULT_TOKEN or ~/.vault-token, looked up at each run
    auth = vault.inner("auth")
    method = auth.text("method", "token")
    if not isinstance(method, str):
        return raw
    if method not in _AUTH:
        auth.fail("method", f"not a supported method. Choose one of {', '.join(_AUTH)}.")
        return raw
    auth.only(("method", "mount", *_AUTH[method]))
    name, *_ = _AUTH[method]
    secret = _AUTH[method][-1]
    defaults = {"token": "env:VAULT_TOKEN", "kubernetes": SERVICE_ACCOUNT_TOKEN}
    values = {
        "method": method,
        "mount": None if method == "token" else auth.text("mount", method, checked_path),
        secret: auth.text(secret, defaults.get(method), reference_text),
    }
    if name != secret:
        values[name] = auth.text(name)
    for key in _AUTH[method]:
        if values[key] is None:
            auth.fail(key, f"missing: the {method} method needs it.")
    return {key: value for key, value in values.items() if value is not None}


def settings(inputs: Mapping[str, Any]) -> Settings:
    """Settings from inputs that `check` has passed.

    Raises Refused where they are not such (a state edited by hand).
    """
    try:
        vault = inputs["vault"]
        return Settings(
            owner=inputs.get("owner") or "",
            credentials=reference.parse(inputs["credentials"], "credentials"),
            account=inputs.get("account"),
            api_url=checked_url(inputs["api_url"], "api_url"),
            timeout=float(inputs["timeout"]),
            vault=VaultSettings(
                address=checked_url(vault["address"], "vault.address"),
                location=Location(
                    checked_path(vault["mount"], "vault.mount"), checked_path(vault["path"], "vault.path")
                ),
                field=vault["field"],
                auth=_auth_settings(vault.get("auth")),
                namespace=vault.get("namespace"),
                ca_cert=vault.get("ca_cert"),
            ),
            labels=dict(vault.get("custom_metadata") or {}),
            trigger=trigger_digest(inputs.get("rotation_trigger")),
            on_delete=OnDelete(inputs["on_delete"]),
            on_lost_key=OnLostKey(inputs["on_lost_key"]),
            adopt=Adopt(inputs["adopt"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Refused(
            "the stored properties are not complete.", hint="Restore the state from its history (pulumi stack export)."
        ) from None


def _auth_settings(auth: Mapping[str, Any] | None) -> AuthSettings:
    if not auth:
        return AuthSettings("token", None)
    method = auth["method"]
    secret = reference.parse(auth[_AUTH[method][-1]], f"vault.auth.{_AUTH[method][-1]}")
    if method == "token":
        return AuthSettings(method, secret)
    name: str | Reference = auth[_AUTH[method][0]]
    if isinstance(name, str) and name.partition(":")[0] in ("env", "file", "vault"):
        name = reference.parse(name, f"vault.auth.{_AUTH[method][0]}")
    return AuthSettings(method, secret, name, auth["mount"])


def trigger_digest(trigger: object) -> str | None:
    """A rotation trigger as the record keeps it; 3 and 3.0 are the same trigger, since Pulumi makes one the other."""
    if trigger is None:
        return None
    return digest("trigger", json.dumps(_whole(trigger), sort_keys=True, default=str))


def _whole(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def outputs(
    inputs: Mapping[str, Any], account: str, status: Status, minted: Minted | None, condition: Condition
) -> dict[str, Any]:
    """Everything that goes into state: the inputs (the next diff compares with them) and the outputs; no secret."""
    parsed = settings(inputs)
    kept = {name: inputs[name] for name in INPUTS if inputs.get(name) is not None}
    return kept | {
        "enabled": status.enabled,
        "created_at": status.created_at,
        "account_fingerprint": account,
        "vault_mount": parsed.vault.location.mount,
        "vault_path": parsed.vault.location.path,
        "vault_version": minted.version if minted else None,
        "fingerprint": minted.fingerprint if minted else None,
        "base_url": parsed.base_url,
        "condition": condition.value,
        "schema_version": SCHEMA_VERSION,
    }


def held(outs: Mapping[str, Any]) -> Minted | None:
    """The key that a state's outputs speak of, if it is one that this resource minted."""
    if outs.get("schema_version") is None or outs.get("condition") == Condition.OBSERVED.value:
        return None
    return Minted(
        location=Location(outs["vault_mount"], outs["vault_path"]),
        version=int(outs.get("vault_version") or 0),
        fingerprint=outs.get("fingerprint") or "",
        attempt="",
        field=(outs.get("vault") or {}).get("field") or DEFAULT_FIELD,
        created_at=outs.get("created_at"),
        trigger=trigger_digest(outs.get("rotation_trigger")),
    )


def changed(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """The inputs that differ; a number is a number whether whole or float."""
    return [name for name in INPUTS if olds.get(name) != news.get(name)]


def reference_text(text: str, about: str) -> str:
    """`text`, if it is a reference. Raises Refused like `reference.parse`."""
    reference.parse(text, about)
    return text


def _secret_path(text: str, about: str) -> str:
    if text.partition("/")[0] == "pinata-inference":
        raise Refused("the accounts' records live there.", about=about, hint="Choose a path outside pinata-inference/.")
    return checked_path(text, about)


def _owner(text: str, about: str) -> str:
    if len(text.encode()) > 512:
        raise Refused("organization, project, stack and name together are longer than 512 bytes.", about=about)
    return text


def _field(text: str, about: str) -> str:
    if not _FIELD.fullmatch(text) or text in _TAKEN:
        raise Refused(
            "not a name for the key's field.",
            about=about,
            hint=f"Use letters, digits and _, as for an environment variable; {', '.join(_TAKEN)} are taken.",
        )
    return text
