"""One account between two proxies, so that a test decides at which call what happens, and clients as processes."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import client as bare
from counting_proxy import CountingProxy
from world import World

from pulumi_pinata.core.account import identify
from pulumi_pinata.core.secret import Secret

T = TypeVar("T")
Matches = Callable[[str, str], bool]

TIMEOUT = 2.0
LEASE = 2.5 * TIMEOUT + 1  # core/ports.py
# Eight Python processes on two cores: an answer may take its time without being lost.
CALM = 6.0
# Half of it is what one call may take: enough for a seal, a kill or a restart in the middle of the enable.
SLOW = 3.0
# Nothing here takes longer than a lease, six rounds of a few calls, and a slow machine; a hang is what this finds.
PATIENCE = 60.0
ENABLE, DISABLE, STATUS = ("POST", "/v0/llm/enable"), ("DELETE", "/v0/llm/disable"), ("GET", "/v0/llm/status")


def wait_until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"did not come: {what}"
        time.sleep(0.01)


class Gate:
    """A proxy's `fault`: stops the `nth` call that matches, before it is passed on, until `open`.

    `open(status)` then answers as `CountingProxy.fault` does: None passes it on, 503 means it never arrived.
    """

    def __init__(self, matches: Matches, nth: int = 1) -> None:
        self._matches = matches
        self._left = nth
        self._lock = threading.Lock()
        self._reached = threading.Event()
        self._opened = threading.Event()
        self._status: int | None = None

    def __call__(self, method: str, path: str) -> int | None:
        with self._lock:
            if not self._matches(method, path):
                return None
            self._left -= 1
            if self._left != 0:
                return None
        self._reached.set()
        self._opened.wait(PATIENCE)
        return self._status

    @property
    def reached(self) -> bool:
        return self._reached.is_set()

    def await_call(self) -> None:
        assert self._reached.wait(PATIENCE), "the call to stop at did not come"

    def open(self, status: int | None = None) -> None:
        self._status = status
        self._opened.set()


def once(matches: Matches, act: Callable[[], object]) -> Callable[[str, str], int | None]:
    """A proxy's `fault`: does `act` before the first call that matches is passed on."""
    lock = threading.Lock()
    left = [1]

    def fault(method: str, path: str) -> int | None:
        with lock:
            if not left[0] or not matches(method, path):
                return None
            left[0] = 0
        act()
        return None

    return fault


def call(method: str, path: str) -> Matches:
    return lambda m, p: (m, p.partition("?")[0]) == (method, path)


def any_call(_method: str, _path: str) -> bool:
    return True


