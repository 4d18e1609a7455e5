"""examples/side-by-side: Pulumi's engine and the reconciler's command on one fleet, one Vault and one Pinata."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "pulumi"))

from engine import Engine

from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_api import BaoError
from pulumi_pinata.sandbox.pinata_server import PinataServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "side-by-side"
ACCOUNTS = ("web", "batch", "reports")
MISTAKE = (EXAMPLE / "mistake" / "web.yaml").read_text()
SHORT = 6  # seconds: how long a rival is waited for depends on it


@dataclass
class Both:
    engine: Engine
    manifests: Path
    bao: OpenBao
    pinata: PinataServer
    printed: list[str] = field(default_factory=list)

    def program(self, *more: str) -> None:
        """The example's program, and further accounts in its words."""
        text = (EXAMPLE / "pulumi" / "__main__.py").read_text()
        (line,) = re.findall(r"^web = .*$", text, re.M)
        text += "".join(f"{line}\n".replace("web", name).replace("WEB", name.upper()) for name in more)
        (self.engine.project / "__main__.py").write_text(text)

    def reconciler(self, *arguments: str) -> tuple[int, str]:
        done = self.process(*arguments)
        out, err = done.communicate(timeout=120)
        self.printed.append(out + err)
        return done.returncode, out if arguments[0] == "import-file" else out + err

    def process(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "reconciler", *arguments],
            env=self.engine.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def plan(self) -> tuple[int, str]:
        return self.reconciler("plan", str(self.manifests))

    def apply(self) -> tuple[int, str]:
        return self.reconciler("apply", str(self.manifests), "--yes")

    def defaults(self, more: str) -> None:
        file = self.manifests / "pinata.yaml"
        file.write_text(file.read_text().replace("fleet: shop\n", f"fleet: shop\n  {more}\n"))

    def undeclare(self, name: str) -> None:
        file = self.manifests / "pinata.yaml"
        documents = file.read_text().split("---\n")
        file.write_text("---\n".join(each for each in documents if f"name: {name}\n" not in each))

    def safe(self, name: str) -> bool:
        """On, and the key in Vault is the live one."""
        try:
            data = self.bao.api.data("GET", f"secret/data/pinata/{name}")["data"]
        except BaoError:
            return False
        return self.pinata.is_live(name, str(data["PINATA_LLM_KEY"]))

    @property
    def standing(self) -> list[tuple[bool, int]]:
        """Of each account: whether it is safe, and how many keys it ever had."""
        return [(self.safe(name), self.pinata.state(name).mints) for name in ACCOUNTS]

    def owner(self, name: str) -> str:
        return str(self.bao.api.data("GET", f"secret/metadata/pinata/{name}")["custom_metadata"]["pinata-owner"])


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    with OpenBao() as bao, PinataServer() as pinata:
        bao.provision()
        token = bao.make_token(["pinata-provider"])
        env = {"PINATA_API_URL": pinata.url, "VAULT_ADDR": bao.addr, "VAULT_TOKEN": token}
        jwts = {f"PINATA_JWT_{name.upper()}": pinata.add_account(name).jwt for name in ACCOUNTS}
        engine = Engine(tmp_path / "engine", {**env, **jwts})
        manifests = tmp_path / "manifests"
        shutil.copytree(EXAMPLE / "manifests", manifests)
        both = Both(engine, manifests, bao, pinata)
        both.program()
        yield both
        secrets = (token, "pnk_", *jwts.values())
        assert [] == engine.leaks(secrets)
        assert [] == [text for text in both.printed if any(secret in text for secret in secrets)]


@pytest.fixture
def split(both: Both) -> Both:
    """The fleet as the example declares it."""
    both.engine.run("up")
    assert (0, [(True, 1)] * 3) == (both.apply()[0], both.standing)
    return both


def test_what_both_declare_is_refused_by_the_one_that_comes_second_and_leaves_nothing_behind(split: Both) -> None:
    # Under the same path, and under another one: the account is known by its credentials.
    for manifest, why in (
        (MISTAKE, "secret/pinata/web is held by pulumi:organization/proj/dev/web."),
        (MISTAKE.replace("pinata/web", "pinata/web2"), "managed by pulumi:organization/proj/dev/web"),
    ):
        (split.manifests / "web.yaml").write_text(manifest)
        code, said = split.apply()
        assert (1, True) == (code, why in said), said
    split.program("batch")
    assert "secret/pinata/batch is held by reconciler:shop/batch." in split.engine.run("up", fails=True)

    split.program()
    (split.manifests / "web.yaml").unlink()
    assert 0 == split.plan()[0]
    split.engine.run("refresh", "--expect-no-changes")
    assert [(True, 1)] * 3 == split.standing


