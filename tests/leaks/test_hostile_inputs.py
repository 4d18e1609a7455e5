"""What a manifest, a file or a folder could make us read, hang on, send or write."""

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyrage
import pytest
from hostile import Middleman, reply
from hypothesis import given, settings
from hypothesis import strategies as st
from test_hostile_answers import converged
from world import World

from pulumi_pinata import credentials, properties
from pulumi_pinata.adapters.escrow_age import AgeEscrow, unseal
from pulumi_pinata.adapters.vault_kv import VaultStore
from pulumi_pinata.adapters.vault_login import Credentials
from pulumi_pinata.core.address import checked_path
from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.model import Location, Sealed
from pulumi_pinata.core.reference import FileReference
from pulumi_pinata.core.secret import PrivateKey, Secret

# --- paths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/..",
        "a/./b",
        "/a",
        "a/",
        "a//b",
        "%2e%2e/x",
        "a%2fb",
        "a?b",
        "a#b",
        "a\\b",
        "a\0b",
        "a\u2028b",
        "a b",
        "",
    ],
)
def test_a_path_that_vault_would_read_as_another_is_refused(path: str) -> None:
    with pytest.raises(Refused):
        checked_path(path, "vault.path")


@pytest.fixture(scope="module")
def listener() -> Any:
    with (
        Middleman(twist=lambda asked: reply(404, '{"errors":[]}')) as server,
        closing(VaultStore(server.url, "secret", Credentials("token", Secret("t")), timeout=2)) as store,
    ):
        yield server, store


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    path=st.text(
        st.characters(exclude_categories=["Cs"]) | st.sampled_from("./~*+;:@&=$,!'()\uff0e\u3002"),
        min_size=1,
        max_size=12,
    )
)
def test_an_accepted_path_is_the_one_that_is_asked_for(listener: Any, path: str) -> None:
    server, store = listener
    try:
        checked_path(path, "vault.path")
    except Refused:
        return
    server.asked.clear()
    store.stat(Location("secret", path))

    assert [f"/v1/secret/metadata/{path}"] == [unquote(asked.path) for asked in server.asked]


@pytest.mark.parametrize("mount", ["sys", "sys/policies/acl", "auth", "auth/token", "cubbyhole", "identity", "sys/raw"])
def test_no_mount_that_a_manifest_can_name_leads_to_a_write_outside_a_kv2_engine(world: World, mount: str) -> None:
    with pytest.raises(PinataError):
        converged(world, vault={"address": world.proxy.url, "mount": mount, "path": "pinata/x"})

    asked = [call for call in world.proxy.calls if call != "POST sys/capabilities-self"]
    assert {"GET"} == {call.partition(" ")[0] for call in asked}
    assert 0 == world.mints


def test_a_secret_cannot_be_declared_where_the_records_live(world: World) -> None:
    _, failures = properties.check(
        {"owner": "o/x", "vault": {"address": world.proxy.url, "path": "pinata-inference/intents/x"}}, {}
    )

    assert ["vault.path"] == [name for name, _ in failures]


@pytest.mark.parametrize("name", ["../../../sys/seal", "a/../../token/create", "%2e%2e/x"])
def test_a_user_name_cannot_lead_the_password_to_another_path(name: str) -> None:
    with Middleman(twist=lambda asked: reply(400, '{"errors":[]}')) as server:
        login = Credentials("userpass", Secret("password"), name, "userpass")
        with closing(VaultStore(server.url, "secret", login, timeout=2)) as store, suppress(PinataError):
            store.stat(Location("secret", "a"))

    assert [] == [asked.path for asked in server.asked if not asked.path.startswith("/v1/auth/userpass/login/")]


# --- file: references ----------------------------------------------------------------------------------


