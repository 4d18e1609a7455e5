"""How record, label and content are written in Vault; pure, and the only place that knows their field names.

A stored format: readers accept what earlier versions wrote, and fields are only ever added.
"""

from collections.abc import Mapping
from typing import Any

from pulumi_pinata.core.address import checked_path
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Content, Label, Location, Minted, Purpose, Record
from pulumi_pinata.core.secret import PrivateKey

MARK = "pinata-"
_FINGERPRINT, _ATTEMPT, _BASE_URL = "PINATA_LLM_KEY_FINGERPRINT", "PINATA_LLM_KEY_ATTEMPT", "PINATA_LLM_BASE_URL"
RESERVED = frozenset({_FINGERPRINT, _ATTEMPT, _BASE_URL})
_SCHEMA = 1


def content_to_data(content: Content, base_url: str) -> dict[str, str]:
    """The secret's data: environment names, so that it can be loaded as environment."""
    return {
        content.field: content.key.reveal(),
        _BASE_URL: base_url,
        _FINGERPRINT: content.key.fingerprint,
        _ATTEMPT: content.attempt,
    }


def content_from_data(data: object) -> Content | None:
    """The key is the field whose fingerprint the data names: nothing else vouches for itself."""
    if not isinstance(data, Mapping):
        return None
    fingerprint = data.get(_FINGERPRINT)
    for field, value in data.items():
        if field not in RESERVED and isinstance(value, str) and value:
            key = PrivateKey(value)
            if key.fingerprint == fingerprint:
                return Content(key, str(data.get(_ATTEMPT, "")), field)
    return None


def label_to_metadata(label: Label) -> dict[str, str]:
    """Our part of `custom_metadata`; Vault takes no empty values."""
    fields: dict[str, object] = {"owner": label.owner, "account": label.account}
    if label.minted is None:
        fields |= {"state": "released", "version": label.released}
    if (minted := label.minted) is not None:
        fields |= {"state": "claimed", **_minted_fields(minted)}
    return {MARK + name.replace("_", "-"): str(value) for name, value in fields.items() if value not in (None, "")}


def label_from_metadata(metadata: Mapping[str, str], location: Location) -> Label | None:
    """Our part of `custom_metadata`, or None where there is none or it has been tampered with."""
    fields = {name[len(MARK) :].replace("-", "_"): value for name, value in metadata.items() if name.startswith(MARK)}
    if "owner" not in fields or "account" not in fields:
        return None
    minted = _minted(fields, location) if fields.get("state") == "claimed" else None
    if fields.get("state") == "claimed" and minted is None:
        return None
    if not fields["owner"].isprintable():
        return None
    released = _number(fields.get("version")) if minted is None else 0
    return Label(fields["owner"], fields["account"], minted, released)


def record_to_data(record: Record) -> dict[str, Any]:
    """The account's record as KV data."""
    minted = record.minted
    return {
        "schema": _SCHEMA,
        "state": "open" if record.open else "closed",
        "owner": record.owner,
        "purpose": record.purpose.value,
        "attempts": list(record.attempts),
        "location": _place(record.location),
        "source": _place(record.source) if record.source else None,
        "minted": {**_minted_fields(minted), "location": _place(minted.location)} if minted else None,
    }


def record_from_data(data: Mapping[str, Any], version: int, path: str) -> Record:
    """The account's record.

    Raises Refused when the data is not one that this version understands.
    """
    unreadable = Refused(
        f"{path} is not a record of this version of pulumi-pinata.",
        about="vault.mount",
        hint="If a newer version wrote it, upgrade; else roll that secret back to its last good version.",
        service="vault",
    )
    attempts, minted = data.get("attempts"), data.get("minted")
    if data.get("schema") != _SCHEMA or not isinstance(attempts, list) or not attempts:
        raise unreadable
    try:
        found = _minted(minted, _location(minted["location"])) if minted else None
        if (minted and not found) or not all(isinstance(attempt, str) for attempt in attempts):
            raise unreadable
        return Record(
            version=version,
            open=data["state"] == "open",
            owner=_printable(data["owner"]),
            purpose=Purpose(data["purpose"]),
            attempts=tuple(attempts),
            location=_location(data["location"]),
            source=_location(data["source"]) if data["source"] else None,
            minted=found,
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, Refused):
        raise unreadable from None


def _minted_fields(minted: Minted) -> dict[str, Any]:
    return {
        "version": minted.version,
        "fingerprint": minted.fingerprint,
        "attempt": minted.attempt,
        "field": minted.field,
        "created_at": minted.created_at,
        "marker": minted.marker,
        "trigger": minted.trigger,
    }


def _minted(fields: Mapping[str, Any], location: Location) -> Minted | None:
    try:
        return Minted(
            location=location,
            version=int(fields["version"]),
            fingerprint=fields["fingerprint"],
            attempt=fields.get("attempt") or "",
            field=fields["field"],
            created_at=fields.get("created_at"),
            marker=fields.get("marker"),
            trigger=fields.get("trigger"),
        )
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _printable(text: object) -> str:
    if not isinstance(text, str) or not text.isprintable():
        raise ValueError("not a name")
    return text


def _location(place: Mapping[str, Any]) -> Location:
    """Whoever can write records must not lead our login to other paths than a declaration could."""
    mount, path = (checked_path(_printable(place[part]), "record") for part in ("mount", "path"))
    return Location(mount, path)


def _place(location: Location) -> dict[str, str]:
    return {"mount": location.mount, "path": location.path}
