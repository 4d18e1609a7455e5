"""What happens in a proof run: declarations that change, processes that carry them out, and people who interfere."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from doubles import FakeStore, Killed, Variant, wanted

from prove.faults import Chance, none
from prove.world import HOMES, KEY_CANARY, Home, Process, World, key_at
from pulumi_pinata.adapters.vault_kv import INTENTS
from pulumi_pinata.core import observe, plan
from pulumi_pinata.core.actions import Outcome
from pulumi_pinata.core.converge import converge
from pulumi_pinata.core.errors import Ambiguous, PinataError, Refused, Transient
from pulumi_pinata.core.escrow import restore
from pulumi_pinata.core.model import Adopt, Condition, Desired, Location, Minted, Mode, OnDelete, OnLostKey, State
from pulumi_pinata.core.relocate import relocate

PATHS = ("pinata/prod", "pinata/other")
ATTEMPTS_TO_CONVERGE = 2


@dataclass(frozen=True)
class Remembered:
    """What Pulumi's state knows after an update that succeeded."""

    want: Desired
    home: Home
    held: Minted | None


def remembered(outcome: Outcome) -> Minted | None:
    """The part of the key's description that Pulumi's outputs hold (properties.held): no attempt, no listing entry."""
    return replace(outcome.minted, attempt="", marker=None) if outcome.minted else None


