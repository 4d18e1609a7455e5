"""Every fault over real HTTP, and the script of faults without it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sandbox_users import Clock, User

from pulumi_pinata.sandbox.faults import Fate, Fault, FaultKind, FaultScript
from pulumi_pinata.sandbox.openbao_files import free_port
from pulumi_pinata.sandbox.pinata_server import PinataServer

LOST = (httpx.RemoteProtocolError, httpx.ReadError)


def test_lost_before_closes_the_connection_and_nothing_was_done(user: User) -> None:
    user.pinata.add_fault("lost_before", method="POST", path="/v0/llm/enable", account=user.name)
    with pytest.raises(LOST):
        user.http.post("/v0/llm/enable")
    assert 0 == user.pinata.state(user.name).mints
    assert [None] == [call.status for call in user.pinata.calls(user.name)]


def test_lost_after_closes_the_connection_and_the_key_is_lost(user: User) -> None:
    user.pinata.add_fault("lost_after", method="POST", path="/v0/llm/enable", account=user.name)
    with pytest.raises(LOST):
        user.http.post("/v0/llm/enable")
    assert 1 == user.pinata.state(user.name).mints
    assert user.http.get("/v0/llm/status").json()["enabled"]


def test_lost_after_loses_a_stream_too_and_it_is_paid(user: User) -> None:
    key = user.enable()
    user.pinata.add_fault("lost_after", path="/v0/llm/chat/*", account=user.name)
    question = {"model": "a/b", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with pytest.raises(LOST):
        user.chat(key, question)
    assert user.pinata.state(user.name).credits < 100


def test_a_late_effect_lands_after_the_connection_closed(
    user: User, wait_for: Callable[[Callable[[], bool]], bool]
) -> None:
    for seconds in (600, 0.02):
        user.pinata.add_fault("late", path="/v0/llm/enable", account=user.name, seconds=seconds)
        assert not user.pinata.state(user.name).enabled
        with pytest.raises(LOST):
            user.http.post("/v0/llm/enable")
    assert wait_for(lambda: user.pinata.state(user.name).enabled)


def test_a_late_effect_with_a_body_keeps_it(user: User, wait_for: Callable[[Callable[[], bool]], bool]) -> None:
    path = "/v0/credits/topup/config"
    user.pinata.add_fault("late", method="PUT", path=path, account=user.name, seconds=0.02)
    with pytest.raises(LOST):
        user.http.put(path, json={"threshold": 10, "amount": 50})
    assert wait_for(lambda: user.http.get(path).json()["amount"] == 50)


def test_stopping_waits_for_nothing() -> None:
    with PinataServer() as pinata:
        account = pinata.add_account("prod")
        headers = {"Authorization": f"Bearer {account.jwt}"}
        pinata.add_fault("late", path="/v0/llm/enable", seconds=600)
        with pytest.raises(LOST):
            httpx.post(f"{pinata.url}/v0/llm/enable", headers=headers)
        started = time.monotonic()
    assert time.monotonic() - started < 8  # it would wait for 10
    assert not pinata.state("prod").enabled


def test_stopping_breaks_off_a_request_that_waits(wait_for: Callable[[Callable[[], bool]], bool]) -> None:
    server = PinataServer()
    with server, ThreadPoolExecutor(1) as pool:
        server.add_fault("latency", seconds=600)
        request = pool.submit(httpx.get, f"{server.url}/v0/llm/models", timeout=30)
        assert wait_for(lambda: bool(server.calls()))
        server.stop()
        with pytest.raises(LOST):
            request.result(20)


def test_an_outage_ends_with_the_same_address_accounts_and_keys(clock: Clock) -> None:
    pinata = PinataServer(port=free_port(), clock=clock, key_prefix="canary_")
    with pinata:
        url = pinata.url
        headers = {"Authorization": f"Bearer {pinata.add_account('prod').jwt}"}
        key = httpx.post(f"{url}/v0/llm/enable", headers=headers).json()["privateKey"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/v0/llm/models")
    with pinata:
        assert url == pinata.url
        assert httpx.get(f"{url}/v0/llm/status", headers=headers).json()["enabled"]
        assert key.startswith("canary_")
        assert pinata.is_live("prod", key)


def test_latency_delays_and_then_lets_the_next_fault_decide(user: User) -> None:
    user.pinata.add_fault("latency", account=user.name, seconds=0.05, times=2)
    user.pinata.add_fault("status", account=user.name, status=429, retry_after=2)
    started = time.monotonic()
    limited = user.http.get("/v0/llm/status")
    assert time.monotonic() - started >= 0.045
    assert (429, "2") == (limited.status_code, limited.headers["retry-after"])
    assert 200 == user.http.get("/v0/llm/status").status_code


def test_a_client_may_give_up_while_the_effect_goes_on(
    user: User, wait_for: Callable[[Callable[[], bool]], bool]
) -> None:
    user.pinata.add_fault("latency", account=user.name, seconds=1)
    with pytest.raises(httpx.ReadTimeout):
        user.http.post("/v0/llm/enable", timeout=0.05)
    assert wait_for(lambda: user.pinata.state(user.name).enabled)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 429, 500, 503])
def test_a_status_fault_answers_in_the_accounts_error_shape(user: User, status: int) -> None:
    user.pinata.set_variants(user.name, error_shape="code")
    user.pinata.add_fault(FaultKind.STATUS, account=user.name, status=status)
    reply = user.http.post("/v0/llm/enable")
    assert (status, status) == (reply.status_code, reply.json()["error"]["code"])
    assert 0 == user.pinata.state(user.name).mints


@pytest.mark.parametrize("status", [502, 200])
def test_an_html_page_may_come_with_any_status(user: User, status: int) -> None:
    user.pinata.add_fault("html", account=user.name, status=status)
    reply = user.http.get("/v0/llm/status")
    assert status == reply.status_code
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.text.startswith("<!doctype html>")


def test_a_fault_hits_as_often_as_told_and_only_its_own(user: User) -> None:
    user.pinata.add_fault("status", method="GET", path="/v0/llm/status", account=user.name, times=2)
    user.enable()
    statuses = [user.http.get("/v0/llm/status").status_code for _ in range(3)]
    assert [503, 503, 200] == statuses


def test_faults_without_an_end_last_until_they_are_cleared(user: User) -> None:
    user.pinata.add_fault("status", account=user.name, times=None)
    assert [user.http.get("/v0/llm/status").status_code for _ in range(3)] == [503] * 3
    user.pinata.clear_faults()
    assert 200 == user.http.get("/v0/llm/status").status_code


def test_the_inference_key_counts_as_its_account(user: User) -> None:
    key = user.enable()
    user.pinata.add_fault("status", path="/v0/llm/chat/*", account=user.name, status=429)
    reply = user.chat(key, {})
    assert (429, {"error": {"message": "Sandbox fault: 429"}}) == (reply.status_code, reply.json())


def hits(seed: int) -> list[bool]:
    script = FaultScript()
    script.add(Fault(kind=FaultKind.STATUS, times=None, probability=0.5, seed=seed))
    fates = [script.fate_of(method="GET", path="/", account=None) for _ in range(64)]
    return [fate.fault is not None for fate in fates]


def test_probability_is_repeatable_by_its_seed() -> None:
    assert hits(7) == hits(7)
    assert hits(7) != hits(8)
    assert {True, False} == set(hits(7))


def test_latencies_add_up() -> None:
    script = FaultScript()
    for seconds in (1.0, 2.0):
        script.add(Fault(kind=FaultKind.LATENCY, seconds=seconds))
    assert Fate(latency=3.0) == script.fate_of(method="GET", path="/", account="prod")


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "nonsense"},
        {"kind": "status", "colour": "red"},
        {"kind": "status", "times": 0},
        {"kind": "status", "times": "x"},
        {"kind": "status", "probability": 2},
        {"kind": "status", "status": 99},
        {"kind": "late", "seconds": -1},
        {"kind": "late", "path": None},
        {},
    ],
)
def test_a_bad_fault_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="fault"):
        Fault.read(values)
