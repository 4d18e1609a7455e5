"""What the loop does while a guard holds a commit back, and with those that fail for good; on the doubles."""

from dataclasses import replace

import pytest
from fake_fleet import declared, refused
from loop_rig import Rig

from pulumi_pinata.core.errors import Refused
from reconciler.fleetplan import Condition
from reconciler.loop.events import EventKind
from reconciler.manifest.declared import Place, Problem


@pytest.fixture
def rig() -> Rig:
    return Rig()


NAMES = [f"a{number}" for number in range(10)]


def test_drift_is_healed_by_the_last_manifests_that_passed_while_a_commit_that_changes_all_is_held(rig: Rig) -> None:
    rig.commit(*(declared(name, inputs={"rotation_trigger": "1"}) for name in NAMES))
    rig.run(10)
    keys = {name: rig.fleet.key(name) for name in NAMES}
    rig.commit(*(declared(name, inputs={"rotation_trigger": "2"}) for name in NAMES))
    rig.clock.at(70, rig.fleet.accounts["a3"].disable)
    rig.clock.at(70, lambda: rig.fleet.accounts["a4"].disable())

    rig.run(400)

    for name in ("a3", "a4"):
        assert rig.fleet.key(name) == rig.fleet.accounts[name].live
        assert EventKind.DRIFT in rig.heard.kinds(name)
    assert {name: keys[name] for name in NAMES[5:]} == {name: rig.fleet.key(name) for name in NAMES[5:]}
    view = rig.board.view
    assert "10 of 10 accounts" in view.held[0]
    assert "held back" in view.accounts["a3"].reason  # the rotation is, still

    mints = rig.fleet.accounts["a3"].mints
    rig.commit(*(declared(name, inputs={"rotation_trigger": "1"}) for name in NAMES))  # the commit is taken back
    rig.run(400)
    assert (mints, ()) == (rig.fleet.accounts["a3"].mints, rig.board.view.held)


def test_a_refused_jwt_is_told_the_first_time_and_its_end_too(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.run(10)
    rig.contents["a"] = "old"
    rig.fleet.broken["a"] = refused("credentials", "Pinata refused the JWT (401).")
    rig.run(700)
    assert [EventKind.KEY_CHANGED, EventKind.FAILING] == rig.heard.kinds("a")

    rig.fleet.broken.clear()
    rig.contents["a"] = "new"
    rig.run(30)

    assert [EventKind.KEY_CHANGED, EventKind.FAILING, EventKind.RECOVERED] == rig.heard.kinds("a")


def test_a_while_of_401_for_everybody_is_got_over_within_two_days(rig: Rig) -> None:
    rig.commit(*(declared(name) for name in NAMES))
    rig.contents.update({name: f"jwt-{name}" for name in NAMES})
    rig.run(10)
    rig.fleet.broken.update({name: refused("credentials", "Pinata refused the JWT (401).") for name in NAMES})
    rig.clock.at(350, rig.fleet.broken.clear)
    rig.clock.at(400, lambda: rig.fleet.accounts["a0"].disable())

    rig.run(2 * 86400)

    assert rig.fleet.key("a0") == rig.fleet.accounts["a0"].live


def test_many_syncs_ask_about_a_refused_jwt_once_in_ten_minutes(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.contents["a"] = "old"
    rig.fleet.broken["a"] = refused("credentials", "Pinata refused the JWT (401).")
    for second in range(0, 1190, 10):
        rig.clock.at(second + 0.5, rig.loop.sync)

    rig.run(1190)

    assert 3 == rig.looks()


@pytest.mark.parametrize("where", ["keep_alive", "content"])
def test_a_defect_is_told_and_the_loop_goes_on(rig: Rig, where: str) -> None:
    rig.commit(declared("a"), declared("b"))
    rig.fleet.broken["b"] = refused("vault.path", "taken.")
    rig.run(10)

    def broken(*_: object) -> float:
        raise OSError(116, "Stale file handle")

    sound = getattr(rig, where)
    setattr(rig, where, broken)
    rig.clock.at(400, lambda: setattr(rig, where, sound))
    rig.clock.at(410, lambda: rig.fleet.accounts["a"].disable())

    rig.run(1200)

    assert {"OSError"} == {type(error).__name__ for error in rig.broken}
    assert rig.fleet.key("a") == rig.fleet.accounts["a"].live


def test_an_unsigned_commit_at_the_start_is_waited_out(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.error = Refused("commit c1 is not signed.", about="--allowed-signers")
    rig.clock.at(22, lambda: setattr(rig, "error", None))

    rig.run(40)

    assert Condition.READY is rig.view("a").condition


def test_frozen_accounts_keep_their_place_and_the_fleet_its_name(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.run(10)
    problem = Problem(Place("a.yaml", 3, 1), "no.")
    rig.commit(frozen=frozenset({"a"}), problems=(problem,), fleet="shop")

    rig.run(100)

    view = rig.view("a")
    assert ("secret/pinata/a", Condition.SUSPENDED) == (view.path, view.condition)
    assert "shop" == rig.board.view.fleet


def test_the_summary_of_a_pass_says_what_was_held_back(rig: Rig) -> None:
    rig.commit(*(declared(name, prune=True) for name in NAMES))
    rig.run(10)
    rig.commit(declared("a0", prune=True))

    rig.run(100)

    assert rig.board.view.last is not None
    assert rig.board.view.last.summary.endswith("9 held back")


def test_a_key_minted_elsewhere_that_only_the_listing_shows_is_found_within_an_hour(rig: Rig) -> None:
    pinata = rig.fleet.pinata("a")
    pinata.variant = replace(pinata.variant, created_at_stays=True)
    rig.commit(declared("a"))
    rig.run(10)
    pinata.enable()  # a person, who did not store it
    assert rig.fleet.key("a") != pinata.live

    rig.run(3700)

    assert rig.fleet.key("a") == pinata.live
    assert EventKind.DRIFT in rig.heard.kinds("a")
