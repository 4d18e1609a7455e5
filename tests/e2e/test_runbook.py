"""docs/runbook.md, played: its commands as they stand there, on a real Vault and the Pinata stand-in."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pulumi_pinata.sandbox.jwts import sign_hs256
from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_api import BaoError
from pulumi_pinata.sandbox.openbao_files import find_binary
from pulumi_pinata.sandbox.pinata_server import PinataServer
from pulumi_pinata.sandbox.policies import PROVIDER_POLICY

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
OTHERS = ("shop-a", "shop-b", "shop-c")
DEFAULTS = """\
apiVersion: pinata-reconciler.dev/v1alpha1
kind: InferenceDefaults
spec:
  fleet: shop
  timeout: 3
"""
ACCOUNT = """\
apiVersion: pinata-reconciler.dev/v1alpha1
kind: Inference
metadata:
  name: {name}
spec:
  credentials: file:jwts/{name}
"""


def blocks(title: str) -> list[str]:
    """The shell blocks below a heading, one after the other."""
    (text,) = re.findall(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", RUNBOOK, re.M | re.S)
    found = re.findall(r"```sh\n(.*?)```", text, re.S)
    assert found
    return found


@dataclass
class Desk:
    """Where a person stands who follows the page: a clone of the fleet's repository, `vault` on PATH."""

    folder: Path
    bao: OpenBao
    pinata: PinataServer
    names: list[str] = field(default_factory=list)
    printed: str = ""

    def __post_init__(self) -> None:
        for name in ("jwts", "manifests", "bin"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "bin" / "vault").symlink_to(find_binary())
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PINATA_", "VAULT_", "BAO_", "GIT"))}
        path = os.pathsep.join((str(self.folder / "bin"), str(Path(sys.prefix, "bin")), os.environ["PATH"]))
        self.env = {**kept, "PATH": path, "HOME": str(self.folder), "PINATA_API_URL": self.pinata.url}
        self.env |= {"VAULT_ADDR": self.bao.addr, "VAULT_TOKEN": self.bao.make_token([PROVIDER_POLICY])}
        self.write("pinata", DEFAULTS)

    def write(self, name: str, text: str) -> None:
        (self.folder / "manifests" / f"{name}.yaml").write_text(text)

    def declare(self, *names: str) -> None:
        for name in names:
            self.names.append(name)
            (self.folder / "jwts" / name).write_text(self.pinata.add_account(name).jwt)
            self.write(name, ACCOUNT.format(name=name))

    def run(self, command: str) -> int:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        self.printed += f"$ {command}\n{done.stdout}"
        return done.returncode

    def as_root(self, vault: str) -> int:
        """A command of `vault` by somebody who may do everything in it."""
        kept = dict(self.env)
        self.env["VAULT_TOKEN"] = self.bao.root_token
        try:
            return self.run(f"vault {vault}")
        finally:
            self.env = kept

    def follow(self, block: str) -> str:
        """Run the lines of a block; each exits as it says (0 where it says nothing). Returns what they print."""
        start = len(self.printed)
        for line in block.strip().splitlines():
            code, says = re.search(r"# exits (\d+)", line), self.printed
            if "CHECKSUM" in line:
                line = line.replace("CHECKSUM", re.findall(r"--acknowledge ([0-9a-f]{64})", says)[-1])
            found = self.run(line)
            assert (line, int(code[1]) if code else 0) == (line, found), self.printed[start:]
        return self.printed[start:]

    def apply(self) -> None:
        assert 0 == self.run("pinata-reconciler apply manifests/ --yes"), self.printed

    def unsafe(self) -> list[str]:
        return [name for name in self.names if not self.safe(name)]

    def safe(self, name: str) -> bool:
        """On, and the key in Vault is the live one."""
        try:
            data = self.bao.api.data("GET", f"secret/data/pinata/{name}")["data"]
        except BaoError:
            return False
        return self.pinata.is_live(name, str((data or {}).get("PINATA_LLM_KEY")))

    def mints(self) -> list[int]:
        return [self.pinata.state(name).mints for name in self.names]

    def replace_jwt(self, name: str) -> str:
        """The account gets another JWT, and the old one is worth nothing any more."""
        directory = self.pinata._state.directory
        holder = directory.get(name)
        jwt = sign_hs256(directory._claims(holder.id, holder.email, None), directory._signing_secret)
        with directory._lock:
            del directory._by_jwt[holder.jwt]
            directory._by_name[name] = directory._by_jwt[jwt] = replace(holder, jwt=jwt)
        return jwt


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with OpenBao(storage=tmp_path / "store") as bao, PinataServer() as pinata:
        bao.provision()
        desk = Desk(tmp_path / "desk", bao, pinata)
        desk.declare("shop-prod")
        desk.apply()
        yield desk
        assert "pnk_" not in desk.printed
        assert "eyJ" not in desk.printed


def test_the_key_is_lost(desk: Desk) -> None:
    act, over = blocks("The key is lost")
    desk.bao.api.call("DELETE", "secret/metadata/pinata/shop-prod")

    said = desk.follow(act)

    assert "! remint   shop-prod  secret/pinata/shop-prod  KeyLost" in said
    assert "Ready" in desk.follow(over)
    assert ([], [2]) == (desk.unsafe(), desk.mints())


def test_a_key_that_was_only_deleted_or_covered_comes_back_without_a_mint(desk: Desk) -> None:
    for harm in ("kv delete -mount=secret pinata/shop-prod", "kv put -mount=secret pinata/shop-prod X=1"):
        assert 0 == desk.as_root(harm)
        assert ["shop-prod"] == desk.unsafe()
        desk.apply()
        assert ([], [1]) == (desk.unsafe(), desk.mints())


