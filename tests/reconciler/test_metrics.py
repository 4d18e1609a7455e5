"""What the loop's metrics count and show, as a scraper reads them; and that the reference page lists just these."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from sandbox_fleet import MakeFleet

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.wiring import Connections
from reconciler.apply import apply
from reconciler.fleet import make_plan
from reconciler.fleetplan import CHANGES, MINTS, Condition, Ending, Kind, Result, Row
from reconciler.listeners.gauges import MOST_APIS
from reconciler.listeners.metric_pages import PAGE, table
from reconciler.listeners.metrics import Metrics
from reconciler.loop.board import Board
from reconciler.loop.events import Event, EventKind
from reconciler.loop.view import AccountView, FleetView, PassView, SourceView
from reconciler.manifest import manifests
from reconciler.upstreams import Upstreams

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
HOSTILE = 'x"} 1\npinata_reconciler_forged 1\n# \\ é'


class Clock:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now.timestamp()

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(board: Board, clock: Clock) -> Metrics:
    return Metrics(board, clock=clock, monotonic=lambda: 100.0, version="1.2.3")


def text(metrics: Metrics) -> str:
    return metrics.render()[0].decode()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Of the series with just these labels."""
    found = [
        sample.value
        for family in parse(text(metrics))
        for sample in family.samples
        if sample.name == f"pinata_reconciler_{name}" and sample.labels == labels
    ]
    assert len(found) <= 1
    return found[0] if found else None


