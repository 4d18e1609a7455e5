"""Shared connections: one TLS context, one login, no cookie from one account to another; and when nobody is asked."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
from sandbox_fleet import MakeFleet, SandboxFleet

from pulumi_pinata.adapters.pinata_transport import SharedPool
from pulumi_pinata.core.errors import PinataError, Transient
from pulumi_pinata.core.settings import Settings
from pulumi_pinata.wiring import Connections, session
from reconciler import manifest as manifests
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


def test_a_cookie_of_one_account_does_not_go_out_with_anothers_request() -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"set-cookie": "session=of-a; Path=/"}, json={})

    pool = SharedPool("https://agents.example", 4)
    pool._http._transport = httpx.MockTransport(answer)
    pool._http._mounts = {}
    for _ in range(2):
        with httpx.Client(transport=pool, base_url="https://agents.example") as client:
            client.get("/v0/llm/status")

    assert [None, None] == sent


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
    assert ("api_url", "It is tried again in 4 s.", 4.0) == (refused.about, refused.hint, refused.retry_after)
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