def within(seconds: float, call: Callable[[], object]) -> object:
    """What the call gave or raised; AssertionError when it hangs."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    return found[0]


def follow(path: str) -> object:
    return within(30, lambda: credentials._read_file(FileReference(path), "credentials"))


def test_a_device_without_end_is_refused() -> None:
    assert isinstance(follow("/dev/zero"), Refused)


def test_a_fifo_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    try:
        assert isinstance(follow(str(fifo)), Refused)
    finally:
        os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))


@pytest.mark.parametrize("path", ["~nobody-of-this-name/jwt", "a\0b", "/", "/proc/self/mem", "/nowhere/at/all"])
def test_a_path_that_no_file_can_have_is_refused(path: str) -> None:
    assert isinstance(follow(path), Refused)


def test_a_symlink_is_followed_as_kubernetes_needs_it_and_a_loop_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("token\n")
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "loop").symlink_to("loop")

    found = follow(str(tmp_path / "link"))
    assert isinstance(found, Secret)
    assert "token" == found.reveal()
    assert isinstance(follow(str(tmp_path / "loop")), Refused)


def test_a_home_that_cannot_be_told_is_refused_in_our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a user id of nobody's."""

    def homeless(self: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(Refused):
        credentials._default_token({})


def test_a_home_of_another_user_is_refused_in_our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo -u` keeps HOME: the file of another user is then not read, but looked for."""

    def forbidden(self: Path, *args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", forbidden)
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(Refused):
        credentials._default_token({})


def test_a_file_that_others_can_read_is_accepted(tmp_path: Path) -> None:
    """Accepted: a service account's token is such a file, and who may read it is not for its reader to say."""
    jwt = tmp_path / "jwt"
    jwt.write_text("token")
    jwt.chmod(0o644)

    assert isinstance(follow(str(jwt)), Secret)


# --- escrow --------------------------------------------------------------------------------------------

SEALED = Sealed(PrivateKey("pnk-canary"), "account", "run.1", Location("secret", "a"), "FIELD")


@pytest.fixture
def identity() -> Any:
    return pyrage.x25519.Identity.generate()


def test_the_escrow_is_private_whatever_the_umask(tmp_path: Path, identity: Any) -> None:
    before = os.umask(0)
    try:
        place = AgeEscrow(str(identity.to_public()), tmp_path / "a" / "escrow").prepare().seal(SEALED)
    finally:
        os.umask(before)

    assert (0o600, 0o700) == (stat.S_IMODE(Path(place).stat().st_mode), stat.S_IMODE(Path(place).parent.stat().st_mode))
    assert b"canary" not in Path(place).read_bytes()


@pytest.mark.parametrize("name", ["account-run.1.age", "account-run.1.new"])
def test_a_symlink_in_the_way_is_not_written_through(tmp_path: Path, identity: Any, name: str) -> None:
    folder, victim = tmp_path / "escrow", tmp_path / "victim"
    victim.write_text("theirs")
    folder.mkdir(mode=0o700)
    (folder / name).symlink_to(victim)
    with suppress(Refused):
        AgeEscrow(str(identity.to_public()), folder).prepare().seal(SEALED)

    assert "theirs" == victim.read_text()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, identity: Any, mode: int) -> None:
    """age does not say who sealed: whoever can put a file there can put a key of their own account there."""
    folder = tmp_path / "escrow"
    folder.mkdir()
    folder.chmod(mode)

    with pytest.raises(Refused):
        AgeEscrow(str(identity.to_public()), folder).prepare()


@pytest.mark.parametrize(
    "note",
    [
        b"[]",
        b"null",
        b'"x"',
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"key": 5, "account": "a", "attempt": "b", "mount": "m", "path": "p", "field": "f"}',
        b'{"key": "k", "account": "a", "attempt": ["b"], "mount": {}, "path": null, "field": 7}',
        b'{"key": "", "account": "a", "attempt": "b", "mount": "m", "path": "p", "field": "f"}',
    ],
    ids=["list", "null", "text", "broken", "bytes", "deep", "number", "types", "empty"],
)
def test_a_sealed_file_of_somebody_else_is_refused(tmp_path: Path, identity: Any, note: bytes) -> None:
    """The recipient is public, so anybody can seal anything to it."""
    (tmp_path / "x.age").write_bytes(pyrage.encrypt(note, [identity.to_public()]))
    (tmp_path / "identity").write_text(str(identity))

    with pytest.raises(Refused):
        unseal(tmp_path / "x.age", tmp_path / "identity")


def test_a_key_that_an_attacker_sealed_into_the_folder_is_believed(world: World, identity: Any, tmp_path: Path) -> None:
    """Accepted, and a reason to keep the folder to oneself: age does not say who sealed, and Pinata tells of a key
    that it is live, not whose it is. Users of the path would send their prompts to the attacker's account.
    """
    escrow = {"PINATA_ESCROW_RECIPIENT": str(identity.to_public()), "PINATA_ESCROW_DIRECTORY": str(tmp_path / "escrow")}
    env = {**world.env, **escrow}
    world.proxy.fault = lambda method, path: 403 if (method, path) == ("POST", f"secret/data/{world.path}") else None
    before, world.env = world.env, env
    with pytest.raises(PinataError):
        converged(world)
    world.env = before
    world.proxy.clear()
    (file,) = (tmp_path / "escrow").iterdir()
    account, _, attempt = file.stem.partition("-")
    world.add_account("attacker")
    world.pinata.enable_out_of_band("attacker")
    forged = {
        "schema": 1,
        "key": world.pinata.minted_keys("attacker")[-1],
        "account": account,
        "attempt": attempt,
        "mount": "secret",
        "path": world.path,
        "field": "PINATA_LLM_KEY",
    }
    file.write_bytes(pyrage.encrypt(json.dumps(forged).encode(), [identity.to_public()]))
    (tmp_path / "identity").write_text(str(identity))

    owner = f"pulumi:organization/proj/dev/{world.name}"
    command = [sys.executable, "-m", "pulumi_pinata", "escrow", "import", str(file), "--identity"]
    done = subprocess.run(
        [*command, str(tmp_path / "identity"), "--owner", owner],
        env={**os.environ, **world.env},
        capture_output=True,
        text=True,
    )

    assert (0, forged["key"]) == (done.returncode, world.vault_key())
