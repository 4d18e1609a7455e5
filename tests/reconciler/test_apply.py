"""Carrying a plan out: one account's failure stops no other, and the inventory never forgets a mint."""

import json
from dataclasses import replace
from threading import Event

import pytest
from doubles import Gate, Killed
from fake_fleet import NOW, FakeFleet, declared, manifest

from pulumi_pinata.core.errors import Ambiguous, PinataError, Refused, Transient, Unfunded
from pulumi_pinata.core.model import Mode
from reconciler import inventory
from reconciler.apply import apply
from reconciler.fleetplan import Condition, Ending, FleetPlan, Kind, Result, Row
from reconciler.guards import Limits, judge
from reconciler.manifest.declared import Manifest


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet()


def kept(fleet: FakeFleet) -> dict[str, inventory.Entry]:
    return dict(inventory.read(fleet.documents(declared("a").settings), "shop").entries)


def test_one_accounts_failure_stops_no_other(fleet: FakeFleet) -> None:
    wanted = manifest(*(declared(name) for name in "abcd"))
    plan = fleet.plan(wanted)
    fleet.broken["b"] = Transient("Pinata could not be reached.")
    fleet.gates["c"] = Gate().on("pinata.enable", ValueError("key-1"))

    results = {result.row.name: result for result in apply(plan, fleet, workers=2, now=NOW)}

    assert {"a": Ending.DONE, "b": Ending.FAILED, "c": Ending.FAILED, "d": Ending.DONE} == {
        name: result.ending for name, result in results.items()
    }
    assert (Condition.READY, Condition.UPSTREAM_UNAVAILABLE) == (results["a"].condition, results["b"].condition)
    assert (1, fleet.row(wanted, "a").fingerprint) == (results["a"].version, results["a"].fingerprint)
    assert "key-1" not in str(results["c"].error)


def test_an_end_that_was_asked_for_begins_no_new_account(fleet: FakeFleet) -> None:
    stop = Event()
    plan = fleet.plan(manifest(*(declared(name) for name in "abcd")))

    results = apply(plan, fleet, workers=1, now=NOW, stop=stop, seen=lambda result: stop.set())

    endings = [result.ending for result in results]
    on = [name for name in "abcd" if fleet.pinata(name).live]
    assert endings.count(Ending.DONE) == len(on) < 4
    assert endings.count(Ending.NOT_STARTED) == 4 - len(on)
    assert all(fleet.key(name) == fleet.pinata(name).live for name in on)


def test_nothing_is_minted_when_the_inventory_cannot_be_written(fleet: FakeFleet) -> None:
    plan = fleet.plan(manifest(declared("a")))
    fleet.documents(declared("a").settings).down = Transient("Vault is sealed.")

    with pytest.raises(Transient):
        apply(plan, fleet, workers=1, now=NOW)

    assert fleet.pinata("a").live is None


def test_an_inventory_that_cannot_be_written_stops_the_accounts_of_its_home_alone(fleet: FakeFleet) -> None:
    other = declared("b", inputs={"vault": {"address": "https://other.example"}})
    wanted = manifest(declared("a"), other)
    fleet.documents(other.settings).read_only = Refused("this Vault login may not write.", about="vault.auth")

    a, b = fleet.apply(wanted)

    assert (Ending.DONE, Ending.FAILED) == (a.ending, b.ending)
    assert (fleet.key("a"), None) == (fleet.pinata("a").live, fleet.pinata("b").live)
    assert "this Vault login may not write" in str(b.error)


def test_an_inventory_that_cannot_be_written_at_the_end_is_told_beside_what_was_done(fleet: FakeFleet) -> None:
    plan = fleet.plan(manifest(declared("a")))
    documents = fleet.documents(declared("a").settings)
    sealed = Transient("Vault is sealed.")
    told: list[PinataError] = []

    results = apply(
        plan,
        fleet,
        workers=1,
        now=NOW,
        seen=lambda result: setattr(documents, "read_only", sealed),
        unnoted=told.append,
    )

    assert ([Ending.DONE], [sealed]) == ([result.ending for result in results], told)


