"""Every way to log in, on a real OpenBao; what is wrong is said without the credential."""

from collections.abc import Iterator
from contextlib import closing

import hvac
import pytest

from pulumi_pinata.adapters.vault_kv import VaultStore
from pulumi_pinata.adapters.vault_login import Credentials, Lifetime, log_in
from pulumi_pinata.core.errors import Refused, Transient
from pulumi_pinata.core.model import Location, Stored
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_setup import Provisioned

METHODS = ["token", "approle", "userpass", "jwt", "kubernetes"]


def credentials(method: str, bao: OpenBao, logins: Provisioned) -> Credentials:
    match method:
        case "token":
            return Credentials("token", Secret(bao.make_token(["pinata-provider"])))
        case "approle":
            return Credentials("approle", Secret(logins.provider.secret_id), logins.provider.role_id, "approle")
        case "userpass":
            return Credentials("userpass", Secret(logins.password), logins.user, "userpass")
    return Credentials(method, Secret(logins.sign_jwt()), logins.jwt_role, method)


@pytest.fixture
def client(bao: OpenBao, logins: Provisioned) -> Iterator[hvac.Client]:
    made = hvac.Client(url=bao.addr, token="", timeout=5)
    yield made
    made.adapter.close()


@pytest.mark.parametrize("method", METHODS)
def test_each_method_logs_in_and_says_how_long_for(
    client: hvac.Client, bao: OpenBao, logins: Provisioned, method: str
) -> None:
    lifetime = log_in(client, credentials(method, bao, logins))

    assert "pinata-provider" in client.auth.token.lookup_self()["data"]["policies"]
    if method == "token":
        assert Lifetime() == lifetime
    else:
        assert Lifetime(3600, 0, renewable=True) == lifetime


@pytest.mark.parametrize("method", METHODS)
def test_a_store_works_with_each_method(bao: OpenBao, logins: Provisioned, method: str) -> None:
    with closing(VaultStore(bao.addr, "secret", credentials(method, bao, logins), timeout=5)) as store:
        store.preflight(Location("secret", "pinata/login"), "account", 60)

        assert Stored() == store.stat(Location("secret", "pinata/login-test"))


@pytest.mark.parametrize("method", ["approle", "userpass", "jwt", "kubernetes"])
def test_a_wrong_credential_is_refused_without_quoting_it(
    client: hvac.Client, bao: OpenBao, logins: Provisioned, method: str
) -> None:
    good = credentials(method, bao, logins)
    with pytest.raises(Refused) as caught:
        log_in(client, Credentials(method, Secret("canary"), good.name, good.mount))

    assert "canary" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__suppress_context__


def test_an_expired_jwt_is_refused(client: hvac.Client, logins: Provisioned) -> None:
    with pytest.raises(Refused):
        log_in(client, Credentials("jwt", Secret(logins.sign_jwt(ttl=-60)), logins.jwt_role, "jwt"))


@pytest.mark.parametrize("method", ["approle", "userpass", "jwt", "kubernetes"])
def test_a_mount_without_that_method_is_refused_in_our_words(
    client: hvac.Client, bao: OpenBao, logins: Provisioned, method: str
) -> None:
    good = credentials(method, bao, logins)
    with pytest.raises(Refused) as caught:
        log_in(client, Credentials(method, good.secret, good.name, "nowhere"))

    assert good.secret.reveal() not in str(caught.value)


def test_a_server_that_is_down_is_transient() -> None:
    with OpenBao() as bao:
        address = bao.addr
    made = hvac.Client(url=address, token="", timeout=2)
    with pytest.raises(Transient):
        log_in(made, Credentials("userpass", Secret("canary"), "user", "userpass"))
    made.adapter.close()


def test_a_login_of_a_reader_is_found_to_lack_what_is_needed(bao: OpenBao, logins: Provisioned) -> None:
    reader = Credentials("approle", Secret(logins.reader.secret_id), logins.reader.role_id, "approle")
    with closing(VaultStore(bao.addr, "secret", reader, timeout=5)) as store, pytest.raises(Refused):
        store.preflight(Location("secret", "pinata/prod"), "account", 60)
