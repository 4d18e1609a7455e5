"""Shared connections: one TLS context, one login, no cookie from one account to another; and when nobody is asked."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import httpx
import pytest
from sandbox_fleet import MakeFleet, SandboxFleet

from pulumi_pinata.adapters.pinata_transport import PinataTransport, SharedPool
from pulumi_pinata.core.errors import Ambiguous, PinataError, Refused, Transient
from pulumi_pinata.core.model import Location
from pulumi_pinata.core.reference import VaultReference
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.core.settings import Settings
from pulumi_pinata.wiring import Connections, session
from reconciler.manifest import manifests
from reconciler.upstreams import Upstreams


@pytest.fixture
def fleet(fleet_of: MakeFleet) -> SandboxFleet:
    return fleet_of(8)


@pytest.fixture
def settings(fleet: SandboxFleet) -> list[Settings]:
    return [each.settings for each in manifests.load([fleet.manifests], fleet.env).accounts]


def silent(_line: str) -> None:
    return


def test_many_threads_share_one_login_and_one_pool(fleet: SandboxFleet, settings: list[Settings]) -> None:
    barrier = threading.Barrier(8)

    def look(each: Settings) -> bool:
        barrier.wait(10)
        with session(each, notice=silent, connections=connections) as found:
            found.ports.store.stat(each.vault.location)
            return found.ports.pinata.status().enabled

    with Connections(fleet.env, size=8) as connections, ThreadPoolExecutor(8) as pool:
        assert [False] * 8 == list(pool.map(look, settings))
        assert connections.pool(settings[0].api_url) is connections.pool(settings[7].api_url)

    assert 1 == fleet.proxy.calls.count("POST auth/approle/login")


def test_another_login_is_another_client(fleet: SandboxFleet, settings: list[Settings]) -> None:
    with Connections(fleet.env) as connections:
        first = connections.store(settings[0].vault, 5.0)
        assert first._client is connections.store(settings[1].vault, 5.0)._client
        assert first._client is not connections.store(settings[1].vault, 7.0)._client


def test_a_failed_login_is_tried_again_by_the_next(fleet: SandboxFleet, settings: list[Settings]) -> None:
    fleet.proxy.fault = lambda method, path: 503 if path.endswith("login") else None
    with Connections(fleet.env) as connections:
        store = connections.store(settings[0].vault, 5.0)
        with pytest.raises(PinataError):
            store.stat(settings[0].vault.location)
        fleet.proxy.fault = lambda method, path: None

        assert 0 == store.stat(settings[0].vault.location).version


def test_a_rotated_jwt_is_used_at_the_next_session(fleet: SandboxFleet, settings: list[Settings]) -> None:
    with Connections(fleet.env) as connections:
        with session(settings[0], notice=silent, connections=connections) as found:
            first = found.account
        fleet.env[fleet.variable(fleet.names[0])] = fleet.env[fleet.variable(fleet.names[1])]
        with session(settings[0], notice=silent, connections=connections) as found:
            assert first != found.account


def test_of_one_account_neither_cookie_nor_credential_nor_patience_goes_out_with_anothers_request() -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        headers = request.headers
        sent.append((headers.get("cookie"), headers["authorization"], request.extensions["timeout"]["read"]))
        return httpx.Response(200, headers={"set-cookie": "session=of-a; Path=/"}, json={})

    pool = SharedPool("https://agents.example", 4)
    pool.client._transport = httpx.MockTransport(answer)
    pool.client._mounts = {}
    for name, timeout in (("a", 20.0), ("b", 8.0)):
        transport = PinataTransport("https://agents.example", timeout, pool)
        transport.send("GET", "/v0/llm/status", Secret(name))
        transport.close()

    assert [(None, "Bearer a", 10.0), (None, "Bearer b", 4.0)] == sent


class Clock:
    """Time that only `sleep` moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connections(fleet: SandboxFleet) -> Iterator[Connections]:
    with Connections(fleet.env) as connections:
        yield connections


def ask(access: Upstreams, settings: Settings) -> None:
    with access.account(settings, silent) as found:
        found.ports.pinata.status()


def test_accounts_wait_for_the_rate(connections: Connections, settings: list[Settings], clock: Clock) -> None:
    access = Upstreams(connections, rate=2, clock=clock, sleep=clock.sleep)
    for each in settings:
        ask(access, each)

    assert sum(clock.slept) == pytest.approx((8 - 4) / 2)  # a burst of two seconds' calls, then two a second