def test_a_lost_key_that_may_not_be_replaced_is_refused(desk: Desk) -> None:
    desk.write("shop-prod", ACCOUNT.format(name="shop-prod") + "  lostKey: fail\n")
    desk.apply()
    desk.bao.api.call("DELETE", "secret/metadata/pinata/shop-prod")

    assert 1 == desk.run("pinata-reconciler plan manifests/")
    assert "x refused  shop-prod  secret/pinata/shop-prod  KeyLost" in desk.printed


def test_vault_was_restored_from_a_backup(desk: Desk) -> None:
    act, over = blocks("Vault was restored from a backup")
    desk.declare(*OTHERS, "shop-same")
    desk.apply()
    assert 0 == desk.as_root("operator raft snapshot save snapshot")
    for name in ("shop-prod", *OTHERS):
        assert 0 == desk.run(f"pinata-reconciler rotate {name} manifests/ --yes")
    desk.declare("shop-new")
    desk.apply()
    assert 0 == desk.as_root("operator raft snapshot restore -force snapshot")
    assert sorted(["shop-prod", *OTHERS, "shop-new"]) == sorted(desk.unsafe())

    said = desk.follow(act)

    assert 4 == len(re.findall(r"! remint +shop-\w+ +secret/pinata/shop-\w+ +KeyStale", said.split("$ ")[1]))
    assert "guard remints: 4 of 6" in said
    desk.follow(over)
    minted = dict(zip(desk.names, desk.mints(), strict=True))
    assert ([], 1, 2) == (desk.unsafe(), minted["shop-same"], minted["shop-new"])
    assert [3, 3, 3, 3] == [minted[name] for name in ("shop-prod", *OTHERS)]


def test_the_jwt_was_rotated(desk: Desk) -> None:
    before, after = blocks("The JWT was rotated")
    jwt = desk.replace_jwt("shop-prod")

    assert "Pinata refused the JWT (401)" in desk.follow(before)
    assert [] == desk.unsafe()
    (desk.folder / "jwts" / "shop-prod").write_text(jwt)
    desk.follow(after)

    assert ([], [1]) == (desk.unsafe(), desk.mints())


@pytest.mark.parametrize(("again", "said"), [(False, "+ create   shop-prod"), (True, "! remint   shop-prod")])
def test_someone_used_the_dashboard(desk: Desk, again: bool, said: str) -> None:
    act, over = blocks("Someone used the dashboard")
    desk.pinata.disable_out_of_band("shop-prod")
    if again:
        desk.pinata.enable_out_of_band("shop-prod")

    assert said in desk.follow(act)
    desk.follow(over)
    assert [] == desk.unsafe()


def test_someone_switched_an_account_on_before_it_was_declared(desk: Desk) -> None:
    (act,) = blocks("Switched on before it was declared")
    desk.declare("shop-new")
    desk.pinata.enable_out_of_band("shop-new")
    (desk.folder / "key-file").write_text(desk.pinata.minted_keys("shop-new")[0])
    assert 1 == desk.run("pinata-reconciler plan manifests/")

    desk.follow(act)

    assert ([], [1, 1]) == (desk.unsafe(), desk.mints())
    assert 0 == desk.run("pinata-reconciler plan manifests/")


def test_the_keys_are_kept_in_another_vault(desk: Desk) -> None:
    act, over = blocks("The keys are to be kept in another Vault")
    desk.declare("shop-a")
    desk.apply()
    (setting,) = re.findall(r"`(formerVaults: \[.*?\])`", RUNBOOK)
    desk.write("pinata", f"{DEFAULTS}  {setting.replace('https://old-vault.example', desk.bao.addr)}\n")
    with OpenBao() as other:
        other.provision()
        desk.env |= {"OLD_VAULT_TOKEN": desk.env["VAULT_TOKEN"], "VAULT_ADDR": other.addr}
        desk.env["VAULT_TOKEN"] = other.make_token([PROVIDER_POLICY])

        said = desk.follow(act)
        assert "2 to move" in said
        assert f"{desk.bao.addr}/secret: login works; fleet shop keeps 0 account(s)" in desk.follow(over)
        desk.bao.stop()
        desk.write("pinata", DEFAULTS)
        assert 0 == desk.run("pinata-reconciler plan manifests/"), desk.printed
        desk.bao = other
        assert ([], [1, 1]) == (desk.unsafe(), desk.mints())


def test_an_account_is_taken_out_of_management(desk: Desk) -> None:
    (act,) = blocks("An account must be taken out of management, or handed to another tool")
    desk.declare("shop-a")
    desk.write("pinata", DEFAULTS + "  prune: true\n")
    desk.apply()
    desk.write("shop-prod", ACCOUNT.format(name="shop-prod") + "  prune: false\n")
    who = "-c user.name=test -c user.email=test@example.invalid"
    assert 0 == desk.run(f"git init --quiet . && git add manifests && git {who} commit --quiet --message=fleet")

    said = desk.follow(act)

    assert "forget   shop-prod" in said
    assert ([], [1, 1]) == (desk.unsafe(), desk.mints())
    assert 0 == desk.run("pinata-reconciler plan manifests/")


def test_everything_is_rotated_after_a_leak(desk: Desk) -> None:
    (act,) = blocks("Rotate everything after a leak")
    desk.declare(*OTHERS)
    desk.apply()
    (setting,) = re.findall(r"`(rotation: \{trigger: .*?\})`", RUNBOOK)
    desk.write("pinata", f"{DEFAULTS}  {setting}\n")

    said = desk.follow(act)

    assert "guard remints: 4 of 4" in said
    assert ([], [2] * 4) == (desk.unsafe(), desk.mints())
