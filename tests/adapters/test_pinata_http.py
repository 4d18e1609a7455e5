"""PinataClient on a transport that answers as told: what each answer, and each way to get none, means."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
import stamina

from pulumi_pinata.adapters.pinata_http import CreditsClient, PinataClient
from pulumi_pinata.core.errors import Ambiguous, PinataError, Refused, Transient, Unfunded
from pulumi_pinata.core.model import Liveness, Status
from pulumi_pinata.core.secret import PrivateKey, Secret

CANARY = "canary-jwt"
BODY = "canary-body"
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=2)
    yield
    stamina.set_testing(False)


def client(handler: Handler, timeout: float = 0.02) -> PinataClient:
    return PinataClient("https://pinata.test", Secret(CANARY), timeout, httpx.MockTransport(handler))


def answer(status: int = 200, body: Any = None, **headers: str) -> Handler:
    content = body if isinstance(body, str) else json.dumps(body)
    return lambda request: httpx.Response(status, text=content, headers=headers)


def raising(error: type[httpx.TransportError]) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error(BODY, request=request)

    return handler


def by_path(**answers: Handler) -> Handler:
    """Answers by the last part of the path."""
    return lambda request: answers[request.url.path.rpartition("/")[2]](request)


def fails(call: Callable[[], object]) -> PinataError:
    with pytest.raises(PinataError) as caught:
        call()
    text = f"{caught.value} {caught.value!r} {caught.value.hint}"
    assert CANARY not in text
    assert BODY not in text
    assert caught.value.__cause__ is None
    return caught.value


# --- no answer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
@pytest.mark.parametrize("name", ["status", "enable", "disable"])
def test_a_fault_before_anything_was_sent_is_transient(error: type[httpx.TransportError], name: str) -> None:
    with closing(client(raising(error))) as api:
        assert Transient is type(fails(getattr(api, name)))


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError]
)
@pytest.mark.parametrize("name", ["enable", "disable"])
def test_a_fault_after_something_may_have_been_sent_is_ambiguous(error: type[httpx.TransportError], name: str) -> None:
    with closing(client(raising(error))) as api:
        assert Ambiguous is type(fails(getattr(api, name)))


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.RemoteProtocolError])
def test_a_read_that_never_gets_a_reply_is_transient(error: type[httpx.TransportError]) -> None:
    with closing(client(raising(error))) as api:
        assert Transient is type(fails(api.status))


def test_a_write_is_sent_once_whatever_the_answer() -> None:
    for status in (200, 401, 408, 429, 500, 503):
        sent: list[str] = []

        def handler(request: httpx.Request, status: int = status, sent: list[str] = sent) -> httpx.Response:
            sent.append(request.method)
            return httpx.Response(status, text=BODY)

        with closing(client(handler)) as api, pytest.raises(PinataError):
            api.enable()
        assert ["POST"] == sent


def test_the_jwt_travels_in_the_header_alone_and_enable_has_no_body() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"success": True, "privateKey": "k"})

    with closing(client(handler)) as api:
        api.enable()
    assert f"Bearer {CANARY}" == seen[0].headers["Authorization"]
    assert CANARY not in str(seen[0].url)
    assert b"" == seen[0].content


def test_a_redirect_is_refused_and_not_followed_with_the_jwt() -> None:
    hosts: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(307, headers={"Location": "https://elsewhere.test/v0/llm/enable"})

    with closing(client(handler)) as api:
        for call in (api.status, api.enable, api.disable):
            error = fails(call)
            assert Refused is type(error)
            assert "api_url" == error.about
    assert {"pinata.test"} == set(hosts)


# --- odd answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    ["<html>canary-body</html>", "", "[]", "null", "true", '{"enabled": "yes"}', "{}", '{"enabled": null}', "{"],
)
def test_a_status_that_is_not_of_the_documented_form_is_transient(body: str) -> None:
    with closing(client(answer(200, body))) as api:
        assert Transient is type(fails(api.status))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"enabled": True, "createdAt": "2026"}, Status(True, "2026")),
        ({"enabled": True, "createdAt": 1767225600}, Status(True, "1767225600")),
        ({"enabled": True}, Status(True)),
        ({"enabled": False, "createdAt": "2026"}, Status(False)),
        ({"enabled": False, "createdAt": None}, Status(False)),
        ({"enabled": True, "createdAt": "2026", "new": {"field": 1}}, Status(True, "2026")),
    ],
)
def test_a_status_is_read_whatever_else_is_in_it(body: dict[str, Any], status: Status) -> None:
    with closing(client(answer(200, body))) as api:
        assert status == api.status()


@pytest.mark.parametrize("body", ["<html>", "", "[]", '"text"', "{"])
def test_an_enable_without_readable_json_is_ambiguous(body: str) -> None:
    with closing(client(answer(200, body))) as api:
        assert Ambiguous is type(fails(api.enable))


@pytest.mark.parametrize("body", [{}, {"success": True}, {"privateKey": None}, {"privateKey": ""}, {"privateKey": 7}])
def test_an_enable_without_a_key_hands_out_none(body: dict[str, Any]) -> None:
    with closing(client(answer(200, body))) as api:
        assert api.enable() is None


def test_a_key_is_kept_verbatim() -> None:
    text = " -----BEGIN PRIVATE KEY-----\nä+/=\n-----END PRIVATE KEY-----\n"
    with closing(client(answer(201, {"privateKey": text}))) as api:
        key = api.enable()

    assert key is not None
    assert text == key.reveal()


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_disable_that_says_it_is_off_is_success(status: int) -> None:
    with closing(client(answer(status, {"error": BODY}))) as api:
        api.disable()


@pytest.mark.parametrize("status", [404, 405, 410, 418, 422])
def test_an_enable_at_a_wrong_address_is_refused(status: int) -> None:
    with closing(client(answer(status, {"error": BODY}))) as api:
        error = fails(api.enable)

    assert Refused is type(error)
    assert "api_url" == error.about


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("soon", None), ("", None), ("-1", None), ("²", None)])
def test_the_time_to_wait_is_taken_where_it_is_a_number(header: str, seconds: float | None) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": header.encode("utf-8")} if header else {})

    with closing(client(handler)) as api:
        error = fails(api.enable)
    assert isinstance(error, Transient)
    assert seconds == error.retry_after


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520, 599])
def test_an_answer_that_proves_nothing_is_ambiguous(status: int) -> None:
    with closing(client(answer(status, BODY))) as api:
        assert Ambiguous is type(fails(api.enable))
        assert Ambiguous is type(fails(api.disable))


# --- off by 404 ------------------------------------------------------------------------------------

NOT_FOUND = answer(404, {"error": "not enabled"})


def test_a_404_is_off_where_the_listing_shows_no_key() -> None:
    with closing(client(by_path(status=NOT_FOUND, secrets=answer(200, {"secrets": []})))) as api:
        assert Status(enabled=False) == api.status()


def test_a_404_is_no_answer_where_the_listing_shows_a_key() -> None:
    listing = answer(200, {"secrets": [{"id": "1", "name": "PINATA_LLM_KEY", "updatedAt": "t"}]})
    with closing(client(by_path(status=NOT_FOUND, secrets=listing))) as api:
        assert Transient is type(fails(api.status))


@pytest.mark.parametrize(
    ("listing", "kind"),
    [(401, Refused), (403, Refused), (404, Refused), (500, Transient), (429, Transient)],
)
def test_a_404_is_no_answer_where_the_listing_fails(listing: int, kind: type[PinataError]) -> None:
    with closing(client(by_path(status=NOT_FOUND, secrets=answer(listing, {"error": "x"})))) as api:
        assert kind is type(fails(api.status))


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"secrets": null}', '{"secrets": "x"}'])
def test_a_404_is_no_answer_where_the_listing_is_of_another_form(body: str) -> None:
    with closing(client(by_path(status=NOT_FOUND, secrets=answer(200, body)))) as api:
        assert isinstance(fails(api.status), (Transient, Refused))


@pytest.mark.parametrize(
    "body",
    ["<html>", "[]", '{"secrets": null}', '{"secrets": ["x", null, {"name": "OTHER"}]}', '{"secrets": {"a": 1}}'],
)
def test_an_odd_listing_gives_no_marker(body: str) -> None:
    with closing(client(answer(200, body))) as api:
        assert api.marker() is None


def test_a_marker_tells_two_generations_apart() -> None:
    found = []
    for moment in ("t1", "t2"):
        listing = {"secrets": [{"name": "PINATA_LLM_KEY", "id": "1", "updatedAt": moment}]}
        with closing(client(answer(200, listing))) as api:
            found.append(api.marker())

    assert found[0]
    assert found[0] != found[1]


# --- the probe -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "strangers", "verdict"),
    [
        (401, 401, Liveness.DEAD),
        (400, 401, Liveness.LIVE),
        (402, 401, Liveness.LIVE),
        (422, 401, Liveness.LIVE),
        (400, 400, Liveness.UNKNOWN),
        (403, 401, Liveness.UNKNOWN),
        (429, 401, Liveness.UNKNOWN),
        (500, 401, Liveness.UNKNOWN),
        (200, 401, Liveness.UNKNOWN),
        (400, 500, Liveness.UNKNOWN),
    ],
)
def test_a_key_is_judged_by_what_a_made_up_one_gets(ours: int, strangers: int, verdict: Liveness) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(ours if request.headers["Authorization"] == "Bearer ours" else strangers, text=BODY)

    with closing(client(handler)) as api:
        assert verdict is api.probe(PrivateKey("ours"))


def test_a_single_401_does_not_condemn_a_key() -> None:
    answers = iter([401, 400])
    with closing(client(lambda request: httpx.Response(next(answers)))) as api:
        assert Liveness.UNKNOWN is api.probe(PrivateKey("ours"))


@pytest.mark.parametrize("text", ["line\nbreak", "ümlaut", "tail\r\n", "nul\0"])
def test_a_key_that_no_header_can_carry_is_unknown_and_raises_nothing(text: str) -> None:
    with closing(client(answer(400, {}))) as api:
        assert Liveness.DEAD is not api.probe(PrivateKey(text))


@pytest.mark.parametrize("text", ["ümlaut-canary", "\u2028-canary"])
def test_a_jwt_that_no_header_can_carry_is_refused_without_quoting_it(text: str) -> None:
    api = PinataClient("https://pinata.test", Secret(text), 0.02, httpx.MockTransport(answer(200, {"enabled": False})))
    with closing(api), pytest.raises(PinataError) as caught:
        api.status()
    assert text not in str(caught.value)


# --- credits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", ["[]", "<html>", '{"threshold": "many", "amount": 1}', '{"threshold": 5, "amount": {}}']
)
def test_a_top_up_configuration_of_another_form_is_one_of_our_errors(body: str) -> None:
    credits = CreditsClient("https://pinata.test", Secret(CANARY), 0.02, httpx.MockTransport(answer(200, body)))
    with closing(credits):
        assert Transient is type(fails(credits.get))


@pytest.mark.parametrize(
    ("body", "expected"),
    [({"threshold": 5, "amount": 20}, (5.0, 20)), ({"threshold": None, "amount": None}, None), ({}, None)],
)
def test_a_top_up_configuration_is_read(body: dict[str, Any], expected: tuple[float, int] | None) -> None:
    credits = CreditsClient("https://pinata.test", Secret(CANARY), 0.02, httpx.MockTransport(answer(200, body)))
    with closing(credits):
        assert expected == credits.get()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"total": 100.0, "loaned": 0.5, "available": 99.5}, 99.5),
        ({"available": 0}, 0.0),
        ({"available": -3}, -3.0),
    ],
)
def test_a_balance_is_what_is_free_to_be_drawn(body: dict[str, Any], expected: float) -> None:
    credits = CreditsClient("https://pinata.test", Secret(CANARY), 0.02, httpx.MockTransport(answer(200, body)))
    with closing(credits):
        assert expected == credits.balance()


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "<html>",
        "{}",
        '{"available": "9"}',
        '{"available": true}',
        '{"available": NaN}',
        '{"available": 1%s}' % ("0" * 400),
    ],
)
def test_a_balance_of_another_form_is_one_of_our_errors(body: str) -> None:
    credits = CreditsClient("https://pinata.test", Secret(CANARY), 0.02, httpx.MockTransport(answer(200, body)))
    with closing(credits):
        assert Transient is type(fails(credits.balance))


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Refused), (402, Unfunded), (404, Refused), (429, Transient), (503, Transient)]
)
def test_a_balance_that_cannot_be_had_says_why(status: int, kind: type[PinataError]) -> None:
    credits = CreditsClient("https://pinata.test", Secret(CANARY), 0.02, httpx.MockTransport(answer(status, BODY)))
    with closing(credits):
        error = fails(credits.balance)
    assert (kind, "pinata") == (type(error), error.service)
