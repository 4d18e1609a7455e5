"""What is told of a pass and of a look at the source, kind by kind; and what is not told again."""

import re
from dataclasses import replace
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reconciler.fleetplan import Condition, Ending, Kind, Result, Row
from reconciler.listeners import notify
from reconciler.loop import events
from reconciler.loop.events import REPEATED, Event, EventKind
from reconciler.loop.view import AccountView, FleetView, SourceView

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
CHECKSUM = "5f" * 32
BAD = "manifests/a.yaml:3:1: no such field."
TOO_MANY = "guard disables: 9 of 10 accounts would be switched off; at most 3 may be at once (3, or 10 %)."


def row(kind: Kind = Kind.NONE, condition: Condition = Condition.READY, **values: Any) -> Row:
    given = {"name": "a", "reason": "", "path": "secret/a", "version": 3, "fingerprint": "old", **values}
    return Row(kind=kind, condition=condition, **given)


def done(planned: Row, fingerprint: str | None = "new", version: int = 4) -> Result:
    return Result(planned, Ending.DONE, Condition.READY, version, fingerprint)


def account(condition: Condition = Condition.READY, kind: Kind = Kind.NONE, **values: Any) -> AccountView:
    return AccountView(
        **{"name": "a", "reason": "", "since": NOW, "seen_at": NOW, **values}, condition=condition, kind=kind
    )


def view(*accounts: AccountView, **values: Any) -> FleetView:
    return FleetView("shop", {each.name: each for each in accounts}, SourceView("repo", "c1"), **values)


def told(before: FleetView, after: FleetView, *rows: Row, results: tuple[Result, ...] = ()) -> list[Event]:
    return events.between(before, after, rows, results, "r1", NOW)


def kinds(before: FleetView, after: FleetView, *rows: Row, results: tuple[Result, ...] = ()) -> list[EventKind]:
    return [event.kind for event in told(before, after, *rows, results=results)]


# --- keys ---------------------------------------------------------------------------------------------


def test_a_new_key_is_told_with_its_place_version_and_fingerprint_commit_and_run() -> None:
    planned = row(Kind.ROTATE, reason="too old")

    message = "a new key is at secret/a, version 4: too old"
    wanted = Event(EventKind.KEY_CHANGED, NOW, message, "shop", "a", "secret/a", 4, "new", "c1", "r1")
    assert [wanted] == told(view(), view(account()), planned, results=(done(planned),))


@pytest.mark.parametrize(
    ("planned", "old", "expected"),
    [
        (row(Kind.CREATE, Condition.OFF), None, True),
        (row(Kind.REMINT, Condition.KEY_LOST), None, True),
        # A mint that was cut off before its key was known, and one whose key was known already.
        (row(Kind.RESUME, Condition.INTERRUPTED), None, True),
        (row(Kind.RESUME, Condition.INTERRUPTED, fingerprint="new"), None, False),
        # A restore gives the same key, unless it ends what a mint had begun.
        (row(Kind.RESTORE, Condition.DRIFTED), account(), False),
        (row(Kind.RESTORE, Condition.DRIFTED), account(kind=Kind.ROTATE, fingerprint="old"), True),
        (row(Kind.MOVE), None, False),
    ],
)
def test_a_change_that_ends_with_another_key_is_told(planned: Row, old: AccountView | None, expected: bool) -> None:
    before = view(old) if old else view()

    found = kinds(before, view(account()), planned, results=(done(planned),))
    assert expected == (EventKind.KEY_CHANGED in found)


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.NOT_STARTED])
def test_a_mint_that_did_not_come_off_is_no_new_key(ending: Ending) -> None:
    planned = row(Kind.CREATE, Condition.OFF)

    assert [] == kinds(view(), view(account()), planned, results=(Result(planned, ending, Condition.OFF),))


@pytest.mark.parametrize("kind", [Kind.DISABLE, Kind.PRUNE])
def test_a_key_that_was_switched_off_is_told_though_its_account_is_gone_from_the_view(kind: Kind) -> None:
    planned = row(kind, reason="no longer declared")

    (event,) = told(view(account()), view(), planned, results=(done(planned, None, 0),))
    assert (EventKind.KEY_GONE, "the key at secret/a is dead: no longer declared") == (event.kind, event.message)
    off = row(kind, Condition.OFF)
    assert [] == kinds(view(account()), view(), off, results=(done(off, None, 0),))


# --- accounts -----------------------------------------------------------------------------------------


def test_drift_is_told_when_it_is_found_and_not_while_it_lasts() -> None:
    planned = row(Kind.REPORT, Condition.DRIFTED, reason="switched off elsewhere", drifted=True)
    drifted = account(Condition.DRIFTED, Kind.REPORT, drifted_at=NOW)

    (event,) = told(view(account()), view(drifted), planned)
    assert (EventKind.DRIFT, "not as declared: switched off elsewhere") == (event.kind, event.message)
    assert [] == kinds(view(drifted), view(drifted), planned)


def test_low_credits_are_told_once_until_there_are_enough_again() -> None:
    low, enough = account(credits=4.5, alert_below=10.0), account(credits=10.0, alert_below=10.0)

    (event,) = told(view(enough), view(low), row())
    assert (EventKind.CREDITS_LOW, "4.5 credits are left, fewer than 10") == (event.kind, event.message)
    assert [] == kinds(view(low), view(low), row())
    assert [] == kinds(view(low), view(enough), row())
    assert [EventKind.CREDITS_LOW] == kinds(view(), view(low), row())


def failing(times: int, condition: Condition = Condition.UPSTREAM_UNAVAILABLE) -> AccountView:
    return account(condition, Kind.ERROR, failures=times, reason="no answer.")


