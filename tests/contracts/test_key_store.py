"""One suite for every `KeyStore`: the double that the core is tested on, and VaultStore on a real OpenBao."""

import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from doubles import FakeStore, FakeVault

from pulumi_pinata.adapters.vault_kv import INTENTS, VaultStore
from pulumi_pinata.adapters.vault_login import Credentials
from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient
from pulumi_pinata.core.model import Content, Label, Location, Minted, Purpose, Record, State, Stored
from pulumi_pinata.core.ports import KeyStore
from pulumi_pinata.core.secret import PrivateKey, Secret
from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_files import free_port
from pulumi_pinata.sandbox.openbao_setup import Provisioned

BASE_URL = "https://agents.pinata.cloud/v0/llm"


@dataclass
class Shop:
    """A store, a place of its own in it, and a person who writes past it."""

    store: KeyStore
    place: Location
    account: str
    put: Callable[[Location, dict[str, object]], object]

    def write(self, text: str = "key", cas: int = 0, attempt: str = "run1.1") -> int:
        return self.store.write(self.place, content(text, attempt), base_url=BASE_URL, cas=cas)


def content(text: str = "key", attempt: str = "run1.1", field: str = "PINATA_LLM_KEY") -> Content:
    return Content(PrivateKey(text), attempt, field)


def vault_store(bao: OpenBao, token: str, mount: str = "secret", timeout: float = 5.0) -> VaultStore:
    return VaultStore(bao.addr, mount, Credentials("token", Secret(token)), timeout=timeout)