def values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """All series of a name that are not 0, by their labels' values."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in parse(text(metrics))
        for sample in family.samples
        if sample.name == f"pinata_reconciler_{name}" and sample.value
    }


def account(
    name: str = "a", condition: Condition = Condition.READY, kind: Kind = Kind.NONE, **more: Any
) -> AccountView:
    return AccountView(name, condition, kind, "", NOW, NOW, **more)


def accounts(*all_of_them: AccountView) -> dict[str, AccountView]:
    return {each.name: each for each in all_of_them}


def view(*all_of_them: AccountView, good: bool = True) -> FleetView:
    return FleetView("shop", accounts(*all_of_them), last=PassView("run1", NOW, NOW, good, ""))


def done(kind: Kind, ending: Ending = Ending.DONE) -> Result:
    return Result(Row("a", kind, Condition.OFF, ""), ending, Condition.READY, 2)


# --- what is counted --------------------------------------------------------------------------


def test_changes_are_counted_by_kind_and_ending(metrics: Metrics) -> None:
    for ending in Ending:
        metrics.ended(done(Kind.DISABLE, ending), "run1", None)
    metrics.ended(done(Kind.CREATE), "run1", None)

    expected = {("done", "disable"): 1, ("failed", "disable"): 1, ("not_started", "disable"): 1, ("done", "create"): 1}
    assert expected == values(metrics, "changes_total")


def test_every_change_and_every_ending_is_there_before_it_happens(metrics: Metrics) -> None:
    found = re.findall(r'^pinata_reconciler_changes_total\{ending="(\w+)",kind="(\w+)"\} 0\.0$', text(metrics), re.M)

    assert {(ending, kind.value) for kind in CHANGES for ending in ("done", "failed", "not_started")} == set(found)


def test_mints_are_counted_by_kind_when_they_are_done(metrics: Metrics) -> None:
    for kind in Kind:
        metrics.ended(done(kind), "run1", None)
        metrics.ended(done(kind, Ending.FAILED), "run1", None)

    assert {(kind.value,): 1 for kind in MINTS} == values(metrics, "mints_total")


def test_the_mint_of_a_run_that_was_cut_off_is_counted_when_it_is_finished(metrics: Metrics) -> None:
    metrics.ended(_resumed("old", "old"), "run1", None)
    assert 0 == value(metrics, "mints_total", kind="resume")

    metrics.ended(_resumed("old", "new"), "run1", None)
    assert 1 == value(metrics, "mints_total", kind="resume")


def _resumed(before: str, after: str) -> Result:
    row = Row("a", Kind.RESUME, Condition.INTERRUPTED, "", fingerprint=before)
    return Result(row, Ending.DONE, Condition.READY, 2, after)


def test_passes_are_counted_by_scope_and_result_with_their_length(metrics: Metrics) -> None:
    metrics.passed(view(), seconds=3.0, whole=True)
    metrics.passed(view(good=False), seconds=3.0, whole=True)
    metrics.passed(view(good=False), seconds=0.2, whole=False)

    expected = {("good", "whole"): 1, ("bad", "whole"): 1, ("bad", "some"): 1}
    assert expected == values(metrics, "passes_total")
    assert 6.0 == value(metrics, "pass_duration_seconds_sum", scope="whole")
    assert 2 == value(metrics, "pass_duration_seconds_bucket", scope="whole", le="5.0")
    assert 0 == value(metrics, "pass_duration_seconds_bucket", scope="whole", le="2.5")


def test_looks_at_the_source_are_counted_by_what_came_of_them(metrics: Metrics) -> None:
    failing = replace(view(), source=SourceView(error="down"))
    metrics.fetched(view(), seconds=0.2, changed=True)
    metrics.fetched(view(), seconds=0.2, changed=False)
    metrics.fetched(failing, seconds=0.2, changed=False)

    assert {("changed",): 1, ("unchanged",): 1, ("failed",): 1} == values(metrics, "source_fetches_total")
    assert 3 == value(metrics, "source_fetch_duration_seconds_count")


def test_calls_are_counted_by_upstream_operation_and_result(metrics: Metrics) -> None:
    metrics.called("vault", "stat", "ok", 0.02)
    metrics.called("vault", "stat", "ok", 0.02)
    metrics.called("vault", "write", "ambiguous", 4)

    assert {("stat", "ok", "vault"): 2, ("write", "ambiguous", "vault"): 1} == values(metrics, "upstream_calls_total")
    # What has not failed yet is there with 0: else its first failure would be no increase.
    assert 0 == value(metrics, "upstream_calls_total", upstream="vault", operation="stat", result="transient")
    assert 2 == value(metrics, "upstream_call_duration_seconds_bucket", upstream="vault", operation="stat", le="0.025")


def test_no_call_is_lost_among_threads(metrics: Metrics) -> None:
    barrier = threading.Barrier(8)

    def call(_: int) -> None:
        barrier.wait(10)
        for number in range(500):
            metrics.called("vault", f"operation{number % 5}", "ok", 0.001)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(8)))

    assert {(f"operation{number}", "ok", "vault"): 800 for number in range(5)} == values(
        metrics, "upstream_calls_total"
    )


def test_events_and_notifications_are_counted(metrics: Metrics) -> None:
    metrics.told([Event(EventKind.DRIFT, NOW, "", "shop"), Event(EventKind.HELD, NOW, "", "shop")])
    metrics.notified("sent")
    metrics.notified("failed")

    assert {("drift",): 1, ("held",): 1} == values(metrics, "events_total")
    assert {("sent",): 1, ("failed",): 1} == values(metrics, "notifications_total")
    assert 0 == value(metrics, "notifications_total", result="dropped")


# --- drift ------------------------------------------------------------------------------------


def test_drift_that_is_healed_at_once_took_from_the_plan_to_the_end(metrics: Metrics, clock: Clock) -> None:
    row = Row("a", Kind.RESTORE, Condition.DRIFTED, "", drifted=True)
    other = Row("b", Kind.CREATE, Condition.OFF, "")
    metrics.begins(other, "run1", None)
    clock.pass_by(2)
    metrics.begins(row, "run1", None)
    clock.pass_by(5)
    metrics.ended(Result(row, Ending.DONE, Condition.READY), "run1", None)
    metrics.ended(Result(other, Ending.DONE, Condition.READY), "run1", None)
    metrics.passed(view(account()), seconds=7, whole=True)

    assert 7.0 == value(metrics, "drift_heal_duration_seconds_sum")
    assert 1 == value(metrics, "drift_heal_duration_seconds_count")


def test_drift_that_took_several_passes_took_from_when_it_was_found(metrics: Metrics, clock: Clock) -> None:
    row = Row("a", Kind.RESTORE, Condition.DRIFTED, "", drifted=True)
    drifting = account("a", Condition.DRIFTED, Kind.RESTORE, drifted_at=NOW)
    metrics.begins(row, "run1", None)
    metrics.ended(Result(row, Ending.FAILED, Condition.STORE_UNAVAILABLE), "run1", None)
    metrics.passed(view(drifting), seconds=1, whole=True)
    clock.pass_by(300)
    metrics.passed(view(account("a", Condition.STORE_UNAVAILABLE, Kind.ERROR)), seconds=1, whole=True)
    assert 0 == value(metrics, "drift_heal_duration_seconds_count")

    clock.pass_by(300)
    metrics.begins(row, "run2", None)
    metrics.ended(Result(row, Ending.DONE, Condition.READY), "run2", None)
    metrics.passed(view(account()), seconds=1, whole=True)

    assert 600.0 == value(metrics, "drift_heal_duration_seconds_sum")
    assert 1 == value(metrics, "drift_heal_duration_seconds_count")


def test_drift_that_others_have_mended_counts_and_that_of_an_account_that_is_gone_does_not(
    metrics: Metrics, clock: Clock
) -> None:
    drifting = {"condition": Condition.DRIFTED, "kind": Kind.REPORT, "drifted_at": NOW}
    metrics.passed(
        view(account("a", **drifting), account("b", **drifting), account("c", **drifting)), seconds=1, whole=True
    )
    clock.pass_by(60)
    suspended = account("c", Condition.SUSPENDED, Kind.SKIP)
    metrics.passed(view(account("a"), suspended), seconds=1, whole=True)
    metrics.passed(view(account("a"), account("c")), seconds=1, whole=True)

    assert 60.0 == value(metrics, "drift_heal_duration_seconds_sum")
    assert 1 == value(metrics, "drift_heal_duration_seconds_count")


# --- what is shown of the board ---------------------------------------------------------------


def test_accounts_are_shown_by_condition_with_all_conditions_always_there(metrics: Metrics, board: Board) -> None:
    lost = account("c", Condition.KEY_LOST, failures=2)
    board.change(accounts=accounts(account("a"), account("b"), lost))

    shown = {condition.value: value(metrics, "accounts", condition=condition.value) for condition in Condition}
    assert {**dict.fromkeys((condition.value for condition in Condition), 0), "Ready": 2, "KeyLost": 1} == shown
    assert 1 == value(metrics, "failing_accounts")


def test_before_the_first_pass_all_gauges_are_there_and_no_moment_has_come(metrics: Metrics) -> None:
    found = text(metrics)

    zero = re.findall(r"^pinata_reconciler_(\w+_timestamp_seconds) 0\.0$", found, re.M)
    assert {
        "last_pass_timestamp_seconds",
        "last_good_pass_timestamp_seconds",
        "next_pass_timestamp_seconds",
        "source_last_fetch_timestamp_seconds",
        "source_last_change_timestamp_seconds",
        "vault_login_expiry_timestamp_seconds",
        "next_rotation_timestamp_seconds",
    } == set(zero)
    assert 0 == value(metrics, "oldest_drift_age_seconds")
    assert 1 == value(metrics, "build_info", version="1.2.3")


def test_the_state_of_the_fleet_is_shown(metrics: Metrics, board: Board, clock: Clock) -> None:
    soon, late = NOW + timedelta(days=1), NOW + timedelta(days=2)
    board.change(
        fleet="shop",
        accounts=accounts(
            account("a", rotates_at=late, drifted_at=NOW - timedelta(seconds=90)),
            account("b", rotates_at=soon, drifted_at=NOW - timedelta(seconds=30)),
            account("c", Condition.INTERRUPTED),
        ),
        source=SourceView("git", "c0ffee", NOW, NOW + timedelta(seconds=1), "down", NOW),
        last=PassView("r", NOW, NOW + timedelta(seconds=2), False, ""),
        last_good=NOW - timedelta(hours=1),
        next_pass=NOW + timedelta(minutes=5),
        problems=("one", "two"),
        held=("three",),
    )
    board.beat(40.0)

    expected = {
        "loop_silence_seconds": 60.0,
        "last_pass_timestamp_seconds": NOW.timestamp() + 2,
        "last_good_pass_timestamp_seconds": NOW.timestamp() - 3600,
        "next_pass_timestamp_seconds": NOW.timestamp() + 300,
        "open_intents": 1,
        "drifted_accounts": 2,
        "oldest_drift_age_seconds": 90,
        "guard_holds": 1,
        "manifest_problems": 2,
        "source_last_fetch_timestamp_seconds": NOW.timestamp() + 1,
        "source_last_change_timestamp_seconds": NOW.timestamp(),
        "source_failing": 1,
        "next_rotation_timestamp_seconds": soon.timestamp(),
    }
    assert expected == {name: value(metrics, name) for name in expected}
    assert 1 == value(metrics, "source_info", source="git", commit="c0ffee")
    assert 1 == value(metrics, "fleet_info", fleet="shop")


def test_a_new_commit_takes_the_place_of_the_old_one(metrics: Metrics, board: Board) -> None:
    for commit in ("c0ffee", "decade"):
        board.change(source=SourceView("git", commit))
        metrics.render()

    assert {("decade", "git"): 1} == values(metrics, "source_info")


def test_credits_are_shown_where_somebody_wants_to_be_warned_and_nowhere_else(metrics: Metrics, board: Board) -> None:
    board.change(
        accounts=accounts(
            account("low", credits=3.5, alert_below=20.0),
            account("fine", credits=30.0, alert_below=20.0),
            account("unknown", alert_below=20.0),
            account("unwatched", credits=1.0),
        )
    )

    assert {("low",): 3.5, ("fine",): 30.0} == values(metrics, "account_credits")
    expected = {("low",): 20, ("fine",): 20, ("unknown",): 20}
    assert expected == values(metrics, "account_credits_alert_threshold")
    assert 1 == value(metrics, "credits_low_accounts")


def test_the_rate_budget_and_the_login_come_from_those_who_know(board: Board) -> None:
    budget = {"https://user:hunter2@api.test:8443/v0?key=hunter2": (100.0, -3.5), "https://other.test": (1.0, 2.0)}
    metrics = Metrics(board, budget=lambda: budget, login_expiry=lambda: 12345.0)

    assert {("api.test:8443",): 100.0, ("other.test",): 1.0} == values(metrics, "rate_limit_calls_per_second")
    assert {("api.test:8443",): -3.5, ("other.test",): 2.0} == values(metrics, "rate_available_calls")
    assert 12345.0 == value(metrics, "vault_login_expiry_timestamp_seconds")
    assert "hunter2" not in text(metrics)


# --- the text ---------------------------------------------------------------------------------


def test_a_scraper_gets_the_text_format_unless_it_asks_for_openmetrics(metrics: Metrics) -> None:
    classic, openmetrics = metrics.render("*/*"), metrics.render(OPENMETRICS)

    assert "text/plain; version=0.0.4; charset=utf-8" == classic[1]
    assert "application/openmetrics-text; version=1.0.0; charset=utf-8" == openmetrics[1]
    assert _samples(parse(classic[0].decode())) == _samples(parse_openmetrics(openmetrics[0].decode()))


def _samples(families: Iterator[Any]) -> Counter[tuple[str, str]]:
    found = (each for family in families for each in family.samples if not each.name.startswith("process_"))
    return Counter((each.name, str(sorted(each.labels.items()))) for each in found)


@pytest.mark.parametrize("hostile", [HOSTILE, "\ud800", "x" * 100_000], ids=["quotes", "no UTF-8", "long"])
@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "openmetrics"])
def test_hostile_values_stay_values(board: Board, hostile: str, accept: str) -> None:
    metrics = Metrics(board, budget=lambda: {hostile: (1, 1)}, version=hostile)
    board.change(
        fleet=hostile,
        source=SourceView(hostile, hostile),
        accounts=accounts(account(hostile, credits=1, alert_below=2)),
    )
    body = metrics.render(accept)[0].decode()

    names = {each.name for family in (parse_openmetrics if accept else parse)(body) for each in family.samples}
    assert "pinata_reconciler_forged" not in names
    assert "pinata_reconciler_source_info" in names
    assert len(body) < 40_000
    if hostile == HOSTILE:
        assert ({"source": HOSTILE, "commit": HOSTILE}) in [
            each.labels for family in parse(metrics.render()[0].decode()) for each in family.samples
        ]


def test_texts_of_errors_are_in_no_metric(metrics: Metrics, board: Board) -> None:
    secret = "hunter2hunter2"
    broken = account("a", Condition.KEY_LOST, Kind.ERROR, path=secret, fingerprint=secret, declared_at=secret)
    board.change(
        accounts=accounts(replace(broken, reason=secret)),
        problems=(secret,),
        held=(secret,),
        checksum=secret,
        source=SourceView("git", "c0ffee", error=secret),
        last=PassView(secret, NOW, NOW, False, secret),
    )
    row = Row("a", Kind.CREATE, Condition.OFF, secret, path=secret, account=secret, error=Refused(secret))
    metrics.begins(row, secret, secret)
    metrics.noticed("a", secret, secret)
    metrics.ended(Result(row, Ending.FAILED, Condition.CONFLICT, error=Refused(secret)), secret, secret)
    metrics.told([Event(EventKind.FAILING, NOW, secret, secret, account=secret, path=secret)])
    metrics.passed(board.view, seconds=1, whole=True)
    metrics.fetched(board.view, seconds=1, changed=False)

    assert secret not in text(metrics)


def test_the_number_of_series_does_not_grow_with_the_fleet_but_for_credits(board: Board) -> None:
    assert 110 < sum(_samples(parse(text(Metrics(board)))).values()) < 130  # as docs/metrics.md has it
    metrics = Metrics(board, budget=lambda: {f"https://{number}.test": (1, 1) for number in range(1000)})
    for upstream, operations in {"pinata": 8, "vault": 13}.items():
        for number in range(operations):
            metrics.called(upstream, f"operation{number}", "ok", 0.1)
    counts = []
    for size, alert_below in ((10, None), (1000, None), (1000, 5.0)):
        fleet = [account(f"a{number}", credits=1, alert_below=alert_below) for number in range(size)]
        board.change(accounts=accounts(*fleet))
        metrics.passed(board.view, seconds=1, whole=True)
        counts.append(sum(_samples(parse(text(metrics))).values()) - 2 * MOST_APIS)

    assert counts[0] == counts[1]
    assert counts[1] + 2000 == counts[2]
    assert 540 < counts[0] < 600  # as docs/metrics.md has it


# --- the page ---------------------------------------------------------------------------------


def test_what_is_described_is_what_there_is(board: Board) -> None:
    """Each described metric is in the text with its type and labels, and no other is."""
    metrics = Metrics(board, budget=lambda: {"https://api.test": (1, 1)})
    metrics.called("vault", "stat", "ok", 0.1)
    metrics.passed(view(), seconds=1, whole=True)
    board.change(accounts=accounts(account("a", credits=1, alert_below=2)))

    found = {}
    for family in parse(text(metrics)):
        if not family.name.startswith("process_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            found[name] = (family.type, labels, family.documentation)
    assert {each.name: (each.type, set(each.labels), each.meaning) for each in metrics.described} == found


def test_names_say_their_units_and_follow_the_conventions(metrics: Metrics) -> None:
    for each in metrics.described:
        assert re.fullmatch(r"pinata_reconciler_[a-z]+(_[a-z]+)*", each.name)
        assert (each.type == "counter") == each.name.endswith("_total")
        assert not re.search(r"_(ms|millis|minutes|hours|percent|kb|mb)(_|$)", each.name)
        if each.type == "histogram":
            assert each.name.endswith("_seconds")


def test_the_page_lists_the_metrics_as_they_are() -> None:
    assert table() in PAGE.read_text(), "Run `python -m reconciler.listeners.metric_pages`."


def test_the_page_names_the_metrics_of_the_process(metrics: Metrics) -> None:
    found = set(re.findall(r"^process_\w+", text(metrics), re.M))

    assert found
    assert found == set(re.findall(r"process_\w+", PAGE.read_text()))


# --- a real fleet -----------------------------------------------------------------------------


def test_a_real_pass_is_counted(fleet_of: MakeFleet, board: Board) -> None:
    fleet = fleet_of(4)
    with fleet.environment(), Connections(size=2) as connections:
        metrics = Metrics(board, budget=lambda: access.budget())
        access = Upstreams(connections, called=metrics.called)
        plan = make_plan(manifests.load([fleet.manifests], fleet.env), access, workers=2, now=NOW)
        apply(
            plan,
            access,
            workers=2,
            now=NOW,
            begins=lambda row: metrics.begins(row, "run1", None),
            seen=lambda result: metrics.ended(result, "run1", None),
        )

        shown = values(metrics, "rate_limit_calls_per_second")

    assert {(fleet.pinata.url.removeprefix("http://"),): 100.0} == shown
    assert {("create",): 4} == values(metrics, "mints_total")
    assert 4 == value(metrics, "upstream_calls_total", upstream="pinata", operation="enable", result="ok")
    fleet.assert_no_secret(text(metrics))
