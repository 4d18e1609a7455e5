"""The loop on the doubles, in virtual time: who is looked at when, and what is remembered."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fake_fleet import NOW, declared, refused
from loop_rig import Rig

from pulumi_pinata.core.errors import Conflict, Refused, Transient
from reconciler.fleetplan import Condition, Kind, Result
from reconciler.loop.events import EventKind
from reconciler.loop.listener import Listener, Listeners
from reconciler.loop.view import FleetView
from reconciler.manifest.declared import Drift, Place, Problem


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_the_first_pass_brings_all_accounts_to_what_is_declared(rig: Rig) -> None:
    rig.commit(declared("a"), declared("b"))

    rig.run()

    assert {"a": Condition.READY, "b": Condition.READY} == {
        name: view.condition for name, view in rig.board.view.accounts.items()
    }
    assert rig.fleet.key("a") == rig.fleet.accounts["a"].live
    assert [EventKind.KEY_CHANGED, EventKind.KEY_CHANGED] == rig.heard.kinds()
    assert rig.board.view.last is not None
    assert rig.board.view.last.good
    assert ([], True) == (rig.broken, rig.board.view.stopping)


def test_all_accounts_are_looked_at_again_after_the_interval_and_no_sooner(rig: Rig) -> None:
    rig.commit(declared("a"))

    rig.run(299)
    assert [True] == rig.heard.whole
    rig.run(10)
    assert [True, True] == rig.heard.whole


def test_a_new_commit_is_followed_at_the_next_poll(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.clock.at(70, lambda: rig.commit(declared("a"), declared("b")))

    rig.run(125)

    assert ("2", 2) == (rig.board.view.source.commit, len(rig.heard.passes))
    assert Condition.READY is rig.view("b").condition


def test_the_same_commit_makes_no_pass(rig: Rig) -> None:
    rig.commit(declared("a"))

    rig.run(200)

    assert (4, 1) == (rig.fetches, len(rig.heard.passes))


def test_a_sync_asks_the_source_and_looks_at_all_accounts_at_once(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.clock.at(20, rig.loop.sync)

    rig.run(25)

    assert (2, [True, True]) == (rig.fetches, rig.heard.whole)


def test_drift_between_commits_is_told_and_healed(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.clock.at(100, lambda: rig.fleet.accounts["a"].disable())

    rig.run(310)

    assert [EventKind.KEY_CHANGED, EventKind.DRIFT, EventKind.KEY_CHANGED] == rig.heard.kinds("a")
    assert (Condition.READY, None) == (rig.view("a").condition, rig.view("a").drifted_at)
    assert rig.fleet.key("a") == rig.fleet.accounts["a"].live


def test_drift_that_is_only_to_be_reported_stays_and_is_told_once(rig: Rig) -> None:
    rig.commit(declared("a", drift=Drift.REPORT))
    rig.clock.at(100, lambda: rig.fleet.accounts["a"].disable())

    rig.run(950)

    view = rig.view("a")
    assert [EventKind.KEY_CHANGED, EventKind.DRIFT] == rig.heard.kinds("a")
    assert (Kind.REPORT, Condition.DRIFTED) == (view.kind, view.condition)
    assert NOW + timedelta(seconds=300) <= view.drifted_at <= NOW + timedelta(seconds=302)


def test_a_source_that_fails_leaves_the_last_good_manifests_in_force(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.run(10)
    rig.error = Transient("the server does not answer.", about="--git")
    rig.clock.at(100, lambda: rig.fleet.accounts["a"].disable())

    rig.run(310)

    source = rig.board.view.source
    assert rig.fleet.key("a") == rig.fleet.accounts["a"].live  # healed from what is known
    assert ("1", "--git: the server does not answer.") == (source.commit, source.error)
    assert source.failing_since == NOW + timedelta(seconds=60)
    assert [EventKind.SOURCE_FAILING] == [e.kind for e in rig.heard.events if e.account is None]


def test_a_source_that_comes_back_is_told(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.run(10)
    rig.error = Refused("no such ref.", about="--ref")
    rig.clock.at(100, lambda: setattr(rig, "error", None))

    rig.run(200)

    assert (None, None) == (rig.board.view.source.error, rig.board.view.source.failing_since)
    assert [EventKind.SOURCE_FAILING, EventKind.SOURCE_RECOVERED] == [
        event.kind for event in rig.heard.events if event.account is None
    ]


def test_a_source_that_is_wrong_from_the_start_ends_the_loop_with_its_error(rig: Rig) -> None:
    rig.error = Refused("no such ref.", about="--ref")

    with pytest.raises(Refused, match="no such ref"):
        rig.run()


def test_a_source_that_is_down_at_the_start_is_waited_for(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.error = Transient("down.", about="--git")
    rig.clock.at(22, lambda: setattr(rig, "error", None))

    rig.run(40)

    assert Condition.READY is rig.view("a").condition


def test_an_account_that_fails_is_tried_again_alone_with_growing_pauses(rig: Rig) -> None:
    rig.commit(declared("a"), declared("b"))
    rig.fleet.broken["b"] = Transient("no answer.")

    rig.run(58)

    # At about 4, 11, 26 and 56 s: the pauses are three quarters of 5, 10, 20 and 40.
    assert [True, False, False, False, False] == rig.heard.whole
    assert 1 == rig.fleet.opened.count("a") // 2  # looked at, then applied
    assert (5, Condition.UPSTREAM_UNAVAILABLE) == (rig.view("b").failures, rig.view("b").condition)
    assert [EventKind.FAILING] == rig.heard.kinds("b")
    assert rig.view("b").retry_at is not None


def test_an_account_that_works_again_is_told_and_forgotten(rig: Rig) -> None:
    rig.commit(declared("a"), declared("b"))
    rig.fleet.broken["b"] = Transient("no answer.")
    rig.clock.at(40, lambda: rig.fleet.broken.clear())

    rig.run(70)

    assert [EventKind.FAILING, EventKind.KEY_CHANGED, EventKind.RECOVERED] == rig.heard.kinds("b")
    assert (0, None, Condition.READY) == (
        rig.view("b").failures,
        rig.view("b").retry_at,
        rig.view("b").condition,
    )


def test_a_refused_jwt_is_asked_about_once_until_another_stands_in_its_place(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.contents["a"] = "old"
    rig.fleet.broken["a"] = refused("credentials", "Pinata refused the JWT (401).")

    rig.run(3000)
    assert (1, Condition.CREDENTIALS_INVALID) == (rig.looks(), rig.view("a").condition)
    assert rig.board.view.last is not None
    assert not rig.board.view.last.good  # not forgotten either

    rig.fleet.broken.clear()
    rig.contents["a"] = "new"
    rig.run(20)
    assert Condition.READY is rig.view("a").condition


def test_a_sync_tries_a_refused_jwt_again(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.fleet.broken["a"] = refused("credentials", "Pinata refused the JWT (401).")
    rig.run(10)
    rig.fleet.broken.clear()

    rig.loop.sync()
    rig.run(10)

    assert Condition.READY is rig.view("a").condition


def test_a_pass_over_failing_accounts_cuts_nobody_off(rig: Rig) -> None:
    first = declared("a", inputs={"rotation_trigger": "1"})
    rig.commit(first)
    rig.run(10)
    key = rig.fleet.key("a")
    rig.commit(declared("a", inputs={"rotation_trigger": "2"}))
    rig.fleet.broken["a"] = Transient("no answer.")
    rig.clock.at(70, lambda: rig.fleet.broken.clear())

    rig.run(200)
    assert key == rig.fleet.key("a")  # looked at again, but a rotation is for a pass over all

    rig.run(200)
    assert key != rig.fleet.key("a")


def test_what_a_guard_holds_back_is_told_once_and_shown_with_its_checksum(rig: Rig) -> None:
    names = [f"a{n}" for n in range(10)]
    rig.commit(*(declared(name, prune=True) for name in names))
    rig.run(10)
    rig.commit(declared("a0", prune=True))

    rig.run(700)

    assert [EventKind.HELD] == [event.kind for event in rig.heard.events if event.account is None]
    assert 10 == sum(rig.fleet.accounts[name].live is not None for name in names)
    view = rig.board.view
    assert "9 of 10 accounts would be switched off" in view.held[0]
    assert view.checksum is not None
    assert "held back" in view.accounts["a5"].reason
    assert view.last is not None
    assert not view.last.good


def test_while_a_guard_holds_everything_drift_is_healed_all_the_same_and_nothing_new_is_begun(rig: Rig) -> None:
    names = [f"a{n}" for n in range(10)]
    rig.commit(*(declared(name, prune=True) for name in names))
    rig.run(10)
    rig.commit(declared("a0", prune=True), declared("new"))
    rig.fleet.accounts["a0"].disable()

    rig.run(100)

    assert rig.fleet.key("a0") == rig.fleet.accounts["a0"].live
    assert None is rig.fleet.accounts["new"].live
    assert 10 == sum(rig.fleet.accounts[name].live is not None for name in names)


def test_accounts_with_bad_manifests_are_frozen_and_the_others_go_on(rig: Rig) -> None:
    rig.commit(declared("a"), declared("b"))
    rig.run(10)
    rig.commit(declared("a"), frozen=frozenset({"b"}), problems=(Problem(Place("b.yaml", 3, 1), "no."),))
    rig.clock.at(100, lambda: rig.fleet.accounts["a"].disable())

    rig.run(400)

    assert rig.fleet.accounts["b"].live is not None
    assert rig.fleet.key("a") == rig.fleet.accounts["a"].live
    assert (("b.yaml:3:1: no.",), Condition.SUSPENDED) == (rig.board.view.problems, rig.view("b").condition)


def test_an_inventory_that_cannot_be_written_changes_nothing_and_is_tried_again_soon(rig: Rig) -> None:
    rig.commit(declared("a"))
    documents = rig.fleet.documents(declared("a").settings)
    documents.before_write = lambda: setattr(documents, "down", Conflict("sealed."))

    rig.clock.at(3, lambda: setattr(documents, "down", None))
    rig.run(9)

    first, second = rig.heard.passes[0].last, rig.heard.passes[1].last
    assert first is not None
    assert second is not None
    assert ([False, True], 1) == ([first.good, second.good], rig.fleet.accounts["a"].mints)


def test_the_first_pass_is_spread_and_the_next_ones_are_not(rig: Rig) -> None:
    rig.commit(*(declared(f"a{n}") for n in range(4)))

    rig.run(310)

    assert [20.0, None] == rig.rates


def test_the_first_pass_looks_first_at_what_was_never_applied(rig: Rig) -> None:
    known = [declared(f"a{n}") for n in range(8)]
    rig.commit(*known)
    rig.run(10)
    rig.fleet.opened.clear()
    again = Rig(rig.fleet)
    again.cycle = replace(again.cycle, workers=1)
    again.loop._cycle = again.cycle
    again.commit(*known, declared("new"))

    again.run(1)

    assert "new" == again.fleet.opened[0]


def test_a_stop_in_the_middle_begins_no_new_account(rig: Rig) -> None:
    rig.commit(*(declared(f"a{n}") for n in range(8)))
    rig.cycle = replace(rig.cycle, workers=1, listener=Listeners([rig.heard, Stopper(rig)], rig.broken.append))
    rig.loop._cycle = rig.cycle

    rig.loop.run()

    assert 1 == sum(account.live is not None for account in rig.fleet.accounts.values())
    assert rig.fleet.key("a0") == rig.fleet.accounts["a0"].live


class Stopper(Listener):
    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def ended(self, result: Result, run: str, commit: str | None) -> None:
        self._rig.loop.stop()


def test_a_listener_that_breaks_stops_nothing(rig: Rig) -> None:
    class Broken(Listener):
        def passed(self, view: FleetView, *, seconds: float, whole: bool) -> None:
            raise ValueError("a defect")

    rig.cycle = replace(rig.cycle, listener=Listeners([Broken(), rig.heard], rig.broken.append))
    rig.loop._cycle = rig.cycle
    rig.commit(declared("a"))

    rig.run()

    assert (1, ["a defect"]) == (len(rig.heard.passes), [str(error) for error in rig.broken])
