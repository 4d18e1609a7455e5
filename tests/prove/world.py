"""The world that the prover shakes: the doubles behind processes in virtual time, and the promise checked after every
call.
"""

import json
import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from doubles import ACCOUNT, FakeEscrow, FakePinata, FakeStore, FakeVault, Killed, Reenable, Variant

from prove.faults import CRASHES, LOSSES, PAUSES, WRITES, Chance, Fault
from prove.simulation import OwnClock, Port, Simulation
from pulumi_pinata.adapters import vault_documents as documents
from pulumi_pinata.adapters.vault_kv import INTENTS
from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient
from pulumi_pinata.core.model import Desired, Location, Status
from pulumi_pinata.core.ports import Attempts, Ports
from pulumi_pinata.core.secret import PrivateKey, Secret

TIMEOUT = 20.0
KEY_CANARY, JWT_CANARY = "CANARY-KEY", "CANARY-JWT"
DAY = 86400.0


class Stop(Exception):
    """The run has shown a problem; nothing after it would mean anything."""


@dataclass(frozen=True)
class Home:
    """A place with a record of its own: one mount of one Vault."""

    vault: str
    mount: str

    def __str__(self) -> str:
        return f"{self.vault}:{self.mount}"


HOMES = (Home("main", "secret"), Home("main", "kv"), Home("second", "secret"))


@dataclass
class Tally:
    """What a run went through."""

    runs: int = 0
    crash_runs: int = 0
    processes: int = 0
    calls: int = 0
    crashes: int = 0
    lost_replies: int = 0
    late_effects: int = 0
    errors: int = 0
    pauses: int = 0
    rivals: int = 0
    outages: int = 0
    people: int = 0
    mints: int = 0
    needed: int = 0
    convergences: int = 0
    stale_enables: int = 0
    beyond: int = 0
    left_open: int = 0
    lost: int = 0
    leaked: int = 0

    def add(self, other: "Tally") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(repr=False)
class Pinata(FakePinata):
    """The account, with keys that can be found again wherever they turn up, and a JWT that goes with each call."""

    jwt: Secret = field(default_factory=lambda: Secret(JWT_CANARY))
    now: Callable[[], float] = lambda: 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fresh_at = 0.0

    def status(self) -> Status:
        """Here the lag is one of time, since many processes ask: a third of the grace for each step of it."""
        self._answer()
        if self.now() >= self._fresh_at:
            self._shown = self._true
        return self._shown

    def disable(self) -> None:
        self._changes()
        super().disable()

    def settle(self) -> None:
        self._fresh_at = 0.0

    def _changes(self) -> None:
        if self.now() >= self._fresh_at:
            self._shown = self._true
        self._fresh_at = self.now() + self.variant.lag * 0.6

    def __repr__(self) -> str:
        return f"<Pinata {self.jwt!r}>"  # all that a client knows by itself; the live key is the server's

    def _mint(self, created_at: str) -> PrivateKey:
        self._changes()
        super()._mint(created_at)
        self.live = f"{KEY_CANARY}-{self.mints}"
        return PrivateKey(self.live)

    def _stamp(self) -> str:
        return f"stamp-{next(self._stamps)}"


