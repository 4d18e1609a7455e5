"""The servers that everything is measured against, each a process of its own, and the fleets on them.

Does not belong here: what is measured.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from pulumi_pinata.sandbox import exports
from reconciler.manifest import manifests
from reconciler.manifest.declared import Manifest

PROXY = Path(__file__).with_name("delay_proxy.py")
PATIENCE = 60.0

_DEFAULTS = """
apiVersion: pinata-reconciler.dev/v1alpha1
kind: InferenceDefaults
spec: {{fleet: {fleet}, prune: true}}
"""
_ACCOUNT = """
apiVersion: pinata-reconciler.dev/v1alpha1
kind: Inference
metadata: {{name: {name}}}
spec:
  credentials: env:{variable}
  vault: {{path: {path}}}
"""


@dataclass(frozen=True)
class Account:
    """What a script needs to look at one account."""

    name: str
    path: str
    jwt: str = field(repr=False)

    @property
    def variable(self) -> str:
        """The environment variable with its JWT."""
        return f"JWT_{exports.suffix(self.name)}"


@dataclass(frozen=True)
class Fleet:
    """Accounts, and the manifests that declare them; `environ` leads to the servers, past the proxy or through it."""

    name: str
    accounts: tuple[Account, ...]
    folder: Path
    manifest: Manifest
    environ: Mapping[str, str] = field(repr=False)

    @property
    def api_url(self) -> str:
        """Where Pinata is."""
        return self.environ["PINATA_API_URL"]

    @property
    def vault_addr(self) -> str:
        """Where Vault is."""
        return self.environ["VAULT_ADDR"]

    @property
    def vault_token(self) -> str:
        """The login of all."""
        return self.environ["VAULT_TOKEN"]


class Rig:
    """A Pinata stand-in, a real OpenBao, and a proxy before both that can be slow."""

    def __init__(self, folder: Path, found: Mapping[str, str], sandbox: int, proxy: subprocess.Popen[str]) -> None:
        self._folder = folder
        self._found = found
        self._proxy = proxy
        self._control = httpx.Client(
            base_url=found["PINATA_API_URL"],
            headers={"X-Sandbox-Token": found["PINATA_SANDBOX_TOKEN"]},
            trust_env=False,
            timeout=PATIENCE,
        )
        self._far = [f"http://127.0.0.1:{port}" for port in _line(proxy).split()]
        self.pids = {"Pinata stand-in": sandbox, **_child(sandbox, "OpenBao"), "proxy": proxy.pid}

    def slow(self, seconds: float) -> None:
        """How much later, from now on, what is sent through the proxy arrives."""
        self._tell(f"delay {seconds}")

    def calls(self) -> Counter[str]:
        """What was asked through the proxy since the last time, as "METHOD path"."""
        return Counter(json.loads(self._tell("calls")))

    def accounts(self, name: str, size: int) -> tuple[Account, ...]:
        """New accounts, switched off."""
        return tuple(self._account(name, number) for number in range(size))

    def fleet(self, name: str, size: int, *, far: bool = False) -> Fleet:
        """A fleet of new accounts; `far`: reached through the proxy."""
        accounts = self.accounts(name, size)
        folder = self._folder / name
        folder.mkdir()
        (folder / "defaults.yaml").write_text(_DEFAULTS.format(fleet=name))
        for each in accounts:
            text = _ACCOUNT.format(name=each.name, variable=each.variable, path=each.path)
            (folder / f"{each.name}.yaml").write_text(text)
        environ = self.environ(accounts, far=far)
        manifest = manifests.load([folder], environ)
        if manifest.problems:
            raise RuntimeError(f"the manifests have problems: {manifest.problems[0]}")
        return Fleet(name, accounts, folder, manifest, environ)

    def environ(self, accounts: tuple[Account, ...], *, far: bool = False) -> dict[str, str]:
        """The environment in which these accounts can be reached."""
        pinata, vault = self._far if far else (self._found["PINATA_API_URL"], self._found["VAULT_ADDR"])
        login = {"PINATA_API_URL": pinata, "VAULT_ADDR": vault, "VAULT_TOKEN": self._found["VAULT_TOKEN"]}
        return {**login, **{each.variable: each.jwt for each in accounts}}

    def _account(self, fleet: str, number: int) -> Account:
        name = f"{fleet}-{number:04}"
        reply = self._control.post("/_sandbox/accounts", json={"name": name})
        reply.raise_for_status()
        return Account(name, f"bench/{fleet}/{name}", reply.json()["jwt"])

    def _tell(self, line: str) -> str:
        assert self._proxy.stdin
        self._proxy.stdin.write(f"{line}\n")
        self._proxy.stdin.flush()
        return _line(self._proxy)


@contextmanager
def opened(folder: Path) -> Iterator[Rig]:
    """Start the servers; all of them have ended afterwards."""
    with ExitStack() as stack:
        sandbox, found = stack.enter_context(_sandbox(folder))
        targets = [str(urlsplit(found[name]).port) for name in ("PINATA_API_URL", "VAULT_ADDR")]
        proxy = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(PROXY), *targets], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )  # its end closes the proxy's standard input, and so the proxy
        yield Rig(folder, found, sandbox, proxy)


@contextmanager
def _sandbox(folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    page, log = folder / "exports", folder / "sandbox.log"
    command = [sys.executable, "-m", "pulumi_pinata.sandbox", "--accounts", "bench", "--exports-file", str(page)]
    with log.open("w") as file, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file) as process:
        try:
            end = time.monotonic() + PATIENCE
            while not page.exists():
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"the sandbox did not start: {log.read_text().strip()[-500:]}")
                time.sleep(0.02)
            words = shlex.split(page.read_text())
            yield process.pid, dict(word.split("=", 1) for word in words if "=" in word)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the proxy has ended")
    return line


def _child(pid: int, name: str) -> dict[str, int]:
    try:
        children: Any = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # not Linux
        return {}
    return {name: int(children[0])} if children else {}
