"""Hand-written stand-ins for every port, a clock that only tests move, and a gate that breaks calls; no network.

They keep the contracts of `core.ports`: tests/contracts runs the same suites on them and on the real adapters.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from pulumi_pinata.adapters import vault_documents as documents
from pulumi_pinata.adapters.vault_kv import INTENTS
from pulumi_pinata.core.actions import Outcome
from pulumi_pinata.core.converge import converge
from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient
from pulumi_pinata.core.model import Content, Desired, Liveness, Location, Mode, Record, Sealed, State, Status, Stored
from pulumi_pinata.core.ports import Attempts, KeyStore, PinataApi, Ports
from pulumi_pinata.core.secret import PrivateKey

ACCOUNT = "account-1"
HERE = Location("secret", "pinata/prod")
TIMEOUT = 20.0


class Killed(BaseException):
    """The process is gone: nothing in the product may catch this."""


# --- time ------------------------------------------------------------------------------------------


class FakeClock:
    """Virtual seconds: `sleep` and `jump` advance them and let what was arranged by `at` happen on the way."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._effects: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.jump(seconds)

    def at(self, seconds: float, effect: Callable[[], object]) -> None:
        """Arrange for `effect` to happen in `seconds` from now."""
        self._effects.append((self.now + seconds, next(self._numbers), effect))

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while due := [effect for effect in self._effects if effect[0] <= end]:
            first = min(due, key=lambda effect: effect[:2])
            self._effects.remove(first)
            self.now = max(self.now, first[0])
            first[2]()
        self.now = end


# --- Pinata ----------------------------------------------------------------------------------------


class Reenable(Enum):
    ROTATE = "rotate"
    SAME = "same"
    NO_KEY = "no_key"
    CONFLICT = "conflict"


@dataclass
class Variant:
    """What Pinata leaves undocumented; the names are those of sandbox/variants.py. `lag` counts status reads."""

    reenable: Reenable = Reenable.ROTATE
    created_at_stays: bool = False
    lag: int = 0
    listing: bool = True
    auth_first: bool = True

    def __str__(self) -> str:
        parts = [self.reenable.value]
        parts += ["created_at stays"] if self.created_at_stays else []
        parts += [f"lag {self.lag}"] if self.lag else []
        parts += [] if self.listing else ["no listing"]
        parts += [] if self.auth_first else ["validate first"]
        return ", ".join(parts)


@dataclass
class FakePinata:
    """`PinataApi` of one account, and what a person at the dashboard can do to it."""

    variant: Variant = field(default_factory=Variant)
    live: str | None = None
    mints: int = 0
    disables: int = 0
    down: PinataError | None = None

    def __post_init__(self) -> None:
        self._stamps = itertools.count(1)
        self._created_at: str | None = None
        self._entry = ""
        self._shown: Status = Status(enabled=False)
        self._stale_reads = 0

    def status(self) -> Status:
        self._answer()
        if self._stale_reads:
            self._stale_reads -= 1
        else:
            self._shown = self._true
        return self._shown

    def marker(self) -> str | None:
        if self.down or not self.variant.listing or self.live is None:
            return None
        return self._entry

    def enable(self) -> PrivateKey | None:
        self._answer()
        if self.live is None:
            return self._mint(self._stamp())
        match self.variant.reenable:
            case Reenable.CONFLICT | Reenable.NO_KEY:
                return None
            case Reenable.SAME:
                return PrivateKey(self.live)
        return self._mint(str(self._created_at) if self.variant.created_at_stays else self._stamp())

    def disable(self) -> None:
        self._answer()
        if self.live is not None:
            self.live, self._created_at = None, None
            self.disables += 1
            self._stale_reads = self.variant.lag

    def probe(self, key: PrivateKey) -> Liveness:
        if self.down or not self.variant.auth_first:
            return Liveness.UNKNOWN
        return Liveness.LIVE if key.reveal() == self.live else Liveness.DEAD

    def remint_out_of_band(self) -> None:
        """As a person who switches it off and on again; nobody here gets the key."""
        self.disable()
        self.enable()

    def settle(self) -> None:
        """Let the status catch up."""
        self._stale_reads = 0

    @property
    def _true(self) -> Status:
        return Status(self.live is not None, self._created_at)

    def _answer(self) -> None:
        if self.down:
            raise self.down

    def _mint(self, created_at: str) -> PrivateKey:
        self.mints += 1
        self.live = f"key-{self.mints}"
        self._created_at = created_at
        self._entry = f"entry-{self.mints}@{self._stamp()}"
        self._stale_reads = self.variant.lag
        return PrivateKey(self.live)

    def _stamp(self) -> str:
        return f"2026-01-01T00:00:{next(self._stamps):02d}Z"