def test_failing_is_told_from_the_third_time_on_once_and_its_end_too() -> None:
    views = [view(account()), *(view(failing(times)) for times in range(1, REPEATED + 2)), view(account())]
    found = [kinds(before, after, row()) for before, after in pairwise(views)]

    assert [[], [], [EventKind.FAILING], [], [EventKind.RECOVERED]] == found
    (event,) = told(view(failing(2)), view(failing(3)), row())
    assert "has failed 3 times in a row (UpstreamUnavailable): no answer." == event.message


def test_a_hiccup_is_neither_told_nor_its_end() -> None:
    assert [] == kinds(view(account()), view(failing(1)), row())
    assert [] == kinds(view(failing(2)), view(account()), row())


def test_a_refused_jwt_is_told_the_first_time_since_it_is_not_tried_again() -> None:
    refused = failing(1, Condition.CREDENTIALS_INVALID)

    (event,) = told(view(), view(refused), row())
    assert (EventKind.FAILING, "has failed once (CredentialsInvalid): no answer.") == (event.kind, event.message)
    assert [] == kinds(view(refused), view(replace(refused, failures=2)), row())
    assert [EventKind.RECOVERED] == kinds(view(refused), view(account()), row())


# --- the fleet ----------------------------------------------------------------------------------------


def held(*lines: str) -> FleetView:
    return view(held=lines, checksum=CHECKSUM)


def test_what_a_guard_holds_is_told_with_accounts_guard_checksum_and_next_step() -> None:
    rows = [row(Kind.PRUNE, name=f"a{n}") for n in range(9)]
    begun, fine = row(Kind.RESTORE, Condition.DRIFTED, name="b"), row(name="c")

    (event,) = told(view(), held(TOO_MANY, "guard mints: x"), *rows, begun, fine, results=(done(begun, "old"),))
    assert (EventKind.HELD, None) == (event.kind, event.account)
    wanted = (
        "9 accounts are held back. Next: `pinata-reconciler plan`, then correct the manifests or "
        f"`pinata-reconciler apply --acknowledge {CHECKSUM}`. {TOO_MANY} (and 1 more)"
    )
    assert wanted == event.message
    text = notify.body([event], "d1", slack=True).decode()
    assert CHECKSUM in text  # which is cut off after some characters
    assert "guard disables" in text


def test_what_is_held_is_told_again_only_when_it_is_another_and_released_when_it_is_over() -> None:
    assert [] == kinds(held(TOO_MANY), held(TOO_MANY), row(Kind.PRUNE))
    assert [EventKind.HELD] == kinds(held(TOO_MANY), held("guard mints: a"), row(Kind.CREATE))
    (event,) = told(held(TOO_MANY), view())
    assert (EventKind.RELEASED, "no guard holds anything back any more") == (event.kind, event.message)
    assert [] == kinds(view(), view())


def test_problems_of_the_manifests_are_told_with_what_is_left_as_it_stands() -> None:
    frozen = [row(Kind.SKIP, Condition.SUSPENDED, name=f"a{n}") for n in range(21)]

    (event,) = told(view(), view(problems=(BAD, "b.yaml:1:1: no.")), *frozen, row())
    assert (EventKind.MANIFEST_PROBLEMS, None) == (event.kind, event.account)
    wanted = f"the manifests have 2 problems, and 21 accounts are left as they stand: {BAD} (and 1 more)"
    assert wanted == event.message


def test_problems_are_told_again_only_when_there_are_other_ones_and_mended_when_there_are_none() -> None:
    other = "b.yaml:1:1: no."

    assert [] == kinds(view(problems=(BAD,)), view(problems=(BAD,)))
    assert [] == kinds(view(problems=(BAD, other)), view(problems=(other,)))
    assert [EventKind.MANIFEST_PROBLEMS] == kinds(view(problems=(BAD,)), view(problems=(BAD, other)))
    assert [EventKind.MANIFEST_PROBLEMS] == kinds(view(problems=(BAD,)), view(problems=(other,)))
    (event,) = told(view(problems=(BAD,)), view())
    assert (EventKind.MANIFESTS_MENDED, "the manifests have no problem any more") == (event.kind, event.message)


def test_the_fleets_events_come_first_then_the_accounts_by_name() -> None:
    rows = [row(Kind.REPORT, Condition.DRIFTED, name=name, drifted=True) for name in ("b", "a")]

    found = told(view(), replace(held(TOO_MANY), problems=(BAD,)), *rows)
    assert [None, None, "a", "b"] == [event.account for event in found]
    assert {"r1"} == {event.run for event in found}


# --- the source ---------------------------------------------------------------------------------------


def test_a_source_that_fails_and_comes_back_is_told_once_each() -> None:
    good = view()
    bad = replace(good, source=replace(good.source, error="no route."))
    worse = replace(good, source=replace(good.source, error="refused."))

    pairs = [(good, bad), (bad, worse), (worse, good), (good, good)]
    found = [[(e.kind, e.message) for e in events.source(before, after, NOW)] for before, after in pairs]
    assert [
        [(EventKind.SOURCE_FAILING, "the manifests cannot be had: no route.")],
        [],
        [(EventKind.SOURCE_RECOVERED, "the manifests can be had again")],
        [],
    ] == found


# --- the page -----------------------------------------------------------------------------------------


def test_the_page_lists_every_kind_and_this_file_tests_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text().partition("### The body")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", page, re.M)

    assert sorted(kind.value for kind in EventKind) == sorted(re.findall(r"`([\w-]+)`", " ".join(rows)))
    assert [] == [kind for kind in EventKind if f"EventKind.{kind.name}" not in Path(__file__).read_text()]
