"""What a plan says of each account: conditions, what would be done, and why; on the doubles."""

from dataclasses import replace
from datetime import timedelta

import pytest
from doubles import Gate, Variant
from fake_fleet import NOW, FakeFleet, declared, manifest, refused

from pulumi_pinata.core.errors import Ambiguous, Transient, Unfunded
from pulumi_pinata.core.model import Location, Mode
from reconciler.apply import apply
from reconciler.fleetplan import Condition, Kind
from reconciler.manifest.declared import Credits, Drift, Place, Problem, Rotation

HOLE = Location("secret", "pinata/a")


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet()


def test_a_new_account_is_to_be_created_and_afterwards_there_is_nothing_to_do(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a"))

    assert (Kind.CREATE, Condition.OFF) == (fleet.row(wanted).kind, fleet.row(wanted).condition)
    assert fleet.pinata("a").live is None
    fleet.apply(wanted)
    assert (Kind.NONE, Condition.READY) == (fleet.row(wanted).kind, fleet.row(wanted).condition)
    assert fleet.pinata("a").live == fleet.key("a")


@pytest.mark.parametrize(
    ("mode", "steady"),
    [(Mode.ENABLED, Condition.READY), (Mode.DISABLED, Condition.OFF), (Mode.OBSERVED, Condition.OFF)],
)
def test_an_account_as_declared_costs_one_status_call_and_one_read_of_metadata(
    fleet: FakeFleet, mode: Mode, steady: Condition
) -> None:
    wanted = manifest(declared("a", mode=mode))
    fleet.apply(wanted)
    fleet.gates["a"] = gate = Gate()

    row = fleet.row(wanted)

    assert (Kind.NONE, steady) == (row.kind, row.condition)
    assert ["pinata.status", "store.stat"] == gate.calls


def test_an_account_that_was_switched_off_once_declared_so_costs_as_little(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a")))
    off = manifest(declared("a", mode=Mode.DISABLED))
    assert (Kind.DISABLE, True) == (fleet.row(off).kind, fleet.row(off).outage)
    fleet.apply(off)
    fleet.gates["a"] = gate = Gate()

    row = fleet.row(off)

    assert (Kind.NONE, Condition.OFF) == (row.kind, row.condition)
    assert ["pinata.status", "store.stat"] == gate.calls


def test_what_was_switched_off_elsewhere_is_drift_and_is_healed(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a"))
    fleet.apply(wanted)
    fleet.pinata("a").disable()

    row = fleet.row(wanted)

    assert (Kind.CREATE, Condition.DRIFTED, False) == (row.kind, row.condition, row.outage)
    assert "switched off elsewhere" in row.reason


def test_a_lost_copy_a_stale_key_and_a_covered_copy_are_told_apart(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a"), declared("b"), declared("c"))
    fleet.apply(wanted)
    vault = fleet.vault(wanted.accounts[0].settings)
    vault.wipe(HOLE)
    fleet.pinata("b").remint_out_of_band()
    vault.put(Location("secret", "pinata/c"), {"mine": "now"})

    rows = {row.name: (row.condition, row.kind, row.outage) for row in fleet.plan(wanted).rows}

    assert {
        "a": (Condition.KEY_LOST, Kind.REMINT, True),
        "b": (Condition.KEY_STALE, Kind.REMINT, True),
        "c": (Condition.DRIFTED, Kind.RESTORE, False),
    } == rows


def test_a_key_that_only_the_second_marker_shows_to_be_dead_is_announced_as_an_outage(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a"))
    fleet.pinata("a").variant = Variant(created_at_stays=True)
    fleet.apply(wanted)
    fleet.pinata("a").enable()  # by somebody else: a new key under the old createdAt
    fleet.vault(wanted.accounts[0].settings).unlabel(HOLE)

    assert (Condition.KEY_STALE, Kind.REMINT) == (fleet.row(wanted).condition, fleet.row(wanted).kind)


def test_a_changed_rotation_trigger_is_a_rotation_of_a_key_that_is_well(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a", inputs={"rotation_trigger": "1"})))

    row = fleet.row(manifest(declared("a", inputs={"rotation_trigger": "2"})))

    assert (Kind.ROTATE, Condition.READY, True) == (row.kind, row.condition, row.outage)


def test_a_key_that_is_too_old_is_rotated_exactly_once(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a", rotation=Rotation(max_age=timedelta(days=30))))
    fleet.apply(wanted)
    old = fleet.key("a")
    young, due = NOW.replace(month=1, day=20), NOW.replace(month=2, day=20)

    assert Kind.NONE is fleet.row(wanted, now=young).kind
    plan = fleet.plan(wanted, now=due)
    assert (Kind.ROTATE, "the key is 50 d old (maxAge 30 d)") == (plan.rows[0].kind, plan.rows[0].reason)
    apply(plan, fleet, workers=1, now=due)
    new = fleet.key("a")
    apply(plan, fleet, workers=1, now=due)  # the same plan again finds another key, and leaves it
    assert (2, new) == (fleet.pinata("a").mints, fleet.key("a"))
    assert old != new


def test_one_accounts_failure_is_its_row_and_stops_no_other(fleet: FakeFleet) -> None:
    wanted = manifest(*(declared(name) for name in "abcdef"))
    fleet.broken = {
        "a": refused("credentials", "Pinata refused the JWT (401): expired, revoked, or of another workspace."),
        "b": Unfunded("Pinata wants credits first (402).", about="credentials"),
        "c": Transient("Vault is sealed.", about="vault.address"),
        "d": Ambiguous("Pinata failed on the status call (503)."),
    }
    fleet.gates["e"] = Gate().on("pinata.status", ValueError("key-1"))

    rows = {row.name: (row.kind, row.condition) for row in fleet.plan(wanted).rows}

    assert {
        "a": (Kind.ERROR, Condition.CREDENTIALS_INVALID),
        "b": (Kind.ERROR, Condition.CREDITS_EXHAUSTED),
        "c": (Kind.ERROR, Condition.STORE_UNAVAILABLE),
        "d": (Kind.ERROR, Condition.UPSTREAM_UNAVAILABLE),
        "e": (Kind.ERROR, Condition.CONFLICT),
        "f": (Kind.CREATE, Condition.OFF),
    } == rows
    assert "key-1" not in fleet.row(wanted, "e").reason


def test_nobody_is_asked_about_a_suspended_account_or_one_whose_file_has_errors(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a", suspend=True), declared("b"), frozen=frozenset({"b", "c"}))

    rows = fleet.plan(wanted).rows

    assert [("a", Kind.SKIP), ("b", Kind.SKIP), ("c", Kind.SKIP)] == [(row.name, row.kind) for row in rows]
    assert {Condition.SUSPENDED} == {row.condition for row in rows}
    assert [] == fleet.opened


def test_a_store_that_cannot_be_read_is_not_asked_once_an_account(fleet: FakeFleet) -> None:
    wanted = manifest(*(declared(name) for name in "abc"))
    fleet.documents(wanted.accounts[0].settings).down = Transient("Vault is sealed.", about="vault.address")

    assert {Condition.STORE_UNAVAILABLE} == {row.condition for row in fleet.plan(wanted).rows}
    assert [] == fleet.opened


def test_two_names_for_one_account_are_refused_both(fleet: FakeFleet) -> None:
    fleet.identities["b"] = "a"

    rows = fleet.plan(manifest(declared("a"), declared("b"))).rows

    assert [(Kind.REFUSED, Condition.CONFLICT)] * 2 == [(row.kind, row.condition) for row in rows]
    assert "a and b are one account" in rows[0].reason


def test_an_account_of_another_owner_is_a_conflict_and_its_takeover_names_them(fleet: FakeFleet) -> None:
    theirs = declared("a", inputs={"owner": "pulumi:org/shop/prod/a"})
    fleet.apply(manifest(theirs))
    elsewhere = {"path": "pinata/mine"}
    fleet.documents(theirs.settings).documents.clear()

    refusal = fleet.row(manifest(declared("a", inputs={"vault": elsewhere})))
    takeover = fleet.row(manifest(declared("a", inputs={"vault": elsewhere, "adopt": "remint"})))

    assert (Kind.REFUSED, Condition.CONFLICT) == (refusal.kind, refusal.condition)
    assert ("pulumi:org/shop/prod/a", Kind.REMINT) == (takeover.foreign, takeover.kind)


def test_drift_is_only_reported_where_that_is_declared_and_a_commit_is_still_applied(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a", drift=Drift.REPORT))
    assert Kind.CREATE is fleet.row(wanted).kind  # a commit asked for it
    fleet.apply(wanted)
    fleet.pinata("a").disable()

    assert (Kind.REPORT, Condition.DRIFTED) == (fleet.row(wanted).kind, fleet.row(wanted).condition)
    changed = manifest(declared("a", drift=Drift.REPORT, inputs={"vault": {"field": "OTHER"}}))
    assert Kind.CREATE is fleet.row(changed).kind


def test_credits_are_compared_and_set_without_touching_the_key(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a")))
    wanted = manifest(declared("a", credits=Credits(top_up=(10.0, 50))))

    row = fleet.row(wanted)
    assert (Kind.CREDITS, "top-up off → 10/50") == (row.kind, row.reason)
    fleet.apply(wanted)
    assert ((10.0, 50), 1, 1) == (fleet.credit("a").config, fleet.credit("a").puts, fleet.pinata("a").mints)
    assert Kind.NONE is fleet.row(wanted).kind


def test_a_credits_service_that_fails_does_not_keep_a_key_from_being_healed(fleet: FakeFleet) -> None:
    fleet.credit("a").down = Ambiguous("Pinata failed on the top-up configuration (503).")
    wanted = manifest(declared("a", credits=Credits(top_up=(10.0, 50))))

    assert Kind.CREATE is fleet.row(wanted).kind
    fleet.apply(wanted)
    assert (Kind.ERROR, Condition.UPSTREAM_UNAVAILABLE) == (fleet.row(wanted).kind, fleet.row(wanted).condition)


@pytest.mark.parametrize("alert", [None, 10.0])
def test_the_balance_is_asked_for_only_where_a_warning_is_declared(fleet: FakeFleet, alert: float | None) -> None:
    wanted = manifest(declared("a", credits=Credits(alert_below=alert)))
    fleet.apply(wanted)
    fleet.credit("a").left, fleet.credit("a").looks = 7.5, 0

    row = fleet.row(wanted)

    assert (Kind.NONE, Condition.READY, "") == (row.kind, row.condition, row.reason)
    assert ((None, 0) if alert is None else (7.5, 1)) == (row.credits, fleet.credit("a").looks)


@pytest.mark.parametrize("mode", [Mode.ENABLED, Mode.OBSERVED])
def test_an_account_without_credits_is_degraded_and_its_key_left_alone(fleet: FakeFleet, mode: Mode) -> None:
    fleet.apply(manifest(declared("a")))
    wanted = manifest(declared("a", mode=mode, credits=Credits(alert_below=10)))
    fleet.apply(wanted)
    before = fleet.plan(wanted)
    fleet.credit("a").left = 0.0
    after = fleet.plan(wanted)

    assert (Kind.NONE, Condition.CREDITS_EXHAUSTED, 0.0) == (
        after.rows[0].kind,
        after.rows[0].condition,
        after.rows[0].credits,
    )
    assert before.checksum == after.checksum  # a saved plan is none the worse for it
    fleet.apply(wanted)
    assert 1 == fleet.pinata("a").mints


def test_an_account_that_is_off_needs_no_credits(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a", mode=Mode.DISABLED, credits=Credits(alert_below=10)))
    fleet.credit("a").left = 0.0

    assert (Kind.NONE, Condition.OFF, 0.0) == (
        fleet.row(wanted).kind,
        fleet.row(wanted).condition,
        fleet.row(wanted).credits,
    )


def test_without_credits_a_lost_key_is_still_a_lost_key(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a", credits=Credits(alert_below=10)))
    fleet.apply(wanted)
    fleet.credit("a").left = 0.0
    fleet.vault(wanted.accounts[0].settings).wipe(HOLE)

    assert (Kind.REMINT, Condition.KEY_LOST) == (fleet.row(wanted).kind, fleet.row(wanted).condition)


def test_a_balance_that_cannot_be_read_is_said_and_changes_nothing_else(fleet: FakeFleet) -> None:
    fleet.credit("a").down = Ambiguous("Pinata failed on the credits balance (503).")
    wanted = manifest(declared("a", credits=Credits(alert_below=10)))
    assert Kind.CREATE is fleet.row(wanted).kind
    fleet.apply(wanted)

    row = fleet.row(wanted)

    assert (Kind.NONE, Condition.READY, None) == (row.kind, row.condition, row.credits)
    assert "the balance of credits cannot be read: Pinata failed on the credits balance (503)." == row.reason


# --- what is no longer declared ---------------------------------------------------------------------


def test_what_is_gone_is_switched_off_only_where_prune_was_declared(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a", prune=True), declared("b"), declared("c")))
    left = manifest(declared("c"))

    rows = {row.name: row.kind for row in fleet.plan(left).rows}
    assert {"a": Kind.PRUNE, "b": Kind.FORGET, "c": Kind.NONE} == rows
    fleet.apply(left)
    assert (None, True) == (fleet.pinata("a").live, fleet.pinata("b").live is not None)
    assert ["c"] == [row.name for row in fleet.plan(left).rows]


def test_nothing_is_pruned_while_any_manifest_has_errors(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a", prune=True), declared("b")))
    broken = manifest(declared("b"), problems=(Problem(Place("a.yaml", 3, 1), "not YAML"),))

    assert {"a": Kind.SKIP, "b": Kind.NONE} == {row.name: row.kind for row in fleet.plan(broken).rows}


def test_a_renamed_account_keeps_its_key(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a", prune=True)))
    fleet.identities["b"] = "a"
    renamed = manifest(declared("b", prune=True, inputs={"vault": {"path": "pinata/a"}}))

    assert {"a": Kind.FORGET, "b": Kind.RESTORE} == {row.name: row.kind for row in fleet.plan(renamed).rows}
    fleet.apply(renamed)
    assert (1, {"b": Kind.NONE}) == (
        fleet.pinata("a").mints,
        {row.name: row.kind for row in fleet.plan(renamed).rows},
    )


def test_what_was_renamed_to_something_that_is_refused_is_not_let_go_of(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a", prune=True)))
    fleet.identities["b"] = "a"
    foreign = declared("b", inputs={"vault": {"path": "theirs"}})
    fleet.vault(foreign.settings).put(Location("secret", "theirs"), {"mine": "1"})

    assert {"a": Kind.SKIP, "b": Kind.REFUSED} == {row.name: row.kind for row in fleet.plan(manifest(foreign)).rows}


def test_what_may_have_been_renamed_is_not_pruned(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a", prune=True)))
    fleet.broken["b"] = refused("credentials", "the environment variable b is not set.")

    rows = {row.name: row for row in fleet.plan(manifest(declared("b"))).rows}

    assert (Kind.SKIP, Kind.ERROR) == (rows["a"].kind, rows["b"].kind)
    assert "it may be b now" in rows["a"].reason


def test_what_somebody_else_switched_on_since_is_not_pruned(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a", prune=True), declared("b")))
    theirs = declared("a", inputs={"owner": "pulumi:org/shop/prod/a", "adopt": "remint", "vault": {"path": "their/a"}})
    documents = dict(fleet.documents(theirs.settings).documents)
    fleet.apply(manifest(theirs))
    fleet.documents(theirs.settings).documents = documents

    assert Kind.FORGET is fleet.row(manifest(declared("b")), "a").kind


def test_an_account_that_is_only_observed_now_is_not_pruned_later(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a", prune=True), declared("b")))
    fleet.apply(manifest(declared("a", prune=True, mode=Mode.OBSERVED), declared("b")))

    assert ["b"] == [row.name for row in fleet.plan(manifest(declared("b"))).rows]


def test_credentials_that_speak_for_another_account_now_are_refused(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a")))
    fleet.identities["a"] = "z"

    row = fleet.row(manifest(declared("a")))

    assert (Kind.REFUSED, Condition.CREDENTIALS_INVALID) == (row.kind, row.condition)
    assert "speak for account account-z, but a was applied to account-a" in row.reason


@pytest.mark.parametrize("place", [{"mount": "kv"}, {"address": "https://other.example"}])
def test_a_key_moves_to_another_mount_or_vault_without_a_mint(fleet: FakeFleet, place: dict[str, str]) -> None:
    fleet.apply(manifest(declared("a"), declared("stays")))
    key = fleet.key("a")
    moved = manifest(declared("a", inputs={"vault": place}), declared("stays"))

    row = fleet.row(moved)
    assert (Kind.MOVE, False) == (row.kind, row.outage)
    fleet.apply(moved)
    assert (Kind.NONE, 1, None) == (fleet.row(moved).kind, fleet.pinata("a").mints, fleet.key("a"))
    assert key == fleet.pinata("a").live


def test_a_whole_fleet_moves_from_a_former_vault_without_a_mint(fleet: FakeFleet) -> None:
    old = manifest(declared("a"), declared("b"))
    fleet.apply(old)
    keys = [fleet.key("a"), fleet.key("b")]
    place = {"address": "https://other.example"}
    new = manifest(declared("a", inputs={"vault": place}), declared("b", inputs={"vault": place}))
    moved = replace(new, former=(old.accounts[0].settings,))

    assert [Kind.MOVE] * 2 == [row.kind for row in fleet.plan(moved).rows]
    fleet.apply(moved)

    assert keys == [fleet.key(name, address="https://other.example") for name in "ab"]
    assert [1, 1] == [fleet.pinata(name).mints for name in "ab"]
    assert [Kind.NONE] * 2 == [row.kind for row in fleet.plan(new).rows]  # the old Vault need not be named any longer


def test_without_a_word_of_the_former_vault_a_moved_fleet_is_refused_not_replaced(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a")))

    row = fleet.row(manifest(declared("a", inputs={"vault": {"address": "https://other.example"}})))

    assert Kind.REFUSED is row.kind
    assert "spec.formerVaults" in row.reason


@pytest.mark.parametrize("stays", [True, False])
def test_a_vault_that_the_fleet_has_left_may_be_shut_down(fleet: FakeFleet, stays: bool) -> None:
    others = [declared("stays", inputs={"vault": {"mount": "kv"}})] if stays else []
    old = manifest(declared("a"), *others)
    fleet.apply(old)
    new = manifest(declared("a", inputs={"vault": {"address": "https://other.example"}}), *others)
    fleet.apply(replace(new, former=(old.accounts[0].settings,)))
    fleet.documents(old.accounts[0].settings).down = Transient("no answer.")

    assert [Kind.NONE] * len(new.accounts) == [row.kind for row in fleet.plan(new).rows]


def test_an_account_that_may_be_kept_in_a_vault_that_is_down_is_not_taken_over(fleet: FakeFleet) -> None:
    old = manifest(declared("a"))
    fleet.apply(old)
    fleet.documents(old.accounts[0].settings).down = Transient("no answer.")
    taken = declared("a", inputs={"vault": {"address": "https://other.example"}, "adopt": "remint"})

    row = fleet.row(manifest(taken, former=(old.accounts[0].settings,)), "a")

    assert (Kind.ERROR, Condition.UPSTREAM_UNAVAILABLE) == (row.kind, row.condition)
    assert 1 == fleet.pinata("a").mints


def test_what_was_moved_and_is_then_declared_off_is_switched_off_where_it_is(fleet: FakeFleet) -> None:
    fleet.apply(manifest(declared("a"), declared("stays")))
    off = manifest(declared("a", mode=Mode.DISABLED, inputs={"vault": {"mount": "kv"}}), declared("stays"))

    assert Kind.DISABLE is fleet.row(off).kind
    fleet.apply(off)
    assert (None, Kind.NONE) == (fleet.pinata("a").live, fleet.row(off).kind)


def test_an_empty_manifest_finds_its_accounts_by_the_vault_that_the_environment_names(fleet: FakeFleet) -> None:
    wanted = manifest(declared("a", prune=True), declared("b", prune=True, inputs={"vault": {"mount": "kv"}}))
    fleet.apply(wanted)
    fleet.default = wanted.accounts[0].settings

    rows = fleet.plan(manifest()).rows

    assert [("a", Kind.PRUNE), ("b", Kind.PRUNE)] == [(row.name, row.kind) for row in rows]  # kv is known from secret