@pytest.fixture(params=["double", "openbao"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    place, account = Location("secret", f"pinata/{secrets.token_hex(6)}"), secrets.token_hex(6)
    if request.param == "double":
        vault = FakeVault("secret")
        yield Shop(FakeStore(vault), place, account, lambda where, data: vault.put(where, data))
        return
    bao: OpenBao = request.getfixturevalue("bao")
    request.getfixturevalue("logins")

    def put(where: Location, data: dict[str, object]) -> object:
        return bao.api.call("POST", f"{where.mount}/data/{where.path}", {"data": data})

    with closing(vault_store(bao, bao.make_token(["pinata-provider"]))) as store:
        yield Shop(store, place, account, put)


def minted(place: Location, **changes: object) -> Minted:
    return replace(
        Minted(place, 1, "f" * 32, "run1.1", "PINATA_LLM_KEY", "2026-01-01T00:00:00Z", "id@time", "t"),
        **changes,  # type: ignore[arg-type]
    )


def record(place: Location, **changes: object) -> Record:
    return replace(
        Record(0, True, "stack/prod", Purpose.MINT, ("run1.1",), place),
        **changes,  # type: ignore[arg-type]
    )


# --- the secret ------------------------------------------------------------------------------------


def test_a_path_that_was_never_written_is_absent(shop: Shop) -> None:
    assert Stored() == shop.store.stat(shop.place)
    assert shop.store.read(shop.place) is None


def test_what_was_written_is_read_back_with_its_version(shop: Shop) -> None:
    assert 1 == shop.write("key")

    found = shop.store.read(shop.place)
    assert found is not None
    assert "key" == found.key.reveal()
    assert ("run1.1", "PINATA_LLM_KEY") == (found.attempt, found.field)
    assert Stored(1, State.READABLE, readable=(1,)) == shop.store.stat(shop.place)


@pytest.mark.parametrize("cas", [0, 2, 7])
def test_a_write_on_another_version_than_the_current_one_is_a_conflict(shop: Shop, cas: int) -> None:
    shop.write()

    with pytest.raises(Conflict):
        shop.write("other", cas=cas)
    assert 1 == shop.store.stat(shop.place).version


def test_a_first_write_that_expects_a_version_is_a_conflict(shop: Shop) -> None:
    with pytest.raises(Conflict):
        shop.write(cas=1)


def test_older_versions_stay_readable(shop: Shop) -> None:
    shop.write("one")
    assert 2 == shop.write("two", cas=1)

    first, missing = shop.store.read(shop.place, 1), shop.store.read(shop.place, 9)
    assert first is not None
    assert "one" == first.key.reveal()
    assert missing is None
    assert (1, 2) == shop.store.stat(shop.place).readable


def test_the_oldest_of_more_than_ten_versions_is_gone(shop: Shop) -> None:
    for version in range(12):
        shop.write(f"key-{version}", cas=version)

    assert tuple(range(3, 13)) == shop.store.stat(shop.place).readable
    assert shop.store.read(shop.place, 2) is None


def test_soft_deleting_hides_the_current_version_and_undeleting_brings_it_back(shop: Shop) -> None:
    shop.write("one")
    shop.write("two", cas=1)
    shop.store.soft_delete(shop.place, 2)

    stored = shop.store.stat(shop.place)
    assert (2, State.DELETED, (1,)) == (stored.version, stored.state, stored.readable)
    assert shop.store.read(shop.place) is None

    shop.store.undelete(shop.place, 2)
    found = shop.store.read(shop.place)
    assert found is not None
    assert "two" == found.key.reveal()


def test_a_soft_deleted_secret_is_written_on_by_its_version(shop: Shop) -> None:
    shop.write()
    shop.store.soft_delete(shop.place, 1)

    with pytest.raises(Conflict):
        shop.write("two", cas=0)
    assert 2 == shop.write("two", cas=1)


@pytest.mark.parametrize(("step", "what"), [("soft_delete", 1), ("destroy", (1,))])
def test_deleting_twice_or_what_was_never_there_is_no_error(shop: Shop, step: str, what: object) -> None:
    for _ in range(2):
        getattr(shop.store, step)(shop.place, what)
    shop.write()
    for _ in range(2):
        getattr(shop.store, step)(shop.place, what)

    assert shop.store.read(shop.place) is None


def test_a_version_that_was_stored_since_is_not_deleted_with_an_older_one(shop: Shop) -> None:
    shop.write("one")
    shop.write("two", cas=1)
    shop.store.soft_delete(shop.place, 1)
    assert (2,) == shop.store.stat(shop.place).readable

    shop.store.destroy(shop.place, (1,))
    found = shop.store.read(shop.place)
    assert found is not None
    assert "two" == found.key.reveal()


def test_destroying_removes_the_data_for_good_and_keeps_label_and_numbering(shop: Shop) -> None:
    shop.write()
    label = Label("stack/prod", shop.account, None, released=1)
    shop.store.label(shop.place, Stored(label=label))
    shop.store.destroy(shop.place, (1,))
    shop.store.undelete(shop.place, 1)

    stored = shop.store.stat(shop.place)
    assert (1, State.DESTROYED, (), label) == (stored.version, stored.state, stored.readable, stored.label)
    assert 2 == shop.write("again", cas=1)


def test_undeleting_what_does_not_exist_changes_nothing(shop: Shop) -> None:
    shop.write()
    shop.store.undelete(shop.place, 1)
    shop.store.undelete(shop.place, 5)

    assert Stored(1, State.READABLE, readable=(1,)) == shop.store.stat(shop.place)


def test_a_secret_of_somebody_else_has_a_version_and_no_key(shop: Shop) -> None:
    shop.put(shop.place, {"password": "theirs", "PINATA_LLM_KEY_FINGERPRINT": "not of any field"})

    assert shop.store.read(shop.place) is None
    assert Stored(1, State.READABLE, readable=(1,)) == shop.store.stat(shop.place)


# --- the label -------------------------------------------------------------------------------------


def test_a_label_and_the_users_own_metadata_come_back_as_they_were(shop: Shop) -> None:
    shop.write()
    label = Label("stack/prod", shop.account, minted(shop.place))
    shop.store.label(shop.place, Stored(label=label, labels={"team": "search"}))

    stored = shop.store.stat(shop.place)
    assert label == stored.label
    assert {"team": "search"} == stored.labels
    assert stored.described


def test_a_label_without_what_is_not_known_comes_back_as_it_was(shop: Shop) -> None:
    shop.write()
    label = Label("stack/prod", shop.account, minted(shop.place, created_at=None, marker=None, trigger=None))
    shop.store.label(shop.place, Stored(label=label))

    assert label == shop.store.stat(shop.place).label


def test_a_new_label_replaces_all_of_the_old_one(shop: Shop) -> None:
    shop.write()
    shop.store.label(shop.place, Stored(label=Label("stack/prod", shop.account, minted(shop.place)), labels={"a": "1"}))
    released = Label("stack/prod", shop.account, None)
    shop.store.label(shop.place, Stored(label=released, labels={"b": "2"}))

    stored = shop.store.stat(shop.place)
    assert released == stored.label
    assert {"b": "2"} == stored.labels


def test_a_label_survives_new_versions_but_does_not_describe_them(shop: Shop) -> None:
    shop.write()
    shop.store.label(shop.place, Stored(label=Label("stack/prod", shop.account, minted(shop.place))))
    shop.write("two", cas=1)

    stored = shop.store.stat(shop.place)
    assert stored.label is not None
    assert not stored.described


# --- the record ------------------------------------------------------------------------------------


def test_an_account_without_a_record_has_none(shop: Shop) -> None:
    assert shop.store.record(shop.account) is None


def test_a_record_comes_back_as_it_was_with_its_version(shop: Shop) -> None:
    first = record(shop.place, source=Location("kv", "a/b"), minted=minted(shop.place), attempts=("a.1", "b.1"))

    assert 1 == shop.store.put_record(shop.account, first, cas=0)
    assert replace(first, version=1) == shop.store.record(shop.account)
    assert 2 == shop.store.put_record(shop.account, replace(first, open=False, source=None, minted=None), cas=1)
    found = shop.store.record(shop.account)
    assert found is not None
    assert (2, False, None, None) == (found.version, found.open, found.source, found.minted)


@pytest.mark.parametrize("cas", [0, 2])
def test_of_two_writers_of_a_record_one_gets_a_conflict(shop: Shop, cas: int) -> None:
    shop.store.put_record(shop.account, record(shop.place), cas=0)

    with pytest.raises(Conflict):
        shop.store.put_record(shop.account, record(shop.place), cas=cas)


def test_a_record_that_a_person_deleted_is_none_and_can_be_written_again(shop: Shop) -> None:
    shop.store.put_record(shop.account, record(shop.place), cas=0)
    shop.store.soft_delete(Location("secret", f"{INTENTS}/{shop.account}"), 1)

    assert shop.store.record(shop.account) is None
    assert 2 == shop.store.put_record(shop.account, record(shop.place), cas=0)


@pytest.mark.parametrize("data", [{"hello": "world"}, {"schema": 99}, {"schema": 1, "state": "open"}])
def test_a_record_that_is_not_understood_is_refused(shop: Shop, data: dict[str, object]) -> None:
    shop.put(Location("secret", f"{INTENTS}/{shop.account}"), data)

    with pytest.raises(Refused, match="not a record of this version"):
        shop.store.record(shop.account)


# --- preflight and errors --------------------------------------------------------------------------


def test_a_preflight_that_passes_changes_nothing(shop: Shop) -> None:
    shop.store.preflight(shop.place, shop.account, 60)

    assert Stored() == shop.store.stat(shop.place)
    assert shop.store.record(shop.account) is None


def test_a_mount_that_does_not_exist_is_refused(shop: Shop) -> None:
    nowhere = Location("nowhere", "pinata/x")

    with pytest.raises(Refused):
        shop.store.preflight(nowhere, shop.account, 60)
    with pytest.raises(Refused):
        shop.store.write(nowhere, content(), base_url=BASE_URL, cas=0)


@pytest.fixture
def place() -> Location:
    return Location("secret", f"pinata/{secrets.token_hex(6)}")


@pytest.fixture
def root(bao: OpenBao, logins: Provisioned) -> Iterator[VaultStore]:
    with closing(vault_store(bao, bao.root_token)) as store:
        yield store


def test_a_mount_of_kv_version_1_is_refused(root: VaultStore) -> None:
    with pytest.raises(Refused, match="KV version 1") as caught:
        root.preflight(Location("legacy", "pinata/x"), "account", 60)

    assert "vault.mount" == caught.value.about


def test_a_mount_that_is_missing_is_refused_by_name(root: VaultStore) -> None:
    with pytest.raises(Refused, match="'nowhere'") as caught:
        root.preflight(Location("nowhere", "pinata/x"), "account", 60)

    assert "vault.mount" == caught.value.about


def test_a_mount_of_another_engine_is_refused(root: VaultStore) -> None:
    with pytest.raises(Refused):
        root.preflight(Location("cubbyhole", "pinata/x"), "account", 60)


_POLICY = {
    "data": 'path "secret/data/pinata/*" { capabilities = ["create", "update", "read"] }',
    "versions": "\n".join(
        f'path "secret/{verb}/pinata/*" {{ capabilities = ["update"] }}' for verb in ("delete", "undelete", "destroy")
    ),
    "metadata": 'path "secret/metadata/pinata/*" { capabilities = ["read", "update", "create", "delete"] }',
    "record": 'path "secret/data/pinata-inference/*" { capabilities = ["create", "update", "read"] }',
    "self": """path "auth/token/lookup-self" { capabilities = ["read"] }
path "sys/capabilities-self" { capabilities = ["update"] }""",
}


def _store_with(bao: OpenBao, *parts: str) -> VaultStore:
    name = f"test-{secrets.token_hex(4)}"
    bao.api.call("PUT", f"sys/policies/acl/{name}", {"policy": "\n".join(_POLICY[part] for part in parts)})
    return vault_store(bao, bao.make_token([name]))


def test_exactly_the_policy_that_preflight_asks_for_is_enough(
    bao: OpenBao, logins: Provisioned, place: Location
) -> None:
    with closing(_store_with(bao, *_POLICY)) as store:
        store.preflight(place, "account", 60)
        store.put_record("least", record(place), cas=0)
        store.write(place, content(), base_url=BASE_URL, cas=0)
        store.label(place, Stored(label=Label("o", "a", None)))
        store.soft_delete(place, 1)


@pytest.mark.parametrize(
    ("missing", "path"),
    [
        ("data", "secret/data/pinata/"),
        ("versions", "secret/undelete/pinata/"),
        ("metadata", "secret/metadata/pinata/"),
        ("record", "secret/data/pinata-inf"),
    ],
)
def test_a_login_that_lacks_a_capability_is_refused_and_told_which(
    bao: OpenBao, logins: Provisioned, place: Location, missing: str, path: str
) -> None:
    with (
        closing(_store_with(bao, *(part for part in _POLICY if part != missing))) as store,
        pytest.raises(Refused, match=path) as caught,
    ):
        store.preflight(place, "account", 60)

    assert "vault.auth" == caught.value.about


def test_a_token_that_ends_too_soon_is_refused(bao: OpenBao, logins: Provisioned, place: Location) -> None:
    with (
        closing(vault_store(bao, bao.make_token(["pinata-provider"], ttl=30))) as store,
        pytest.raises(Refused, match="good for"),
    ):
        store.preflight(place, "account", 60)


def test_a_token_with_too_few_uses_is_refused(bao: OpenBao, logins: Provisioned, place: Location) -> None:
    token = bao.api.auth(
        "auth/token/create", {"policies": ["pinata-provider"], "num_uses": 8, "no_default_policy": True}
    )
    with closing(vault_store(bao, token)) as store, pytest.raises(Refused, match="uses left"):
        store.preflight(place, "account", 60)


@pytest.mark.parametrize("token", ["hvs.never-issued", "revoked"])
def test_a_token_that_is_not_good_is_refused(bao: OpenBao, logins: Provisioned, place: Location, token: str) -> None:
    if token == "revoked":
        token = bao.make_token(["pinata-provider"])
        bao.revoke(token)
    with closing(vault_store(bao, token)) as store:
        for call in _calls(store, place):
            with pytest.raises(Refused) as caught:
                call()
            assert token not in str(caught.value)


def _calls(store: VaultStore, place: Location) -> list[Callable[[], object]]:
    return [*_reads(store, place), *_writes(store, place)]


def _reads(store: VaultStore, place: Location) -> list[Callable[[], object]]:
    return [
        lambda: store.preflight(place, "account", 60),
        lambda: store.stat(place),
        lambda: store.read(place),
        lambda: store.record("account"),
    ]


def _writes(store: VaultStore, place: Location) -> list[Callable[[], object]]:
    return [
        lambda: store.write(place, content("canary-key"), base_url=BASE_URL, cas=0),
        lambda: store.label(place, Stored()),
        lambda: store.undelete(place, 1),
        lambda: store.soft_delete(place, 1),
        lambda: store.destroy(place, (1,)),
        lambda: store.put_record("account", record(place), cas=0),
    ]


def _error(call: Callable[[], object]) -> PinataError:
    with pytest.raises(PinataError) as caught:
        call()
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__
    return caught.value


def test_nothing_that_listens_is_transient_for_reads_and_writes(place: Location) -> None:
    store = VaultStore(f"http://127.0.0.1:{free_port()}", "secret", Credentials("token", Secret("canary")), timeout=2)
    with closing(store):
        for call in _calls(store, place):
            assert Transient is type(_error(call))


def test_no_reply_in_time_is_transient_for_reads_and_ambiguous_for_writes(place: Location) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = VaultStore(address, "secret", Credentials("token", Secret("canary")), timeout=0.1)
        with closing(store):
            for call in _reads(store, place):
                assert Transient is type(_error(call))
            for call in _writes(store, place):
                assert Ambiguous is type(_error(call))


def test_a_sealed_vault_is_transient_for_reads_and_never_refused_for_writes(place: Location) -> None:
    with OpenBao() as bao:
        bao.provision()
        with closing(vault_store(bao, bao.make_token(["pinata-provider"]))) as store:
            store.write(place, content(), base_url=BASE_URL, cas=0)
            bao.seal()
            for call in _reads(store, place):
                assert Transient is type(_error(call))
            for call in _writes(store, place):
                assert type(_error(call)) in (Transient, Ambiguous)
            bao.unseal()
            # In memory a seal loses nothing.
            found = store.read(place)

    assert found is not None
    assert "key" == found.key.reveal()


def test_a_sealed_double_answers_like_a_sealed_vault() -> None:
    vault = FakeVault("secret")
    vault.sealed = True
    store = FakeStore(vault)

    with pytest.raises(Transient):
        store.stat(Location("secret", "x"))
    with pytest.raises(Ambiguous):
        store.write(Location("secret", "x"), content(), base_url=BASE_URL, cas=0)


def test_a_server_that_is_no_vault_is_never_taken_for_an_empty_one(place: Location) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html>welcome</html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, *args: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        store = VaultStore(address, "secret", Credentials("token", Secret("canary")), timeout=2)
        try:
            with closing(store):
                problems = []
                for number, call in enumerate([*_reads(store, place), _writes(store, place)[0]]):
                    try:
                        call()
                    except PinataError:
                        continue
                    except Exception as error:
                        problems.append(f"{number}: {type(error).__name__}")
                    else:
                        problems.append(f"{number}: no error")
        finally:
            server.shutdown()
            thread.join()

    assert not problems
