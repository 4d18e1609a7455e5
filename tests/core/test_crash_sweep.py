"""Kill the run, or lose a reply, at every call of every way through the protocol: the promise holds, and the next run
converges.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
from doubles import HERE, FakeStore, Gate, Killed, Reenable, Variant, World, wanted

from pulumi_pinata.core.errors import Ambiguous, PinataError, Refused, Transient
from pulumi_pinata.core.model import Adopt, Desired, Location, Mode, OnDelete, State

ELSEWHERE = Location("secret", "pinata/other")
ON = wanted()

VARIANTS = [
    Variant(),
    Variant(Reenable.SAME),
    Variant(Reenable.NO_KEY),
    Variant(Reenable.CONFLICT),
    Variant(created_at_stays=True),
    Variant(created_at_stays=True, listing=False),
    Variant(Reenable.SAME, listing=False, auth_first=False),
    Variant(Reenable.NO_KEY, lag=2, auth_first=False),
    Variant(Reenable.CONFLICT, lag=1, listing=False),
    Variant(lag=3),
    Variant(lag=2, listing=False, auth_first=False),
    Variant(created_at_stays=True, lag=1, listing=False, auth_first=False),
]


WRITES = frozenset(
    {
        "pinata.enable",
        "pinata.disable",
        "store.write",
        "store.label",
        "store.undelete",
        "store.soft_delete",
        "store.destroy",
        "store.put_record",
    }
)


def nothing(world: World) -> None:
    return


def enabled(world: World) -> None:
    world.run(ON)


def foreign_inference(world: World) -> None:
    world.pinata.enable()
    world.pinata.settle()


def soft_deleted(world: World) -> None:
    world.run(ON)
    world.vault.soft_delete(HERE)


def rolled_back(world: World) -> None:
    world.run(ON)
    world.run(replace(ON, trigger="earlier"))
    world.vault.rollback(HERE, 1)


def destroyed(world: World) -> None:
    world.run(ON)
    world.vault.destroy_version(HERE)


def switched_off(world: World) -> None:
    world.run(ON)
    world.pinata.disable()
    world.pinata.settle()


@dataclass(frozen=True)
class Scenario:
    """What is there, what is wanted, and how many keys that may cost without any fault."""

    name: str
    before: Callable[[World], None]
    want: Desired
    mints: int
    undeletable: bool = False

    def world(self, variant: Variant) -> World:
        world = World(variant)
        self.before(world)
        return world

    def __str__(self) -> str:
        return self.name


SCENARIOS = [
    Scenario("create", nothing, ON, 1),
    Scenario("unchanged", enabled, ON, 0),
    Scenario("rotate", enabled, replace(ON, trigger="new"), 1),
    Scenario("rotate and move", enabled, replace(ON, trigger="new", location=ELSEWHERE), 1),
    Scenario("adopt by re-mint", foreign_inference, replace(ON, adopt=Adopt.REMINT), 1),
    Scenario("disable", enabled, replace(ON, mode=Mode.DISABLED), 0),
    Scenario("disable and destroy", enabled, replace(ON, mode=Mode.DISABLED, on_delete=OnDelete.DESTROY), 0),
    Scenario("disable and retain", enabled, replace(ON, mode=Mode.DISABLED, on_delete=OnDelete.RETAIN), 0),
    Scenario("move", enabled, replace(ON, location=ELSEWHERE), 0),
    Scenario("move and destroy", enabled, replace(ON, location=ELSEWHERE, on_delete=OnDelete.DESTROY), 0),
    Scenario("undelete", soft_deleted, ON, 0, undeletable=True),
    Scenario("restore", rolled_back, replace(ON, trigger="earlier"), 0),
    Scenario("destroyed copy", destroyed, ON, 1, undeletable=True),
    Scenario("relabel", enabled, replace(ON, labels={"team": "ads"}), 0),
    Scenario("rename the field", enabled, replace(ON, field="OPENAI_API_KEY"), 0),
    Scenario("re-enable", switched_off, ON, 1),
]


def check_end(world: World, scenario: Scenario, mints: int) -> None:
    want = scenario.want
    records = [(record.open, record.owner) for record in world.vault.records(want.account)]

    assert [(False, want.owner)] == records
    assert world.pinata.mints <= mints
    if want.mode is Mode.DISABLED:
        assert world.pinata.live is None
        copy = FakeStore(world.vault).stat(want.location)
        ends = {OnDelete.SOFT_DELETE: State.DELETED, OnDelete.DESTROY: State.DESTROYED, OnDelete.RETAIN: State.READABLE}
        assert ends[want.on_delete] == copy.state
        return
    stored = FakeStore(world.vault).stat(want.location)
    content = FakeStore(world.vault).read(want.location)
    assert world.pinata.live is not None
    assert world.pinata.live == world.key_at(want.location)
    assert stored.described
    assert dict(want.labels) == dict(stored.labels)
    assert content is not None
    assert want.field == content.field
    assert stored.label is not None
    assert stored.label.minted is not None
    assert want.trigger == stored.label.minted.trigger


def calls_of(scenario: Scenario, variant: Variant) -> list[str]:
    world, gate = scenario.world(variant), Gate()
    world.run(scenario.want, gate)
    return gate.calls


def check_old_path(world: World, scenario: Scenario) -> None:
    left = FakeStore(world.vault).stat(HERE)

    assert left.state is not State.READABLE, "the old path still holds a key"
    assert left.label is None or left.label.minted is None, "the old path is still claimed"


def broken_runs(
    scenario: Scenario,
    variant: Variant,
    stories: Iterable[tuple[Gate, ...]],
    check: Callable[[World, Scenario], None] | None = None,
) -> list[str]:
    """What went wrong in the runs that break as each of `stories` says, one gate a run, and in those that follow."""
    problems = []
    for gates in stories:
        world = scenario.world(variant)
        before = world.pinata.mints
        # A key that was lost, or somebody else's, before the run may stay so.
        lost = None if world.accounted_for(undeletable=scenario.undeletable) else world.pinata.live
        where = f"{' then '.join(map(str, gates))}"
        try:
            for gate in gates:
                gate.after_each = lambda world=world, lost=lost: _keeps_promise(world, scenario, lost)
                with suppress(Killed, PinataError):
                    world.run(scenario.want, gate)
            for _ in range(2):
                world.run(scenario.want)
            check_end(world, scenario, before + scenario.mints + len(gates))
            if check:
                check(world, scenario)
        except Exception as error:
            problems.append(f"{where} of {gates[-1].calls}: {type(error).__name__} {error}")
    return problems


def _keeps_promise(world: World, scenario: Scenario, lost: str | None) -> None:
    if world.pinata.live != lost and not world.accounted_for(undeletable=scenario.undeletable):
        raise PromiseBroken


class PromiseBroken(Exception):
    """The live key is nowhere, and nothing says so."""


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_run_without_faults_gets_there_at_the_least_cost(scenario: Scenario, variant: Variant) -> None:
    world = scenario.world(variant)
    before = world.pinata.mints

    world.run(scenario.want)

    check_end(world, scenario, before + scenario.mints)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_run_killed_at_any_call_keeps_the_promise_and_the_next_one_converges(
    scenario: Scenario, variant: Variant
) -> None:
    problems = broken_runs(scenario, variant, _crashing(calls_of(scenario, variant)))

    assert not problems[:5]


@pytest.mark.parametrize("variant", VARIANTS[::4], ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_run_killed_twice_in_a_row_at_any_calls_costs_at_most_two_mints(scenario: Scenario, variant: Variant) -> None:
    problems = broken_runs(scenario, variant, _crashing_twice(scenario, variant))

    assert not problems[:5]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_call_that_fails_or_whose_reply_is_lost_keeps_the_promise_and_the_next_run_converges(
    scenario: Scenario, variant: Variant
) -> None:
    problems = broken_runs(scenario, variant, _failing(calls_of(scenario, variant)))

    assert not problems[:5]


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.want.location != HERE], ids=str)
def test_whatever_call_a_run_is_killed_at_no_key_is_left_at_the_old_path(scenario: Scenario) -> None:
    problems = broken_runs(scenario, Variant(), _crashing(calls_of(scenario, Variant())), check_old_path)

    assert not problems[:5]


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.want.location != HERE], ids=str)
def test_whatever_call_fails_no_key_is_left_at_the_old_path(scenario: Scenario) -> None:
    problems = broken_runs(scenario, Variant(), _failing(calls_of(scenario, Variant())), check_old_path)

    assert not problems[:5]


def _crashing(calls: list[str]) -> Iterator[tuple[Gate, ...]]:
    for n, name in enumerate(calls, 1):
        yield (_Told(f"crash before {n} {name}").crash(n),)
        yield (_Told(f"crash after {n} {name}").crash(n, after=True),)


def _crashing_twice(scenario: Scenario, variant: Variant) -> Iterator[tuple[Gate, ...]]:
    for n in range(1, len(calls_of(scenario, variant)) + 1):
        world, rest = scenario.world(variant), Gate()
        with suppress(Killed):
            world.run(scenario.want, Gate().crash(n, after=True))
        world.run(scenario.want, rest)
        for m, name in enumerate(rest.calls, 1):
            if name != "store.record" or m < 8:  # waiting for the lease is one call over and over
                first, second = _Told(f"crash after {n}"), _Told(f"crash after {m} {name}")
                yield first.crash(n, after=True), second.crash(m, after=True)


def _failing(calls: list[str]) -> Iterator[tuple[Gate, ...]]:
    for n, name in enumerate(calls, 1):
        if name in ("pinata.marker", "pinata.probe"):
            continue  # these never raise
        yield (_Told(f"transient before {n} {name}").fail(n, Transient("try later")),)
        yield (_Told(f"refused {n} {name}").fail(n, Refused("no")),)
        if name in WRITES:
            yield (_Told(f"lost before {n} {name}").fail(n, Ambiguous("lost")),)
            yield (_Told(f"lost after {n} {name}").fail(n, Ambiguous("lost"), after=True),)


class _Told(Gate):
    def __init__(self, story: str) -> None:
        super().__init__()
        self._story = story

    def __str__(self) -> str:
        return self._story


RIVALS: dict[str, Callable[[Desired], Desired]] = {
    "the same": lambda want: want,
    "rotating": lambda want: replace(want, mode=Mode.ENABLED, trigger="rival"),
    "disabling": lambda want: replace(want, mode=Mode.DISABLED),
}


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("variant", [VARIANTS[0], VARIANTS[2], VARIANTS[5], VARIANTS[6]], ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_rival_that_takes_over_while_a_run_is_paused_at_any_call_leaves_one_live_key_and_it_is_in_vault(
    scenario: Scenario, variant: Variant, rival: str
) -> None:
    problems = []
    for n, name in enumerate(calls_of(scenario, variant), 1):
        world = scenario.world(variant)
        before = world.pinata.mints

        def take_over(world: World = world) -> None:
            with suppress(PinataError):
                world.run(RIVALS[rival](scenario.want))

        gate = Gate().pause(n, take_over)
        try:
            with suppress(PinataError):
                world.run(scenario.want, gate)
            if scenario.want.mode is Mode.ENABLED:
                assert world.accounted_for(), "the live key is nowhere when both have ended"
            world.run(scenario.want)
            on = scenario.want.mode is Mode.ENABLED
            assert (world.key_at(scenario.want.location) if on else None) == world.pinata.live
            assert not any(record.open for record in world.vault.records(scenario.want.account))
            assert world.pinata.mints <= before + scenario.mints + 4
        except Exception as error:
            problems.append(f"{n} {name} of {gate.calls}: {type(error).__name__} {error}")

    assert not problems[:5]
