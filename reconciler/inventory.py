"""Which accounts a fleet manages, kept in Vault where their records are: one document a fleet, written under
check-and-set.

An entry holds references and places, enough to switch the account off once nothing declares it; never a secret.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from pulumi_pinata import properties
from pulumi_pinata.core.errors import Ambiguous, Conflict, Refused
from pulumi_pinata.core.reference import VaultReference
from pulumi_pinata.core.settings import Settings
from reconciler.settings_document import from_document, to_document

FLEETS = "pinata-inference/fleets"
_TRIES = 8


class Home(NamedTuple):
    """A Vault, namespace and mount: what has an inventory of its own."""

    address: str
    namespace: str | None
    mount: str

    def __str__(self) -> str:
        namespace = f"{self.namespace}/" if self.namespace else ""
        return f"{self.address}/{namespace}{self.mount}"


class Documents(Protocol):
    """Where inventories are kept: see `VaultStore.document` and `put_document`."""

    def document(self, path: str) -> tuple[Mapping[str, Any] | None, int]:
        """The document and the version that a write must name."""
        ...

    def put_document(self, path: str, data: Mapping[str, Any], cas: int) -> int:
        """Write it; returns the new version. Raises Conflict when `cas` is not current."""
        ...


@dataclass(frozen=True)
class Entry:
    """One account as it was last declared.

    `inputs` are its settings as a document; `declared` a digest of the declaration that was last applied in full;
    `day` and `mints` count the mints of a day.
    """

    name: str
    account: str
    inputs: Mapping[str, Any]
    prune: bool = False
    protect: bool = False
    declared: str = ""
    day: str = ""
    mints: int = 0

    def settings(self) -> Settings:
        """Its settings. Raises Refused when the document was edited by hand."""
        return from_document(self.inputs)

    def settings_of(self, declared: Settings) -> Settings:
        """Its settings, but with the account itself reached as is declared now; raises like `settings`.

        The references of then may lead nowhere by now. A `vault:` reference of now would, in the Vault of then.
        """
        kept, now = self.settings(), declared
        if isinstance(now.credentials, VaultReference):
            return kept
        return replace(kept, credentials=now.credentials, account=now.account, api_url=now.api_url, timeout=now.timeout)


@dataclass(frozen=True)
class Inventory:
    """The document at one home, as it was read; `homes` are settings of every Vault that the fleet uses."""

    version: int = 0
    entries: Mapping[str, Entry] = field(default_factory=dict)
    homes: tuple[Mapping[str, Any], ...] = ()


def home_of(settings: Settings) -> Home:
    """Where the account's record and inventory are."""
    return Home(*settings.vault.home)


def home_in(inputs: Mapping[str, Any]) -> Home:
    """The home that a document of settings names; another than where it was read if one Vault is named in two ways."""
    vault = inputs["vault"]
    return Home(str(vault.get("address")), vault.get("namespace"), str(vault.get("mount")))


def default_settings(environ: Mapping[str, str]) -> Settings | None:
    """The home that the environment names, for a fleet that declares nothing."""
    inputs, failures = properties.check({"vault": {"path": "pinata"}}, environ)
    return None if failures else properties.settings(inputs)