def test_a_service_that_fails_in_a_row_is_left_alone_and_then_asked_again(
    connections: Connections, settings: list[Settings], clock: Clock, fleet: SandboxFleet
) -> None:
    access = Upstreams(connections, rate=0, clock=clock, sleep=clock.sleep, dice=lambda: 1.0)

    def failing(each: Settings) -> Transient:
        with pytest.raises(Transient) as caught, access.account(each, silent):
            raise Transient("Pinata could not be reached.")
        return caught.value

    for each in settings[:5]:
        failing(each)
    refused = failing(settings[5])
    assert ("apiUrl", "It is tried again in 4 s.", 4.0) == (refused.about, refused.hint, refused.retry_after)
    assert "was not asked" in refused.message
    clock.now += 4.0
    ask(access, settings[6])
    ask(access, settings[7])


def test_a_failing_vault_does_not_close_the_way_to_pinata(
    connections: Connections, settings: list[Settings], clock: Clock
) -> None:
    access = Upstreams(connections, rate=0, clock=clock, sleep=clock.sleep)
    for each in settings[:6]:
        with pytest.raises(Transient), access.account(each, silent):
            raise Transient("Vault is sealed.", about="vault.address")

    with (
        pytest.raises(Transient, match="Vault has failed for other accounts") as caught,
        access.account(settings[7], silent),
    ):
        raise AssertionError("not reached")

    assert "vault.address" == caught.value.about


def test_retry_after_holds_back_the_next_account(
    connections: Connections, settings: list[Settings], clock: Clock, fleet: SandboxFleet
) -> None:
    access = Upstreams(connections, rate=0, clock=clock, sleep=clock.sleep)
    fleet.pinata.add_fault("status", status=429, retry_after=1, times=99)
    with pytest.raises(Transient):
        ask(access, replace(settings[0], timeout=1.0))
    fleet.pinata.clear_faults()

    ask(access, settings[1])

    assert 1.0 == pytest.approx(sum(clock.slept))


def test_a_stop_ends_the_wait_of_an_account_for_its_turn(
    connections: Connections, settings: list[Settings], clock: Clock
) -> None:
    stop = threading.Event()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 3:
            stop.set()

    access = Upstreams(connections, rate=0.01, clock=clock, sleep=sleep, stop=stop)
    ask(access, settings[0])

    with pytest.raises(Transient, match="asked to stop"):
        ask(access, settings[1])
    assert [1.0] * 3 == clock.slept


def test_a_refusal_of_one_account_says_nothing_about_the_service(
    connections: Connections, settings: list[Settings], clock: Clock, fleet: SandboxFleet
) -> None:
    access = Upstreams(connections, rate=0, clock=clock, sleep=clock.sleep)
    for name in fleet.names:
        fleet.env.pop(fleet.variable(name))
    for each in settings:
        with pytest.raises(PinataError, match="is not set"), access.account(each, silent):
            raise AssertionError("not reached")


def test_the_read_of_an_inventory_is_tried_three_times(
    connections: Connections, settings: list[Settings], clock: Clock, fleet: SandboxFleet
) -> None:
    access = Upstreams(connections, clock=clock, sleep=clock.sleep, dice=lambda: 1.0)
    left = [2]

    def fault(method: str, path: str) -> int | None:
        if not path.startswith("secret/data/") or not left[0]:
            return None
        left[0] -= 1
        return 503

    fleet.proxy.fault = fault
    assert (None, 0) == access.documents(settings[0]).document("pinata-inference/fleets/none")
    assert [0.5, 1.0] == clock.slept

    left[0] = 3
    with pytest.raises(Transient):
        access.documents(settings[0]).document("pinata-inference/fleets/none")


# --- what is told of it ------------------------------------------------------------------------------


def test_every_call_is_reported_with_its_service_name_and_result(
    connections: Connections, settings: list[Settings], fleet: SandboxFleet
) -> None:
    calls: list[tuple[str, str, str]] = []
    took: list[float] = []

    def called(upstream: str, operation: str, result: str, seconds: float) -> None:
        calls.append((upstream, operation, result))
        took.append(seconds)

    access = Upstreams(connections, sleep=lambda seconds: None, called=called)
    each = replace(settings[0], timeout=2.0)
    fleet.pinata.set_credits(fleet.names[0], 7.25)
    access.documents(each).document("pinata-inference/fleets/none")
    with access.account(each, silent) as found:
        found.ports.pinata.status()
        found.ports.store.stat(each.vault.location)
        found.field(each.vault.location, "none")
        with closing(found.credits()) as credits:
            assert 7.25 == credits.balance()
            credits.put((10.0, 50))
        with pytest.raises(Refused):
            found.ports.store.undelete(Location("nowhere", "pinata/a"), 1)
        fleet.pinata.add_fault("lost_before", method="POST")
        with pytest.raises(Ambiguous):
            found.ports.pinata.enable()

    assert [
        ("vault", "document", "ok"),
        ("pinata", "status", "ok"),
        ("vault", "stat", "ok"),
        ("vault", "field", "ok"),
        ("pinata", "credits_balance", "ok"),
        ("pinata", "credits_put", "ok"),
        ("vault", "undelete", "refused"),
        ("pinata", "enable", "ambiguous"),
    ] == calls
    assert all(0 < seconds < 10 for seconds in took)


