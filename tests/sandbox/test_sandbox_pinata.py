"""The Pinata routes over real HTTP, with every variant that shows only there."""

import base64
import json

import httpx
import pytest
from sandbox_users import Clock, User

from pulumi_pinata.sandbox.openbao_files import free_port
from pulumi_pinata.sandbox.pinata_server import PinataServer


def claims_of(jwt: str) -> dict[str, object]:
    middle = jwt.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    assert isinstance(claims, dict)
    return claims


def test_the_documented_shapes(user: User) -> None:
    enabled = user.http.post("/v0/llm/enable")
    assert 200 == enabled.status_code
    assert {"success", "privateKey"} == set(enabled.json())
    assert {"enabled": True, "createdAt": user.pinata.state(user.name).created_at} == (
        user.http.get("/v0/llm/status").json()
    )
    assert {"success": True} == user.http.delete("/v0/llm/disable").json()
    assert not user.pinata.state(user.name).enabled


def test_created_at_is_iso_8601_in_utc_with_milliseconds(user: User) -> None:
    user.enable()
    created_at = user.http.get("/v0/llm/status").json()["createdAt"]
    assert created_at.endswith("Z")
    assert len("2026-06-29T00:00:00.000Z") == len(created_at)


def test_enable_may_answer_201(user: User) -> None:
    user.pinata.set_variants(user.name, enable_status=201)
    assert 201 == user.http.post("/v0/llm/enable").status_code


def test_a_second_enable_may_succeed_without_a_key(user: User) -> None:
    user.pinata.set_variants(user.name, reenable="no_key")
    user.enable()
    assert {"success": True} == user.http.post("/v0/llm/enable").json()


@pytest.mark.parametrize(
    ("variant", "status", "body"),
    [
        ("absent", 200, {"enabled": False}),
        ("null", 200, {"enabled": False, "createdAt": None}),
        ("not_found", 404, {"error": "Inference is not enabled"}),
    ],
)
def test_status_when_off(user: User, variant: str, status: int, body: dict[str, object]) -> None:
    user.pinata.set_variants(user.name, status_when_off=variant)
    reply = user.http.get("/v0/llm/status")
    assert (status, body) == (reply.status_code, reply.json())


@pytest.mark.parametrize(("variant", "status"), [("ok", 200), ("not_found", 404), ("conflict", 409)])
def test_disable_when_off(user: User, variant: str, status: int) -> None:
    user.pinata.set_variants(user.name, disable_when_off=variant)
    assert status == user.http.delete("/v0/llm/disable").status_code


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ("string", "Inference is already enabled"),
        ("message", {"message": "Inference is already enabled"}),
        ("reason", {"reason": "HTTP_409", "details": "Inference is already enabled"}),
        ("code", {"code": 409, "message": "Inference is already enabled"}),
        (
            "zod",
            {
                "name": "ZodError",
                "issues": [{"code": "custom", "path": [], "message": "Inference is already enabled"}],
            },
        ),
    ],
)
def test_every_error_shape(user: User, shape: str, error: object) -> None:
    user.pinata.set_variants(user.name, reenable="conflict", error_shape=shape)
    user.enable()
    reply = user.http.post("/v0/llm/enable")
    assert (409, error) == (reply.status_code, reply.json()["error"])


