"""A Vault login over a long time, on a real OpenBao: renewed, replaced, rotated, revoked, out of reach."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Event
from typing import Any

import pytest
from counting_proxy import CountingProxy

from pulumi_pinata import properties
from pulumi_pinata.adapters.clock import SystemClock
from pulumi_pinata.adapters.vault_kv import VaultStore
from pulumi_pinata.adapters.vault_lease import GAP, WATCH
from pulumi_pinata.adapters.vault_login import Credentials
from pulumi_pinata.core.errors import PinataError, Refused, Transient
from pulumi_pinata.core.model import Location
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.core.settings import Settings
from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_setup import Provisioned
from pulumi_pinata.wiring import Connections, session

PLACE = Location("secret", "pinata/lease")
TIMEOUT = 20.0  # nothing here waits for it
RENEW, LOGIN, LOOK = "POST auth/token/renew-self", "POST auth/approle/login", "GET auth/token/lookup-self"


@dataclass
class Clock:
    """Stands still but for what it is moved on by, however slow the machine is; Vault has a clock of its own.

    `runs`: the real time, and what it is moved on by.
    """

    ahead: float = 0.0
    runs: bool = False

    def __call__(self) -> float:
        return SystemClock().monotonic() * self.runs + self.ahead


@dataclass
class Desk:
    """A role of its own on the server, behind a proxy that lists the calls, and stores that log in by it."""

    bao: OpenBao
    proxy: CountingProxy
    name: str
    clock: Clock = field(default_factory=Clock)
    secret_id: str = ""
    stores: list[VaultStore] = field(default_factory=list)

    def role(self, **values: Any) -> None:
        grants = {"token_policies": ["pinata-provider", "lease-self"], "token_no_default_policy": True, **values}
        self.bao.api.call("POST", f"auth/approle/role/{self.name}", grants)
        self.rotate()

    def rotate(self) -> None:
        """A new secret id; the old one is no good any more."""
        old = self.secret_id
        self.secret_id = str(self.bao.api.data("POST", f"auth/approle/role/{self.name}/secret-id")["secret_id"])
        if old:
            self.bao.api.call("POST", f"auth/approle/role/{self.name}/secret-id/destroy", {"secret_id": old})

    def approle(self) -> Credentials:
        role_id = str(self.bao.api.data("GET", f"auth/approle/role/{self.name}/role-id")["role_id"])
        return Credentials("approle", Secret(self.secret_id), role_id, "approle")

    def store(self, credentials: Callable[[], Credentials] | None = None, *, lasting: bool = True) -> VaultStore:
        made = VaultStore(
            self.proxy.url, "secret", credentials or self.approle, timeout=TIMEOUT, lasting=lasting, clock=self.clock
        )
        self.stores.append(made)
        return made

    def token(self, ttl: int, **values: Any) -> str:
        grants = {"policies": ["pinata-provider", "lease-self"], "no_default_policy": True, "ttl": f"{ttl}s", **values}
        return self.bao.api.auth("auth/token/create", grants)

    def granted_on_renewal(self, store: VaultStore) -> int:
        """What a renewal brings, asked for past the proxy."""
        answer: Any = self.bao.api.call("POST", "auth/token/renew", {"token": self.mine(store)})
        return int(answer["auth"]["lease_duration"])

    def count(self, call: str) -> int:
        return self.proxy.calls.count(call)

    def mine(self, store: VaultStore) -> str:
        return str(store._client.token)


@pytest.fixture
def desk(bao: OpenBao, logins: Provisioned) -> Iterator[Desk]:
    text = 'path "auth/token/renew-self" { capabilities = ["update"] }'
    bao.api.call("PUT", "sys/policies/acl/lease-self", {"policy": text})
    with CountingProxy(bao.addr) as proxy:
        made = Desk(bao, proxy, f"lease-{secrets.token_hex(6)}")
        yield made
        for store in made.stores:
            store.close()


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- renewal -----------------------------------------------------------------------------------------


def test_a_login_is_renewed_at_two_thirds_and_made_anew_before_its_greatest_age(desk: Desk) -> None:
    desk.role(token_ttl="3s", token_max_ttl="5s")
    desk.clock.runs = True
    store = desk.store()
    begun = time.monotonic()
    first = ""
    while time.monotonic() < begun + 9:  # longer than any one token of this role can live
        asked = time.monotonic()
        try:
            store.stat(PLACE)
        except Refused:  # good when it was looked at, and over when it came to Vault: the machine stood still
            assert time.monotonic() - asked > 0.9
        first = first or desk.mine(store)
        store.lease.tend()
        time.sleep(0.05)

    assert first != desk.mine(store)
    assert 2 <= desk.count(LOGIN) <= 5
    assert desk.count(RENEW) >= 1
    assert store.lease.problem is None


def test_nothing_is_renewed_before_its_time_and_once_when_it_comes(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    assert inf == store.lease.tend()  # nobody has needed it yet
    store.stat(PLACE)
    assert 2400 == store.lease.tend()
    assert 0 == desk.count(RENEW)

    desk.clock.ahead += 2401
    token = desk.mine(store)
    for _ in range(3):
        store.stat(PLACE)
    assert (1, 1, token) == (desk.count(RENEW), desk.count(LOGIN), desk.mine(store))
    assert 3600 == store.lease.expires_in()


def test_a_short_lived_command_asks_for_nothing_but_the_login(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store(lasting=False)
    store.stat(PLACE)
    desk.clock.ahead += 7200
    store.stat(PLACE)

    assert [LOGIN, "GET secret/metadata/pinata/lease", "GET secret/metadata/pinata/lease"] == desk.proxy.calls
    assert inf == store.lease.tend()


def test_where_renewing_is_not_allowed_a_new_login_is_made(desk: Desk) -> None:
    desk.role(token_ttl="1h", token_policies=["pinata-provider"])
    store = desk.store()
    store.stat(PLACE)
    desk.clock.ahead += 2401
    store.stat(PLACE)

    assert (1, 2) == (desk.count(RENEW), desk.count(LOGIN))
    assert store.lease.problem is None


def test_a_batch_token_is_replaced(desk: Desk) -> None:
    desk.role(token_ttl="1h", token_type="batch")
    store = desk.store()
    store.stat(PLACE)
    desk.clock.ahead += 2401
    assert store.lease.tend() > 2000

    assert (0, 2) == (desk.count(RENEW), desk.count(LOGIN))


def test_a_login_of_limited_uses_is_replaced_before_they_run_out(desk: Desk) -> None:
    desk.role(token_ttl="1h", token_num_uses=30)
    store = desk.store()
    for _ in range(50):
        store.stat(PLACE)
    store.preflight(PLACE, "account", 10)

    assert 3 == desk.count(LOGIN)


def test_a_login_that_has_run_out_is_made_anew(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    store.stat(PLACE)
    desk.clock.ahead += 3601
    store.stat(PLACE)

    assert (0, 2) == (desk.count(RENEW), desk.count(LOGIN))


# --- before a mint -----------------------------------------------------------------------------------


def test_a_mint_begins_with_a_login_that_outlives_it(desk: Desk) -> None:
    desk.role(token_ttl="30m")
    store = desk.store()
    store.stat(PLACE)
    desk.clock.ahead += 1100  # not due yet, but 700 s are left
    store.preflight(PLACE, "account", 900)

    assert (1, 1) == (desk.count(RENEW), desk.count(LOGIN))
    assert 0 == desk.count(LOOK)


def test_a_mint_near_the_greatest_age_of_a_login_begins_with_a_new_one(desk: Desk) -> None:
    desk.role(token_ttl="60s", token_max_ttl="61s")
    store = desk.store()
    store.stat(PLACE)
    until(lambda: desk.granted_on_renewal(store) < 60)
    desk.clock.ahead += 35
    store.preflight(PLACE, "account", 59.5)  # a renewal brings 59

    assert (1, 2) == (desk.count(RENEW), desk.count(LOGIN))


def test_a_role_whose_tokens_are_too_short_for_a_mint_is_refused_without_a_login_each(desk: Desk) -> None:
    desk.role(token_ttl="20s")
    store = desk.store()
    for _ in range(3):
        with pytest.raises(Refused, match="good for"):
            store.preflight(PLACE, "account", 60)

    assert (0, 1) == (desk.count(RENEW), desk.count(LOGIN))


def test_the_lifetime_of_a_token_is_asked_for_once(desk: Desk) -> None:
    token = desk.token(3600)
    store = desk.store(lambda: Credentials("token", Secret(token)))
    for _ in range(3):
        store.preflight(PLACE, "account", 60)

    assert 1 == desk.count(LOOK)
    assert 3590 < store.lease.expires_in() <= 3600


# --- tokens ------------------------------------------------------------------------------------------


def test_a_token_is_renewed_too(desk: Desk) -> None:
    token = desk.token(3600)
    store = desk.store(lambda: Credentials("token", Secret(token)))
    store.stat(PLACE)
    desk.clock.ahead += 2401
    store.stat(PLACE)

    assert (1, 1) == (desk.count(RENEW), desk.count(LOOK))
    assert 3590 < store.lease.expires_in()


def test_a_token_that_is_nearly_over_is_renewed_before_a_mint(desk: Desk) -> None:
    token = desk.token(3600)
    store = desk.store(lambda: Credentials("token", Secret(token)))
    store.stat(PLACE)
    desk.clock.ahead += 2390
    store.preflight(PLACE, "account", 2000)

    assert (1, 1) == (desk.count(RENEW), desk.count(LOOK))


def test_a_token_that_others_renew_is_believed_to_last_longer(desk: Desk) -> None:
    token = desk.token(3600, policies=["pinata-provider"])  # it may look itself up, but not renew itself
    store = desk.store(lambda: Credentials("token", Secret(token)))
    store.stat(PLACE)
    desk.clock.ahead += 3700
    store.stat(PLACE)

    assert (1, 2) == (desk.count(RENEW), desk.count(LOOK))
    assert 3590 < store.lease.expires_in() <= 3600


def test_a_token_for_ever_is_left_alone(desk: Desk) -> None:
    store = desk.store(lambda: Credentials("token", Secret(desk.bao.root_token)))
    store.stat(PLACE)
    desk.clock.ahead += 1e6
    store.stat(PLACE)

    assert (0, 1) == (desk.count(RENEW), desk.count(LOOK))
    assert (inf, True) == (store.lease.expires_in(), store.lease.tend() <= WATCH)


def test_a_token_that_may_ask_nothing_about_itself_is_used_as_it_is(desk: Desk) -> None:
    token = desk.token(3600, policies=["lease-blind"])
    text = 'path "secret/metadata/*" { capabilities = ["read"] }'
    desk.bao.api.call("PUT", "sys/policies/acl/lease-blind", {"policy": text})
    store = desk.store(lambda: Credentials("token", Secret(token)))

    assert 0 == store.stat(PLACE).version
    assert inf == store.lease.expires_in()


def test_a_rewritten_token_file_is_followed(desk: Desk) -> None:
    tokens = [desk.token(3600), desk.token(3600)]
    store = desk.store(lambda: Credentials("token", Secret(tokens[0])))
    store.stat(PLACE)
    first = tokens.pop(0)
    store.stat(PLACE)
    assert first == desk.mine(store)  # it is not looked at before every call

    desk.clock.ahead += WATCH + 1
    store.stat(PLACE)
    assert tokens[0] == desk.mine(store)


def test_a_token_file_that_is_gone_for_a_moment_changes_nothing(desk: Desk) -> None:
    token, there = desk.token(3600), [True]

    def read() -> Credentials:
        if not there[0]:
            raise Refused("there is no file.", about="vault.auth")
        return Credentials("token", Secret(token))

    store = desk.store(read)
    store.stat(PLACE)
    there[0] = False
    desk.clock.ahead += WATCH + 1
    store.stat(PLACE)
    assert "there is no file." == getattr(store.lease.problem, "message", None)

    there[0] = True
    desk.clock.ahead += WATCH + 1
    store.stat(PLACE)
    assert store.lease.problem is None


# --- what goes wrong ---------------------------------------------------------------------------------


def test_a_revoked_login_fails_one_call_and_is_made_anew_for_the_next(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    store.stat(PLACE)
    desk.bao.revoke(desk.mine(store))
    with pytest.raises(Refused):
        store.stat(PLACE)

    assert 0 == store.stat(PLACE).version
    assert 2 == desk.count(LOGIN)


def test_a_revoked_token_is_replaced_by_what_its_file_holds_now(desk: Desk) -> None:
    tokens = [desk.token(3600), desk.token(3600)]
    store = desk.store(lambda: Credentials("token", Secret(tokens[0])))
    store.stat(PLACE)
    desk.bao.revoke(tokens.pop(0))
    with pytest.raises(Refused):
        store.stat(PLACE)

    assert 0 == store.stat(PLACE).version


def test_what_a_login_may_never_do_does_not_make_it_log_in_again_and_again(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    for _ in range(10):
        with pytest.raises(Refused):
            store.stat(Location("forbidden", "x"))
    assert 2 == desk.count(LOGIN)  # it is looked at once, since the policy may have changed

    desk.clock.ahead += GAP + 1
    for _ in range(10):
        with pytest.raises(Refused):
            store.stat(Location("forbidden", "x"))
    assert 3 == desk.count(LOGIN)
    desk.clock.ahead += GAP + 1
    with pytest.raises(Refused):
        store.stat(Location("forbidden", "x"))
    assert 3 == desk.count(LOGIN)  # the gap grows


def test_a_rotated_secret_id_is_used_for_the_next_login(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    store.stat(PLACE)
    desk.rotate()
    desk.clock.ahead += 3601

    assert 0 == store.stat(PLACE).version
    assert 2 == desk.count(LOGIN)


def test_while_vault_cannot_be_asked_a_login_that_is_good_goes_on_being_used(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    store.stat(PLACE)
    desk.proxy.fault = lambda method, path: 503 if path.startswith("auth/") else None
    desk.clock.ahead += 2401
    for _ in range(5):
        store.stat(PLACE)
    assert (1, 1) == (desk.count(RENEW), desk.count(LOGIN))
    assert isinstance(store.lease.problem, Transient)
    assert 0 < store.lease.tend() <= 30  # it is tried again soon

    desk.clock.ahead += 31
    store.stat(PLACE)
    assert (1, 2) == (desk.count(RENEW), desk.count(LOGIN))  # and then by a new login
    desk.proxy.clear()
    desk.clock.ahead += 31
    store.stat(PLACE)
    assert store.lease.problem is None
    assert 3590 < store.lease.expires_in()


def test_a_secret_id_that_is_used_up_does_not_keep_a_login_from_being_renewed(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    store.stat(PLACE)
    good, desk.secret_id = desk.secret_id, "used-up"
    desk.proxy.fault = lambda method, path: 503 if path.endswith("renew-self") else None
    desk.clock.ahead += 2401
    store.lease.tend()
    desk.clock.ahead += 31
    store.lease.tend()
    assert isinstance(store.lease.problem, Refused)

    desk.proxy.clear()
    desk.clock.ahead += 31
    store.lease.tend()
    assert (1, 0, None) == (desk.count(RENEW), desk.count(LOGIN), store.lease.problem)
    desk.secret_id = good


def test_once_it_is_over_and_vault_cannot_be_asked_the_error_says_so_and_no_storm_comes(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    store.stat(PLACE)
    desk.proxy.fault = lambda method, path: 503 if path.startswith("auth/") else None
    desk.clock.ahead += 3601
    for _ in range(20):
        with pytest.raises(Transient, match="Vault"):
            store.stat(PLACE)
    assert 2 == desk.count(LOGIN)
    assert 0 < store.lease.tend() <= 30

    desk.proxy.clear()
    desk.clock.ahead += 31
    assert store.lease.tend() > 2000
    assert 0 == store.stat(PLACE).version


def test_a_login_that_was_refused_is_tried_at_once_with_another_credential(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    good, desk.secret_id = desk.secret_id, "wrong"
    store = desk.store()
    for _ in range(5):
        with pytest.raises(Refused, match="log in by approle"):
            store.stat(PLACE)
    assert 1 == desk.count(LOGIN)

    desk.secret_id = good
    assert 0 == store.stat(PLACE).version


@pytest.mark.parametrize("status", [None, 503])
def test_many_threads_make_one_login(desk: Desk, status: int | None) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    desk.proxy.fault = lambda method, path: status if path.startswith("auth/") else None
    barrier = Barrier(12)

    def look(_: int) -> str:
        barrier.wait(10)
        try:
            store.stat(PLACE)
        except PinataError as error:
            return type(error).__name__
        return "fine"

    for expected in range(1, 4):
        with ThreadPoolExecutor(12) as pool:
            outcomes = set(pool.map(look, range(12)))
        assert ({"fine"} if status is None else {"Transient"}) == outcomes
        assert expected == desk.count(LOGIN)
        desk.clock.ahead += 3601


def test_while_one_thread_replaces_a_revoked_login_no_other_calls_with_it(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    store.stat(PLACE)
    desk.bao.revoke(desk.mine(store))
    with pytest.raises(Refused):
        store.stat(PLACE)
    asked, answered = Event(), Event()

    def hold(method: str, path: str) -> None:
        if path.startswith("auth/"):
            asked.set()
            answered.wait(10)

    desk.proxy.fault = hold
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(store.stat, PLACE)
        assert asked.wait(10)
        second = pool.submit(store.stat, PLACE)
        assert {first, second} == wait({first, second}, 0.2).not_done
        answered.set()
        assert (0, 0) == (first.result().version, second.result().version)


def test_many_threads_look_at_a_revoked_login_once(desk: Desk) -> None:
    desk.role(token_ttl="1h")
    store = desk.store()
    store.stat(PLACE)
    desk.bao.revoke(desk.mine(store))
    barrier = Barrier(12)

    def look(_: int) -> None:
        barrier.wait(10)
        try:
            store.stat(PLACE)
        except Refused:  # it went out with the old token
            store.stat(PLACE)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(look, range(12)))

    assert 2 == desk.count(LOGIN)
    store.stat(PLACE)
    assert 2 == desk.count(LOGIN)  # stragglers of the old token have not cast doubt on the new one


# --- shared connections ------------------------------------------------------------------------------


def settings(desk: Desk, folder: Path, auth: dict[str, str] | None) -> Settings:
    vault: dict[str, Any] = {"address": desk.proxy.url, "path": "pinata/lease", "auth": auth}
    inputs = {"owner": "o", "credentials": f"file:{folder}/jwt", "vault": {k: v for k, v in vault.items() if v}}
    checked, failures = properties.check({**inputs, "timeout": TIMEOUT}, {})
    assert [] == failures
    return properties.settings(checked)


def moved_on(connections: Connections, seconds: float) -> None:
    """For its logins it is later by so much; Vault knows better."""
    for store in connections._all():
        store.lease._clock = Clock(ahead=seconds, runs=True)


def test_rewritten_files_are_followed_by_shared_connections(desk: Desk, tmp_path: Path, pinata: Any) -> None:
    desk.role(token_ttl="1h")
    role_id = str(desk.approle().name)
    secret, jwt = tmp_path / "secret-id", tmp_path / "jwt"
    secret.write_text(desk.secret_id)
    jwts = [pinata.add_account(f"{desk.name}-{number}").jwt for number in range(2)]
    auth = {"method": "approle", "role_id": role_id, "secret_id": f"file:{secret}"}
    wanted = settings(desk, tmp_path, auth)

    with Connections({}, lasting=True) as connections:
        assert (inf, None, []) == (connections.keep_alive(), connections.login_expiry(), connections.login_problems())
        accounts = []
        for number, text in enumerate(jwts):
            jwt.write_text(text)
            with session(wanted, notice=lambda line: None, connections=connections) as found:
                accounts.append(found.account)
                found.ports.store.stat(PLACE)
            if not number:
                desk.rotate()
                secret.write_text(desk.secret_id)
                moved_on(connections, 3601)
                connections.keep_alive()
                assert (2, []) == (desk.count(LOGIN), connections.login_problems())
        left = (connections.login_expiry() or 0) - time.time()

    assert accounts[0] != accounts[1]
    assert 3590 < left <= 3600


def test_a_login_that_cannot_be_renewed_is_said(desk: Desk, tmp_path: Path) -> None:
    desk.role(token_ttl="1h")
    secret = tmp_path / "secret-id"
    secret.write_text(desk.secret_id)
    role_id = str(desk.approle().name)
    wanted = settings(desk, tmp_path, {"method": "approle", "role_id": role_id, "secret_id": f"file:{secret}"})
    with Connections({}, lasting=True) as connections:
        connections.store(wanted.vault, TIMEOUT).stat(PLACE)
        secret.unlink()
        moved_on(connections, 3601)

        assert connections.keep_alive() >= 0
        assert [f"there is no file '{secret}'."] == [each.message for each in connections.login_problems()]


def test_a_home_that_is_no_longer_used_is_let_go_of(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = settings(desk, tmp_path, None)
    with Connections({"VAULT_TOKEN": desk.token(3600)}, lasting=True) as connections:
        connections.store(wanted.vault, TIMEOUT).stat(PLACE)
        assert connections.keep_alive() <= WATCH
        monkeypatch.setattr("pulumi_pinata.wiring._UNUSED", -1.0)

        assert (inf, None) == (connections.keep_alive(), connections.login_expiry())
        connections.store(wanted.vault, TIMEOUT).stat(PLACE)


def test_logins_are_made_anew_side_by_side(desk: Desk, tmp_path: Path) -> None:
    desk.role(token_ttl="1h")
    secret = tmp_path / "secret-id"
    secret.write_text(desk.secret_id)
    role_id = str(desk.approle().name)
    wanted = settings(desk, tmp_path, {"method": "approle", "role_id": role_id, "secret_id": f"file:{secret}"})
    with Connections({}, lasting=True) as connections:
        for timeout in (20.0, 21.0, 22.0):  # each is a login of its own
            connections.store(wanted.vault, timeout).stat(PLACE)
        moved_on(connections, 3601)
        all_at_once, alone = Barrier(3), []

        def meet(_method: str, path: str) -> None:
            try:
                all_at_once.wait(8)
            except BrokenBarrierError:
                alone.append(path)

        desk.proxy.fault = meet
        connections.keep_alive()

        assert ([], []) == (alone, connections.login_problems())
    assert 6 == desk.count(LOGIN)