def test_a_credential_that_is_kept_in_vault_is_read_by_a_reported_call(
    connections: Connections, settings: list[Settings], fleet: SandboxFleet
) -> None:
    place = Location("secret", f"fleets/{fleet.name}/jwt")
    jwt = fleet.env[fleet.variable(fleet.names[0])]
    fleet.bao.api.call("POST", f"secret/data/{place.path}", {"data": {"token": jwt}})
    calls = []
    access = Upstreams(connections, called=lambda *call: calls.append(call[:3]))

    with access.account(replace(settings[0], credentials=VaultReference(place, "token")), silent):
        pass

    assert [("vault", "field", "ok")] == calls


def test_the_budget_says_what_is_left_and_a_debt(
    connections: Connections, settings: list[Settings], clock: Clock
) -> None:
    access = Upstreams(connections, rate=2, clock=clock, sleep=clock.sleep)
    assert {} == access.budget()
    with access.account(settings[0], silent) as found:
        for _ in range(5):
            found.ports.pinata.status()

    assert {settings[0].api_url: (2, -1.0)} == access.budget()
    clock.now += 1
    assert {settings[0].api_url: (2, 1.0)} == access.budget()


def test_without_a_bound_there_is_no_budget(connections: Connections, settings: list[Settings]) -> None:
    access = Upstreams(connections, rate=0)
    ask(access, settings[0])

    assert {} == access.budget()


@pytest.mark.parametrize("rate", [0, 8])
def test_a_first_pass_can_be_slowed_down_for_a_while(
    connections: Connections, settings: list[Settings], clock: Clock, rate: float
) -> None:
    access = Upstreams(connections, rate=rate, clock=clock, sleep=clock.sleep)
    for each in settings:
        ask(access, each)
    clock.now += 10
    access.slow(0.5)
    for each in settings[:4]:
        ask(access, each)
    assert 6.0 == pytest.approx(sum(clock.slept))  # one at once, then one in two seconds

    access.slow(None)
    clock.now += 10
    clock.slept.clear()
    for each in settings:
        ask(access, each)
    assert [] == clock.slept


def test_slow_is_never_faster_than_what_is_allowed(
    connections: Connections, settings: list[Settings], clock: Clock
) -> None:
    access = Upstreams(connections, rate=2, clock=clock, sleep=clock.sleep)
    access.slow(1000.0)
    ask(access, settings[0])

    assert {settings[0].api_url: (2, 3.0)} == access.budget()


# --- reads that are tried again ----------------------------------------------------------------------


def failing(fleet: SandboxFleet, match: str, times: int) -> list[str]:
    """The next calls that `match` fail; returns the list of those that were made."""
    seen: list[str] = []

    def fault(method: str, path: str) -> int | None:
        if match not in f"{method} {path}":
            return None
        seen.append(path)
        return 503 if len(seen) <= times else None

    fleet.proxy.fault = fault
    return seen


def test_a_read_of_one_account_that_fails_in_passing_is_tried_again(
    connections: Connections, settings: list[Settings], clock: Clock, fleet: SandboxFleet
) -> None:
    calls = []
    access = Upstreams(
        connections, clock=clock, sleep=clock.sleep, dice=lambda: 1.0, called=lambda *call: calls.append(call[1:3])
    )
    failing(fleet, "GET secret/metadata/", 2)
    with access.account(settings[0], silent) as found:
        assert 0 == found.ports.store.stat(settings[0].vault.location).version

    assert [0.5, 1.0] == clock.slept
    assert [("stat", "transient"), ("stat", "transient"), ("stat", "ok")] == calls


def test_a_read_is_tried_three_times_and_a_write_once(
    connections: Connections, settings: list[Settings], clock: Clock, fleet: SandboxFleet
) -> None:
    access = Upstreams(connections, clock=clock, sleep=clock.sleep)
    seen = failing(fleet, "secret/", 99)
    with access.account(settings[0], silent) as found:
        with pytest.raises(Transient):
            found.ports.store.stat(settings[0].vault.location)
        assert 3 == len(seen)
        with pytest.raises(PinataError):
            found.ports.store.undelete(settings[0].vault.location, 1)
        assert 4 == len(seen)


def test_where_vault_has_just_failed_for_another_account_a_read_is_tried_once(
    connections: Connections, settings: list[Settings], clock: Clock, fleet: SandboxFleet
) -> None:
    access = Upstreams(connections, clock=clock, sleep=clock.sleep)
    seen = failing(fleet, "secret/", 99)
    for each in settings[:2]:
        with pytest.raises(Transient), access.account(each, silent) as found:
            found.ports.store.stat(each.vault.location)

    assert 3 + 1 == len(seen)
