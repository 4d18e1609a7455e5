"""The real OpenBao: logins, exactly enough rights, a store that outlives the process."""

import itertools
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from pulumi_pinata.sandbox.openbao import BaoNotStarted, OpenBao
from pulumi_pinata.sandbox.openbao_api import BaoApi, BaoError
from pulumi_pinata.sandbox.openbao_files import free_port
from pulumi_pinata.sandbox.openbao_setup import JWT_MOUNTS, AppRole, Provisioned
from pulumi_pinata.sandbox.policies import KV2_MOUNTS, PROVIDER_POLICY, READER_POLICY, TEXTS

_names = itertools.count(1)
Operation = tuple[str, Callable[[BaoApi], object]]


def app_role_login(bao: OpenBao, role: AppRole) -> BaoApi:
    secret = {"role_id": role.role_id, "secret_id": role.secret_id}
    return bao.api.with_token(bao.api.auth("auth/approle/login", secret))


def operations(root: BaoApi, mount: str) -> Iterator[Operation]:
    """All that the provider does, in an order in which each finds what it needs."""
    name = f"pinata/t{next(_names)}"
    data, metadata = f"{mount}/data/{name}", f"{mount}/metadata/{name}"
    secret = {"data": {"a": "1"}}

    def cas_write(api: BaoApi) -> object:
        version = root.data("GET", metadata)["current_version"]
        return api.call("POST", data, {"options": {"cas": version}, **secret})

    yield "write new", lambda api: api.call("POST", data, {"options": {"cas": 0}, **secret})
    root.call("POST", data, secret)
    yield "write over", cas_write
    yield "read", lambda api: api.call("GET", data)
    yield "read metadata", lambda api: api.call("GET", metadata)
    yield "put metadata", lambda api: api.call("POST", metadata, {"custom_metadata": {"x": "1"}})
    yield "delete versions", lambda api: api.call("POST", f"{mount}/delete/{name}", {"versions": [1]})
    yield "undelete", lambda api: api.call("POST", f"{mount}/undelete/{name}", {"versions": [1]})
    yield "destroy", lambda api: api.call("POST", f"{mount}/destroy/{name}", {"versions": [1]})
    yield "mount version", lambda api: api.call("GET", f"sys/internal/ui/mounts/{mount}")
    yield "capabilities-self", lambda api: api.call("POST", "sys/capabilities-self", {"paths": [data]})
    yield "lookup-self", lambda api: api.call("GET", "auth/token/lookup-self")


def forbidden(bao: OpenBao, api: BaoApi, mount: str) -> list[str]:
    refused = []
    for name, run in operations(bao.api, mount):
        try:
            run(api)
        except BaoError as error:
            refused.append(name if error.status == 403 else str(error))
    return refused


def narrowed(text: str) -> Iterator[tuple[str, str]]:
    """Each capability of a policy with the text that lacks just it."""
    for found in re.finditer(r'"(create|read|update|delete|patch|list)"(, )?', text):
        path = re.findall(r'path "([^"]+)"', text[: found.start()])[-1]
        rest = text[: found.start()] + text[found.end() :]
        yield f"{path} {found[1]}", rest.replace(", ]", "]").replace("[]", '["deny"]')


@pytest.mark.parametrize("mount", KV2_MOUNTS)
def test_the_provider_policy_is_enough(bao: OpenBao, logins: Provisioned, mount: str) -> None:
    assert [] == forbidden(bao, app_role_login(bao, logins.provider), mount)


def test_the_provider_policy_has_nothing_to_spare(bao: OpenBao, logins: Provisioned) -> None:
    idle = []
    for mount in KV2_MOUNTS[:1]:
        for capability, text in narrowed(TEXTS[PROVIDER_POLICY]):
            if capability.startswith(tuple(other for other in KV2_MOUNTS if other != mount)):
                continue
            bao.api.call("PUT", "sys/policies/acl/narrowed", {"policy": text})
            if not forbidden(bao, bao.api.with_token(bao.make_token(["narrowed"])), mount):
                idle.append(capability)
    assert [] == idle


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "sys/mounts"),
        ("GET", "sys/policies/acl"),
        ("GET", "legacy/pinata/prod"),
        ("POST", "auth/token/create"),
        ("GET", "secret/config"),
        ("GET", "cubbyhole/x"),
    ],
)
def test_the_provider_can_do_nothing_else(bao: OpenBao, logins: Provisioned, method: str, path: str) -> None:
    with pytest.raises(BaoError) as caught:
        app_role_login(bao, logins.provider).call(method, path, {} if method == "POST" else None)
    assert 403 == caught.value.status


def test_the_reader_reads_keys_and_nothing_beside_them(bao: OpenBao, logins: Provisioned) -> None:
    reader = app_role_login(bao, logins.reader)
    for path in ("pinata/prod", "pinata-inference/intents/abc", "other/thing"):
        bao.api.call("POST", f"secret/data/{path}", {"data": {"a": "1"}})
    assert {"a": "1"} == reader.data("GET", "secret/data/pinata/prod")["data"]
    for path in ("data/pinata-inference/intents/abc", "data/other/thing", "metadata/pinata/prod"):
        with pytest.raises(BaoError) as caught:
            reader.call("GET", f"secret/{path}")
        assert 403 == caught.value.status
    allowed = {"read", "mount version"}
    assert allowed == {name for name, _ in operations(bao.api, "secret")} - set(forbidden(bao, reader, "secret"))


