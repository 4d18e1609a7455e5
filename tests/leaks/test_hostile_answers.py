"""What a lying Vault, a lying Pinata or somebody with write access to our records could make us do or print."""

import json
import threading
import time
from contextlib import closing, suppress
from typing import Any

import pytest
from hostile import Asked, Middleman, reply
from hypothesis import example, given, settings
from hypothesis import strategies as st
from world import World

from pulumi_pinata import properties, wiring
from pulumi_pinata.adapters import vault_documents as documents
from pulumi_pinata.adapters.pinata_http import PinataClient
from pulumi_pinata.core.actions import Outcome
from pulumi_pinata.core.converge import converge
from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.model import Label, Location, Mode, Purpose, Record
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.sandbox.openbao_api import BaoError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["²", "1", "-1", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
RECORD = documents.record_to_data(Record(1, True, "owner", Purpose.MINT, ("run.1",), Location("secret", "a")))
UNPRINTABLE = "pulumi:o/p/s/\x1b]0;owned\x07\x1b[2J\r\nerror: all is well{}{0}%s"


def declared(world: World, **more: Any) -> Any:
    checked, failures = properties.check(
        {
            "owner": f"pulumi:organization/proj/dev/{world.name}",
            "api_url": world.pinata.url,
            "vault": {"address": world.proxy.url, "path": world.path},
            "timeout": 10.0,
            **more,
        },
        {},
    )
    assert [] == failures
    return properties.settings(checked)


def converged(world: World, **more: Any) -> Outcome:
    wanted = declared(world, **more)
    with wiring.session(wanted, notice=lambda line: None, environ=world.env) as found:
        return converge(wiring.desired(wanted, found.account, Mode.ENABLED, None), found.ports)


def account_of(world: World) -> str:
    return wiring.fingerprint(declared(world), world.env)


def put_record(world: World, **changes: Any) -> None:
    path = f"secret/data/pinata-inference/intents/{account_of(world)}"
    closed = {**RECORD, "state": "closed", "owner": f"pulumi:organization/proj/dev/{world.name}"}
    closed["location"] = {"mount": "secret", "path": world.path}
    world.vault.api.call("POST", path, {"data": {**closed, **changes}})


# --- Vault ---------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None, derandomize=True)
@given(changes=st.dictionaries(st.sampled_from([*RECORD]), JSON, max_size=3))
@example(changes={"attempts": [5]})
@example(changes={"location": {"mount": "..", "path": "x"}})
def test_whatever_stands_in_a_record_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        found = documents.record_from_data({**RECORD, **changes}, 1, "secret/x")
    except Refused:
        return
    assert all(
        isinstance(part, str) for part in (found.owner, *found.attempts, found.location.mount, found.location.path)
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    metadata=st.dictionaries(
        st.sampled_from(["version", "state", "account", "owner", "field"]),
        st.text(max_size=8) | st.sampled_from(["²", "claimed"]),
    )
)
@example(metadata={"version": "²"})
def test_whatever_stands_in_custom_metadata_is_a_label_or_none(metadata: dict[str, str]) -> None:
    marks = {documents.MARK + name: value for name, value in metadata.items()}

    documents.label_from_metadata({**marks, "pinata-owner": "o", "pinata-account": "a"}, Location("secret", "a"))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=JSON)
def test_whatever_stands_in_a_secret_is_content_or_none(data: Any) -> None:
    if isinstance(data, dict) or data is None:
        documents.content_from_data(data)


@pytest.mark.parametrize(
    "place",
    [
        {"mount": "secret", "path": "../../sys/policies/acl/pinata-provider"},
        {"mount": "secret", "path": "x/../../../auth/token/accessors"},
        {"mount": "..", "path": "sys/mounts"},
        {"mount": "secret", "path": "a?list=true"},
    ],
)
def test_a_record_cannot_lead_our_login_out_of_the_secrets_engine(world: World, place: dict[str, str]) -> None:
    put_record(world, location=place)
    world.proxy.clear()
    with suppress(PinataError):
        converged(world)

    engine = ("secret/data/", "secret/metadata/", "secret/delete/", "secret/undelete/", "secret/destroy/")
    ours = (*engine, "sys/capabilities-self", "sys/internal/ui/mounts/secret", "auth/token/lookup-self")
    assert [] == [
        call
        for call in world.proxy.calls
        if not call.partition(" ")[2].startswith(ours) or ".." in call or "?" in call.replace("?version=", "")
    ]


def test_a_record_cannot_make_us_destroy_what_another_resource_or_person_keeps(world: World) -> None:
    world.vault.api.call("POST", "secret/data/team/own", {"data": {"password": "theirs"}})
    other = World(world.pinata, world.vault, world.proxy, world.logins, world.folder)
    converged(other)

    for path in ("team/own", other.path):
        put_record(world, location={"mount": "secret", "path": path}, attempts=["", "run.1"])
        with suppress(PinataError):
            converged(world, on_delete="destroy")

    assert {"password": "theirs"} == world.vault_data("team/own")
    assert other.key_is_live()


