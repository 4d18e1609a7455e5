"""The control routes: what a demo or another process uses in place of the Python face."""

from collections.abc import Iterator

import httpx
import pytest
from sandbox_users import User

from pulumi_pinata.sandbox.pinata_server import PinataServer


@pytest.fixture
def control(pinata: PinataServer) -> Iterator[httpx.Client]:
    headers = {"X-Sandbox-Token": pinata.control_token}
    with httpx.Client(base_url=f"{pinata.url}/_sandbox", headers=headers, verify=False) as client:
        yield client


@pytest.mark.parametrize("headers", [{}, {"X-Sandbox-Token": "guess"}])
def test_control_needs_its_token(pinata: PinataServer, headers: dict[str, str]) -> None:
    assert 401 == httpx.get(f"{pinata.url}/_sandbox/calls", headers=headers).status_code


def test_an_account_can_be_added_and_used(control: httpx.Client, pinata: PinataServer) -> None:
    body = {"name": "added", "id": "user-9", "credits": 3, "variants": {"enable_status": 201}}
    added = control.post("/accounts", json=body).raise_for_status().json()
    assert ("added", "user-9", "added@sandbox.example") == (added["name"], added["id"], added["email"])
    headers = {"Authorization": f"Bearer {added['jwt']}"}
    assert 201 == httpx.post(f"{pinata.url}/v0/llm/enable", headers=headers).status_code
    state = control.get("/accounts/added").json()
    assert {"enabled", "created_at", "mints", "disables", "live_key_sha256", "credits"} == set(state)
    assert (True, 1, 3.0) == (state["enabled"], state["mints"], state["credits"])


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "fresh", "variants": {"reenable": "maybe"}},
        {"name": "fresh", "variants": 3},
        {"name": "fresh", "credits": "many"},
        {"name": "fresh", "colour": "red"},
        [],
    ],
)
def test_a_bad_account_is_400_with_a_reason(control: httpx.Client, body: object) -> None:
    reply = control.post("/accounts", json=body)
    assert 400 == reply.status_code
    assert isinstance(reply.json()["error"], str)


def test_a_name_is_taken_once(user: User, control: httpx.Client) -> None:
    assert 400 == control.post("/accounts", json={"name": user.name}).status_code


def test_a_human_at_the_dashboard_switches_without_seeing_a_key(user: User, control: httpx.Client) -> None:
    on = control.post(f"/accounts/{user.name}/enable")
    assert on.json()["enabled"]
    assert "pnk_" not in on.text
    assert not control.post(f"/accounts/{user.name}/disable").json()["enabled"]
    assert 404 == control.post(f"/accounts/{user.name}/dance").status_code


def test_variants_and_credits_can_be_changed(user: User, control: httpx.Client) -> None:
    control.put(f"/accounts/{user.name}/variants", json={"status_when_off": "null"}).raise_for_status()
    control.put(f"/accounts/{user.name}/credits", json={"credits": 7}).raise_for_status()
    assert {"enabled": False, "createdAt": None} == user.http.get("/v0/llm/status").json()
    assert 7.0 == user.pinata.state(user.name).credits
    assert 400 == control.put(f"/accounts/{user.name}/credits", json={}).status_code


def test_an_unknown_account_is_404(control: httpx.Client) -> None:
    assert 404 == control.get("/accounts/nobody").status_code


def test_faults_can_be_added_and_cleared(user: User, control: httpx.Client) -> None:
    fault = {"kind": "status", "account": user.name, "status": 500, "times": None}
    control.post("/faults", json=fault).raise_for_status()
    assert 500 == user.http.get("/v0/llm/status").status_code
    control.delete("/faults").raise_for_status()
    assert 200 == user.http.get("/v0/llm/status").status_code
    assert 400 == control.post("/faults", json={"kind": "nonsense"}).status_code


def test_the_log_of_calls_holds_no_token(user: User, control: httpx.Client) -> None:
    control.delete("/calls").raise_for_status()
    key = user.enable()
    user.http.get("/v0/llm/status?x=1")
    log = control.get("/calls")
    assert [
        ("POST", "/v0/llm/enable", 200, user.name),
        ("GET", "/v0/llm/status", 200, user.name),
    ] == [(call["method"], call["path"], call["status"], call["account"]) for call in log.json()]
    assert key not in log.text
    assert user.account.jwt not in log.text
