"""`pinata-reconciler run` as a process: a repository on loopback, a real Vault, signals, and its own HTTP side."""

import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from git_server import GitServer, Repository
from sandbox_fleet import MakeFleet, SandboxFleet

LONGEST = 60.0


@dataclass
class Running:
    """The process, what it has logged so far, and its HTTP side."""

    fleet: SandboxFleet
    process: "subprocess.Popen[str]"
    log: list[dict[str, Any]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.raw.append(line)
            if line.startswith("{"):
                self.log.append(json.loads(line))

    def until(self, true: Callable[[], Any]) -> Any:
        end = time.monotonic() + LONGEST
        while not (found := true()):
            assert self.process.poll() is None or self._reader.is_alive(), self.text
            assert time.monotonic() < end, self.text
            time.sleep(0.02)
        return found

    def said(self, event: str, **about: Any) -> list[dict[str, Any]]:
        return [e for e in list(self.log) if e["event"] == event and all(e.get(k) == v for k, v in about.items())]

    def until_said(self, event: str, count: int = 1, **about: Any) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.until(
            lambda: (found := self.said(event, **about)) and len(found) >= count and found
        )
        return found[-1]

    @property
    def url(self) -> str:
        return str(self.until_said("following")["page"])

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, trust_env=False, timeout=LONGEST)

    @property
    def view(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/api/fleet").json()
        return found

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        return httpx.post(self.url + path, content=body, headers=headers, trust_env=False, timeout=LONGEST).status_code

    def conditions(self) -> dict[str, str]:
        return {each["name"]: each["condition"] for each in self.view["accounts"]}

    @property
    def text(self) -> str:
        return "".join(self.raw)

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(LONGEST)
        self._reader.join()
        assert self.process.stdout
        assert self.process.stderr
        self.fleet.assert_no_secret(self.text + self.process.stdout.read())
        self.process.stdout.close()
        self.process.stderr.close()
        return code


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(fleet: SandboxFleet, *arguments: str, **env: str) -> Running:
        fleet.env.update(env)
        process = fleet.start("run", *arguments, "--http", "127.0.0.1:0", "--log-format", "json")
        running.append(Running(fleet, process))
        return running[-1]

    yield begin
    for each in running:
        if each.process.poll() is None:
            each.process.kill()
        if not each.process.stderr.closed:  # type: ignore[union-attr]
            each.end()


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    with GitServer(tmp_path / "served") as server:
        yield server


def pushed(fleet: SandboxFleet, repository: Repository) -> str:
    """The fleet's manifests as they are now, as a commit of `main`."""
    for old in (repository.work / "manifests").glob("*"):
        old.unlink()
    return repository.push({f"manifests/{path.name}": path.read_text() for path in fleet.manifests.iterdir()})


def announced(fleet: SandboxFleet) -> str:
    """An account that is not declared yet; its variable is there, since those of a process do not change."""
    name = f"{fleet.name}-more"
    fleet.add(name)
    fleet.remove(name)
    return name


def test_pushes_are_followed_by_poll_and_at_once_by_webhook(fleet_of: MakeFleet, git: GitServer, start: Start) -> None:
    fleet, repository = fleet_of(6), git.repository("fleet.git")
    more = announced(fleet)
    first = pushed(fleet, repository)
    running = start(
        fleet,
        *("--git", git.url("fleet.git"), "--poll", "1s", "--webhook-secret", "env:HOOK", "manifests"),
        HOOK="of-the-webhook-1",
    )
    fleet.secrets.append("of-the-webhook-1")
    running.until_said("pass", good=True, commit=first)
    assert ([], {"Ready"}) == (fleet.unsafe(), set(running.conditions().values()))
    assert (200, 200) == (running.get("/healthz").status_code, running.get("/readyz").status_code)

    # By the poll: one more account.
    fleet.declare(more)
    second = pushed(fleet, repository)
    running.until_said("pass", good=True, commit=second)
    assert fleet.safe(more)
    assert second == running.view["source"]["commit"]
    assert f'commit="{second}"' in running.get("/metrics").text
    assert 0 == running.end()

    # By the webhook: the poll alone would take an hour.
    running = start(
        fleet, *("--git", git.url("fleet.git"), "--poll", "1h", "--webhook-secret", "env:HOOK", "manifests")
    )
    running.until_said("pass", good=True, commit=second)
    fleet.remove(more)
    third = pushed(fleet, repository)
    body = json.dumps({"ref": "refs/heads/main"}).encode()
    forged = {"X-Hub-Signature-256": f"sha256={hmac.new(b'another', body, hashlib.sha256).hexdigest()}"}
    assert running.post("/sync", body, forged) in (401, 403)
    signed = {"X-Hub-Signature-256": f"sha256={hmac.new(b'of-the-webhook-1', body, hashlib.sha256).hexdigest()}"}
    assert 202 == running.post("/sync", body, signed)
    running.until_said("pass", good=True, commit=third)
    assert more not in running.conditions()
    assert not fleet.pinata.state(more).enabled
    assert 0 == running.end()


def test_drift_between_commits_is_healed_told_and_noted(fleet_of: MakeFleet, start: Start, tmp_path: Path) -> None:
    fleet = fleet_of(3)
    audit = tmp_path / "audit.jsonl"
    running = start(
        fleet, str(fleet.manifests), "--poll", "1h", "--interval", "1s", "--audit-log", str(audit), "--rate", "0"
    )
    running.until_said("pass", good=True)
    fleet.pinata.disable_out_of_band(fleet.names[1])

    running.until_said("told", kind="drift", account=fleet.names[1])
    running.until(lambda: fleet.safe(fleet.names[1]))
    assert [] == fleet.unsafe()

    metrics = running.until(
        lambda: re.search(
            r"^pinata_reconciler_drift_heal_duration_seconds_count (\S+)$", running.get("/metrics").text, re.MULTILINE
        )
    )
    assert 1.0 == float(metrics[1])
    fleet.assert_no_secret(running.get("/metrics").text + running.get("/api/fleet").text + running.get("/").text)
    assert 0 == running.end()
    entries = [json.loads(line) for line in audit.read_text().splitlines()]
    assert 8 == len(entries)  # three creations and one repair, each before and after
    assert {("begin", "create"), ("end", "create")} == {(each["entry"], each["change"]) for each in entries}
    fleet.assert_no_secret(audit.read_text())


def test_a_git_server_that_is_down_leaves_the_last_good_manifests_in_force(
    fleet_of: MakeFleet, git: GitServer, start: Start
) -> None:
    fleet, repository = fleet_of(2), git.repository("fleet.git")
    more = announced(fleet)
    commit = pushed(fleet, repository)
    running = start(fleet, "--git", git.url("fleet.git"), "--poll", "1s", "--interval", "1s", "manifests")
    running.until_said("pass", good=True, commit=commit)

    git.stop()
    running.until_said("source failed")
    fleet.pinata.disable_out_of_band(fleet.names[0])
    running.until(lambda: fleet.safe(fleet.names[0]))
    source = running.view["source"]
    assert commit == source["commit"]
    assert "--git" in source["error"]

    git.start()
    fleet.declare(more)
    again = pushed(fleet, repository)
    running.until_said("pass", good=True, commit=again)
    assert None is running.view["source"]["error"]
    assert 0 == running.end()


def test_a_stop_does_not_wait_for_a_git_server_that_hangs(fleet_of: MakeFleet, git: GitServer, start: Start) -> None:
    fleet, repository = fleet_of(1), git.repository("fleet.git")
    pushed(fleet, repository)
    running = start(fleet, "--git", git.url("fleet.git"), "--poll", "1s", "manifests")
    running.until_said("pass", good=True)
    asked = len(git.requests)
    git.hanging.set()
    running.until(lambda: len(git.requests) > asked)

    began = time.monotonic()
    assert 0 == running.end()
    assert time.monotonic() - began < 30  # git itself would be waited for twice as long
    git.hanging.clear()


def test_a_push_that_removes_too_much_is_held_back_until_a_person_acknowledges_it(
    fleet_of: MakeFleet, git: GitServer, start: Start
) -> None:
    fleet, repository = fleet_of(8), git.repository("fleet.git")
    pushed(fleet, repository)
    running = start(fleet, "--git", git.url("fleet.git"), "--poll", "1s", "--interval", "2s", "manifests")
    running.until_said("pass", good=True)

    fleet.remove(*fleet.names[:6])
    pushed(fleet, repository)
    running.until_said("held back")
    assert set(fleet.names) == fleet.on()
    view = running.view
    assert "6 of 8 accounts would be switched off" in view["held"][0]

    refused = fleet.apply()
    checksum = re.search(r"--acknowledge ([0-9a-f]{64})", refused.out)
    assert checksum
    assert 0 == fleet.apply("--acknowledge", checksum[1]).code
    running.until(lambda: running.view["held"] == [] and len(running.conditions()) == 2)
    assert set(fleet.names[6:]) == fleet.on()
    assert 0 == running.end()


def test_a_manifest_with_errors_freezes_its_accounts_and_the_page_says_where(fleet_of: MakeFleet, start: Start) -> None:
    fleet = fleet_of(2)
    running = start(fleet, str(fleet.manifests), "--poll", "1s", "--interval", "1s")
    running.until_said("pass", good=True)

    fleet.write(fleet.names[0], "kind: Inference\nmetadata: {name: " + fleet.names[0] + "}\nspec: {vualt: {}}\n")
    running.until_said("problem in a manifest")
    fleet.pinata.disable_out_of_band(*fleet.names[1:])
    running.until(lambda: fleet.safe(fleet.names[1]))

    assert any(f"{fleet.names[0]}.yaml:" in problem for problem in running.view["problems"])
    assert fleet.safe(fleet.names[0])
    assert 0 == running.end()


def test_a_jwt_that_is_rotated_in_its_file_is_picked_up(fleet_of: MakeFleet, start: Start, tmp_path: Path) -> None:
    fleet = fleet_of(1)
    name = fleet.names[0]
    token = tmp_path / "jwt"
    token.write_text("not-a-jwt")
    text = (fleet.manifests / f"{name}.yaml").read_text()
    fleet.write(name, text.replace(f"env:{fleet.variable(name)}", f"file:{token}"))
    running = start(fleet, str(fleet.manifests), "--poll", "1s", "--interval", "1h")
    running.until(lambda: running.conditions().get(name) == "CredentialsInvalid")

    fresh = token.with_suffix(".new")
    fresh.write_text(fleet.env[fleet.variable(name)])
    fresh.replace(token)

    running.until(lambda: running.conditions().get(name) == "Ready")
    assert 0 == running.end()


def test_a_stop_in_the_middle_of_the_first_apply_finishes_what_was_begun(fleet_of: MakeFleet, start: Start) -> None:
    fleet = fleet_of(60)
    running = start(fleet, str(fleet.manifests), "--workers", "4")
    running.until(lambda: len(fleet.on()) >= 8)

    assert 0 == running.end()

    on = sorted(fleet.on())
    assert len(on) < 60
    assert [] == fleet.unsafe(*on)
    assert running.said("stopped")


def test_a_kill_in_the_middle_is_repaired_by_the_next_start(fleet_of: MakeFleet, start: Start) -> None:
    fleet = fleet_of(24, timeout=2)
    running = start(fleet, str(fleet.manifests), "--rate", "0")
    running.until(lambda: len(fleet.on()) >= 8)
    running.end(signal.SIGKILL)

    running = start(fleet, str(fleet.manifests), "--rate", "0", "--interval", "2s")
    running.until(lambda: set(running.conditions().values()) == {"Ready"} and len(running.conditions()) == 24)

    assert [] == fleet.unsafe()
    assert max(fleet.mints().values()) <= 2
    assert 0 == running.end()


def test_hup_syncs_now_and_ctrl_c_ends_it(fleet_of: MakeFleet, start: Start) -> None:
    fleet = fleet_of(1)
    running = start(fleet, str(fleet.manifests), "--poll", "1h", "--interval", "1h")
    running.until_said("pass", good=True)

    running.process.send_signal(signal.SIGHUP)
    running.until_said("pass", 2)

    assert 0 == running.end(signal.SIGINT)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("/no/such/folder",), "there is no '/no/such/folder'"),
        (("--git", "https://user:secret@git.invalid/x.git"), "--git"),
        (("--git-token", "env:TOKEN"), "--git-token needs --git"),
        (("--poll", "never"), "is not a duration"),
        (("--http", "127.0.0.1"), "is not HOST:PORT"),
        (("--notify", "env:NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE"),
    ],
)
def test_what_it_cannot_start_with_is_said_at_once(fleet_of: MakeFleet, arguments: tuple[str, ...], words: str) -> None:
    ran = fleet_of(0).run("run", *arguments)

    assert (True, True) == (ran.code in (1, 64), words in ran.err), ran.err
    assert "user:secret" not in ran.err + ran.out


def test_a_ref_that_does_not_exist_is_said_at_once(fleet_of: MakeFleet, git: GitServer) -> None:
    fleet, repository = fleet_of(1), git.repository("fleet.git")
    pushed(fleet, repository)

    ran = fleet.run("run", "--git", git.url("fleet.git"), "--ref", "mian", "manifests")

    assert (1, True) == (ran.code, "--ref" in ran.err), ran.err
    assert set() == fleet.on()


def test_the_port_of_another_server_is_said_at_once(fleet_of: MakeFleet, git: GitServer) -> None:
    fleet = fleet_of(1)
    address = httpx.URL(git.url("x"))

    ran = fleet.run("run", str(fleet.manifests), "--http", f"{address.host}:{address.port}")

    assert (1, True) == (ran.code, "--http" in ran.err), ran.err
    assert os.getpid()  # the process that ran it is this one, and still here