def test_both_at_the_same_moment_on_one_new_account_mint_one_key_and_lose_none(both: Both) -> None:
    program = both.engine.project / "__main__.py"
    program.write_text(program.read_text().replace('"pinata/web")', f'"pinata/web"), timeout={SHORT}'))
    assert f"timeout={SHORT}" in program.read_text()
    both.defaults(f"timeout: {SHORT}")
    (both.manifests / "web.yaml").write_text(MISTAKE)
    both.pinata.add_fault("latency", seconds=1.0, method="POST", path="/v0/llm/enable", times=None)

    stack = both.engine.start("up")
    # The engine takes a moment to load the program; both are in the midst of it while the mint takes its second.
    while not any(call.path == "/v0/llm/status" for call in both.pinata.calls("web")):
        assert stack.poll() is None
        time.sleep(0.01)
    fleet = both.process("apply", str(both.manifests), "--yes")
    out, err = fleet.communicate(timeout=120)
    both.printed.append(out + err)
    codes = (stack.wait(timeout=120), fleet.returncode)

    assert [(True, 1)] * 3 == both.standing, out + err
    assert (0, 3) == codes or (255, 0) == codes
    winner = "pulumi:organization/proj/dev/web" if codes[0] == 0 else "reconciler:shop/web"
    assert winner == both.owner("web")


def test_from_the_reconciler_to_pulumi_without_a_new_key(both: Both) -> None:
    both.defaults("prune: true")
    both.engine.run("up")
    both.apply()
    code, file = both.reconciler("import-file", "batch", str(both.manifests))
    assert 0 == code
    (both.engine.project / "import.json").write_text(file)
    both.program("batch")
    both.engine.run("import", "--file", "import.json")
    before = both.manifests / "pinata.yaml"
    kept = before.read_text()

    # As the page warns: the mark is still the fleet's.
    both.undeclare("batch")
    assert "prune    batch" in both.plan()[1]
    before.write_text(kept)

    both.engine.run("up")
    assert "pulumi:organization/proj/dev/batch" == both.owner("batch")
    both.undeclare("batch")
    code, said = both.apply()
    assert (0, True) == (code, "forget   batch" in said), said
    both.engine.run("refresh", "--expect-no-changes")
    assert (0, [(True, 1)] * 3) == (both.plan()[0], both.standing)


def test_pulumis_own_import_file_takes_over_too(split: Both) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pulumi_pinata", "import-file", "batch", "--project", "proj", "--stack", "dev"),
            *("--take-over", "--input", "vault.path=pinata/batch", "--input", "credentials=env:PINATA_JWT_BATCH"),
        ],
        env=split.engine.env,
        capture_output=True,
        text=True,
    )
    assert 0 == done.returncode, done.stderr
    (split.engine.project / "import.json").write_text(done.stdout)
    split.program("batch")

    split.engine.run("import", "--file", "import.json")
    split.engine.run("up")

    assert ("pulumi:organization/proj/dev/batch", [(True, 1)] * 3) == (split.owner("batch"), split.standing)


def test_from_pulumi_to_the_reconciler_without_a_new_key(split: Both) -> None:
    urn = split.engine.resources()["web"]["urn"]
    page = (EXAMPLE / "README.md").read_text()
    assert urn.replace("::proj::", "::shop::") in page
    split.engine.run("state", "delete", urn, "--yes", "--stack", "dev")
    (split.engine.project / "__main__.py").write_text("import pulumi\n")
    (split.manifests / "web.yaml").write_text(MISTAKE)

    code, said = split.reconciler("adopt", "web", str(split.manifests), "--take-over")

    assert (0, "reconciler:shop/web") == (code, split.owner("web")), said
    assert "taken over from pulumi:organization/proj/dev/web, with the same key" in said
    assert (0, [(True, 1)] * 3) == (split.plan()[0], split.standing)
    assert "unchanged" in split.engine.run("up")
    assert [(True, 1)] * 3 == split.standing


@pytest.mark.parametrize(("name", "why"), [("batch", "held by this fleet"), ("reports", "held by nobody")])
def test_there_has_to_be_somebody_to_take_over_from(both: Both, name: str, why: str) -> None:
    both.apply()
    if name == "reports":
        both.bao.api.call("DELETE", "secret/metadata/pinata/reports")

    code, said = both.reconciler("adopt", name, str(both.manifests), "--take-over")

    assert (1, True) == (code, why in said), said