def read(documents: Documents, fleet: str) -> Inventory:
    """The fleet's inventory. Raises Refused for one that is not ours or of a later version."""
    path = f"{FLEETS}/{fleet}"
    data, version = documents.document(path)
    if data is None:
        return Inventory(version)
    try:
        if data["schema"] != 1:
            raise Refused(f"the inventory {path} is of schema {data['schema']}.", hint="Use a newer version of this.")
        common = json.loads(data["common"])
        entries = {name: _entry(name, common, own) for name, own in json.loads(data["accounts"]).items()}
        homes = tuple(json.loads(data["homes"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Refused(
            f"the inventory {path} was edited by hand and cannot be read.",
            hint="Bring back an earlier version of it in Vault (vault kv rollback).",
        ) from None
    return Inventory(version, entries, homes)


def update(
    documents: Documents,
    fleet: str,
    known: Inventory,
    change: Callable[[Mapping[str, Entry]], dict[str, Entry]],
    homes: Iterable[Mapping[str, Any]],
    left: Collection[Home] = (),
) -> Inventory:
    """Apply `change` to the entries, on whatever version is current; nothing is written where nothing changes.

    `homes` are added to those that the fleet uses, and `left` taken out. Raises Conflict when others keep on writing.
    """
    path = f"{FLEETS}/{fleet}"
    for _ in range(_TRIES):
        entries = change(known.entries)
        merged = _merged(known.homes, homes, left)
        if entries == known.entries and merged == known.homes:
            return known
        try:
            version = documents.put_document(path, _document(entries, merged), known.version)
            return Inventory(version, entries, merged)
        except Ambiguous:
            known = read(documents, fleet)  # whether it arrived shows: the change is then no change
        except Conflict:
            known = read(documents, fleet)
    raise Conflict(f"the inventory {path} keeps changing.", hint="Let one apply run at a time.")


def counted(entry: Entry, day: str) -> Entry:
    """The entry with one more mint on `day`."""
    return replace(entry, day=day, mints=(entry.mints if entry.day == day else 0) + 1)


def home_document(settings: Settings) -> Mapping[str, Any]:
    """Enough of the settings to find the inventory at their home again."""
    inputs = to_document(settings)
    vault = {name: value for name, value in inputs["vault"].items() if name not in ("custom_metadata", "field")}
    whole = {**inputs, "owner": "", "credentials": "env:PINATA_JWT", "vault": {**vault, "path": "pinata"}}
    whole["vault"]["field"] = properties.DEFAULT_FIELD
    whole.pop("account", None)
    return whole


def _merged(
    old: tuple[Mapping[str, Any], ...], new: Iterable[Mapping[str, Any]], left: Collection[Home]
) -> tuple[Mapping[str, Any], ...]:
    found = {home_in(document): document for document in (*old, *new)}
    return tuple(found[each] for each in sorted(found, key=str) if each not in left)


def _document(entries: Mapping[str, Entry], homes: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    """What most entries share is stored once: some thousands of them have to fit into one Vault entry (1 MiB).

    And as text within the JSON: OpenBao refuses a body of more than a thousand JSON strings.
    """
    flat = {name: _flat(entry) for name, entry in entries.items()}
    common: dict[str, Any] = {}
    for key in sorted({key for values in flat.values() for key in values}):
        counts = Counter(json.dumps(values.get(key)) for values in flat.values())
        common[key] = json.loads(counts.most_common(1)[0][0])
    accounts = {}
    for name in sorted(flat):
        accounts[name] = {key: flat[name].get(key) for key in common if flat[name].get(key) != common[key]}
    return {
        "schema": 1,
        "common": json.dumps(common, sort_keys=True),
        "accounts": json.dumps(accounts, sort_keys=True, separators=(",", ":")),
        "homes": json.dumps(homes, sort_keys=True),
    }


def _flat(entry: Entry) -> dict[str, Any]:
    fields = {
        "account": entry.account,
        "prune": entry.prune,
        "protect": entry.protect,
        "declared": entry.declared,
        "day": entry.day,
        "mints": entry.mints,
    }
    vault = {f"input.vault.{key}": value for key, value in entry.inputs["vault"].items()}
    top = {f"input.{key}": value for key, value in entry.inputs.items() if key != "vault"}
    return {**fields, **vault, **top}


def _entry(name: str, common: Mapping[str, Any], own: Mapping[str, Any]) -> Entry:
    values = {key: value for key, value in {**common, **own}.items() if value is not None}
    inputs: dict[str, Any] = {"vault": {}}
    for key, value in values.items():
        if key.startswith("input.vault."):
            inputs["vault"][key.removeprefix("input.vault.")] = value
        elif key.startswith("input."):
            inputs[key.removeprefix("input.")] = value
    return Entry(
        name,
        str(values["account"]),
        inputs,
        prune=bool(values["prune"]),
        protect=bool(values["protect"]),
        declared=str(values["declared"]),
        day=str(values["day"]),
        mints=int(values["mints"]),
    )