# --- Vault -----------------------------------------------------------------------------------------


@dataclass
class Version:
    """One version of a secret: its data until it is destroyed."""

    data: Mapping[str, Any] | None
    deleted: bool = False

    @property
    def state(self) -> State:
        if self.data is None:
            return State.DESTROYED
        return State.DELETED if self.deleted else State.READABLE


@dataclass
class Entry:
    """One path: versions by number, and the custom metadata."""

    current: int = 0
    versions: dict[int, Version] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


class FakeVault:
    """KV v2 mounts of one Vault, and what a person with a root token can do there."""

    def __init__(self, *mounts: str, max_versions: int = 10) -> None:
        self.mounts: dict[str, dict[str, Entry]] = {mount: {} for mount in mounts or ("secret",)}
        self.max_versions = max_versions
        self.sealed = False
        self.may_write = True

    def entry(self, location: Location) -> Entry | None:
        return self._mount(location).get(location.path)

    def put(self, location: Location, data: Mapping[str, Any], cas: int | None = None) -> int:
        """Write a version; `cas` None is a person's write without check-and-set. Raises Conflict."""
        entry = self._mount(location).get(location.path)
        if cas is not None and cas != (entry.current if entry else 0):
            raise Conflict(f"somebody else changed {location} first.")
        entry = self._mount(location).setdefault(location.path, Entry())
        entry.current += 1
        entry.versions[entry.current] = Version(dict(data))
        while len(entry.versions) > self.max_versions:
            del entry.versions[min(entry.versions)]
        return entry.current

    def rollback(self, location: Location, version: int) -> None:
        """As `vault kv rollback`: old data as a new version."""
        self.put(location, self._known(location).versions[version].data or {})

    def soft_delete(self, location: Location, version: int | None = None) -> None:
        entry = self.entry(location)
        if entry and (found := entry.versions.get(version or entry.current)):
            found.deleted = True

    def destroy_version(self, location: Location) -> None:
        """As `vault kv destroy` of the current version."""
        entry = self._known(location)
        entry.versions[entry.current].data = None

    def wipe(self, location: Location) -> None:
        """As `vault kv metadata delete`."""
        self._mount(location).pop(location.path, None)

    def unlabel(self, location: Location) -> None:
        """As a person who clears the custom metadata."""
        self._known(location).metadata.clear()

    def readable_keys(self) -> set[str]:
        """Every inference key that can be read anywhere."""
        return {content.key.reveal() for content, state in self._contents() if state is State.READABLE}

    def kept_keys(self) -> set[str]:
        """Every inference key that can be read or undeleted anywhere."""
        return {content.key.reveal() for content, _ in self._contents()}

    def records(self, account: str) -> list[Record]:
        """The account's records, one for each mount that has one."""
        found = []
        for mount, entries in self.mounts.items():
            entry = entries.get(f"{INTENTS}/{account}")
            version = entry and entry.versions.get(entry.current)
            if entry and version and version.data is not None and not version.deleted:
                found.append(documents.record_from_data(version.data, entry.current, mount))
        return found

    def snapshot(self) -> dict[str, Any]:
        """Everything but the records, to compare with later."""
        return {
            f"{mount}/{path}": (
                entry.current,
                {number: (version.data, version.deleted) for number, version in entry.versions.items()},
                dict(entry.metadata),
            )
            for mount, entries in self.mounts.items()
            for path, entry in entries.items()
            if not path.startswith(INTENTS)
        }

    def _contents(self) -> list[tuple[Content, State]]:
        found = []
        for entries in self.mounts.values():
            for entry in entries.values():
                for version in entry.versions.values():
                    if version.data is not None and (content := documents.content_from_data(version.data)):
                        found.append((content, version.state))
        return found

    def _mount(self, location: Location) -> dict[str, Entry]:
        if location.mount not in self.mounts:
            raise Refused(f"there is no KV v2 secrets engine at {location.mount!r}.", about="vault.mount")
        return self.mounts[location.mount]

    def _known(self, location: Location) -> Entry:
        entry = self.entry(location)
        if entry is None:
            raise AssertionError(f"nothing at {location}")
        return entry


