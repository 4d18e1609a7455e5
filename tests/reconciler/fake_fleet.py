"""A fleet on the doubles: `Access` without a network, and everything that can be done to its accounts behind it."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from doubles import FakeClock, FakePinata, FakeStore, FakeVault, Gate

from pulumi_pinata import properties
from pulumi_pinata.core.account import Account
from pulumi_pinata.core.errors import Conflict, PinataError, Refused
from pulumi_pinata.core.model import Location, Mode
from pulumi_pinata.core.ports import Attempts, Ports
from pulumi_pinata.core.reference import EnvReference
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.core.settings import Settings
from pulumi_pinata.wiring import Session
from reconciler.apply import apply
from reconciler.fleet import make_plan
from reconciler.fleetplan import FleetPlan, Result, Row
from reconciler.inventory import home_of
from reconciler.manifest.declared import Declared, Manifest, Place

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
FLEET = "shop"


def settings(name: str, **inputs: Any) -> Settings:
    """An account's settings; its credentials name the account of the same name."""
    vault = {"address": "https://vault.example", "mount": "secret", "path": f"pinata/{name}", **inputs.pop("vault", {})}
    given = {"owner": f"reconciler:{FLEET}/{name}", "credentials": f"env:{name}", "timeout": 20.0, **inputs}
    checked, failures = properties.check({**given, "vault": vault}, {})
    assert [] == failures
    return properties.settings(checked)


def declared(name: str, **values: Any) -> Declared:
    inputs = values.pop("inputs", {})
    base = Declared(name, Place(f"{name}.yaml", 1, 1), Mode.ENABLED, settings(name, **inputs))
    return replace(base, **values)


def manifest(*accounts: Declared, **values: Any) -> Manifest:
    return Manifest(**{"fleet": FLEET, "accounts": accounts, "digest": "d", "files": len(accounts), **values})


class FakeDocuments:
    """Documents beside the secrets of a FakeVault, with check-and-set."""

    def __init__(self) -> None:
        self.documents: dict[str, tuple[Mapping[str, Any], int]] = {}
        self.writes = 0
        self.down: PinataError | None = None
        self.read_only: PinataError | None = None
        self.before_write: Callable[[], object] | None = None

    def document(self, path: str) -> tuple[Mapping[str, Any] | None, int]:
        if self.down:
            raise self.down
        return self.documents.get(path, (None, 0))

    def put_document(self, path: str, data: Mapping[str, Any], cas: int) -> int:
        if error := self.down or self.read_only:
            raise error
        if effect := self.before_write:
            self.before_write = None
            effect()
        if self.documents.get(path, (None, 0))[1] != cas:
            raise Conflict("changed")
        self.documents[path] = (data, cas + 1)
        self.writes += 1
        return cas + 1


class FakeCredits:
    """A CreditsClient of one account."""

    def __init__(self) -> None:
        self.config: tuple[float, int] | None = None
        self.down: PinataError | None = None
        self.puts = 0
        self.left = 100.0
        self.looks = 0

    def balance(self) -> float:
        self.looks += 1
        if self.down:
            raise self.down
        return self.left

    def get(self) -> tuple[float, int] | None:
        if self.down:
            raise self.down
        return self.config

    def put(self, config: tuple[float, int] | None) -> None:
        self.config = config
        self.puts += 1

    def close(self) -> None:
        return


@dataclass
class FakeFleet:
    """`Access`; accounts come into being when they are asked for. `opening` is called as an account is being opened."""

    clock: FakeClock = field(default_factory=FakeClock)
    vaults: dict[str, FakeVault] = field(default_factory=dict)
    homes: dict[str, FakeDocuments] = field(default_factory=dict)
    accounts: dict[str, FakePinata] = field(default_factory=dict)
    credits: dict[str, FakeCredits] = field(default_factory=dict)
    broken: dict[str, PinataError] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)
    default: Settings | None = None
    opened: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    opening: Callable[[str], object] = lambda name: None

    def __post_init__(self) -> None:
        self._lock = Lock()

    @contextmanager
    def account(self, settings: Settings, notice: Callable[[str], None]) -> Iterator[Session]:
        assert isinstance(settings.credentials, EnvReference)
        name = self.identities.get(settings.credentials.name, settings.credentials.name)
        with self._lock:
            self.references.append(settings.credentials.name)
            self.opened.append(name)
            run = len(self.opened)
        self.opening(name)
        if name in self.broken:
            raise self.broken[name]
        ports = Ports(
            self.pinata(name),
            FakeStore(self.vault(settings), settings.vault.location.mount),
            self.clock,
            Attempts(f"run{run}"),
            settings.timeout,
            notice,
        )
        if name in self.gates:
            ports = self.gates[name].wrap(ports)
        yield Session(Account(f"account-{name}"), ports, self._field(settings), lambda: self.credit(name))  # type: ignore[arg-type, return-value]

    def documents(self, settings: Settings) -> FakeDocuments:
        return self.homes.setdefault(str(home_of(settings)), FakeDocuments())

    def identity(self, settings: Settings) -> str | None:
        assert isinstance(settings.credentials, EnvReference)
        name = self.identities.get(settings.credentials.name, settings.credentials.name)
        return None if name in self.broken else f"account-{name}"

    def default_home(self) -> Settings | None:
        return self.default

    def pinata(self, name: str) -> FakePinata:
        return self.accounts.setdefault(name, FakePinata())

    def credit(self, name: str) -> FakeCredits:
        return self.credits.setdefault(name, FakeCredits())

    def vault(self, settings: Settings) -> FakeVault:
        return self.vaults.setdefault(settings.vault.address, FakeVault("secret", "kv"))

    def _field(self, settings: Settings) -> Callable[[Location, str], Secret | None]:
        def read(location: Location, name: str) -> Secret | None:
            entry = self.vault(settings).entry(location)
            data = entry.versions[entry.current].data if entry else None
            return Secret(data[name]) if data and data.get(name) else None

        return read

    def plan(self, wanted: Manifest, **values: Any) -> FleetPlan:
        return make_plan(wanted, self, **{"workers": 4, "now": NOW, **values})

    def apply(self, wanted: Manifest, **values: Any) -> list[Result]:
        return apply(self.plan(wanted), self, **{"workers": 4, "now": NOW, **values})

    def row(self, wanted: Manifest, name: str | None = None, **values: Any) -> Row:
        rows = self.plan(wanted, **values).rows
        return next(row for row in rows if name in (None, row.name))

    def key(self, name: str, path: str | None = None, address: str = "https://vault.example") -> str | None:
        """The key that a service reads."""
        content = FakeStore(self.vaults[address]).read(Location("secret", path or f"pinata/{name}"))
        return content.key.reveal() if content else None


def refused(about: str, message: str = "no") -> Refused:
    return Refused(message, about=about)
