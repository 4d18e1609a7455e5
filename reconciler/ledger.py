"""What the inventories of all homes say together; read once a pass."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Event

from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.settings import Settings
from reconciler import inventory
from reconciler.inventory import Entry, Home, Inventory, home_in, home_of
from reconciler.manifest.declared import Manifest
from reconciler.pool import each
from reconciler.settings_document import from_document, to_document
from reconciler.upstreams import Access

_AT_ONCE = 16
_REACH = ("address", "namespace", "mount", "ca_cert", "auth")


@dataclass(frozen=True)
class Ledger:
    """Inventories by home, the settings to reach each home by, and the errors of those that cannot be read."""

    inventories: Mapping[Home, Inventory]
    reach: Mapping[Home, Settings]
    failures: Mapping[Home, PinataError] = field(default_factory=dict)
    former: Mapping[Home, Settings] = field(default_factory=dict)

    @classmethod
    def read(cls, manifest: Manifest, access: Access) -> "Ledger":
        """Read the inventory at every home that is declared, or was, or that another inventory names.

        Where no account is declared, that is the home that all accounts would have, or the environment's.
        """
        fleet = manifest.fleet
        reach = {home_of(each.settings): each.settings for each in manifest.accounts}
        if not reach and (settings := manifest.home or access.default_home()):
            reach[home_of(settings)] = settings
        former = {home: settings for settings in manifest.former if (home := home_of(settings)) not in reach}
        reach |= former
        found: dict[Home, Inventory] = {}
        failures: dict[Home, PinataError] = {}

        def read(home: Home) -> Inventory | PinataError:
            try:
                return inventory.read(access.documents(reach[home]), fleet)
            except PinataError as error:
                return error

        while missing := [home for home in reach if home not in found and home not in failures]:
            # Side by side: one that hangs takes its time three times, and no account is looked at meanwhile.
            for home, kept in each(missing, read, workers=_AT_ONCE, stop=Event()):
                try:
                    if kept is None or isinstance(kept, PinataError):
                        raise kept or PinataError("not read.")
                    found[home] = kept
                    # A Vault that was left no longer says where this one's logins are sent.
                    for document in kept.homes if home not in former else ():
                        settings = from_document(document)
                        reach.setdefault(home_of(settings), settings)
                except PinataError as error:
                    failures[home] = error
        # In the order of `reach`, not of who answered first: what is decided by it must not depend on that.
        inventories = {home: found[home] for home in reach if home in found and home not in failures}
        return cls(inventories, reach, failures, former)

    def entry(self, name: str, home: Home) -> Entry | None:
        """The account's entry at its home."""
        return self.inventories[home].entries.get(name) if home in self.inventories else None

    def elsewhere(self, name: str, home: Home) -> Entry | None:
        """The account's entry at another home than its declared one: its key has still to be fetched from there."""
        for other, kept in self.inventories.items():
            # One Vault may be named in two ways: what names the declared home itself has nothing to be fetched.
            if other != home and name in kept.entries and home_in(kept.entries[name].inputs) != home:
                return self._reached(other, kept.entries[name])
        return None

    def owners(self, account: str, name: str) -> list[str]:
        """The owner marks under which the fleet has managed an account by other names."""
        entries = [entry for entry in self._by_account.get(account, ()) if entry.name != name]
        return [str(entry.inputs.get("owner")) for entry in entries if entry.inputs.get("owner")]

    @cached_property
    def _by_account(self) -> Mapping[str, list[Entry]]:
        # Asked once an account: without an index, a pass would grow with the square of the fleet.
        found: dict[str, list[Entry]] = {}
        for _, entry in self.all():
            found.setdefault(entry.account, []).append(entry)
        return found

    def all(self) -> Iterator[tuple[Home, Entry]]:
        """Every entry with its home."""
        for home, kept in self.inventories.items():
            for entry in kept.entries.values():
                yield home, self._reached(home, entry)

    def _reached(self, home: Home, entry: Entry) -> Entry:
        """An entry of a former home, reached as is declared for that home now; not so in the inventory itself.

        It was applied with the login of then, and its references may lead to the new Vault's by now.
        """
        by = self.former.get(home)
        if by is None:
            return entry
        now = {name: value for name, value in to_document(by)["vault"].items() if name in _REACH}
        own = {name: value for name, value in entry.inputs["vault"].items() if name not in _REACH}
        return replace(entry, inputs={**entry.inputs, "vault": {**own, **now}})