def test_an_entry_that_was_edited_by_hand_is_the_trouble_of_its_account_alone(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a"), declared("b"))
    fleet.apply(wanted)
    ((path, (data, version)),) = (documents := fleet.documents(declared("a").settings)).documents.items()
    accounts = json.loads(data["accounts"])
    accounts["b"]["input.timeout"] = "soon"
    documents.documents[path] = ({**data, "accounts": json.dumps(accounts)}, version)
    fleet.pinata("a").disable()

    (result,) = fleet.apply(wanted)

    assert ("a", Ending.DONE) == (result.row.name, result.ending)
    assert fleet.key("a") == fleet.pinata("a").live


def test_mints_are_counted_unless_it_is_certain_that_none_was_made(fleet: FakeFleet) -> None:
    lost = fleet.gates["lost"] = Gate()
    for nth in range(1, 99):
        lost.on("pinata.enable", Ambiguous("no reply."), nth=nth, after=True)
    fleet.gates["poor"] = Gate().on("pinata.enable", Unfunded("Pinata wants credits first (402)."))
    fleet.gates["late"] = Gate().on("pinata.enable", Transient("Pinata could not be reached."))

    def begins(row: Row) -> None:
        if row.name == "unheard":
            raise Refused("the audit log cannot be written.", about="--audit-log")

    names = ("late", "lost", "made", "poor", "unheard")
    apply(fleet.plan(manifest(*(declared(name) for name in names))), fleet, workers=1, now=NOW, begins=begins)

    assert {"late": 0, "lost": 1, "made": 1, "poor": 0, "unheard": 0} == {
        name: entry.mints for name, entry in kept(fleet).items()
    }


def test_a_kill_at_any_moment_forgets_no_account_that_was_minted(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a"))
    fleet.gates["a"] = Gate().on("store.write", Killed())

    with pytest.raises(Killed):
        fleet.apply(wanted)

    assert (["a"], 1, "") == (list(kept(fleet)), kept(fleet)["a"].mints, kept(fleet)["a"].declared)
    del fleet.gates["a"]
    assert Kind.RESUME is fleet.row(wanted).kind
    fleet.apply(wanted)
    assert (fleet.pinata("a").live, Kind.NONE) == (fleet.key("a"), fleet.row(wanted).kind)


def test_what_failed_is_not_noted_as_applied(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a"), declared("b"))
    plan = fleet.plan(wanted)
    fleet.broken["b"] = Refused("no", about="vault.auth")

    apply(plan, fleet, workers=1, now=NOW)

    assert {"a": True, "b": False} == {name: entry.declared != "" for name, entry in kept(fleet).items()}


def test_an_account_as_declared_enters_the_inventory_and_then_nothing_is_written(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a"))
    fleet.apply(wanted)
    documents = fleet.documents(wanted.accounts[0].settings)
    documents.documents.clear()  # as if another tool of this fleet's name had enabled it
    fleet.apply(wanted)
    writes = documents.writes

    fleet.apply(wanted)

    assert (["a"], writes) == (list(kept(fleet)), documents.writes)


def test_an_account_that_is_refused_does_not_enter_the_inventory(fleet: FakeFleet) -> None:
    fleet.pinata("a").enable()

    fleet.apply(manifest(declared("a"), declared("b")))

    assert ["b"] == list(kept(fleet))


def test_an_account_that_changed_hands_since_the_plan_is_left_alone(fleet: FakeFleet) -> None:
    plan = fleet.plan(manifest(declared("a")))
    fleet.identities["a"] = "z"

    (result,) = apply(plan, fleet, workers=1, now=NOW)

    assert (Ending.FAILED, None) == (result.ending, fleet.pinata("z").live)


def test_an_outage_that_was_not_announced_is_not_caused(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a"))
    fleet.apply(wanted)
    place = wanted.accounts[0].settings.vault.location
    fleet.vault(wanted.accounts[0].settings).soft_delete(place)
    plan = fleet.plan(wanted)
    assert Kind.RESTORE is plan.rows[0].kind
    fleet.vault(wanted.accounts[0].settings).destroy_version(place)

    (result,) = apply(plan, fleet, workers=1, now=NOW)

    assert (Ending.FAILED, 1) == (result.ending, fleet.pinata("a").mints)
    assert (Kind.REMINT, True) == (fleet.row(wanted).kind, fleet.row(wanted).outage)


# --- another run, by another commit, meanwhile -------------------------------------------------------

AGREED = manifest(declared("a", prune=True), declared("b", prune=True))
ACKNOWLEDGED = [
    manifest(declared("b", prune=True)),
    manifest(declared("a", mode=Mode.DISABLED), declared("b", prune=True)),
]


def heal(plan: FleetPlan, fleet: FakeFleet) -> list[Result]:
    """What a loop does by the manifests that were agreed on, while it holds a commit back."""
    rows = tuple(row for row in plan.rows if row.drifted and not row.outage)
    return apply(replace(plan, rows=rows), fleet, workers=1, now=NOW)


@pytest.mark.parametrize("wanted", ACKNOWLEDGED)
def test_what_is_being_switched_off_is_no_drift_to_a_run_by_an_earlier_commit(
    fleet: FakeFleet, wanted: Manifest
) -> None:
    fleet.apply(AGREED)
    fleet.pinata("b").disable()

    apply(fleet.plan(wanted), fleet, workers=1, now=NOW, seen=lambda _: heal(fleet.plan(AGREED), fleet))

    assert (None, 1) == (fleet.pinata("a").live, fleet.pinata("a").mints)
    assert fleet.key("b") == fleet.pinata("b").live  # that was drift, and is healed by either


@pytest.mark.parametrize("wanted", ACKNOWLEDGED)
def test_what_was_switched_off_between_the_look_and_the_change_of_an_earlier_commit_stays_off(
    fleet: FakeFleet, wanted: Manifest
) -> None:
    fleet.apply(AGREED)
    later = [wanted]

    def switched_off(name: str) -> None:
        if later and name == "a":  # the inventory has been read, the account not yet
            fleet.apply(later.pop())

    fleet.opening = switched_off
    plan = fleet.plan(AGREED)
    fleet.opening = lambda name: None
    assert Kind.CREATE is next(row.kind for row in plan.rows if row.name == "a")

    (result,) = heal(plan, fleet)

    assert (Ending.FAILED, True) == (result.ending, "another run has changed this account" in str(result.error))
    assert (None, 1) == (fleet.pinata("a").live, fleet.pinata("a").mints)


def test_two_runs_by_one_commit_do_not_stand_in_each_others_way(fleet: FakeFleet) -> None:
    plans = [fleet.plan(AGREED) for _ in range(2)]

    endings = [{result.ending for result in apply(plan, fleet, workers=1, now=NOW)} for plan in plans]

    assert [{Ending.DONE}] * 2 == endings
    assert [1, 1] == [fleet.pinata(name).mints for name in "ab"]


@pytest.mark.parametrize("wanted", ACKNOWLEDGED)
def test_what_an_earlier_commit_switched_on_again_while_it_was_pruned_is_not_forgotten(
    fleet: FakeFleet, wanted: Manifest
) -> None:
    fleet.apply(AGREED)

    apply(fleet.plan(wanted), fleet, workers=1, now=NOW, seen=lambda _: fleet.apply(AGREED))

    assert fleet.pinata("a").live is not None  # the known limit: the next pass mends it
    assert "a" in kept(fleet)
    fleet.apply(wanted)
    assert fleet.pinata("a").live is None


def test_what_an_earlier_commit_switched_on_again_stays_known_though_two_runs_let_go_of_it(fleet: FakeFleet) -> None:
    later = ACKNOWLEDGED[0]
    fleet.apply(AGREED)
    fleet.pinata("b").disable()
    plan = fleet.plan(later)
    fleet.apply(later)
    fleet.pinata("b").disable()

    apply(plan, fleet, workers=1, now=NOW, seen=lambda _: fleet.apply(AGREED))

    fleet.apply(later)
    assert fleet.pinata("a").live is None


def test_a_name_that_an_earlier_commit_took_back_while_it_was_renamed_is_not_forgotten(fleet: FakeFleet) -> None:
    def taken_back(name: str) -> None:
        if name == "a2":
            fleet.apply(AGREED)

    fleet.apply(AGREED)
    renamed = manifest(declared("a2", inputs={"credentials": "env:a"}), declared("b", prune=True))

    apply(fleet.plan(renamed), fleet, workers=1, now=NOW, seen=lambda result: taken_back(result.row.name))
    fleet.apply(renamed)

    assert (fleet.pinata("a").live, 1) == (fleet.key("a2"), fleet.pinata("a").mints)


@pytest.mark.parametrize("protect", [False, True])
def test_an_open_intent_hides_no_outage_of_what_is_declared_disabled(fleet: FakeFleet, protect: bool) -> None:
    fleet.apply(manifest(*(declared(name, protect=protect) for name in "abcd")))
    for name in "abcd":
        fleet.vault(declared(name).settings).soft_delete(declared(name).settings.vault.location)
        fleet.gates[name] = Gate().on("store.undelete", Killed())
        with pytest.raises(Killed):
            fleet.apply(manifest(declared(name, protect=protect)))
    fleet.gates.clear()

    plan = fleet.plan(manifest(*(declared(name, mode=Mode.DISABLED, protect=protect) for name in "abcd")))

    assert [(Kind.DISABLE, True)] * 4 == [(row.kind, row.outage) for row in plan.rows]
    assert judge(plan, Limits(), today="2026-11-24").held


@pytest.mark.parametrize("wanted", ACKNOWLEDGED)
def test_what_was_off_when_planned_is_not_switched_off_unannounced(fleet: FakeFleet, wanted: Manifest) -> None:
    fleet.apply(AGREED)
    fleet.pinata("a").disable()
    plan = fleet.plan(wanted)
    assert [False] == [row.outage for row in plan.changes]
    fleet.apply(AGREED)

    (result,) = apply(plan, fleet, workers=1, now=NOW)

    assert (Ending.FAILED, fleet.key("a")) == (result.ending, fleet.pinata("a").live)
    assert fleet.row(wanted, "a").outage


def test_what_was_off_when_planned_and_is_on_by_now_is_not_given_a_new_key_unannounced(fleet: FakeFleet) -> None:
    later = manifest(declared("a", inputs={"rotation_trigger": "1"}))

    def sooner(row: Row) -> None:
        fleet.apply(manifest(declared("a")))

    (result,) = apply(fleet.plan(later), fleet, workers=1, now=NOW, begins=sooner)

    assert (Ending.FAILED, 1) == (result.ending, fleet.pinata("a").mints)
    assert Kind.ROTATE is fleet.row(later).kind
    fleet.apply(later)
    assert fleet.key("a") == fleet.pinata("a").live


@pytest.mark.parametrize("wanted", ACKNOWLEDGED)
def test_a_copy_that_is_restored_brings_nothing_back_on(fleet: FakeFleet, wanted: Manifest) -> None:
    fleet.apply(AGREED)
    a = AGREED.accounts[0].settings
    fleet.vault(a).soft_delete(a.vault.location)
    plan = fleet.plan(AGREED)
    assert Kind.RESTORE is plan.changes[0].kind

    results = apply(plan, fleet, workers=1, now=NOW, begins=lambda row: fleet.apply(wanted) and None)

    assert ([Ending.FAILED], None) == ([result.ending for result in results], fleet.pinata("a").live)


@pytest.mark.parametrize("wanted", ACKNOWLEDGED)
def test_what_is_switched_off_just_before_a_healing_mint_stays_off(fleet: FakeFleet, wanted: Manifest) -> None:
    fleet.apply(AGREED)
    fleet.pinata("a").disable()
    plan = fleet.plan(AGREED)

    (result,) = apply(plan, fleet, workers=1, now=NOW, begins=lambda row: fleet.apply(wanted) and None)

    assert (Ending.FAILED, None) == (result.ending, fleet.pinata("a").live)


def test_what_was_off_when_planned_and_is_on_by_now_is_not_let_go_of(fleet: FakeFleet) -> None:
    later = ACKNOWLEDGED[0]
    fleet.apply(AGREED)
    due = [later]

    def meanwhile(name: str) -> None:
        if name == "a" and due:  # the inventory has been read, the account not yet
            fleet.apply(due.pop())

    fleet.opening = meanwhile
    plan = fleet.plan(later, workers=1)
    fleet.opening = lambda name: None
    assert [Kind.FORGET] == [row.kind for row in plan.changes]
    fleet.apply(AGREED)  # its entry is as it was

    apply(plan, fleet, workers=1, now=NOW)

    assert "a" in kept(fleet)
    fleet.apply(later)
    assert fleet.pinata("a").live is None


def test_what_a_later_commit_has_applied_since_is_not_pruned_by_an_earlier_one(fleet: FakeFleet) -> None:
    fleet.apply(AGREED)
    plan = fleet.plan(ACKNOWLEDGED[0])
    fleet.apply(manifest(declared("a", prune=True, inputs={"rotation_trigger": "1"}), declared("b", prune=True)))

    (result,) = apply(plan, fleet, workers=1, now=NOW)

    assert (Ending.FAILED, fleet.key("a")) == (result.ending, fleet.pinata("a").live)


def test_what_was_healed_and_let_go_of_meanwhile_is_known_again(fleet: FakeFleet) -> None:
    fleet.apply(AGREED)
    fleet.pinata("a").disable()
    plan = fleet.plan(AGREED)
    documents = fleet.documents(declared("a").settings)

    def let_go(result: Result) -> None:
        ((path, (data, version)),) = documents.documents.items()
        accounts = json.loads(data["accounts"])
        del accounts["a"]
        documents.documents[path] = ({**data, "accounts": json.dumps(accounts)}, version + 1)

    apply(plan, fleet, workers=1, now=NOW, seen=let_go)

    assert "a" in kept(fleet)


def test_finishing_an_interrupted_run_hides_no_rotation_that_a_commit_asks_for_since(fleet: FakeFleet) -> None:
    def wanted(trigger: str) -> Manifest:
        return manifest(declared("a", protect=True, inputs={"rotation_trigger": trigger}))

    fleet.apply(wanted("1"))
    settings = declared("a").settings
    fleet.vault(settings).soft_delete(settings.vault.location)
    fleet.gates["a"] = Gate().on("store.undelete", Killed())
    with pytest.raises(Killed):
        fleet.apply(wanted("1"))
    fleet.gates.clear()

    plan = fleet.plan(wanted("2"))

    assert [(Kind.ROTATE, True)] == [(row.kind, row.outage) for row in plan.rows]
    assert [Kind.RESUME] == [row.kind for row in fleet.plan(wanted("1")).rows]


def test_an_interrupted_mint_that_was_planned_to_be_finished_is_not_if_it_was_pruned_since(fleet: FakeFleet) -> None:
    later = manifest(declared("b", prune=True))
    fleet.apply(later)
    fleet.gates["a"] = Gate().on("store.write", Killed())
    with pytest.raises(Killed):
        fleet.apply(AGREED)
    fleet.gates.clear()
    plan = fleet.plan(AGREED)
    for _ in range(2):
        fleet.apply(later)
    assert fleet.pinata("a").live is None

    apply(plan, fleet, workers=1, now=NOW)

    assert fleet.pinata("a").live is None