@pytest.mark.parametrize("header", [None, "Bearer nobody", "Basic eDp5", "Bearer"])
def test_a_stranger_gets_401_in_the_string_shape(user: User, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    reply = httpx.get(f"{user.pinata.url}/v0/llm/status", headers=headers)
    assert 401 == reply.status_code
    assert isinstance(reply.json()["error"], str)


def test_an_inference_key_is_no_management_credential(user: User) -> None:
    key = user.enable()
    reply = user.http.delete("/v0/llm/disable", headers={"Authorization": f"Bearer {key}"})
    assert 401 == reply.status_code
    assert user.pinata.is_live(user.name, key)


def test_a_jwt_carries_the_claims_of_a_real_one(user: User) -> None:
    claims = claims_of(user.account.jwt)
    information = claims["userInformation"]
    assert isinstance(information, dict)
    assert user.account.id == information["id"]
    assert f"{user.name}@sandbox.example" == information["email"]
    assert "scopedKey" == claims["authenticationType"]
    assert {"scopedKeyKey", "scopedKeySecret", "iat"} <= set(claims)
    assert "exp" not in claims


def test_a_jwt_ends_at_its_exp_and_status_lags_on_the_servers_clock(clock: Clock) -> None:
    with PinataServer(clock=clock) as pinata:
        account = pinata.add_account(
            "prod", exp=clock.now + 60, id="user-1", variants={"status_lag": 5, "status_when_off": "null"}
        )
        assert clock.now + 60 == claims_of(account.jwt)["exp"]
        headers = {"Authorization": f"Bearer {account.jwt}"}
        with httpx.Client(base_url=pinata.url, headers=headers) as client:
            client.post("/v0/llm/enable").raise_for_status()
            assert not client.get("/v0/llm/status").json()["enabled"]
            assert pinata.state("prod").enabled
            clock.now += 5
            assert client.get("/v0/llm/status").json()["enabled"]
            clock.now += 55
            late = client.get("/v0/llm/status")
        assert (401, {"error": "Token expired"}) == (late.status_code, late.json())


def test_secrets_show_the_llm_key_without_a_value_and_change_with_each_mint(user: User) -> None:
    key = user.enable()
    before = user.http.get("/v0/secrets")
    user.enable()
    after = user.http.get("/v0/secrets")
    assert key not in before.text
    entry, later = before.json()["secrets"][0], after.json()["secrets"][0]
    assert {"id", "userId", "name", "type", "createdAt", "updatedAt", "agents"} == set(entry)
    assert ("PINATA_LLM_KEY", user.account.id) == (entry["name"], entry["userId"])
    assert entry["id"] != later["id"]
    assert entry["updatedAt"] < later["updatedAt"]


def test_secrets_may_hide_the_llm_key_or_be_refused(user: User) -> None:
    user.enable()
    user.pinata.set_variants(user.name, secrets_listing="hides_llm_key")
    assert [] == user.http.get("/v0/secrets").json()["secrets"]
    user.pinata.set_variants(user.name, secrets_listing="off")
    assert 403 == user.http.get("/v0/secrets").status_code


def test_balance_and_top_up_have_the_documented_shapes(user: User) -> None:
    user.pinata.set_credits(user.name, 99.5)
    assert {"total": 99.5, "loaned": 0.0, "available": 99.5} == user.http.get("/v0/credits/balance").json()
    assert {"threshold": None, "amount": None} == user.http.get("/v0/credits/topup/config").json()
    reply = user.http.put("/v0/credits/topup/config", json={"threshold": 10, "amount": 50})
    assert {"ok": True} == reply.json()
    assert {"threshold": 10, "amount": 50} == user.http.get("/v0/credits/topup/config").json()
    user.http.put("/v0/credits/topup/config", json={"threshold": None, "amount": None}).raise_for_status()
    assert {"threshold": None, "amount": None} == user.http.get("/v0/credits/topup/config").json()


@pytest.mark.parametrize(
    "body",
    [
        {"threshold": 4, "amount": 50},
        {"threshold": 10, "amount": 0},
        {"threshold": 10, "amount": 1.5},
        {"threshold": 10, "amount": None},
        {"amount": 10},
        {"threshold": "10", "amount": 50},
        {"threshold": True, "amount": 50},
        [],
    ],
)
def test_a_bad_top_up_is_400(user: User, body: object) -> None:
    assert 400 == user.http.put("/v0/credits/topup/config", json=body).status_code


def test_models_is_a_public_bare_array(pinata: PinataServer) -> None:
    models = httpx.get(f"{pinata.url}/v0/llm/models").json()
    assert isinstance(models, list)
    assert {
        "model_id",
        "input_usd_per_1m_tokens",
        "output_usd_per_1m_tokens",
        "cache_read_usd_per_1m_tokens",
    } == set(models[0])


def test_another_host_name_is_refused(pinata: PinataServer) -> None:
    assert 400 == httpx.get(f"{pinata.url}/v0/llm/models", headers={"Host": "evil.example"}).status_code


def test_another_address_is_refused() -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1 only"):
        PinataServer(host="0.0.0.0")


def test_a_server_starts_and_stops_at_once_and_its_port_is_closed() -> None:
    server = PinataServer(port=free_port())
    with server:
        assert 200 == httpx.get(f"{server.url}/v0/llm/models").status_code
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/v0/llm/models")