class Client:
    """`client.py` as a process; its two streams go to files, so that nobody need read them for it to go on."""

    def __init__(self, folder: Path, env: dict[str, str], spec: dict[str, Any]) -> None:
        folder.mkdir(parents=True)
        self._out, self._err = folder / "out", folder / "err"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "PINATA_", "VAULT_"))}
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("client.py")), json.dumps(spec)],
                env={**clean, **env},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                text=True,
                start_new_session=True,
            )

    def await_ready(self) -> None:
        wait_until(lambda: "ready" in self._out.read_text() or self.ended, f"a client that starts: {self.printed}")

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP, and return when it has taken effect."""
        self.send(signal.SIGSTOP)
        state = Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "a stopped process")

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def result(self) -> dict[str, Any]:
        code = self.wait()
        lines = [line for line in self._out.read_text().splitlines() if "ready" not in line]
        assert lines, f"a client ended with {code} and no word: {self.printed}"
        found: dict[str, Any] = json.loads(lines[-1])
        return found

    @property
    def printed(self) -> str:
        return self._out.read_text() + self._err.read_text()

    def close(self) -> None:
        if not self.ended:
            self.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()


@dataclass
class Stage(World):
    """A World whose calls to Pinata go through a proxy too (`front`); its owner is a bare core client."""

    front: CountingProxy = field(kw_only=True)
    clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        super().__post_init__()
        self.env["PINATA_API_URL"] = self.front.url
        self.fingerprint = identify(Secret(self.account.jwt), None, now=0).fingerprint

    @property
    def data_path(self) -> str:
        return f"secret/data/{self.path}"

    @property
    def metadata_path(self) -> str:
        return f"secret/metadata/{self.path}"

    @property
    def record_path(self) -> str:
        return f"secret/data/pinata-inference/intents/{self.fingerprint}"

    def direct(self) -> "Stage":
        """Without the proxy to Vault: it would turn "nobody listens" into "broke off"."""
        self.env["VAULT_ADDR"] = self.vault.addr
        return self

    def inputs(self, **inputs: Any) -> dict[str, Any]:
        return {"owner": f"real:test/{self.name}", "timeout": TIMEOUT, **inputs}

    def start(
        self, mode: str = "enabled", *, gate: bool = False, clock_shift: float = 0.0, env: Any = None, **inputs: Any
    ) -> Client:
        spec = {"mode": mode, "inputs": self.inputs(**inputs), "gate": gate, "clock_shift": clock_shift}
        started = Client(self.folder / f"client{len(self.clients)}", {**self.env, **(env or {})}, spec)
        self.clients.append(started)
        return started

    def converge(self, mode: str = "enabled", **inputs: Any) -> dict[str, Any]:
        """As a client does, within this process: what comes before and after the run that a test is about."""
        return bare.run(mode, self.inputs(**inputs), self.env)

    def clear(self) -> None:
        self.proxy.clear()
        self.front.clear()

    def held_record(self) -> dict[str, Any] | None:
        return self.vault_data(self.record_path.removeprefix("secret/data/"))

    @property
    def enabled(self) -> bool:
        return self.pinata.state(self.name).enabled

    def key_safe(self, path: str | None = None) -> bool:
        """Whether the live key is the one in Vault."""
        data = self.vault_data(path)
        return data is not None and self.pinata.is_live(self.name, data.get("PINATA_LLM_KEY", ""))

    def promise_kept(self, path: str | None = None) -> bool:
        """The promise at one instant: off, or an open intent, or the live key in Vault.

        These are three reads, and a provider may outlive the engine that was killed and go on between them: a record
        that has moved by the end shows that they were of different instants, and they are taken again.
        """
        while True:
            record = self.held_record()
            kept = not self.enabled or (record is not None and record["state"] == "open") or self.key_safe(path)
            if kept or record == self.held_record():
                return kept

    def settled(self, path: str | None = None) -> tuple[str, str]:
        """How the account stands when all is over, and how its record does."""
        record = self.held_record()
        live = "live key in Vault" if self.key_safe(path) else "LIVE KEY LOST"
        return (live if self.enabled else "off", record["state"] if record else "none")

    def close(self) -> None:
        for each in self.clients:
            each.close()
        printed = "".join(each.printed for each in self.clients)
        assert [] == [secret for secret in self.secrets() if secret in printed]


ON, OFF = ("live key in Vault", "closed"), ("off", "closed")


def together(cases: Sequence[T], play: Callable[[T], None], workers: int = 10) -> None:
    """Play each case in a thread of its own, since most of their time is a lease's wait; name all that fail."""

    def safely(case: T) -> str | None:
        try:
            play(case)
        except Exception:
            return f"--- {case}\n{traceback.format_exc()}"
        return None

    with ThreadPoolExecutor(workers) as pool:
        failures = [text for text in pool.map(safely, cases) if text]
    assert [] == failures, f"{len(failures)} of {len(cases)}:\n" + "\n".join(failures)


def alongside(play: Callable[[Callable[[], Stage]], None]) -> Callable[[Any], None]:
    """A test that begins with the first such one of its module and goes on while others wait for a lease."""

    def test(ahead: Callable[[object], None]) -> None:
        ahead(play)

    test.__name__, test.__doc__, test.__module__ = play.__name__, play.__doc__, play.__module__
    test.play = play  # type: ignore[attr-defined]
    return test


def storm(clients: Iterable[Client], dice: random.Random, spread: float) -> list[dict[str, Any]]:
    """Let ready clients go within `spread` seconds of one another; what each came to."""
    ready = list(clients)
    for each in ready:
        each.await_ready()
    begun = time.monotonic()
    for at, each in sorted(((dice.uniform(0, spread), each) for each in ready), key=lambda pair: pair[0]):
        time.sleep(max(0.0, begun + at - time.monotonic()))
        each.go()
    return [each.result() for each in ready]


def at_enable(stage: Stage, act: Callable[[], object]) -> None:
    """Do `act` once, after intent and preflight and before the key is minted and stored."""
    stage.front.fault = once(call(*ENABLE), act)


def run(stage: Stage, **inputs: Any) -> dict[str, Any]:
    return stage.start(timeout=SLOW, **inputs).result()


def check_healed(stage: Stage, mints: int, **inputs: Any) -> None:
    """The next run, with Vault whole again, ends as declared; the last word of each of these tests."""
    stage.clear()
    result = stage.converge(**inputs)
    assert ON == stage.settled(), result
    assert stage.mints <= mints