class Process:
    """One run of the product; its calls pass through here, where they take time and go wrong."""

    def __init__(self, world: "World", name: str, chance: Chance) -> None:
        self.world, self.name, self._chance = world, name, chance
        self.rng = random.Random(world.rng.random())
        self.clock = OwnClock(world.sim, self.rng.choice((0.0, DAY, -DAY, self.rng.uniform(-DAY, DAY))))
        self.proved: dict[Home, float] = {}
        self.calls = 0
        self.writes = 0

    def ports(self, home: Home) -> Ports:
        """Ports to one home."""
        store = FakeStore(self.world.vaults[home.vault], home.mount)
        return Ports(
            Port(self.world.pinata, "pinata", lambda name, effect: self._call(name, effect, home)),  # type: ignore[arg-type]
            Port(store, "store", lambda name, effect: self._call(name, effect, home)),  # type: ignore[arg-type]
            self.clock,
            Attempts(f"{self.name}-{self.world.fresh()}"),
            TIMEOUT,
            self.world.notices.append,
            self.world.escrow,
        )

    def _call(self, name: str, effect: Callable[[], Any], home: Home) -> Any:
        world = self.world
        world.alive()
        self.calls += 1
        world.tally.calls += 1
        self.writes += name in WRITES
        fault = self._chance(name, self.calls)
        if name == "store.put_record":
            effect = self._proving(effect, home)
        if name == "pinata.enable":
            effect = self._minting(effect, home)
        shown = f"{self.name} #{self.calls} {name}{f' [{home}]' if home != HOMES[0] else ''}"
        world.count(fault)
        if fault in PAUSES and fault is Fault.PAUSE_BEFORE:
            world.pause(self, shown)
        world.sim.wait(TIMEOUT * 0.45 if fault is Fault.FULL_WAIT else world.latency(self.rng, name))
        world.around(self.rng, name)
        self._before(fault, shown, effect)
        if fault is not Fault.HOLLOW:
            result = self._effect(effect, shown, fault)
        else:
            result = world.hollow(home, effect)
            world.say(f"{shown}: {fault.value}")
        if fault is Fault.CRASH_AFTER:
            raise Killed
        if fault is Fault.LOST_AFTER:
            world.sim.wait(TIMEOUT * 0.45)
            raise Ambiguous("the reply was lost.")
        world.sim.wait(TIMEOUT * 0.45 if fault is Fault.FULL_WAIT else world.latency(self.rng, name))
        if fault is Fault.PAUSE_AFTER:
            world.pause(self, shown)
        return result

    def _before(self, fault: Fault | None, shown: str, effect: Callable[[], Any]) -> None:
        """The faults that keep the call from having its effect now."""
        world = self.world
        if fault in (Fault.LATE, Fault.CRASH_FLIGHT):
            delay = self.rng.uniform(0, min(2.0, TIMEOUT / 8))
            world.sim.at(delay, lambda: world.land(effect, shown))
        if fault in (Fault.CRASH_BEFORE, Fault.CRASH_FLIGHT):
            world.say(f"{shown}: {fault.value}")
            raise Killed
        if fault in (Fault.LOST_BEFORE, Fault.LATE):
            world.say(f"{shown}: {fault.value}")
            raise Ambiguous("the reply was lost.")
        if fault is Fault.TRANSIENT:
            world.say(f"{shown}: {fault.value}")
            raise Transient("try later.")
        if fault is Fault.REFUSED:
            world.say(f"{shown}: {fault.value}")
            raise Refused("no.")

    def _effect(self, effect: Callable[[], Any], shown: str, fault: Fault | None) -> Any:
        try:
            result = effect()
        except PinataError as error:
            self.world.say(f"{shown} -> {type(error).__name__}: {error.message}")
            raise
        self.world.say(f"{shown}{f': {fault.value}' if fault else ''}")
        self.world.check(shown)
        return result

    def _proving(self, effect: Callable[[], Any], home: Home) -> Callable[[], Any]:
        def put() -> Any:
            version = effect()
            self.proved[home] = self.world.sim.now
            self.world.writers[home] = self
            return version

        return put

    def _minting(self, effect: Callable[[], Any], home: Home) -> Callable[[], Any]:
        def mint() -> Any:
            before = self.world.pinata.mints
            key = effect()
            if self.world.pinata.mints > before:
                self.world.tally.mints += 1
                self.world.minted(self, home)
            return key

        return mint


