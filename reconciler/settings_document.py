"""Settings as a JSON document and back: references as text, no secret; in the shape of Pulumi's inputs."""

from collections.abc import Mapping
from typing import Any

from pulumi_pinata import properties
from pulumi_pinata.core.reference import EnvReference, FileReference, Reference, VaultReference
from pulumi_pinata.core.settings import AuthSettings, Settings

_NAMES = {
    "token": ("", "token"),
    "approle": ("role_id", "secret_id"),
    "kubernetes": ("role", "jwt"),
    "jwt": ("role", "jwt"),
    "userpass": ("username", "password"),
}


def to_document(settings: Settings) -> dict[str, Any]:
    """The settings but for the rotation trigger, of which only a digest is known."""
    vault = settings.vault
    place = {
        "address": vault.address,
        "namespace": vault.namespace,
        "mount": vault.location.mount,
        "path": vault.location.path,
        "field": vault.field,
        "ca_cert": vault.ca_cert,
        "auth": _auth(vault.auth),
        "custom_metadata": dict(settings.labels) or None,
    }
    inputs = {
        "owner": settings.owner,
        "credentials": text_of(settings.credentials),
        "account": settings.account,
        "api_url": settings.api_url,
        "timeout": settings.timeout,
        "on_delete": settings.on_delete.value,
        "on_lost_key": settings.on_lost_key.value,
        "adopt": settings.adopt.value,
        "vault": {name: value for name, value in place.items() if value is not None},
    }
    return {name: value for name, value in inputs.items() if value is not None}


def from_document(document: Mapping[str, Any]) -> Settings:
    """Settings of such a document. Raises Refused for one that is not whole."""
    return properties.settings(document)


def text_of(reference: Reference) -> str:
    """A reference as it is written."""
    match reference:
        case EnvReference(name):
            return f"env:{name}"
        case FileReference(path):
            return f"file:{path}"
        case VaultReference(location, field):
            return f"vault:{location.mount}//{location.path}#{field}"


def _auth(auth: AuthSettings) -> dict[str, Any] | None:
    if auth.secret is None:
        return None
    name, secret = _NAMES[auth.method]
    document = {"method": auth.method, secret: text_of(auth.secret)}
    if auth.mount:
        document["mount"] = auth.mount
    if name:
        document[name] = auth.name if isinstance(auth.name, str) else text_of(auth.name)
    return document