def test_an_owner_that_another_wrote_cannot_drive_the_terminal(world: World) -> None:
    put_record(
        world,
        owner=UNPRINTABLE,
        minted={
            "version": 1,
            "fingerprint": "f",
            "attempt": "run.1",
            "field": "FIELD",
            "location": {"mount": "secret", "path": world.path},
        },
    )
    with pytest.raises(PinataError) as caught:
        converged(world)

    assert str(caught.value).isprintable()


def test_a_label_that_another_wrote_cannot_drive_the_terminal(world: World) -> None:
    world.vault.api.call("POST", f"secret/data/{world.path}", {"data": {"x": "y"}})
    label = documents.label_to_metadata(Label(UNPRINTABLE, "somebody", None))
    with suppress(BaoError):  # OpenBao takes no such metadata; Vault's documentation does not say so
        world.vault.api.call("POST", f"secret/metadata/{world.path}", {"custom_metadata": label})
    with pytest.raises(PinataError) as caught:
        converged(world)

    assert str(caught.value).isprintable()


# --- Pinata --------------------------------------------------------------------------------------------


def lying(world: World, answer: Any) -> Middleman:
    """A Pinata that changes the JSON of what it answers."""

    def twist(asked: Asked) -> bytes | None:
        if asked.path.startswith("/v0/llm/chat"):
            return None
        status, body = asked.passed_on()
        return reply(status, answer(asked, json.loads(body or b"{}")))

    return Middleman(world.pinata.url, twist)


def with_key(text: str) -> Any:
    def answer(asked: Asked, body: dict[str, Any]) -> str:
        if "privateKey" not in body:
            return json.dumps(body)
        return json.dumps(body).replace(json.dumps(body["privateKey"]), text)

    return answer


@pytest.mark.parametrize("key", ['"k\\r\\nX-Evil: 1"', '"k\\u0000"', '"ключ"', '"%s"' % ("k" * 1_000_000)])
def test_a_strange_key_is_kept_verbatim_and_injects_no_header(world: World, key: str) -> None:
    with lying(world, with_key(key)) as liar:
        converged(world, api_url=liar.url)
        liar.asked.clear()
        wanted = declared(world, api_url=liar.url)
        with wiring.session(wanted, notice=print, environ=world.env) as found:
            content = found.ports.store.read(Location("secret", world.path))
            assert content is not None
            found.ports.pinata.probe(content.key)
        assert [] == [asked for asked in liar.asked if "X-Evil" in asked.headers]

    assert json.loads(key) == world.vault_key()


def test_a_key_that_no_encoding_can_carry_is_one_of_our_errors_and_is_revoked(world: World) -> None:
    with lying(world, with_key('"\\ud800"')) as liar, pytest.raises(PinataError):
        converged(world, api_url=liar.url)

    assert not world.pinata.state(world.name).enabled


def test_a_time_that_holds_a_secret_or_control_characters_goes_nowhere(world: World) -> None:
    """It is stored in the state and in Vault's metadata, and a person reads it in both."""
    canary = "pnk_created_at_canary_0123456789"

    def answer(asked: Asked, body: dict[str, Any]) -> str:
        stamp = f"\x1b[2J{canary} {asked.credential}"
        return json.dumps({**body, "createdAt": stamp} if "enabled" in body else body)

    with lying(world, answer) as liar:
        wanted = declared(world, api_url=liar.url)
        with wiring.session(wanted, notice=print, environ=world.env) as found:
            status = found.ports.pinata.status()
            converged(world, api_url=liar.url)
            status = found.ports.pinata.status()

    assert canary not in str(status)
    assert str(status.created_at).isprintable()
    assert canary not in json.dumps([world.vault_metadata(), world.record()])


def test_a_time_and_an_id_longer_than_vaults_metadata_can_take_do_not_stop_the_label(world: World) -> None:
    def answer(asked: Asked, body: dict[str, Any]) -> str:
        text = json.dumps(body)
        return json.dumps({**body, "createdAt": "2026" * 200}) if body.get("enabled") else text

    with lying(world, answer) as liar:
        outcome = converged(world, api_url=liar.url)

    assert outcome.minted is not None


def test_a_body_that_never_ends_does_not_hold_the_call(world: World) -> None:
    """One byte now and then keeps any read timeout from coming."""
    import socket

    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            for _ in range(600):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return
                time.sleep(0.1)

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with closing(PinataClient(url, Secret("x.y.z"), 0.6)) as client, pytest.raises(PinataError):
        client.enable()
    server.close()

    assert time.monotonic() - began < 15  # it would be a minute


def test_a_body_of_ten_megabytes_is_one_of_our_errors() -> None:
    body = b'{"x":"' + b"a" * 10_000_000 + b'"}'
    with (
        Middleman(twist=lambda asked: reply(200, body)) as liar,
        closing(PinataClient(liar.url, Secret("x.y.z"), 0.5)) as client,
        pytest.raises(PinataError),
    ):
        client.status()