class FakeStore:
    """`KeyStore` on a FakeVault; `mount` is where the records live."""

    def __init__(self, vault: FakeVault, mount: str = "secret") -> None:
        self.vault = vault
        self._mount = mount
        self._buried: dict[str, int] = {}

    def preflight(self, location: Location, account: str, seconds: float) -> None:
        self._reading()
        self.vault.entry(location)
        if not self.vault.may_write:
            raise Refused(f"the Vault login lacks update on {location}.", about="vault.auth")

    def stat(self, location: Location) -> Stored:
        self._reading()
        entry = self.vault.entry(location)
        if entry is None:
            return Stored()
        states = {number: version.state for number, version in entry.versions.items()}
        return Stored(
            version=entry.current,
            state=states.get(entry.current, State.ABSENT),
            label=documents.label_from_metadata(entry.metadata, location),
            labels={name: value for name, value in entry.metadata.items() if not name.startswith(documents.MARK)},
            readable=tuple(sorted(number for number, state in states.items() if state is State.READABLE)),
        )

    def read(self, location: Location, version: int | None = None) -> Content | None:
        self._reading()
        return documents.content_from_data(self._data(location, version))

    def write(self, location: Location, content: Content, *, base_url: str, cas: int) -> int:
        self._writing(location)
        return self.vault.put(location, documents.content_to_data(content, base_url), cas)

    def label(self, location: Location, stored: Stored) -> None:
        self._writing(location)
        ours = documents.label_to_metadata(stored.label) if stored.label else {}
        entry = self.vault.mounts[location.mount].setdefault(location.path, Entry())
        entry.metadata = {**stored.labels, **ours}

    def undelete(self, location: Location, version: int) -> None:
        self._writing(location)
        entry = self.vault.entry(location)
        if entry and version in entry.versions:
            entry.versions[version].deleted = False

    def soft_delete(self, location: Location, version: int) -> None:
        self._writing(location)
        self.vault.soft_delete(location, version)

    def destroy(self, location: Location, versions: tuple[int, ...]) -> None:
        self._writing(location)
        entry = self.vault.entry(location)
        for version in versions:
            if entry and version in entry.versions:
                entry.versions[version].data = None

    def record(self, account: str) -> Record | None:
        self._reading()
        location = self._record_location(account)
        entry, data = self.vault.entry(location), self._data(location, None)
        if entry is None or data is None:
            self._buried[account] = entry.current if entry else 0
            return None
        return documents.record_from_data(data, entry.current, str(location))

    def put_record(self, account: str, record: Record, *, cas: int) -> int:
        location = self._record_location(account)
        self._writing(location)
        return self.vault.put(location, documents.record_to_data(record), cas or self._buried.get(account, 0))

    def _record_location(self, account: str) -> Location:
        return Location(self._mount, f"{INTENTS}/{account}")

    def _data(self, location: Location, version: int | None) -> Mapping[str, Any] | None:
        entry = self.vault.entry(location)
        found = entry.versions.get(version or entry.current) if entry else None
        return found.data if found and found.state is State.READABLE else None

    def _reading(self) -> None:
        if self.vault.sealed:
            raise Transient("Vault is sealed.", about="vault.address")

    def _writing(self, location: Location) -> None:
        if self.vault.sealed:
            raise Ambiguous("Vault failed on a write.")
        self.vault.entry(location)
        if not self.vault.may_write:
            raise Refused(f"this Vault login may not write {location}.", about="vault.auth")


class FakeEscrow:
    """`Escrow` that keeps what it is given."""

    def __init__(self) -> None:
        self.sealed: list[Sealed] = []

    def seal(self, sealed: Sealed) -> str:
        self.sealed.append(sealed)
        return f"escrow {len(self.sealed)}"


# --- faults ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What happens at a call: `error` is raised before it (no effect) or after it (its reply is lost)."""

    error: BaseException
    after: bool = False