class World:
    """One account, two Vaults, and everybody who works on them."""

    def __init__(self, rng: random.Random, variant: Variant, *, escrow: bool = False) -> None:
        self.rng = rng
        self.sim = Simulation(rng)
        self.pinata = Pinata(variant, now=lambda: self.sim.now)
        self.vaults = {"main": FakeVault("secret", "kv"), "second": FakeVault("secret")}
        self.escrow = FakeEscrow() if escrow else None
        self.notices: list[str] = []
        self.texts: list[str] = []
        self.events: list[str] = []
        self.problems: list[str] = []
        self.tally = Tally()
        self.writers: dict[Home, Process] = {}
        self.homes: set[Home] = {HOMES[0]}  # where an open intent counts: somebody who comes back looks there
        self.excused: dict[str, str] = {}
        self.unseen: set[str] = set()
        self.paused = 0
        self.slow = False
        self.on_pause: Callable[[Process], None] | None = None
        self.weather: Callable[[random.Random, str], None] | None = None
        self._numbers = 0

    # --- telling ---------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        self.events.append(f"{self.sim.now - 1000:9.2f}  {line}")

    def fresh(self) -> int:
        self._numbers += 1
        return self._numbers

    def count(self, fault: Fault | None) -> None:
        tally = self.tally
        tally.crashes += fault in CRASHES
        tally.lost_replies += fault in LOSSES
        tally.late_effects += fault in (Fault.LATE, Fault.CRASH_FLIGHT)
        tally.errors += fault in (Fault.TRANSIENT, Fault.REFUSED, Fault.HOLLOW, Fault.FULL_WAIT)
        tally.pauses += fault in PAUSES

    def failed(self, kind: str, what: str) -> None:
        """Note a problem and end the run: what follows would not mean anything."""
        if not self.problems:
            if kind:
                setattr(self.tally, kind, getattr(self.tally, kind) + 1)
            self.problems.append(what)
            self.say(f"PROBLEM: {what}")
        self.sim.stopped = True

    def alive(self) -> None:
        if self.sim.stopped:
            raise Killed

    # --- time and weather ------------------------------------------------------------------------

    def latency(self, rng: random.Random, name: str) -> float:
        if self.slow and name.startswith("store."):
            return rng.uniform(0, TIMEOUT * 0.3)
        return rng.choice((0.0, 0.02, 0.05, 0.05, 0.3))

    def around(self, rng: random.Random, name: str) -> None:
        if self.weather:
            self.weather(rng, name)

    def pause(self, process: Process, shown: str) -> None:
        lease = 2.5 * TIMEOUT + 1
        self.say(f"{shown}: {process.name} is stopped")
        self.paused += 1
        if self.on_pause:
            self.on_pause(process)
        self.sim.wait(lease * process.rng.uniform(1.02, 6.0))
        self.paused -= 1
        self.say(f"{process.name} goes on")

    def land(self, effect: Callable[[], Any], shown: str) -> None:
        """A request whose sender is gone arrives."""
        with suppress(PinataError):
            effect()
            self.say(f"{shown} lands late")
        self.check(shown)

    def hollow(self, home: Home, effect: Callable[[], Any]) -> Any:
        """Vault says yes, and has forgotten it when asked next (as after an unclean failover)."""
        vault = self.vaults[home.vault]
        before = {mount: dict(entries) for mount, entries in vault.mounts.items()}
        entries = {
            id(entry): (entry, entry.current, dict(entry.versions)) for m in before.values() for entry in m.values()
        }
        result = effect()
        for mount, known in before.items():
            vault.mounts[mount].clear()
            vault.mounts[mount].update(known)
        for entry, current, versions in entries.values():
            entry.current, entry.versions = current, versions
        return result

    # --- the promise -----------------------------------------------------------------------------

    def readable(self, key: str) -> bool:
        """Whether `key` can be read anywhere, quickly."""
        return any(
            version.data is not None and not version.deleted and key in version.data.values()
            for vault in self.vaults.values()
            for entries in vault.mounts.values()
            for entry in entries.values()
            for version in entry.versions.values()
        )

    def copies(self, key: str) -> int:
        """How many versions of how many secrets give `key` to a reader."""
        return sum(
            version.data is not None and not version.deleted and key in version.data.values()
            for vault in self.vaults.values()
            for entries in vault.mounts.values()
            for entry in entries.values()
            for version in entry.versions.values()
        )

    def open_intents(self, homes: set[Home]) -> list[Home]:
        found = []
        for home in sorted(homes, key=str):
            entry = self.vaults[home.vault].entry(Location(home.mount, f"{INTENTS}/{ACCOUNT}"))
            version = entry.versions.get(entry.current) if entry else None
            if version and version.data is not None and not version.deleted and version.data["state"] == "open":
                found.append(home)
        return found

    def check(self, where: str) -> None:
        """The promise: the live key is in Vault, or inference is off, or an open intent says how to repair it."""
        live = self.pinata.live
        if live is None or self.sim.stopped:
            return
        if self.readable(live):
            if "store.write" in where or "store.undelete" in where:
                self.excused.pop(live, None)
        elif live not in self.excused and not self.open_intents(self.homes):
            self.failed("lost", f"key {live[len(KEY_CANARY) + 1 :]} is live, nowhere, and no intent is open: {where}")

    def excuse(self, reason: str) -> None:
        """The live key is out of the promise until it is stored again: a person took it away or minted it."""
        if self.pinata.live is not None:
            self.excused[self.pinata.live] = reason

    def minted(self, process: Process, home: Home) -> None:
        """A key was handed out to `process`; past its lease that is the limit which the documents state."""
        lease = 2.5 * TIMEOUT + 1
        proved = process.proved.get(home)
        if self.writers.get(home) is not process and proved is not None and self.sim.now - proved >= lease:
            self.tally.stale_enables += 1
            self.excuse("enabled past the lease")

    # --- leaks -----------------------------------------------------------------------------------

    def overheard(self, error: BaseException) -> None:
        """Everything that an exception may show: its text, its causes, and the product's own frames with locals."""
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        for part in _chain(shown):
            frames = [frame for frame in part.stack if "pulumi_pinata" in frame.filename]
            locals_ = [str(frame.locals) for frame in frames]
            self.texts.append(" ".join([*part.format_exception_only(), repr(error), str(vars(error)), *locals_]))

    def scan(self) -> None:
        """Look for keys and the JWT where they must not be."""
        for text in self._visible():
            if KEY_CANARY in text or JWT_CANARY in text:
                self.failed("leaked", "a secret was shown")
                return

    def _visible(self) -> Iterator[str]:
        yield from self.notices
        yield from self.texts
        if self.escrow:
            yield repr(self.escrow.sealed)
        for vault in self.vaults.values():
            for entries in vault.mounts.values():
                for path, entry in entries.items():
                    yield json.dumps(entry.metadata)
                    if path.startswith(INTENTS):
                        yield json.dumps([version.data for version in entry.versions.values()], default=str)


def _chain(shown: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    part: traceback.TracebackException | None = shown
    while part is not None:
        yield part
        part = part.__cause__ or part.__context__


def key_at(world: World, home: Home, want: Desired) -> str | None:
    """The key that a service reads at the declared place."""
    vault = world.vaults[home.vault]
    entry = vault.entry(want.location)
    version = entry.versions.get(entry.current) if entry else None
    if version is None or version.data is None or version.deleted:
        return None
    content = documents.content_from_data(version.data)
    return content.key.reveal() if content else None


__all__ = ["HOMES", "Conflict", "Home", "Process", "Reenable", "World", "key_at"]