def test_every_login_gives_the_provider_policy_alone(bao: OpenBao, logins: Provisioned) -> None:
    tokens = [bao.api.auth(f"auth/userpass/login/{logins.user}", {"password": logins.password})]
    for mount in JWT_MOUNTS:
        login = {"role": logins.jwt_role, "jwt": logins.sign_jwt()}
        tokens.append(bao.api.auth(f"auth/{mount}/login", login))
    for token in tokens:
        found = bao.api.with_token(token).data("GET", "auth/token/lookup-self")
        assert found["policies"] == [PROVIDER_POLICY]


@pytest.mark.parametrize("wrong", [{"ttl": -1}, {"audience": "another"}])
def test_an_expired_or_foreign_jwt_does_not_log_in(bao: OpenBao, logins: Provisioned, wrong: dict[str, Any]) -> None:
    with pytest.raises(BaoError):
        bao.api.auth("auth/jwt/login", {"role": logins.jwt_role, "jwt": logins.sign_jwt(**wrong)})


def test_a_token_lives_as_long_as_told_and_dies_when_revoked(bao: OpenBao, logins: Provisioned) -> None:
    token = bao.make_token([PROVIDER_POLICY], ttl=90, renewable=False)
    found = bao.api.with_token(token).data("GET", "auth/token/lookup-self")
    assert (90, False) == (found["creation_ttl"], found["renewable"])
    bao.revoke(token)
    with pytest.raises(BaoError) as caught:
        bao.api.with_token(token).call("GET", "auth/token/lookup-self")
    assert 403 == caught.value.status


def test_the_mounts_have_the_versions_that_their_names_promise(bao: OpenBao, logins: Provisioned) -> None:
    mounts = bao.api.data("GET", "sys/mounts")
    versions = {name: cast("Any", mounts[f"{name}/"])["options"]["version"] for name in ("secret", "kv", "legacy")}
    assert {"secret": "2", "kv": "2", "legacy": "1"} == versions


def test_setting_up_again_is_harmless(bao: OpenBao, logins: Provisioned) -> None:
    again = bao.provision()
    assert [] == forbidden(bao, app_role_login(bao, again.provider), "secret")
    assert logins.provider.role_id == again.provider.role_id


def test_no_token_is_in_the_arguments_or_shown(bao: OpenBao, logins: Provisioned) -> None:
    arguments = Path(f"/proc/{bao.pid}/cmdline")
    environment = Path(f"/proc/{bao.pid}/environ")
    if arguments.exists():
        assert bao.root_token.encode() not in arguments.read_bytes() + environment.read_bytes()
    assert logins.provider.secret_id not in repr(logins)
    assert logins.password not in repr(logins)


def test_a_store_survives_seal_pause_stop_and_kill(tmp_path: Path) -> None:
    secret = {"a": "1"}
    with OpenBao(storage=tmp_path / "store") as bao:
        token = bao.make_token(["root"])
        bao.provision()
        bao.api.call("POST", "secret/data/x", {"data": secret})
        bao.seal()
        for _ in range(60):  # some seconds in which it does not unseal itself
            assert 503 == bao.api.health()
            time.sleep(0.05)
        with pytest.raises(BaoError) as caught:
            bao.api.call("GET", "secret/data/x")
        assert 503 == caught.value.status
        bao.unseal()
        bao.pause()
        with pytest.raises(TimeoutError):
            BaoApi(int(bao.addr.rpartition(":")[2]), token=token, timeout=0.1).call("GET", "secret/data/x")
        bao.resume()
        assert secret == bao.api.data("GET", "secret/data/x")["data"]
        address = bao.addr
        bao.stop(kill=True)
        with pytest.raises(ConnectionRefusedError):
            bao.api.call("GET", "secret/data/x")
        bao.start()
        assert address == bao.addr
        assert secret == bao.api.with_token(token).data("GET", "secret/data/x")["data"]
    with OpenBao(storage=tmp_path / "store") as another:
        assert secret == another.api.with_token(token).data("GET", "secret/data/x")["data"]
    assert 0o600 == (tmp_path / "store" / "init.json").stat().st_mode & 0o777


def test_a_taken_port_is_told_plainly_before_anything_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BaoNotStarted, match="is in use"):
        OpenBao(port=taken.getsockname()[1]).start()


def test_a_port_is_chosen_that_the_system_gives_to_nobody_else() -> None:
    handed_out = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not handed_out.exists() or int(handed_out.read_text().split()[0]) < 32768:
        pytest.skip("this system hands out others than Linux does by itself")
    with socket.create_server(("127.0.0.1", 0)) as any_:
        assert any_.getsockname()[1] >= 32768

    assert all(free_port() < 32768 for _ in range(20))


def test_the_reader_policy_has_one_line() -> None:
    assert ["secret/data/pinata/*"] == re.findall(r'path "([^"]+)"', TEXTS[READER_POLICY])