class Story:
    """One account's life: `want` is what its owner declares now, `state` what Pulumi remembers."""

    def __init__(self, rng: random.Random, variant: Variant, *, escrow: bool = False) -> None:
        self.world = World(rng, variant, escrow=escrow)
        self.want = wanted()
        self.home = HOMES[0]
        self.state: Remembered | None = None
        self.world.say(f"Pinata: {variant}; escrow: {'yes' if escrow else 'no'}")
        self.earlier = self.want, self.home
        self._names = 0
        self._triggers = 0

    # --- declarations ----------------------------------------------------------------------------

    def declare(self, **changes: Any) -> None:
        """The program changes."""
        self.want = replace(self.want, **changes)
        told = ", ".join(f"{name}={getattr(value, 'value', value)}" for name, value in changes.items())
        self.world.say(f"declared: {told}")

    def rotate(self) -> None:
        self._triggers += 1
        self.world.tally.needed += 1
        self.declare(trigger=f"trigger-{self._triggers}")

    def move(self) -> None:
        path = PATHS[1] if self.want.location.path == PATHS[0] else PATHS[0]
        self.declare(location=Location(self.home.mount, path))

    def relocate(self, home: Home) -> None:
        """To another mount or Vault. Whoever comes back looks at the declared home and at the one in state."""
        if self.state is None:
            return  # a create that was killed and is then declared in another home is two stacks, as far as Vault sees
        if self.home != self.state.home:
            if self.world.tally.rivals:
                return  # a rival may have carried it out, and to call it off is then a move from where nobody looks
            self.home = self.state.home  # one relocation at a time: the other may have arrived in part
        else:
            self.home = home
        self.world.homes = {self.home, self.state.home}
        self.declare(location=Location(self.home.mount, self.want.location.path))
        self.world.say(f"declared: home={self.home}")

    # --- processes -------------------------------------------------------------------------------

    def up(self, chance: Chance = none, delay: float = 0.0) -> None:
        """A `pulumi up` of what is declared."""
        want, home, state = self.want, self.home, self.state
        self._start("up", chance, delay, lambda process: self._update(process, want, home, state, keep=True))

    def rival(self, want: Desired, home: Home, chance: Chance = none, delay: float = 0.0) -> None:
        """Somebody else's run, from another checkout: its state is not ours."""
        if self.state and self.state.home != home:
            return  # two homes have two fences (README, Limits): a move between them is one process's
        self.world.tally.rivals += 1
        state = self.state
        self._start("rival", chance, delay, lambda process: self._update(process, want, home, state, keep=False))

    def destroy(self, chance: Chance = none) -> None:
        """A `pulumi destroy`: by the properties in state, where there are any."""
        known = self.state or Remembered(self.want, self.home, None)
        if known.want.owner != self.want.owner:
            return self.up(chance)  # a rename that did not come to its end is ended first: see docs/proof.md
        self.world.homes = {known.home}
        self.home = known.home
        self.want = replace(known.want, mode=Mode.DISABLED, on_delete=self.want.on_delete, adopt=self.want.adopt)
        want = replace(self.want, held=known.held)

        def body(process: Process) -> None:
            converge(want, process.ports(known.home))
            self.state = None

        return self._start("destroy", chance, 0.0, body)

    def refresh(self, chance: Chance = none) -> None:
        """A `pulumi refresh`: what is proven to be off leaves the state."""
        known = self.state
        if known is None:
            return

        def body(process: Process) -> None:
            want = replace(known.want, held=known.held)
            actual = observe.account(want, process.ports(known.home), by_label=True)
            condition = plan.condition(want, actual)
            self.world.say(f"refreshed: {condition.value}")
            if condition is Condition.OFF:
                self.state = None

        self._start("refresh", chance, 0.0, body)

    def import_escrow(self, chance: Chance = none) -> None:
        """A person feeds the newest sealed key back."""
        escrow = self.world.escrow
        if escrow is None or not escrow.sealed:
            return
        sealed, want, home = escrow.sealed[-1], self.want, self.home
        if want.mode is Mode.ENABLED:
            self._start("escrow import", chance, 0.0, lambda process: self._import(process, sealed, want, home))

    def _import(self, process: Process, sealed: Any, want: Desired, home: Home) -> None:
        restore(sealed, want, process.ports(home))

    def together(self) -> None:
        """Let everybody who was started come to an end, and late effects land."""
        self.world.sim.run()

    def _start(self, kind: str, chance: Chance, delay: float, body: Callable[[Process], None]) -> None:
        self._names += 1
        process = Process(self.world, f"{kind}-{self._names}", chance)
        self.world.tally.processes += 1

        def run() -> None:
            try:
                self.world.say(f"{process.name} starts")
                body(process)
                self.world.say(f"{process.name} ends well")
            except Killed:
                self.world.say(f"{process.name} is gone")
            except PinataError as error:
                self.world.overheard(error)
                self.world.say(f"{process.name} ends: {type(error).__name__}: {error}")
                self.last = error

        self.world.sim.spawn(process.name, run, delay)
        self.last: PinataError | None = None
        self.process = process

    def _update(self, process: Process, want: Desired, home: Home, state: Remembered | None, *, keep: bool) -> None:
        if state is None:
            outcome = converge(want, process.ports(home))
        else:
            former = (state.want.owner,) if state.want.owner != want.owner else ()
            want = replace(want, held=state.held, former_owners=former)
            ports = process.ports(home)
            if state.held and state.home != home:
                old = replace(state.want, mode=Mode.ENABLED, held=state.held)
                outcome = relocate(old, process.ports(state.home), want, ports)
            else:
                outcome = converge(want, ports)
        self.world.texts.append(repr(outcome))
        if keep:
            self.state = Remembered(replace(want, held=None, former_owners=()), home, remembered(outcome))
            self.world.homes = {home}

    # --- people and weather ----------------------------------------------------------------------

    def person(self, deed: str) -> None:
        """Somebody does something to the account or to Vault by hand; what they take away is not ours to keep."""
        world = self.world
        live = world.pinata.live
        had = world.copies(live) if live is not None else 0
        if world.paused and deed == "wipes the path":
            return  # version numbers start anew, and a late deletion by number then hits another key: docs/proof.md
        if not DEEDS[deed](self):
            return
        world.tally.people += 1
        world.tally.needed += 1
        world.say(f"a person: {deed}")
        now = world.pinata.live
        if now is not None and now != live and world.open_intents(world.homes):
            world.unseen.add(now)
        if now is not None and (now != live or world.copies(now) < had):
            world.excuse(deed)

    def outage(self, kind: str, seconds: float) -> None:
        """Something is down for a while."""
        world = self.world
        world.tally.outages += 1
        start, end = OUTAGES[kind]
        start(world)
        world.say(f"{kind} for {seconds:.0f} s")
        world.sim.at(seconds, lambda: end(world))

    # --- the end ---------------------------------------------------------------------------------

    def finish(self) -> None:
        """Everything works again, and a person has decided what only a person can: fresh processes must converge."""
        world = self.world
        self.together()
        world.weather, world.on_pause = None, None
        for _, end in OUTAGES.values():
            end(world)
        world.pinata.settle()
        self.declare(adopt=Adopt.REMINT, on_lost_key=OnLostKey.REMINT)
        for _ in range(ATTEMPTS_TO_CONVERGE):
            if world.sim.stopped:
                return
            self._last_run()
            if self.last is not None and self.last.about == "vault.path" and self._make_room():
                self._last_run()
        if self.last is not None and not world.sim.stopped:
            world.failed("", f"a fresh run does not converge: {self.last}")
        self._check_end()
        world.scan()

    def _last_run(self) -> None:
        if self.want.mode is Mode.DISABLED:
            self.destroy()
        else:
            self.up()
        self.together()

    def _make_room(self) -> bool:
        """A person clears a path where a person has written or cleared marks; without that, nothing may block us.

        But for one thing: what a process wrote long after its lease, and was killed before it could take it back.
        """
        tally = self.world.tally
        if not tally.people and not (tally.pauses and tally.crashes):
            return False
        live = self.world.pinata.live
        for home in self.world.homes:
            place, vault = Location(home.mount, self.want.location.path), self.world.vaults[home.vault]
            entry = vault.entry(place)
            holds = entry and any(live in (version.data or {}).values() for version in entry.versions.values())
            if home == self.home or not holds:
                vault.wipe(place)
        if live and not self.world.readable(live):
            self.world.excuse("a person made room")
        self.world.say("a person: makes room at the path")
        return True

    def _check_end(self) -> None:
        """What must hold after fresh processes have converged."""
        world, tally = self.world, self.world.tally
        if world.sim.stopped:
            return
        tally.convergences += 1
        if self.want.mode is Mode.ENABLED and not self._live_key_in_place():
            return
        if self.want.mode is Mode.DISABLED and world.pinata.live is not None:
            world.failed("lost", "declared off, but inference is on")
        if left := world.open_intents(world.homes):
            world.failed("left_open", f"an intent is left open: {', '.join(map(str, left))}")
        self._check_copy()
        if self.process.writes:
            world.failed("", "a second fresh run still writes")
        if tally.mints > (allowed := self.allowance()):
            world.failed("", f"{tally.mints} mints, {allowed} allowed")

    def _live_key_in_place(self) -> bool:
        world = self.world
        live = world.pinata.live
        if live is not None and live == key_at(world, self.home, self.want):
            return True
        if self._beyond(live):
            world.tally.beyond += 1
            world.say("beyond the stated limits: nothing shows that the live key is not the stored one")
        else:
            world.failed("lost", "the key in Vault is not the live one after convergence")
        return False

    def _check_copy(self) -> None:
        world, want = self.world, self.want
        stored = FakeStore(world.vaults[self.home.vault], self.home.mount).stat(want.location)
        if want.mode is Mode.ENABLED:
            if not (stored.described and dict(want.labels) == dict(stored.labels)):
                world.failed("", "the label does not describe the stored key")
            return
        if stored.label and stored.label.minted and stored.label.owner == want.owner:
            world.failed("", "a dead key is still labelled as live")
        if self._must_be_gone(want) and stored.state is State.READABLE:
            world.failed("", "a dead key is left readable")

    def _must_be_gone(self, want: Desired) -> bool:
        """A rival may have kept the copy by an earlier policy, and a person may have written one anew."""
        return want.on_delete is not OnDelete.RETAIN and not self.world.tally.rivals and not self.world.tally.people

    def allowance(self) -> int:
        """The most keys that may have been minted: one for what was asked, and one for each mishap.

        A pause counts twice: the stale call may mint, and the repair does. A rival counts once: it may want another
        key than ours, and ours is then minted again.
        """
        tally = self.world.tally
        mishaps = tally.crashes + tally.lost_replies + tally.errors + tally.outages
        return 1 + tally.needed + mishaps + 2 * tally.pauses + 2 * tally.rivals

    def _beyond(self, live: str | None) -> bool:
        """Whether a limit that the documents state leaves the live key, which no run of ours stored, unseen.

        Either nothing that Pinata shows tells it from the stored one, or a person minted it inside an open intent's
        window, where its generation markers are taken for those of the key just stored.
        """
        variant = self.world.pinata.variant
        blind = not variant.auth_first or (variant.created_at_stays and not variant.listing)
        return live is not None and live in self.world.excused and (blind or live in self.world.unseen)


