"""One account from all that can be found to what is declared: what people, crashes, faults and rivals leave behind."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from doubles import ACCOUNT, HERE, FakeEscrow, FakeStore, Gate, Killed, Reenable, Variant, World, wanted

from pulumi_pinata.core import observe, plan
from pulumi_pinata.core.converge import converge
from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient
from pulumi_pinata.core.escrow import restore
from pulumi_pinata.core.model import Adopt, Condition, Label, Location, Mode, OnDelete, OnLostKey, State, Stored
from pulumi_pinata.core.secret import PrivateKey

ON = wanted()
OFF = wanted(mode=Mode.DISABLED)
OTHER = Location("secret", "pinata/other")
LOST = Ambiguous("the reply was lost")
REENABLES = [Variant(kind) for kind in Reenable]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def enabled(world: World) -> World:
    world.run(ON)
    return world


def assert_in_vault(world: World, mints: int, at: Location = HERE) -> None:
    """The live key is where services read it, no step is open, and no more keys were minted than that."""
    assert world.pinata.live is not None
    assert world.pinata.live == world.key_at(at)
    assert not world.record.open
    assert FakeStore(world.vault).stat(at).described
    assert mints == world.pinata.mints


def version_of(world: World, at: Location = HERE) -> int:
    return FakeStore(world.vault).stat(at).version


# --- the ordinary life of a key --------------------------------------------------------------------


def test_creating_mints_once_and_returns_where_the_key_is(world: World) -> None:
    outcome = world.run(ON)

    assert_in_vault(world, mints=1)
    assert outcome.status.enabled
    assert outcome.minted is not None
    assert (HERE, 1) == (outcome.minted.location, outcome.minted.version)
    assert outcome.minted == world.record.minted
    stored = FakeStore(world.vault).stat(HERE)
    assert {"team": "search"} == dict(stored.labels)


def test_an_account_in_order_costs_four_reads_and_no_write(enabled: World) -> None:
    gate = Gate()

    enabled.run(ON, gate)

    assert ["store.record", "pinata.status", "pinata.marker", "store.stat"] == gate.calls


def test_a_create_makes_nine_vault_calls_after_the_preflight_at_most(world: World) -> None:
    gate = Gate()

    world.run(ON, gate)

    after = gate.calls[gate.calls.index("store.preflight") + 1 :]
    assert len([name for name in after if name.startswith("store.")]) <= 9


def test_rotating_keeps_the_path_and_the_history(enabled: World) -> None:
    outcome = enabled.run(replace(ON, trigger="2"))

    assert_in_vault(enabled, mints=2)
    assert outcome.minted is not None
    assert 2 == outcome.minted.version
    old = FakeStore(enabled.vault).read(HERE, 1)
    assert old is not None
    assert "key-1" == old.key.reveal()


def test_a_trigger_that_stays_the_same_rotates_once(world: World) -> None:
    world.run(replace(ON, trigger="2"))
    world.run(replace(ON, trigger="2"))

    assert_in_vault(world, mints=1)


def test_a_trigger_that_is_taken_away_does_not_rotate(world: World) -> None:
    world.run(replace(ON, trigger="2"))
    world.run(ON)

    assert_in_vault(world, mints=1)


def test_disabling_out_of_band_is_healed_by_a_new_key(enabled: World) -> None:
    enabled.pinata.disable()

    enabled.run(ON)

    assert_in_vault(enabled, mints=2)


@pytest.mark.parametrize(
    "variant",
    [Variant(), Variant(listing=False), Variant(auth_first=False), Variant(listing=False, auth_first=False)],
    ids=str,
)
def test_a_key_reminted_out_of_band_is_replaced(variant: Variant) -> None:
    world = World(variant)
    world.run(ON)
    world.pinata.remint_out_of_band()

    world.run(ON)

    assert_in_vault(world, mints=3)


@pytest.mark.parametrize(
    "variant", [Variant(), Variant(created_at_stays=True), Variant(listing=False, auth_first=False)], ids=str
)
def test_a_second_enable_out_of_band_that_rotated_the_key_is_noticed(variant: Variant) -> None:
    world = World(variant)
    world.run(ON)
    world.pinata.enable()

    world.run(ON)

    assert_in_vault(world, mints=3)


@pytest.mark.parametrize("kind", [Reenable.SAME, Reenable.NO_KEY, Reenable.CONFLICT])
def test_a_second_enable_out_of_band_that_changed_nothing_costs_nothing(kind: Reenable) -> None:
    world = World(Variant(kind))
    world.run(ON)
    world.pinata.enable()

    world.run(ON)

    assert_in_vault(world, mints=1)


def test_a_marker_that_moved_for_another_reason_is_settled_by_trying_the_key(enabled: World) -> None:
    enabled.pinata._entry = "entry-1@edited"

    enabled.run(ON)

    assert_in_vault(enabled, mints=1)
    gate = Gate()
    enabled.run(ON, gate)
    assert ["store.record", "pinata.status", "pinata.marker", "store.stat"] == gate.calls


# --- lost and late replies -------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("variant", REENABLES, ids=str)
def test_losing_the_reply_to_enable_costs_at_most_one_more_mint(variant: Variant, after: bool) -> None:
    world = World(variant)

    world.run(ON, Gate().on("pinata.enable", LOST, after=after))

    assert_in_vault(world, mints=world.pinata.mints)
    assert world.pinata.mints <= 2


@pytest.mark.parametrize("variant", REENABLES, ids=str)
def test_losing_two_replies_to_enable_costs_at_most_two_more_mints(variant: Variant) -> None:
    world = World(variant)
    gate = Gate().on("pinata.enable", LOST, after=True).on("pinata.enable", LOST, nth=2, after=True)

    world.run(ON, gate)

    assert_in_vault(world, mints=world.pinata.mints)
    assert world.pinata.mints <= 3


@pytest.mark.parametrize("variant", REENABLES, ids=str)
def test_an_enable_that_lands_late_but_within_the_grace_is_seen_before_it_is_repaired(variant: Variant) -> None:
    world = World(variant)
    grace = world.ports().grace
    gate = Gate().on("pinata.enable", LOST)
    gate.hook("pinata.enable", lambda: world.clock.at(grace / 2, world.pinata.enable))

    world.run(ON, gate)
    world.clock.jump(60)

    assert_in_vault(world, mints=2)


def test_losing_the_reply_to_disable_is_settled_by_the_status(enabled: World) -> None:
    enabled.run(OFF, Gate().on("pinata.disable", LOST, after=True))

    assert enabled.pinata.live is None
    assert not enabled.record.open
    assert 1 == enabled.pinata.disables


def test_an_enable_that_says_it_is_on_already_ends_with_a_key_in_vault() -> None:
    world = World(Variant(Reenable.CONFLICT))
    gate = Gate().hook("pinata.enable", world.pinata.enable)

    world.run(replace(ON, adopt=Adopt.REMINT), gate)

    assert_in_vault(world, mints=2)


def test_an_account_that_somebody_else_switched_on_during_the_mint_is_not_taken_over() -> None:
    world = World(Variant(Reenable.CONFLICT))
    gate = Gate().hook("pinata.enable", world.pinata.enable)

    with suppress(PinataError):
        world.run(ON, gate)

    assert "key-1" == world.pinata.live


def test_a_call_that_is_refused_before_the_mint_leaves_no_intent(world: World) -> None:
    with pytest.raises(Refused):
        world.run(ON, Gate().on("pinata.enable", Refused("402")))

    assert not world.record.open
    assert 0 == world.pinata.mints


# --- Vault fails -----------------------------------------------------------------------------------


def test_nothing_is_minted_while_vault_is_sealed(world: World) -> None:
    world.vault.sealed = True

    with pytest.raises(Transient):
        world.run(ON)
    assert 0 == world.pinata.mints


def test_nothing_is_minted_when_the_login_may_not_write(world: World) -> None:
    world.vault.may_write = False

    with pytest.raises(Refused):
        world.run(ON)
    assert 0 == world.pinata.mints
    assert [] == world.vault.records(ACCOUNT)


def test_inference_is_switched_off_again_when_vault_dies_after_the_mint(world: World) -> None:
    def seal() -> None:
        world.vault.sealed = True

    with pytest.raises(Refused, match="switched off again"):
        world.run(ON, Gate().hook("pinata.enable", seal, after=True))

    assert world.pinata.live is None
    world.vault.sealed = False
    world.run(ON)
    assert_in_vault(world, mints=2)


def test_inference_is_switched_off_and_the_intent_closed_when_vault_refuses_only_the_key(world: World) -> None:
    with pytest.raises(Refused, match="switched off again"):
        world.run(ON, Gate().on("store.write", Refused("no")))

    assert world.pinata.live is None
    assert not world.record.open


def test_a_short_outage_of_vault_after_the_mint_is_waited_out(world: World) -> None:
    def outage() -> None:
        world.vault.sealed = True
        world.clock.at(1.0, lambda: setattr(world.vault, "sealed", False))

    world.run(ON, Gate().hook("pinata.enable", outage, after=True))

    assert_in_vault(world, mints=1)


def test_the_intent_stays_open_when_neither_vault_nor_pinata_answers_after_the_mint(world: World) -> None:
    def outage() -> None:
        world.vault.sealed = True
        world.pinata.down = Ambiguous("no reply")

    with pytest.raises(PinataError):
        world.run(ON, Gate().hook("pinata.enable", outage, after=True))

    world.vault.sealed, world.pinata.down = False, None
    assert world.record.open
    world.run(ON)
    assert_in_vault(world, mints=2)


def test_a_key_that_vault_will_not_take_is_sealed_and_can_be_restored_without_a_mint(world: World) -> None:
    escrow = FakeEscrow()
    ports = replace(world.ports(), escrow=escrow)
    with pytest.raises(Refused, match="sealed in"):
        converge(ON, Gate().on("store.write", Refused("no")).wrap(ports))
    assert world.record.open
    assert "key-1" == world.pinata.live

    restore(escrow.sealed[0], ON, world.ports())

    assert_in_vault(world, mints=1)
    with pytest.raises(Refused, match="repaired"):
        restore(escrow.sealed[0], ON, world.ports())


def test_a_sealed_key_is_minted_anew_by_another_run_and_then_no_more_of_use(world: World) -> None:
    escrow = FakeEscrow()
    with pytest.raises(Refused, match="sealed in"):
        converge(ON, Gate().on("store.write", Refused("no")).wrap(replace(world.ports(), escrow=escrow)))

    world.run(ON)

    assert_in_vault(world, mints=2)
    with pytest.raises(Refused, match="repaired"):
        restore(escrow.sealed[0], ON, world.ports())
    assert_in_vault(world, mints=2)


@pytest.mark.parametrize("after", [False, True], ids=["it did not land", "it landed"])
def test_an_ambiguous_write_of_the_key_is_settled_by_reading_it_back(world: World, after: bool) -> None:
    world.run(ON, Gate().on("store.write", LOST, after=after))

    assert_in_vault(world, mints=1)
    assert 1 == version_of(world)


@pytest.mark.parametrize("nth", [1, 2], ids=["opening", "closing"])
@pytest.mark.parametrize("after", [False, True], ids=["it did not land", "it landed"])
def test_an_ambiguous_write_of_the_record_costs_no_mint_or_one(world: World, nth: int, after: bool) -> None:
    with suppress(PinataError):
        world.run(ON, Gate().on("store.put_record", LOST, nth=nth, after=after))

    world.run(ON)
    assert_in_vault(world, mints=1)


def test_a_key_that_a_stale_holder_slipped_in_is_covered_by_the_present_one(world: World) -> None:
    stale = Gate().hook("store.write", lambda: world.run(ON))
    # The stale holder wakes up in its write: the present one has minted and is about to write.

    with suppress(PinataError):
        world.run(ON, stale)

    world.run(ON)
    assert_in_vault(world, mints=2)


def test_a_write_that_lost_to_a_dead_key_of_our_own_run_goes_over_it(world: World) -> None:
    def slip_in() -> None:
        data = {
            "PINATA_LLM_KEY": "dead",
            "PINATA_LLM_KEY_FINGERPRINT": _fingerprint("dead"),
            "PINATA_LLM_KEY_ATTEMPT": world.record.attempts[-1],
        }
        world.vault.put(HERE, data)

    world.run(ON, Gate().hook("store.write", slip_in))

    assert_in_vault(world, mints=1)
    assert 2 == version_of(world)


def _fingerprint(key: str) -> str:
    return PrivateKey(key).fingerprint


def test_a_write_that_lost_to_somebody_elses_secret_leaves_it_and_switches_off(world: World) -> None:
    gate = Gate().hook("store.write", lambda: world.vault.put(HERE, {"password": "theirs"}))

    with pytest.raises(Refused, match="taken by somebody else"):
        world.run(ON, gate)

    assert world.pinata.live is None
    entry = world.vault.entry(HERE)
    assert entry is not None
    assert {"password": "theirs"} == entry.versions[entry.current].data
    assert 1 == entry.current
    assert not world.record.open


# --- the Vault copy --------------------------------------------------------------------------------


def test_a_soft_deleted_copy_is_brought_back_without_a_mint(enabled: World) -> None:
    enabled.vault.soft_delete(HERE)

    enabled.run(ON)

    assert_in_vault(enabled, mints=1)
    assert 1 == version_of(enabled)


def test_a_destroyed_copy_is_replaced_by_a_new_key(enabled: World) -> None:
    enabled.vault.destroy_version(HERE)

    enabled.run(ON)

    assert_in_vault(enabled, mints=2)


def test_a_copy_whose_path_was_wiped_is_replaced_by_a_new_key(enabled: World) -> None:
    enabled.vault.wipe(HERE)

    enabled.run(ON)

    assert_in_vault(enabled, mints=2)


@pytest.mark.parametrize("spoil", ["destroy_version", "wipe"])
def test_a_lost_key_is_not_replaced_where_that_is_not_allowed(enabled: World, spoil: str) -> None:
    getattr(enabled.vault, spoil)(HERE)

    with pytest.raises(Refused, match="on_lost_key"):
        enabled.run(replace(ON, on_lost_key=OnLostKey.FAIL))

    assert "key-1" == enabled.pinata.live
    assert not enabled.record.open


def test_a_stale_key_is_not_replaced_where_that_is_not_allowed(enabled: World) -> None:
    enabled.pinata.remint_out_of_band()

    with pytest.raises(Refused, match="on_lost_key"):
        enabled.run(replace(ON, on_lost_key=OnLostKey.FAIL))

    assert 2 == enabled.pinata.mints


def test_a_copy_that_was_rolled_back_is_restored_without_a_mint(enabled: World) -> None:
    enabled.run(replace(ON, trigger="2"))
    enabled.vault.rollback(HERE, 1)

    enabled.run(replace(ON, trigger="2"))

    assert_in_vault(enabled, mints=2)
    assert 4 == version_of(enabled)


def test_a_copy_that_somebody_wrote_over_is_restored_without_a_mint(enabled: World) -> None:
    enabled.vault.put(HERE, {"PINATA_LLM_KEY": "typo"})

    enabled.run(ON)

    assert_in_vault(enabled, mints=1)


def test_a_copy_written_over_until_history_was_trimmed_is_replaced_by_a_new_key(enabled: World) -> None:
    for _ in range(enabled.vault.max_versions):
        enabled.vault.put(HERE, {"PINATA_LLM_KEY": "typo"})

    enabled.run(ON)

    assert_in_vault(enabled, mints=2)


def test_a_label_that_a_person_removed_is_written_again_without_a_mint(enabled: World) -> None:
    enabled.vault.unlabel(HERE)

    enabled.run(ON)

    assert_in_vault(enabled, mints=1)
    assert {"team": "search"} == dict(FakeStore(enabled.vault).stat(HERE).labels)


def test_a_label_that_a_person_changed_is_put_right(enabled: World) -> None:
    entry = enabled.vault.entry(HERE)
    assert entry is not None
    entry.metadata["team"] = "ads"

    enabled.run(ON)

    assert_in_vault(enabled, mints=1)
    assert {"team": "search"} == dict(FakeStore(enabled.vault).stat(HERE).labels)


def test_a_record_that_was_deleted_is_learned_again_from_the_label(enabled: World) -> None:
    enabled.vault.soft_delete(Location("secret", f"pinata-inference/intents/{ACCOUNT}"))
    enabled.run(ON)
    enabled.run(replace(ON, labels={"team": "ads"}))

    assert_in_vault(enabled, mints=1)


def test_what_the_state_remembers_brings_back_an_account_whose_vault_was_wiped(enabled: World) -> None:
    held = enabled.record.minted
    enabled.vault.mounts["secret"].clear()

    enabled.run(replace(ON, held=held))

    assert_in_vault(enabled, mints=2)


def test_what_the_state_remembers_is_enough_to_switch_off_after_vault_was_wiped(enabled: World) -> None:
    held = enabled.record.minted
    enabled.vault.mounts["secret"].clear()

    enabled.run(replace(OFF, held=held))

    assert enabled.pinata.live is None


# --- moves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_delete", OnDelete)
def test_a_new_path_gets_the_same_key_and_the_live_key_goes_from_the_old_one_whatever_the_policy(
    enabled: World, on_delete: OnDelete
) -> None:
    enabled.run(replace(ON, location=OTHER, on_delete=on_delete))

    assert_in_vault(enabled, mints=1, at=OTHER)
    old = FakeStore(enabled.vault).stat(HERE)
    assert State.DESTROYED is old.state
    assert old.label is None or old.label.minted is None


def test_a_path_that_was_moved_away_from_can_be_moved_back_to(enabled: World) -> None:
    enabled.run(replace(ON, location=OTHER))
    enabled.run(ON)

    assert_in_vault(enabled, mints=1)


def test_moving_from_a_path_that_somebody_wrote_over_keeps_the_key(enabled: World) -> None:
    enabled.vault.put(HERE, {"PINATA_LLM_KEY": "typo"})

    enabled.run(replace(ON, location=OTHER))

    assert_in_vault(enabled, mints=1, at=OTHER)


def test_moving_from_a_path_that_was_soft_deleted_keeps_the_key(enabled: World) -> None:
    enabled.vault.soft_delete(HERE)

    enabled.run(replace(ON, location=OTHER))

    assert_in_vault(enabled, mints=1, at=OTHER)


def test_moving_leaves_no_older_version_with_the_live_key_behind(enabled: World) -> None:
    enabled.run(replace(ON, field="OPENAI_API_KEY"))
    enabled.run(replace(ON, field="OPENAI_API_KEY", location=OTHER))

    assert () == FakeStore(enabled.vault).stat(HERE).readable


def test_a_new_name_for_the_field_keeps_the_key(enabled: World) -> None:
    enabled.run(replace(ON, field="OPENAI_API_KEY"))

    assert_in_vault(enabled, mints=1)
    content = FakeStore(enabled.vault).read(HERE)
    assert content is not None
    assert "OPENAI_API_KEY" == content.field


def test_moving_and_renaming_at_once_keeps_the_key(enabled: World) -> None:
    enabled.run(replace(ON, location=OTHER, field="OPENAI_API_KEY", labels={}))

    assert_in_vault(enabled, mints=1, at=OTHER)


@pytest.mark.parametrize("call", range(1, 20))
def test_a_move_that_was_killed_and_is_then_called_off_leaves_the_key_at_the_old_path_alone(
    enabled: World, call: int
) -> None:
    with suppress(Killed):
        enabled.run(replace(ON, location=OTHER), Gate().crash(call, after=True))

    enabled.run(ON)

    assert_in_vault(enabled, mints=1)
    assert State.READABLE is not FakeStore(enabled.vault).stat(OTHER).state, "the live key is left at a second path"


@pytest.mark.parametrize("call", range(1, 20))
def test_a_path_that_a_killed_run_was_heading_for_can_still_be_used_later(enabled: World, call: int) -> None:
    with suppress(Killed):
        enabled.run(replace(ON, location=OTHER), Gate().crash(call, after=True))
    enabled.run(ON)

    enabled.run(replace(ON, location=OTHER))

    assert_in_vault(enabled, mints=1, at=OTHER)


@pytest.mark.parametrize("call", range(1, 12))
def test_a_create_that_was_killed_and_is_then_declared_elsewhere_leaves_nothing_behind(world: World, call: int) -> None:
    with suppress(Killed):
        world.run(ON, Gate().crash(call, after=True))

    world.run(replace(ON, location=OTHER))

    assert_in_vault(world, mints=world.pinata.mints, at=OTHER)
    assert world.pinata.mints <= 2
    assert State.READABLE is not FakeStore(world.vault).stat(HERE).state, "a key is left at the first path"


@pytest.mark.parametrize("call", range(1, 12))
def test_a_create_that_was_killed_and_is_then_undeclared_elsewhere_leaves_nothing_behind(
    world: World, call: int
) -> None:
    with suppress(Killed):
        world.run(ON, Gate().crash(call, after=True))

    world.run(replace(OFF, location=OTHER))

    assert world.pinata.live is None
    assert State.READABLE is not FakeStore(world.vault).stat(HERE).state, "a dead key is left at the first path"


# --- what is not ours ------------------------------------------------------------------------------


def test_a_secret_without_our_mark_is_never_written_over(world: World) -> None:
    world.vault.put(HERE, {"password": "theirs"})
    before = world.vault.snapshot()

    with pytest.raises(Refused, match="without our mark"):
        world.run(ON)

    assert before == world.vault.snapshot()
    assert 0 == world.pinata.mints


def test_a_path_of_another_account_is_refused(enabled: World) -> None:
    with pytest.raises(Refused, match="held by"):
        enabled.run(replace(ON, account="account-2"))

    assert "key-1" == enabled.key_at()


def test_an_account_that_somebody_else_manages_is_refused(enabled: World) -> None:
    with pytest.raises(Refused, match="managed by stack/prod"):
        enabled.run(replace(ON, owner="stack/rival", location=OTHER))

    assert_in_vault(enabled, mints=1)


def test_an_account_that_somebody_else_manages_can_be_taken_over_by_remint(enabled: World) -> None:
    enabled.run(replace(ON, owner="stack/rival", location=OTHER, adopt=Adopt.REMINT))

    assert_in_vault(enabled, mints=2, at=OTHER)
    assert "stack/rival" == enabled.record.owner
    assert "key-1" == enabled.key_at(), "the other's copy is not ours to delete"


def test_an_account_that_somebody_else_manages_can_be_observed(enabled: World) -> None:
    outcome = enabled.run(replace(ON, owner="stack/rival", location=OTHER, adopt=Adopt.OBSERVE))

    assert_in_vault(enabled, mints=1)
    assert outcome.minted is None


def test_a_former_owner_is_still_ours_and_the_new_name_is_written(enabled: World) -> None:
    enabled.run(replace(ON, owner="stack/new", former_owners=("stack/prod",)))

    assert_in_vault(enabled, mints=1)
    assert "stack/new" == enabled.record.owner
    label = FakeStore(enabled.vault).stat(HERE).label
    assert label is not None
    assert "stack/new" == label.owner


def test_inference_switched_on_by_somebody_else_is_refused_by_default(world: World) -> None:
    world.pinata.enable()

    with pytest.raises(Refused, match="not ours"):
        world.run(ON)

    assert "key-1" == world.pinata.live
    assert [] == world.vault.records(ACCOUNT)


@pytest.mark.parametrize("variant", REENABLES, ids=str)
def test_inference_switched_on_by_somebody_else_is_adopted_by_remint(variant: Variant) -> None:
    world = World(variant)
    world.pinata.enable()

    world.run(replace(ON, adopt=Adopt.REMINT))

    assert_in_vault(world, mints=2)


def test_inference_switched_on_by_somebody_else_can_be_observed(world: World) -> None:
    world.pinata.enable()
    before = world.vault.snapshot()

    outcome = world.run(replace(ON, adopt=Adopt.OBSERVE))

    assert outcome.status.enabled
    assert outcome.minted is None
    assert before == world.vault.snapshot()


def test_observing_writes_nothing_whatever_is_found(world: World) -> None:
    gate = Gate()
    world.pinata.enable()

    world.run(replace(ON, mode=Mode.OBSERVED), gate)

    assert ["pinata.status", "pinata.marker", "store.stat"] == gate.calls


# --- switching off ---------------------------------------------------------------------------------


@pytest.mark.parametrize("on_delete", OnDelete)
def test_disabling_switches_off_and_treats_the_copy_by_policy(enabled: World, on_delete: OnDelete) -> None:
    enabled.run(replace(OFF, on_delete=on_delete))

    assert enabled.pinata.live is None
    ends = {OnDelete.SOFT_DELETE: State.DELETED, OnDelete.DESTROY: State.DESTROYED, OnDelete.RETAIN: State.READABLE}
    assert ends[on_delete] == FakeStore(enabled.vault).stat(HERE).state
    assert not enabled.record.open
    assert enabled.record.minted is None


@pytest.mark.parametrize("on_delete", OnDelete)
def test_disabling_twice_does_nothing_more(enabled: World, on_delete: OnDelete) -> None:
    enabled.run(replace(OFF, on_delete=on_delete))
    gate = Gate()
    enabled.run(replace(OFF, on_delete=on_delete), gate)

    assert not [name for name in gate.calls if name.split(".")[1] not in ("status", "marker", "stat", "record", "read")]


@pytest.mark.parametrize("on_delete", OnDelete)
def test_what_was_disabled_can_be_enabled_again(enabled: World, on_delete: OnDelete) -> None:
    enabled.run(replace(OFF, on_delete=on_delete))
    enabled.run(ON)

    assert_in_vault(enabled, mints=2)


def test_a_kill_between_disable_and_the_vault_delete_leaves_only_tidying(enabled: World) -> None:
    with pytest.raises(Killed):
        enabled.run(OFF, Gate().on("store.soft_delete", Killed()))
    assert enabled.record.open

    enabled.run(OFF)

    assert State.DELETED is FakeStore(enabled.vault).stat(HERE).state
    assert not enabled.record.open
    assert 1 == enabled.pinata.disables


def test_disabling_leaves_inference_that_somebody_else_switched_on(world: World) -> None:
    world.pinata.enable()

    with pytest.raises(Refused):
        world.run(OFF)

    assert "key-1" == world.pinata.live


def test_disabling_leaves_the_account_and_the_secret_of_another_owner(enabled: World) -> None:
    before = enabled.vault.snapshot()

    with suppress(Refused):
        enabled.run(replace(OFF, owner="stack/rival", on_delete=OnDelete.DESTROY))

    assert "key-1" == enabled.pinata.live
    assert before == enabled.vault.snapshot()


def test_disabling_switches_off_a_key_that_was_reminted_out_of_band(enabled: World) -> None:
    enabled.pinata.remint_out_of_band()

    enabled.run(OFF)

    assert enabled.pinata.live is None


# --- two at once -----------------------------------------------------------------------------------


def test_of_two_runs_at_once_one_mints_and_the_other_finds_its_key(world: World) -> None:
    # The rival starts when the first run has looked but not yet opened its intent.
    world.run(ON, Gate().hook("store.preflight", lambda: world.run(ON)))

    assert_in_vault(world, mints=1)


def test_a_run_waits_for_one_that_is_at_work_and_then_finds_all_in_order(world: World) -> None:
    first = Gate()
    calls: list[str] = []

    def rival_run() -> None:
        # It sees the open intent; while it waits, the first run goes on.
        with pytest.raises(Conflict):
            world.run(ON, Gate().on("store.record", Conflict("still at work"), nth=2))
        calls.append("waited")

    first.hook("pinata.enable", rival_run)
    world.run(ON, first)

    assert ["waited"] == calls
    assert_in_vault(world, mints=1)


def test_an_intent_is_taken_over_only_after_it_stood_still_for_a_lease(world: World) -> None:
    with pytest.raises(Killed):
        world.run(ON, Gate().on("pinata.enable", Killed(), after=True))
    began, moved = world.clock.now, []
    gate = Gate().hook("pinata.disable", lambda: moved.append(world.clock.now - began))

    world.run(ON, gate)

    assert moved
    assert moved[0] >= world.ports().lease
    assert_in_vault(world, mints=2)
    assert "unfinished run" in world.notices[0]


def test_an_intent_that_is_renewed_is_not_taken_over(world: World) -> None:
    with pytest.raises(Killed):
        world.run(ON, Gate().on("pinata.enable", Killed(), after=True))
    store = FakeStore(world.vault)

    def renew() -> None:
        store.put_record(ACCOUNT, world.record, cas=world.record.version)
        world.clock.at(10, renew)

    world.clock.at(10, renew)

    with pytest.raises(Conflict, match="another run is at work"):
        world.run(ON)
    assert 1 == world.pinata.mints


def test_a_run_resumes_its_own_intent_without_waiting(world: World) -> None:
    began = world.clock.now

    world.run(ON, Gate().on("pinata.enable", LOST, after=True))

    assert world.clock.now - began < world.ports().lease


def rival_during(rival: Callable[[], object], name: str) -> Gate:
    """A gate whose holder is stopped just before its call `name`, for as long as a rival takes over and ends."""
    return Gate().hook(name, rival)


@pytest.mark.parametrize("name", ["store.put_record", "store.preflight"])
def test_a_holder_that_was_paused_before_its_intent_mints_nothing(world: World, name: str) -> None:
    world.run(ON, rival_during(lambda: world.run(ON), name))

    assert_in_vault(world, mints=1)


@pytest.mark.parametrize(("name", "mints"), [("store.write", 2), ("store.read", 1)])
def test_a_holder_that_was_paused_at_the_store_writes_no_key_afterwards(world: World, name: str, mints: int) -> None:
    seen = {}

    def rival() -> None:
        world.run(ON)
        seen.update(world.vault.snapshot())

    world.run(ON, rival_during(rival, name))

    assert_in_vault(world, mints=mints)
    assert seen == world.vault.snapshot()


@pytest.mark.parametrize("variant", [Variant(), Variant(created_at_stays=True), *REENABLES[1:]], ids=str)
def test_a_holder_that_was_paused_in_enable_leaves_the_live_key_in_vault(variant: Variant) -> None:
    world = World(variant)

    world.run(ON, rival_during(lambda: world.run(ON), "pinata.enable"))

    assert_in_vault(world, mints=world.pinata.mints)


def test_a_holder_that_was_paused_in_enable_is_repaired_even_where_no_marker_moves() -> None:
    world = World(Variant(created_at_stays=True, listing=False))

    world.run(ON, rival_during(lambda: world.run(ON), "pinata.enable"))

    assert_in_vault(world, mints=world.pinata.mints)


def test_a_holder_that_was_paused_in_enable_while_a_rival_switched_off_does_not_leave_a_key_nobody_has(
    world: World,
) -> None:
    gate = rival_during(lambda: world.run(OFF), "pinata.enable")

    with suppress(PinataError):
        world.run(ON, gate)

    assert world.accounted_for()


def test_the_promise_is_kept_the_moment_a_paused_enable_finds_its_intent_lost(world: World) -> None:
    gate = rival_during(lambda: world.run(ON), "pinata.enable")
    gate.on("pinata.status", Killed(), nth=2)

    with suppress(Killed):
        world.run(ON, gate)

    assert world.accounted_for()


@pytest.mark.parametrize("on_delete", [OnDelete.SOFT_DELETE, OnDelete.DESTROY])
def test_a_disable_that_was_paused_before_the_vault_delete_leaves_a_rivals_live_key(
    enabled: World, on_delete: OnDelete
) -> None:
    name = "store.destroy" if on_delete is OnDelete.DESTROY else "store.soft_delete"
    gate = rival_during(lambda: enabled.run(ON), name)
    gate.after_each = lambda: _assert_kept(enabled)

    with suppress(PinataError):
        enabled.run(replace(OFF, on_delete=on_delete), gate)


def test_a_disable_that_was_paused_after_its_last_look_at_the_status_deletes_nothing_of_a_rival(
    enabled: World,
) -> None:
    gate = Gate().hook("pinata.status", lambda: enabled.run(ON), nth=2, after=True)
    gate.on("store.put_record", Killed(), nth=2)

    with suppress(Killed, PinataError):
        enabled.run(OFF, gate)

    assert enabled.accounted_for()


def test_a_move_that_was_paused_before_the_old_copys_delete_leaves_a_rivals_live_key(enabled: World) -> None:
    # The rival calls the move off and rotates: the live key is at the old path again.
    gate = rival_during(lambda: enabled.run(replace(ON, trigger="2")), "store.destroy")
    gate.after_each = lambda: _assert_kept(enabled)

    with suppress(PinataError):
        enabled.run(replace(ON, location=OTHER, on_delete=OnDelete.DESTROY), gate)


def _assert_kept(world: World) -> None:
    assert world.accounted_for()


def test_an_undelete_that_was_paused_does_not_bring_back_a_key_that_a_rival_retired(enabled: World) -> None:
    enabled.vault.soft_delete(HERE)
    gate = rival_during(lambda: enabled.run(OFF), "store.undelete")

    with suppress(PinataError):
        enabled.run(ON, gate)

    assert enabled.pinata.live == enabled.key_at()


# --- how it stands ---------------------------------------------------------------------------------


def _condition(world: World, **changes: object) -> Condition:
    want = replace(ON, **changes)  # type: ignore[arg-type]
    return plan.condition(want, observe.account(want, world.ports()))


def test_each_way_to_stand_has_its_word(enabled: World) -> None:
    assert Condition.READY is _condition(enabled)
    assert Condition.DRIFTED is _condition(enabled, labels={})
    assert Condition.DRIFTED is _condition(enabled, location=OTHER)
    assert Condition.CONFLICT is _condition(enabled, owner="stack/rival")
    enabled.vault.soft_delete(HERE)
    assert Condition.DRIFTED is _condition(enabled)
    enabled.vault.destroy_version(HERE)
    assert Condition.KEY_LOST is _condition(enabled)
    enabled.run(ON)
    enabled.pinata.remint_out_of_band()
    assert Condition.KEY_STALE is _condition(enabled)
    enabled.pinata.disable()
    assert Condition.OFF is _condition(enabled)


def test_inference_of_somebody_else_stands_as_lost_or_observed(world: World) -> None:
    world.pinata.enable()

    assert Condition.KEY_LOST is _condition(world)
    assert Condition.OBSERVED is _condition(world, adopt=Adopt.OBSERVE)


def test_an_open_intent_stands_as_interrupted(world: World) -> None:
    with pytest.raises(Killed):
        world.run(ON, Gate().on("pinata.enable", Killed(), after=True))

    assert Condition.INTERRUPTED is _condition(world)


def test_a_released_label_is_free_for_anybody(world: World) -> None:
    world.vault.put(HERE, {"old": "secret"})
    FakeStore(world.vault).label(HERE, Stored(label=Label("stack/rival", "account-2", None, released=1)))

    world.run(ON)

    assert_in_vault(world, mints=1)
