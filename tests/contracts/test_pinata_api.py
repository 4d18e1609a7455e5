"""One suite for every `PinataApi`: the double that the core is tested on, and PinataClient against the sandbox."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from doubles import FakePinata, Reenable, Variant

from pulumi_pinata.adapters.pinata_http import PinataClient
from pulumi_pinata.core.errors import Ambiguous, PinataError, Refused, Transient, Unfunded
from pulumi_pinata.core.model import Liveness, Status
from pulumi_pinata.core.ports import PinataApi
from pulumi_pinata.core.secret import PrivateKey, Secret
from pulumi_pinata.sandbox.openbao_files import free_port
from pulumi_pinata.sandbox.pinata_server import PinataServer, SandboxAccount

_numbers = itertools.count(1)


@dataclass
class Desk:
    """An account's API, and what is truly so behind it."""

    api: PinataApi
    live: Callable[[], bool]
    mints: Callable[[], int]
    enable_out_of_band: Callable[[], object]


Make = Callable[[Variant], Desk]


@pytest.fixture(params=["double", "sandbox"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    if request.param == "double":
        yield _double
        return
    server: PinataServer = request.getfixturevalue("pinata")
    clients: list[PinataClient] = []

    def sandboxed(variant: Variant) -> Desk:
        name = f"api-{next(_numbers)}"
        account = server.add_account(
            name,
            variants={
                "reenable": variant.reenable.value,
                "created_at_on_reenable": "stays" if variant.created_at_stays else "changes",
                "secrets_listing": "on" if variant.listing else "off",
                "probe_order": "auth_first" if variant.auth_first else "validate_first",
            },
        )
        client = PinataClient(server.url, Secret(account.jwt), 5.0)
        clients.append(client)
        state = server.state
        return Desk(
            client,
            lambda: state(name).enabled,
            lambda: state(name).mints,
            lambda: server.enable_out_of_band(name),
        )

    yield sandboxed
    for client in clients:
        client.close()


def _double(variant: Variant) -> Desk:
    fake = FakePinata(variant)
    return Desk(fake, lambda: fake.live is not None, lambda: fake.mints, fake.enable)


@pytest.fixture
def desk(make: Make) -> Desk:
    return make(Variant())


def test_an_account_starts_off(desk: Desk) -> None:
    assert Status(enabled=False) == desk.api.status()
    assert desk.api.marker() is None


def test_enabling_hands_out_a_key_that_works_and_says_since_when(desk: Desk) -> None:
    key = desk.api.enable()

    assert key is not None
    status = desk.api.status()
    assert status.enabled
    assert status.created_at
    assert Liveness.LIVE is desk.api.probe(key)


def test_a_new_key_after_disabling_has_other_markers_and_the_old_one_is_dead(desk: Desk) -> None:
    old = desk.api.enable()
    before = desk.api.status(), desk.api.marker()
    desk.api.disable()
    new = desk.api.enable()

    assert old is not None
    assert new is not None
    assert old.fingerprint != new.fingerprint
    assert before[0] != desk.api.status()
    assert before[1] != desk.api.marker()
    assert (Liveness.DEAD, Liveness.LIVE) == (desk.api.probe(old), desk.api.probe(new))


def test_disabling_switches_off_and_again_is_no_error(desk: Desk) -> None:
    desk.api.enable()
    for _ in range(2):
        desk.api.disable()

        assert Status(enabled=False) == desk.api.status()
    assert not desk.live()


def test_the_marker_stays_while_the_key_does(desk: Desk) -> None:
    desk.api.enable()

    assert desk.api.marker() == desk.api.marker()
    assert desk.api.marker() is not None


def test_there_is_no_marker_where_the_listing_is_closed(make: Make) -> None:
    desk = make(Variant(listing=False))
    desk.api.enable()

    assert desk.api.marker() is None


@pytest.mark.parametrize("kind", Reenable)
def test_a_second_enable_is_told_apart_in_every_form(make: Make, kind: Reenable) -> None:
    desk = make(Variant(kind))
    first = desk.api.enable()
    second = desk.api.enable()

    assert first is not None
    assert desk.live()
    if kind in (Reenable.NO_KEY, Reenable.CONFLICT):
        assert second is None
    else:
        assert second is not None
        assert (kind is Reenable.SAME) == (first.fingerprint == second.fingerprint)
    assert (2 if kind is Reenable.ROTATE else 1) == desk.mints()


@pytest.mark.parametrize("stays", [False, True])
def test_a_rotation_by_a_second_enable_moves_created_at_or_only_the_marker(make: Make, stays: bool) -> None:
    desk = make(Variant(created_at_stays=stays))
    desk.api.enable()
    before = desk.api.status(), desk.api.marker()
    desk.enable_out_of_band()

    assert stays == (before[0] == desk.api.status())
    assert before[1] != desk.api.marker()


def test_a_key_cannot_be_judged_where_the_body_is_checked_first() -> None:
    desk = _double(Variant(auth_first=False))
    key = desk.api.enable()

    assert key is not None
    assert Liveness.UNKNOWN is desk.api.probe(key)


def test_a_key_cannot_be_judged_where_the_sandbox_checks_the_body_first() -> None:
    # A server of its own: its order of checks holds for strangers' keys too.
    with PinataServer() as server:
        account = server.add_account("validating", variants={"probe_order": "validate_first"})
        with closing(PinataClient(server.url, Secret(account.jwt), 5.0)) as client:
            key = client.enable()

            assert key is not None
            assert Liveness.UNKNOWN is client.probe(key)
            client.disable()
            assert Liveness.UNKNOWN is client.probe(key)


@pytest.mark.parametrize("off", ["absent", "null", "not_found"])
@pytest.mark.parametrize("again", ["ok", "not_found", "conflict"])
@pytest.mark.parametrize("status", [200, 201])
def test_every_form_of_off_and_of_success_is_understood(
    pinata: PinataServer, off: str, again: str, status: int
) -> None:
    name = f"api-{next(_numbers)}"
    variants = {"status_when_off": off, "disable_when_off": again, "enable_status": status}
    account = pinata.add_account(name, variants=variants)
    with closing(PinataClient(pinata.url, Secret(account.jwt), 5.0)) as client:
        assert Status(enabled=False) == client.status()
        client.disable()
        assert client.enable() is not None
        client.disable()
        assert Status(enabled=False) == client.status()


def test_a_404_status_is_not_off_where_the_listing_cannot_confirm_it(pinata: PinataServer) -> None:
    account = pinata.add_account(
        f"api-{next(_numbers)}", variants={"status_when_off": "not_found", "secrets_listing": "off"}
    )
    with closing(PinataClient(pinata.url, Secret(account.jwt), 5.0)) as client, pytest.raises(Refused):
        client.status()


# --- errors ----------------------------------------------------------------------------------------


@pytest.fixture
def account(pinata: PinataServer) -> Iterator[SandboxAccount]:
    yield pinata.add_account(f"api-{next(_numbers)}")
    pinata.clear_faults()


@pytest.fixture
def client(pinata: PinataServer, account: SandboxAccount) -> Iterator[PinataClient]:
    with closing(PinataClient(pinata.url, Secret(account.jwt), 2.0)) as made:
        yield made


def error_of(call: Callable[[], object]) -> PinataError:
    with pytest.raises(PinataError) as caught:
        call()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize("fault", ["lost_before", "lost_after"])
@pytest.mark.parametrize("call", ["enable", "disable"])
def test_a_lost_reply_to_a_write_is_ambiguous_and_it_is_sent_once(
    pinata: PinataServer, account: SandboxAccount, client: PinataClient, fault: str, call: str
) -> None:
    pinata.add_fault(fault, path=f"/v0/llm/{call}", account=account.name)
    pinata.clear_calls()

    assert Ambiguous is type(error_of(getattr(client, call)))
    assert 1 == len([c for c in pinata.calls(account.name) if c.path == f"/v0/llm/{call}"])
    assert (call == "enable" and fault == "lost_after") == pinata.state(account.name).enabled


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("call", ["enable", "disable"])
def test_a_server_error_on_a_write_is_ambiguous(
    pinata: PinataServer, account: SandboxAccount, client: PinataClient, call: str, status: int
) -> None:
    pinata.add_fault("status", path=f"/v0/llm/{call}", account=account.name, status=status)

    assert Ambiguous is type(error_of(getattr(client, call)))


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("call", ["enable", "disable", "status"])
def test_what_a_person_has_to_mend_is_refused(
    pinata: PinataServer, account: SandboxAccount, client: PinataClient, call: str, status: int
) -> None:
    pinata.add_fault("status", path=f"/v0/llm/{call}", account=account.name, status=status)

    error = error_of(getattr(client, call))
    assert (Unfunded if status == 402 else Refused) is type(error)
    assert ("credentials", "pinata") == (error.about, error.service)
    assert account.jwt not in str(error)


@pytest.mark.parametrize("call", ["enable", "disable"])
def test_too_many_calls_is_transient_with_the_time_to_wait(
    pinata: PinataServer, account: SandboxAccount, client: PinataClient, call: str
) -> None:
    pinata.add_fault("status", path=f"/v0/llm/{call}", account=account.name, status=429, retry_after=7)

    error = error_of(getattr(client, call))
    assert isinstance(error, Transient)
    assert 7 == error.retry_after


def test_a_read_is_tried_again_after_a_passing_fault(
    pinata: PinataServer, account: SandboxAccount, client: PinataClient
) -> None:
    for fault in ("lost_before", "lost_after"):
        pinata.add_fault(fault, path="/v0/llm/status", account=account.name)

    assert Status(enabled=False) == client.status()


def test_a_page_of_html_is_never_taken_for_an_answer(
    pinata: PinataServer, account: SandboxAccount, client: PinataClient
) -> None:
    for status in (200, 502):
        pinata.add_fault("html", path="/v0/llm/enable", account=account.name, status=status)
        assert Ambiguous is type(error_of(client.enable))
    pinata.add_fault("html", path="/v0/llm/status", account=account.name, status=200, times=None)
    assert Transient is type(error_of(client.status))


def test_an_html_404_is_not_off(pinata: PinataServer, account: SandboxAccount, client: PinataClient) -> None:
    client.enable()
    pinata.add_fault("html", path="/v0/llm/status", account=account.name, status=404, times=None)

    assert Refused is type(error_of(client.status))


def test_a_jwt_that_is_not_known_is_refused_and_never_read_as_off(pinata: PinataServer) -> None:
    with closing(PinataClient(pinata.url, Secret("canary.canary.canary"), 2.0)) as client:
        error = error_of(client.status)

    assert Refused is type(error)
    assert "canary" not in str(error)


def test_an_address_where_nothing_listens_is_transient() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with closing(PinataClient(url, Secret("canary"), 1.0)) as client:
        for call in (client.status, client.enable, client.disable):
            assert Transient is type(error_of(call))
        assert Liveness.UNKNOWN is client.probe(PrivateKey("key"))
        assert client.marker() is None


def test_no_credits_do_not_make_a_key_look_dead(
    pinata: PinataServer, account: SandboxAccount, client: PinataClient
) -> None:
    key = client.enable()
    pinata.set_credits(account.name, 0)

    assert key is not None
    assert Liveness.LIVE is client.probe(key)