# --- people ----------------------------------------------------------------------------------------


def _disable(story: Story) -> bool:
    if story.world.pinata.live is None or story.world.pinata.down:
        return False
    story.world.pinata.disable()
    story.world.pinata.settle()
    return True


def _remint(story: Story) -> bool:
    if story.world.pinata.down:
        return False
    story.world.pinata.remint_out_of_band()
    story.world.pinata.settle()
    return True


def _enable(story: Story) -> bool:
    if story.world.pinata.live is not None or story.world.pinata.down:
        return False
    story.world.pinata.enable()
    story.world.pinata.settle()
    return True


def _on_copy(act: Callable[[Any, Location], object]) -> Callable[[Story], bool]:
    def deed(story: Story) -> bool:
        vault = story.world.vaults[story.home.vault]
        entry = vault.entry(story.want.location)
        if vault.sealed or entry is None or not entry.versions:
            return False
        act(vault, story.want.location)
        return True

    return deed


def _roll_back(vault: Any, location: Location) -> None:
    entry = vault.entry(location)
    readable = [number for number, version in entry.versions.items() if version.data is not None]
    if readable:
        vault.rollback(location, min(readable))


def _destroy_version(vault: Any, location: Location) -> None:
    entry = vault.entry(location)
    entry.versions[max(entry.versions)].data = None