class Gate:
    """Counts every call through the ports that it wraps, and breaks the ones that it is told to.

    Calls are numbered from 1 over all wrapped ports; names are such as `pinata.enable` and `store.write`.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.after_each: Callable[[], object] | None = None
        self._faults: dict[int, Fault] = {}
        self._named: dict[tuple[str, int], Fault] = {}
        self._hooks: dict[tuple[str, int], tuple[bool, Callable[[], object]]] = {}
        self._pauses: dict[int, Callable[[], object]] = {}

    def crash(self, call: int, *, after: bool = False) -> "Gate":
        """Kill the process at a call."""
        self._faults[call] = Fault(Killed(), after)
        return self

    def fail(self, call: int, error: PinataError, *, after: bool = False) -> "Gate":
        """Raise `error` at a call."""
        self._faults[call] = Fault(error, after)
        return self

    def on(self, name: str, error: BaseException, *, nth: int = 1, after: bool = False) -> "Gate":
        """Raise `error` at the nth call of that name."""
        self._named[name, nth] = Fault(error, after)
        return self

    def hook(self, name: str, effect: Callable[[], object], *, nth: int = 1, after: bool = False) -> "Gate":
        """Let something happen while the caller waits for the nth call of that name."""
        self._hooks[name, nth] = (after, effect)
        return self

    def pause(self, call: int, effect: Callable[[], object]) -> "Gate":
        """Let something happen just before a call is sent."""
        self._pauses[call] = effect
        return self

    def wrap(self, ports: Ports) -> Ports:
        """The same ports behind this gate."""
        return replace(
            ports,
            pinata=_Gated(ports.pinata, "pinata", self),
            store=_Gated(ports.store, "store", self),
        )

    def pass_through(self, name: str, call: Callable[[], Any]) -> Any:
        self.calls.append(name)
        nth = self.calls.count(name)
        fault = self._faults.get(len(self.calls)) or self._named.get((name, nth))
        later, effect = self._hooks.pop((name, nth), (False, None))
        if effect and not later:
            effect()
        if pause := self._pauses.pop(len(self.calls), None):
            pause()
        if fault and not fault.after:
            raise fault.error
        result = call()
        if effect and later:
            effect()
        if self.after_each:
            self.after_each()
        if fault:
            raise fault.error
        return result


class _Gated:
    """A port whose every call goes through a gate."""

    def __init__(self, port: object, kind: str, gate: Gate) -> None:
        self._port, self._kind, self._gate = port, kind, gate

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._port, name)
        return lambda *args, **kwargs: self._gate.pass_through(f"{self._kind}.{name}", lambda: method(*args, **kwargs))


# --- all of it together ----------------------------------------------------------------------------


class World:
    """One Pinata account, one Vault and one clock, shared by any number of runs."""

    def __init__(self, variant: Variant | None = None, *mounts: str) -> None:
        self.clock = FakeClock()
        self.pinata = FakePinata(variant or Variant())
        self.vault = FakeVault(*(mounts or ("secret", "kv")))
        self.notices: list[str] = []
        self._runs = itertools.count(1)

    def ports(
        self,
        gate: Gate | None = None,
        *,
        pinata: PinataApi | None = None,
        store: KeyStore | None = None,
        timeout: float = TIMEOUT,
    ) -> Ports:
        """Ports of a new run."""
        ports = Ports(
            pinata or self.pinata,
            store or FakeStore(self.vault),
            self.clock,
            Attempts(f"run{next(self._runs)}"),
            timeout,
            self.notices.append,
        )
        return gate.wrap(ports) if gate else ports

    def run(self, want: Desired, gate: Gate | None = None) -> Outcome:
        """A run from start to end, or to the error that stops it."""
        return converge(want, self.ports(gate))

    @property
    def record(self) -> Record:
        """The account's record at the usual mount."""
        return self.vault.records(ACCOUNT)[0]

    def key_at(self, location: Location = HERE) -> str | None:
        """The key that a service reads at a path."""
        content = FakeStore(self.vault).read(location)
        return content.key.reveal() if content else None

    def accounted_for(self, *, undeletable: bool = False) -> bool:
        """The promise: the live key is in Vault, or inference is off, or an open intent says what to do."""
        keys = self.vault.kept_keys() if undeletable else self.vault.readable_keys()
        return (
            self.pinata.live is None
            or self.pinata.live in keys
            or any(record.open for record in self.vault.records(ACCOUNT))
        )


def wanted(**changes: Any) -> Desired:
    """An ordinary declaration, with `changes`."""
    values: dict[str, Any] = {
        "mode": Mode.ENABLED,
        "owner": "stack/prod",
        "account": ACCOUNT,
        "location": HERE,
        "base_url": "https://agents.pinata.cloud/v0/llm",
        "labels": {"team": "search"},
    }
    return Desired(**{**values, **changes})
