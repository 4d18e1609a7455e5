"""Homes that a fleet has left, or leaves: whatever stands there, no key is replaced, lost or forgotten unannounced."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_fleet import NOW, FakeFleet, declared, manifest
from loop_rig import Rig

from pulumi_pinata.core.errors import Transient
from pulumi_pinata.core.model import Location, Mode
from pulumi_pinata.core.settings import Settings
from reconciler import inventory, keeper, ledger, planfile
from reconciler.apply import apply
from reconciler.fleetplan import Ending, FleetPlan, Kind, Row
from reconciler.guards import Limits, judge
from reconciler.inventory import Entry, home_of
from reconciler.ledger import Ledger
from reconciler.manifest.declared import Declared, Manifest

OLD, NEW = "https://vault.example", "https://new.example"
FIRST, SECOND = "https://first.example", "https://second.example"


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet()


def at(address: str, name: str = "a", *, trigger: str | None = None, adopt: str = "refuse", **values: Any) -> Declared:
    one = declared(name, inputs={"vault": {"address": address}, "adopt": adopt}, **values)
    return replace(one, settings=replace(one.settings, trigger=trigger))


def former(*addresses: str) -> tuple[Settings, ...]:
    return tuple(at(address).settings for address in addresses)


def entries(fleet: FakeFleet, address: str) -> dict[str, Entry]:
    return dict(inventory.read(fleet.documents(at(address).settings), "shop").entries)


def named(fleet: FakeFleet, address: str) -> list[str]:
    """The Vaults that the inventory there names."""
    found = inventory.read(fleet.documents(at(address).settings), "shop").homes
    return [home["vault"]["address"] for home in found]


def known(fleet: FakeFleet, wanted: Manifest) -> set[tuple[str, str]]:
    return {(home.address, entry.name) for home, entry in Ledger.read(wanted, fleet).all()}


def held(plan: FleetPlan) -> set[str]:
    return set(judge(plan, Limits(), today="2026-11-24").names)


def carry_out(plan: FleetPlan, fleet: FakeFleet, *names: str, **values: Any) -> None:
    """Apply the plan, or only what it says of these accounts, as guards leave it."""
    kept = tuple(row for row in plan.rows if not names or row.name in names)
    apply(replace(plan, rows=kept), fleet, **{"workers": 1, "now": NOW, **values})


class Backup:
    """What a Vault holds, to be brought back."""

    def __init__(self, fleet: FakeFleet, address: str) -> None:
        self._fleet, self._address = fleet, address
        self._home = fleet.documents(at(address).settings)
        self._documents, self._vault = dict(self._home.documents), deepcopy(fleet.vaults[address])

    def inventory(self) -> None:
        self._home.documents = dict(self._documents)

    def all(self) -> None:
        self.inventory()
        self._fleet.vaults[self._address] = deepcopy(self._vault)


# --- what a move may do ------------------------------------------------------------------------------


def test_a_move_does_not_rotate_the_key_on_its_way_which_the_next_plan_announces(fleet: FakeFleet) -> None:
    names = [f"a{number}" for number in range(10)]
    fleet.apply(manifest(*(at(OLD, name, protect=True) for name in names)))
    new = manifest(*(at(NEW, name, protect=True, trigger="t") for name in names), former=former(OLD))

    plan = fleet.plan(new)
    carry_out(plan, fleet)

    assert ({Kind.MOVE}, set()) == ({row.kind for row in plan.rows}, held(plan))
    assert {1} == {fleet.pinata(name).mints for name in names}
    assert ({Kind.ROTATE}, set(names)) == ({row.kind for row in fleet.plan(new).rows}, held(fleet.plan(new)))


@pytest.mark.parametrize(
    ("harm", "kind", "mints"), [("remint", Kind.REMINT, 2), ("wipe", Kind.REMINT, 2), ("delete", Kind.RESTORE, 1)]
)
def test_a_key_that_is_lost_where_it_is_to_be_moved_from_is_repaired_first_as_announced(
    fleet: FakeFleet, harm: str, kind: Kind, mints: int
) -> None:
    old = at(OLD).settings
    fleet.apply(manifest(at(OLD)))
    if harm == "remint":
        fleet.pinata("a").remint_out_of_band()
        mints += 1
    elif harm == "wipe":
        fleet.vault(old).wipe(old.vault.location)
    else:
        fleet.vault(old).soft_delete(old.vault.location)
    new = manifest(at(NEW), former=former(OLD))

    row = fleet.row(new)
    assert (kind, kind is Kind.REMINT) == (row.kind, row.outage)
    fleet.apply(new)
    assert Kind.MOVE is fleet.row(new).kind
    fleet.apply(new)

    assert (Kind.NONE, mints) == (fleet.row(new).kind, fleet.pinata("a").mints)
    assert fleet.key("a", address=NEW) == fleet.pinata("a").live


def test_a_move_takes_nothing_over_where_the_entry_is_stale(fleet: FakeFleet) -> None:
    plan = fleet.plan(manifest(at(OLD)))
    fleet.pinata("a").down = Transient("no.")
    carry_out(plan, fleet)  # nothing comes of it but an entry
    fleet.pinata("a").down = None
    fleet.pinata("a").enable()
    new = manifest(at(NEW, adopt="remint", protect=True), former=former(OLD))

    carry_out(fleet.plan(new), fleet)

    assert 1 == fleet.pinata("a").mints


@pytest.mark.parametrize("adopt", ["refuse", "remint"])
def test_what_is_renamed_in_the_commit_that_moves_it_is_refused_not_minted_anew(fleet: FakeFleet, adopt: str) -> None:
    fleet.apply(manifest(at(OLD)))
    fleet.identities["b"] = "a"
    new = manifest(at(NEW, "b", adopt=adopt), former=former(OLD))

    assert Kind.REFUSED is fleet.row(new, "b").kind
    fleet.apply(new)
    assert 1 == fleet.pinata("a").mints


def test_a_name_that_means_another_account_in_a_former_vault_is_not_let_go_of(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD, prune=True)))
    fleet.identities["a"] = "other"  # the name got the JWT of another account, and began anew in the new Vault
    fleet.apply(manifest(at(NEW, prune=True)))
    both = manifest(at(NEW, prune=True), former=former(OLD))

    fleet.apply(both)

    assert Kind.REFUSED is fleet.row(both).kind
    assert "account-a" in [entry.account for _, entry in Ledger.read(both, fleet).all()]


@pytest.mark.parametrize("mode", [Mode.ENABLED, Mode.DISABLED])
def test_what_moves_goes_by_the_credentials_that_are_declared_now(fleet: FakeFleet, mode: Mode) -> None:
    fleet.apply(manifest(at(OLD)))
    fleet.identities["RENAMED"] = "a"
    fleet.references.clear()
    one = declared("a", inputs={"vault": {"address": NEW}, "credentials": "env:RENAMED"}, mode=mode)

    results = fleet.apply(manifest(one, former=former(OLD)))

    assert ([Ending.DONE], {"RENAMED"}) == ([each.ending for each in results], set(fleet.references))


def test_a_move_mints_nothing_for_an_account_that_a_later_commit_has_pruned(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_FRESH", -1.0)
    fleet.apply(manifest(at(OLD, "a", prune=True), at(OLD, "b", prune=True)))
    plan = fleet.plan(manifest(at(NEW, "a", prune=True), at(NEW, "b", prune=True), former=former(OLD)))
    later = manifest(at(NEW, "a", prune=True), former=former(OLD))
    begun: list[str] = []

    def begins(row: Row) -> None:
        begun.append(row.name)
        if len(begun) == 1:
            for _ in range(2):
                fleet.apply(later)

    carry_out(plan, fleet, begins=begins)
    for _ in range(2):
        fleet.apply(later)

    assert fleet.pinata("b").live is None, known(fleet, later)


# --- what stands in a former Vault -------------------------------------------------------------------


def test_the_accounts_of_another_fleet_of_that_name_are_not_pruned_without_a_person(fleet: FakeFleet) -> None:
    fleet.apply(manifest(*(at(OLD, f"x{number}", prune=True) for number in range(3))))

    plan = fleet.plan(manifest(at(NEW, "mine"), former=former(OLD)))

    assert {"x0", "x1", "x2"} == {row.name for row in plan.rows if row.kind is Kind.PRUNE} == held(plan)


def test_a_restored_old_vault_prunes_no_account_that_was_handed_over_without_a_person(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD, prune=True), at(OLD, "stays")))
    backup = Backup(fleet, OLD)
    fleet.apply(manifest(at(NEW), at(NEW, "stays"), former=former(OLD)))
    fleet.apply(manifest(at(NEW, "stays")))  # let go of, `prune` off: a stack has it now, with the same key
    backup.all()

    plan = fleet.plan(manifest(at(NEW, "stays"), former=former(OLD)))

    assert {"a"} == {row.name for row in plan.rows if row.kind is Kind.PRUNE} == held(plan)


@pytest.mark.parametrize("turned", [False, True])
def test_a_restored_old_vault_moves_nothing_back_or_away(fleet: FakeFleet, turned: bool) -> None:
    fleet.apply(manifest(at(OLD)))
    backup = Backup(fleet, OLD)
    fleet.apply(manifest(at(NEW), former=former(OLD)))
    new = manifest(at(NEW, trigger="t" if turned else None), former=former(OLD))
    fleet.apply(replace(new, former=()))
    backup.all()

    results = fleet.apply(new)

    assert [Ending.DONE] == [each.ending for each in results]
    assert fleet.pinata("a").live == fleet.key("a", address=NEW)
    assert 1 + turned == fleet.pinata("a").mints


@pytest.mark.parametrize("adopt", ["refuse", "remint"])
def test_of_two_former_homes_the_one_that_is_named_first_is_believed(
    fleet: FakeFleet, adopt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.apply(manifest(at(FIRST)))
    backup = Backup(fleet, FIRST)
    fleet.apply(manifest(at(SECOND), former=former(FIRST)))
    backup.inventory()  # the move was cut off before the old inventory was written
    key = fleet.pinata("a").live

    def slowest_first(items: Iterable[Any], work: Any, **_: object) -> list[Any]:
        return [(item, work(item)) for item in reversed(list(items))]

    monkeypatch.setattr(ledger, "each", slowest_first)
    fleet.apply(manifest(at(NEW, adopt=adopt), former=former(SECOND, FIRST)))

    assert (1, key) == (fleet.pinata("a").mints, fleet.key("a", address=NEW))


@pytest.mark.parametrize("homes", [(FIRST, SECOND), (SECOND, FIRST)])
def test_whichever_of_two_former_homes_is_stale_or_down_nothing_is_minted(
    fleet: FakeFleet, homes: tuple[str, str]
) -> None:
    fleet.apply(manifest(at(FIRST)))
    backup = Backup(fleet, FIRST)
    fleet.apply(manifest(at(SECOND), former=former(FIRST)))
    backup.inventory()
    fleet.documents(at(SECOND).settings).down = Transient("no answer.")

    fleet.apply(manifest(at(NEW, adopt="remint"), former=former(*homes)))

    assert 1 == fleet.pinata("a").mints


def test_homes_that_a_former_inventory_names_are_not_followed(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD), at(SECOND, "b")))
    assert SECOND in named(fleet, OLD)

    found = Ledger.read(manifest(at(NEW), former=former(OLD)), fleet)

    assert {NEW, OLD} == {home.address for home in found.reach}


def test_while_the_old_vault_is_down_its_accounts_stay_as_they_are(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD)))
    fleet.pinata("a").disable()
    fleet.documents(at(OLD).settings).down = Transient("no answer.")

    assert Kind.ERROR is fleet.row(manifest(at(NEW), former=former(OLD)), "a").kind


def test_what_moved_and_whose_old_entry_stayed_can_be_switched_off(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD)))
    backup = Backup(fleet, OLD)
    fleet.apply(manifest(at(NEW), former=former(OLD)))
    backup.inventory()  # cut off before it was written

    fleet.apply(manifest(at(NEW, mode=Mode.DISABLED), former=former(OLD)))

    assert fleet.pinata("a").live is None


def test_a_partial_move_leaves_the_other_entries_of_the_old_inventory_as_they_are(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD), at(OLD, "b", prune=True)))
    before = entries(fleet, OLD)["b"]
    login = {"method": "token", "token": "env:NOW"}
    now = declared("a", inputs={"vault": {"address": OLD, "auth": login}}).settings

    carry_out(fleet.plan(manifest(at(NEW), former=(now,))), fleet, "a")

    assert {"b": before} == entries(fleet, OLD)


def test_a_saved_plan_is_refused_when_the_former_inventory_has_changed(fleet: FakeFleet, tmp_path: Path) -> None:
    fleet.apply(manifest(at(OLD)))
    new = manifest(at(NEW), former=former(OLD))
    planfile.save(fleet.plan(new), [tmp_path], tmp_path / "plan.json")
    saved = planfile.load(tmp_path / "plan.json")
    assert not planfile.moved(saved, fleet.plan(new))

    fleet.apply(manifest(at(OLD), at(OLD, "b")))

    assert planfile.moved(saved, fleet.plan(new))


def test_a_commit_that_names_the_former_vault_wakes_the_accounts_that_wait_for_it() -> None:
    rig = Rig()
    rig.fleet.apply(manifest(at(OLD)))
    rig.commit(at(NEW))
    rig.clock.at(2000.0, lambda: rig.commit(at(NEW), former=former(OLD)))

    rig.run(2100.0)

    assert rig.fleet.vaults[NEW].entry(Location("secret", "pinata/a"))
    assert rig.fleet.key("a", address=NEW) == rig.fleet.pinata("a").live


# --- one Vault, two names ----------------------------------------------------------------------------


@pytest.mark.parametrize("alias", ["https://vault.example:443", "https://VAULT.example"])
def test_one_vault_written_differently_forgets_no_account(fleet: FakeFleet, alias: str) -> None:
    fleet.apply(manifest(at(OLD, prune=True), at(OLD, "stays", prune=True)))
    fleet.vaults[alias] = fleet.vaults[OLD]
    fleet.homes[str(home_of(at(alias).settings))] = fleet.homes[str(home_of(at(OLD).settings))]

    fleet.apply(manifest(at(alias, prune=True), at(alias, "stays", prune=True), former=former(OLD)))

    assert {"a", "stays"} == set(entries(fleet, OLD))
    fleet.apply(manifest(at(alias, "stays", prune=True)))
    assert fleet.pinata("a").live is None


# --- homes that are left -----------------------------------------------------------------------------


def test_a_home_that_cannot_be_forgotten_now_is_forgotten_by_the_next_apply(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD), at(NEW, "b")))
    documents, writes = fleet.documents(at(OLD).settings), 0

    def third_time_never() -> None:
        nonlocal writes
        writes += 1
        if writes == 3:  # begun, done, and what is left
            raise Transient("no answer.")
        documents.before_write = third_time_never

    documents.before_write = third_time_never
    gone = manifest(at(OLD, trigger="x"))

    assert {Ending.DONE} == {result.ending for result in fleet.apply(gone)}
    assert (3, True) == (writes, NEW in named(fleet, OLD))
    fleet.apply(manifest(at(OLD, trigger="y")))
    assert [OLD] == named(fleet, OLD)


def test_a_home_that_is_empty_for_a_moment_is_not_forgotten_for_good(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD), at(NEW, "b", prune=True)))
    documents = fleet.documents(at(NEW).settings)
    kept, documents.documents = documents.documents, {}  # a Vault that is being restored answers 404
    fleet.apply(manifest(at(OLD)))
    documents.documents = kept

    assert (NEW, "b") in known(fleet, manifest(at(OLD)))


def test_a_home_that_another_run_has_filled_meanwhile_is_not_forgotten(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD), at(NEW, "b")))
    fleet.apply(manifest(at(OLD)))  # `prune` off: let go of
    plan = fleet.plan(manifest(at(OLD, trigger="x"), former=former(NEW)))  # by a commit without b, its home empty
    fleet.pinata("b").disable()
    fleet.apply(manifest(at(OLD), at(NEW, "b", prune=True)))

    carry_out(plan, fleet)

    assert (NEW, "b") in known(fleet, manifest(at(OLD)))
    fleet.apply(manifest(at(OLD)))
    assert fleet.pinata("b").live is None


def test_a_pass_over_some_accounts_forgets_no_home(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD), at(NEW, "b", mode=Mode.OBSERVED)))
    fleet.pinata("a").disable()
    now = manifest(at(OLD), at(NEW, "b", prune=True))

    for name in "ab":
        carry_out(fleet.plan(now, only={name}), fleet)
        assert NEW in named(fleet, OLD)
    for _ in range(2):
        fleet.apply(manifest(at(OLD)))

    assert fleet.pinata("b").live is None


def test_an_account_that_is_held_back_keeps_its_home_named(fleet: FakeFleet) -> None:
    fleet.apply(manifest(at(OLD), at(NEW, "b", mode=Mode.OBSERVED)))

    carry_out(fleet.plan(manifest(at(OLD), at(NEW, "b", prune=True))), fleet, "a")

    assert NEW in named(fleet, OLD)