def _trim(vault: Any, location: Location) -> None:
    vault.max_versions = 1
    vault.put(location, {"PINATA_LLM_KEY": "typo"})


def _forget_record(story: Story) -> bool:
    """The record is deleted while nobody is at work: an open intent is the one thing that must not be taken away."""
    vault = story.world.vaults[story.home.vault]
    location = Location(story.home.mount, f"{INTENTS}/{story.want.account}")
    if vault.sealed or vault.entry(location) is None or story.world.open_intents({story.home}):
        return False
    vault.soft_delete(location)
    return True


DEEDS: dict[str, Callable[[Story], bool]] = {
    "disables in the dashboard": _disable,
    "re-mints in the dashboard": _remint,
    "enables in the dashboard": _enable,
    "soft-deletes the copy": _on_copy(lambda vault, at: vault.soft_delete(at)),
    "destroys the copy": _on_copy(_destroy_version),
    "rolls the copy back": _on_copy(_roll_back),
    "writes over the copy": _on_copy(lambda vault, at: vault.put(at, {"PINATA_LLM_KEY": "typo"})),
    "wipes the path": _on_copy(lambda vault, at: vault.wipe(at)),
    "clears the labels": _on_copy(lambda vault, at: vault.unlabel(at)),
    "writes over the copy until its history is gone": _on_copy(_trim),
}
BETWEEN = {"deletes the record": _forget_record}
DEEDS |= BETWEEN


def _seal(name: str, value: bool) -> Callable[[World], None]:
    return lambda world: setattr(world.vaults[name], "sealed", value)


def _may_write(value: bool) -> Callable[[World], None]:
    return lambda world: setattr(world.vaults["main"], "may_write", value)


def _slow(value: bool) -> Callable[[World], None]:
    return lambda world: setattr(world, "slow", value)


def _down(error: PinataError | None) -> Callable[[World], None]:
    return lambda world: setattr(world.pinata, "down", error)


OUTAGES: dict[str, tuple[Callable[[World], None], Callable[[World], None]]] = {
    "Vault is sealed": (_seal("main", True), _seal("main", False)),
    "the second Vault is sealed": (_seal("second", True), _seal("second", False)),
    "Vault is slow": (_slow(True), _slow(False)),
    "the login may not write": (_may_write(False), _may_write(True)),
    "Pinata gives no answer": (_down(Ambiguous("no answer.")), _down(None)),
    "Pinata answers 401": (_down(Refused("Pinata refused the JWT (401).")), _down(None)),
    "Pinata answers 429": (_down(Transient("Pinata is busy (429).")), _down(None)),
}

__all__ = ["BETWEEN", "DEEDS", "HOMES", "KEY_CANARY", "OUTAGES", "Story"]
