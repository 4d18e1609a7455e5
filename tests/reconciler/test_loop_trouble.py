"""The loop on the doubles when several things go wrong at once: what it must neither do, nor forget, nor say twice."""

import random
import signal
from threading import Event as Flag

import pytest
import structlog
from doubles import Gate
from fake_fleet import declared, refused
from loop_rig import Rig
from structlog.testing import capture_logs

from pulumi_pinata.core.errors import Refused, Transient, Unfunded
from reconciler.commands.run import _signals
from reconciler.fleetplan import Condition, Ending, Kind, Result, Row
from reconciler.loop.board import Board
from reconciler.loop.events import EventKind
from reconciler.loop.listener import Listener
from reconciler.manifest.declared import Drift


@pytest.fixture
def rig() -> Rig:
    return Rig()


NO_ANSWER = Transient("no answer.")
REFUSED = refused("credentials", "Pinata refused the JWT (401).")


# --- what guards hold back stays held back --------------------------------------------------------------


def test_two_names_for_one_account_are_refused_by_every_pass(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.run(10)
    rig.fleet.identities["b"] = "a"  # declared with the JWT of a by mistake
    rig.commit(declared("a"), declared("b"))
    rig.loop._dice = random.Random(1).random  # so that they are not always looked at together

    rig.run(290)

    assert rig.fleet.key("a") == rig.fleet.accounts["a"].live
    assert [("a", Kind.CREATE, Ending.DONE)] == done(rig)


def test_a_second_name_is_refused_where_the_first_cannot_be_looked_at(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.run(10)
    rig.fleet.identities["b"] = "a"
    rig.commit(declared("a", suspend=True), declared("b"))

    rig.run(100)

    assert rig.fleet.key("a") == rig.fleet.accounts["a"].live
    assert [("a", Kind.CREATE, Ending.DONE)] == done(rig)
    assert Condition.CONFLICT is rig.view("b").condition


def test_nothing_of_a_held_commit_is_done_for_an_account_that_is_tried_again(rig: Rig) -> None:
    rig.commit(*(declared(f"a{n}", prune=True) for n in range(10)))
    rig.run(10)
    moved = declared("a1", prune=True, inputs={"vault": {"path": "elsewhere/a1"}})
    rig.commit(declared("a0", prune=True), moved)
    rig.fleet.broken["a1"] = NO_ANSWER
    rig.clock.at(61, rig.fleet.broken.clear)

    rig.run(200)

    assert rig.board.view.held
    assert rig.fleet.accounts["a1"].live == rig.fleet.key("a1")  # where services have read it all along


def test_an_account_whose_rotation_waits_for_a_pass_over_all_is_not_looked_at_in_between(rig: Rig) -> None:
    rig.commit(declared("a", inputs={"rotation_trigger": "1"}))
    rig.run(10)
    rig.commit(declared("a", inputs={"rotation_trigger": "2"}))
    rig.fleet.broken["a"] = NO_ANSWER
    rig.clock.at(70, rig.fleet.broken.clear)
    before = rig.looks()

    rig.run(300)

    assert rig.looks() - before < 12


def test_what_an_audit_log_kept_from_being_begun_is_not_counted_as_a_mint(rig: Rig) -> None:
    audit = FullDisk()
    rig.let(listeners=[audit])
    rig.commit(declared("a"))
    rig.clock.at(200, audit.free)

    rig.run(1500)

    assert Condition.READY is rig.view("a").condition


def test_an_account_without_credits_may_be_minted_once_it_has_some(rig: Rig) -> None:
    gate = rig.fleet.gates["a"] = Gate()
    for nth in range(1, 7):  # more often than may be minted in a day
        gate.on("pinata.enable", Unfunded("Pinata wants credits first (402).", about="credentials"), nth=nth)
    rig.commit(declared("a"))

    rig.run(1500)

    assert (7, 1) == (gate.calls.count("pinata.enable"), rig.fleet.accounts["a"].mints)
    assert Condition.READY is rig.view("a").condition


# --- one trouble is not everybody's, and ends ----------------------------------------------------------


def test_of_an_account_that_fails_and_is_declared_no_more_nothing_is_left_to_wait_for(rig: Rig) -> None:
    rig.commit(declared("a"), declared("b"))
    rig.fleet.broken["b"] = NO_ANSWER
    rig.run(10)
    rig.commit(declared("a"))
    rig.run(60)
    rig.waits.clear()

    rig.run(60)

    assert len(rig.waits) < 20


def test_a_jwt_that_is_replaced_while_the_old_one_is_tried_is_tried_too(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.contents["a"] = "old"

    def refuses_the_old_one(name: str) -> None:
        read, rig.contents[name] = rig.contents[name], "new"
        if read == "old":
            raise REFUSED

    rig.fleet.opening = refuses_the_old_one
    rig.run(100)

    assert Condition.READY is rig.view("a").condition


def test_a_home_whose_inventory_cannot_be_written_stops_no_account_of_another(rig: Rig) -> None:
    other = declared("b", inputs={"vault": {"address": "https://other.example"}})
    rig.fleet.documents(other.settings).read_only = Refused("this Vault login may not write.", about="vault.auth")
    rig.commit(declared("a"), other)

    rig.run(100)

    assert Condition.READY is rig.view("a").condition
    assert (None, True) == (rig.fleet.pinata("b").live, rig.view("b").failures > 0)


def test_a_commit_that_cannot_be_loaded_makes_no_passes_and_is_not_shown_as_followed(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.run(10)
    passes, before = len(rig.heard.passes), rig.board.view.source
    rig.commit(declared("a"))
    rig.unloadable = Refused("more than one fleet.", about="PATH")

    rig.run(280)

    after = rig.board.view.source
    assert passes == len(rig.heard.passes)
    assert (before.commit, before.changed_at, "PATH: more than one fleet.") == (
        after.commit,
        after.changed_at,
        after.error,
    )


@pytest.mark.parametrize("where", ["error", "unloadable"])
def test_a_folder_that_cannot_be_read_for_a_while_leaves_the_last_good_manifests_in_force(rig: Rig, where: str) -> None:
    rig.commit(declared("a"))
    rig.run(10)
    rig.commit(declared("a"), declared("b"))
    setattr(rig, where, OSError(116, "Stale file handle"))
    rig.fleet.accounts["a"].disable()

    rig.run(310)
    assert rig.fleet.key("a") == rig.fleet.accounts["a"].live
    assert "an unexpected OSError came up." == rig.board.view.source.error

    setattr(rig, where, None)
    rig.run(70)
    assert Condition.READY is rig.view("b").condition
    assert not rig.board.view.source.error


@pytest.mark.parametrize("how", ["suspended", "frozen"])
def test_an_account_with_a_refused_jwt_can_be_set_aside(rig: Rig, how: str) -> None:
    rig.commit(declared("a"))
    rig.contents["a"] = "old"
    rig.fleet.broken["a"] = REFUSED
    rig.run(10)
    if how == "suspended":
        rig.commit(declared("a", suspend=True))
    else:
        rig.commit(declared("a"), frozen=frozenset({"a"}))

    rig.run(100)

    assert (Condition.SUSPENDED, 0) == (rig.view("a").condition, rig.view("a").failures)


# --- what is told ------------------------------------------------------------------------------------


def test_a_new_key_is_told_although_the_inventory_cannot_be_written_afterwards(rig: Rig) -> None:
    documents = rig.fleet.documents(declared("a").settings)

    class Seals(Listener):
        def ended(self, result: Result, run: str, commit: str | None) -> None:
            documents.read_only = Transient("Vault is sealed.", about="vault.address")

    rig.let(listeners=[Seals()])
    rig.commit(declared("a"), declared("b"))

    rig.run(100)

    assert rig.fleet.key("a") == rig.fleet.accounts["a"].live
    assert [EventKind.KEY_CHANGED] == rig.heard.kinds("a")
    last = rig.board.view.last
    assert last is not None
    assert (False, True) == (last.good, last.summary.endswith("vault.address: Vault is sealed."))


def test_drift_is_told_once_although_the_account_cannot_be_looked_at_in_between(rig: Rig) -> None:
    rig.commit(declared("a", drift=Drift.REPORT))
    rig.run(10)
    rig.fleet.accounts["a"].disable()
    rig.clock.at(500, lambda: rig.fleet.broken.update(a=NO_ANSWER))
    rig.clock.at(650, rig.fleet.broken.clear)

    rig.run(1300)

    assert 1 == rig.heard.kinds("a").count(EventKind.DRIFT)


def test_an_account_that_could_not_be_changed_yet_is_not_told_to_be_well_again(rig: Rig) -> None:
    rig.commit(declared("a"))
    rig.fleet.broken["a"] = NO_ANSWER
    rig.fleet.documents(declared("a").settings).read_only = Transient("Vault is sealed.")
    rig.clock.at(40, rig.fleet.broken.clear)

    rig.run(200)

    assert [EventKind.FAILING] == rig.heard.kinds("a")
    assert None is rig.fleet.accounts["a"].live


def test_a_key_of_a_mint_that_failed_after_it_was_stored_is_told_once_the_next_try_has_ended_it(rig: Rig) -> None:
    rig.fleet.gates["a"] = Gate().on("store.label", Transient("Vault is sealed.", about="vault.address"))
    rig.commit(declared("a"))

    rig.run(100)

    assert rig.fleet.key("a") == rig.fleet.accounts["a"].live
    assert [EventKind.KEY_CHANGED] == rig.heard.kinds("a")


# --- signs of life, and the end ---------------------------------------------------------------------


def test_while_one_account_takes_long_the_loop_gives_signs_of_life(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.pool.TICK", 0.01)
    beaten: list[bool] = []

    class Watched(Board):
        given = Flag()

        def beat(self, now: float) -> None:
            super().beat(now)
            self.given.set()

    def takes_long(_name: str) -> None:
        for _ in range(3):
            rig.clock.jump(50)
            board.given.clear()
            beaten.append(board.given.wait(30) and board.silence(rig.clock.now) < 60)

    board = Watched()
    rig.let(board=board)
    rig.fleet.opening = takes_long
    rig.commit(declared("a"))

    rig.run(350)

    assert [True] * 6 == beaten  # as it was looked at, and as it was changed


def test_a_stop_in_the_middle_of_looking_makes_no_account_a_failing_one(rig: Rig) -> None:
    names = [f"a{n}" for n in range(8)]
    rig.commit(*(declared(name) for name in names))
    rig.run(10)
    rig.let(workers=1)
    rig.fleet.opening = lambda name: rig.loop.stop()
    rig.loop.sync()
    before = rig.looks()

    rig.run(5)

    assert 1 == rig.looks() - before
    assert dict.fromkeys(names, (Condition.READY, 0)) == {
        name: (view.condition, view.failures) for name, view in rig.board.view.accounts.items()
    }


def test_a_second_ctrl_c_does_not_cut_off_the_cleaning_up_after_a_fetch(rig: Rig) -> None:
    cleaned = []

    def hangs() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            cleaned.append("the fetch's processes and folder")

    rig.fetching = hangs
    with capture_logs() as said, _signals(rig.loop, structlog.get_logger()):
        rig.loop.run()

    assert ["the fetch's processes and folder"] == cleaned
    assert ["stopping", "stopping"] == [line["event"] for line in said]


class FullDisk(Listener):
    """An audit log that takes nothing until it is freed."""

    def __init__(self) -> None:
        self._full = True

    def free(self) -> None:
        self._full = False

    def begins(self, row: Row, run: str, commit: str | None) -> None:
        if self._full:
            raise Refused("it cannot be written (No space left on device).", about="--audit-log")


def done(rig: Rig) -> list[tuple[str, Kind, Ending]]:
    return [(result.row.name, result.row.kind, result.ending) for result in rig.heard.results]
