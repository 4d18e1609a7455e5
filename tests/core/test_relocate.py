"""A key that moves to another mount or another Vault: two records, and never two places without the key."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from doubles import ACCOUNT, HERE, FakeStore, FakeVault, Gate, Killed, World, wanted

from pulumi_pinata.core.converge import converge
from pulumi_pinata.core.errors import Ambiguous, PinataError, Refused, Transient
from pulumi_pinata.core.model import Desired, Location, OnDelete, State
from pulumi_pinata.core.relocate import relocate

OLD = wanted()
SECRET = Location("kv", "pinata/prod")


@dataclass
class Homes:
    """The world, the new home's Vault, and the calls of one `update` that goes from the old home to the new one."""

    world: World
    vault: FakeVault
    new: Desired
    mount: str
    keys: list[str] = field(default_factory=list)

    def update(self, gate: Gate | None = None, new: Desired | None = None) -> None:
        want = new or self.new
        ports = self.world.ports(store=FakeStore(self.vault, self.mount))
        before = self.world.ports()
        if gate:
            ports, before = gate.wrap(ports), gate.wrap(before)
        relocate(OLD, before, want, ports)
        converge(want, ports)

    def arrived(self) -> bool:
        content = FakeStore(self.vault, self.mount).read(self.new.location)
        return content is not None and content.key.reveal() == self.world.pinata.live

    def accounted_for(self) -> bool:
        everywhere = self.vault.readable_keys() | self.world.vault.readable_keys()
        records = self.vault.records(ACCOUNT) + self.world.vault.records(ACCOUNT)
        return self.world.pinata.live in everywhere or any(record.open for record in records)


def other_mount() -> Homes:
    world = World()
    return Homes(world, world.vault, replace(OLD, location=SECRET), "kv")


def other_vault() -> Homes:
    return Homes(World(), FakeVault("secret"), OLD, "secret")


def other_vault_and_mount() -> Homes:
    return Homes(World(), FakeVault("kv"), replace(OLD, location=SECRET, field="OPENAI_API_KEY"), "kv")


@pytest.fixture(params=[other_mount, other_vault, other_vault_and_mount], ids=lambda make: make.__name__)
def homes(request: pytest.FixtureRequest) -> Homes:
    made: Homes = request.param()
    made.world.run(OLD)
    return made


def assert_moved(homes: Homes, mints: int = 1) -> None:
    records = homes.vault.records(ACCOUNT) + homes.world.vault.records(ACCOUNT)
    left = FakeStore(homes.world.vault).stat(HERE)

    assert homes.arrived()
    assert mints == homes.world.pinata.mints
    assert not any(record.open for record in records)
    assert State.READABLE is not left.state
    assert left.label is None or left.label.minted is None


def test_the_key_arrives_unchanged_and_the_old_copy_goes(homes: Homes) -> None:
    homes.update()

    assert_moved(homes)


def test_doing_it_again_changes_nothing(homes: Homes) -> None:
    homes.update()
    before = homes.vault.snapshot(), homes.world.vault.snapshot()
    homes.update()

    assert_moved(homes)
    assert before == (homes.vault.snapshot(), homes.world.vault.snapshot())


def test_a_taken_path_in_the_new_home_is_refused_and_the_key_stays(homes: Homes) -> None:
    homes.vault.put(homes.new.location if homes.vault is not homes.world.vault else SECRET, {"password": "theirs"})

    with pytest.raises(Refused, match="somebody else"):
        homes.update()

    assert homes.world.pinata.live == homes.world.key_at()
    assert not homes.world.record.open


def test_a_new_home_that_may_not_be_written_is_refused_and_the_key_stays(homes: Homes) -> None:
    class Forbidden(FakeStore):
        def preflight(self, location: Location, account: str, seconds: float) -> None:
            raise Refused("no")

    ports = homes.world.ports(store=Forbidden(homes.vault, homes.mount))
    with pytest.raises(Refused):
        relocate(OLD, homes.world.ports(), homes.new, ports)

    assert homes.world.pinata.live == homes.world.key_at()
    assert not homes.world.record.open


def test_rotating_at_the_same_time_mints_once_in_the_new_home(homes: Homes) -> None:
    homes.new = replace(homes.new, trigger="2")
    homes.update()

    assert_moved(homes, mints=2)


def test_one_vault_under_two_names_is_an_ordinary_move() -> None:
    world = World()
    world.run(OLD)
    new = replace(OLD, location=Location("secret", "pinata/other"), on_delete=OnDelete.DESTROY)
    relocate(OLD, world.ports(), new, world.ports())
    world.run(new)

    assert world.pinata.live == world.key_at(new.location)
    assert 1 == world.pinata.mints
    assert not world.record.open


def _crashes(n: int) -> Iterator[Callable[[], Gate]]:
    yield lambda: Gate().crash(n)
    yield lambda: Gate().crash(n, after=True)


def _faults(n: int) -> Iterator[Callable[[], Gate]]:
    yield lambda: Gate().fail(n, Transient("later"))
    yield lambda: Gate().fail(n, Refused("no"))
    yield lambda: Gate().fail(n, Ambiguous("lost"))
    yield lambda: Gate().fail(n, Ambiguous("lost"), after=True)


@pytest.mark.parametrize("make", [other_mount, other_vault, other_vault_and_mount])
@pytest.mark.parametrize("broken", [_crashes, _faults])
def test_whatever_call_it_breaks_at_the_key_is_never_lost_and_the_next_run_ends_it(
    make: Callable[[], Homes], broken: Callable[[int], Iterator[Callable[[], Gate]]]
) -> None:
    whole, counted = make(), Gate()
    whole.world.run(OLD)
    whole.update(counted)
    problems = []
    for n, name in enumerate(counted.calls, 1):
        for number, gate_of in enumerate(broken(n)):
            homes, gate = make(), gate_of()
            homes.world.run(OLD)
            story = f"{number} at {n} {name}"
            lost: list[str] = []
            gate.after_each = lambda homes=homes, lost=lost: homes.accounted_for() or lost.append("lost")
            with suppress(Killed, PinataError):
                homes.update(gate)
            try:
                homes.update()
                homes.update()
                assert not lost
                assert_moved(homes)
            except Exception as error:
                problems.append(f"{story}: {type(error).__name__} {error}"[:200])

    assert not problems[:5]


@pytest.mark.parametrize("make", [other_mount, other_vault, other_vault_and_mount])
def test_a_relocation_that_was_killed_and_is_called_off_keeps_the_key_at_the_old_place(
    make: Callable[[], Homes],
) -> None:
    whole, counted = make(), Gate()
    whole.world.run(OLD)
    whole.update(counted)
    problems = []
    for n, name in enumerate(counted.calls, 1):
        homes = make()
        homes.world.run(OLD)
        with suppress(Killed):
            homes.update(Gate().crash(n, after=True))
        if not homes.world.record.open and homes.world.record.minted is None:
            continue  # it had ended
        try:
            homes.world.run(OLD)
            assert homes.world.pinata.live == homes.world.key_at()
            assert homes.world.pinata.mints <= 2
        except Exception as error:
            problems.append(f"{n} {name}: {type(error).__name__} {error}"[:200])

    assert not problems[:5]
