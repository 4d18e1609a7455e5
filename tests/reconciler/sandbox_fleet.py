"""A fleet in the sandbox: many accounts, their manifests in a folder, and the command run on them."""

import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from unittest import mock

from counting_proxy import CountingProxy

from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_api import BaoError
from pulumi_pinata.sandbox.openbao_setup import Provisioned
from pulumi_pinata.sandbox.pinata_server import PinataServer
from reconciler.cli import main

_numbers = itertools.count(1)

DEFAULTS = """
apiVersion: pinata-reconciler.dev/v1alpha1
kind: InferenceDefaults
spec:
  fleet: {fleet}
  timeout: {timeout}
  prune: true
  vault:
    auth: {{method: approle, roleId: env:ROLE_ID, secretId: env:SECRET_ID}}
"""

ACCOUNT = """
apiVersion: pinata-reconciler.dev/v1alpha1
kind: Inference
metadata: {{name: {name}}}
spec:
  credentials: env:{variable}
  vault: {{path: fleets/{fleet}/{name}}}
{more}
"""


@dataclass
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str


@dataclass
class SandboxFleet:
    pinata: PinataServer
    bao: OpenBao
    proxy: CountingProxy
    logins: Provisioned
    folder: Path
    size: int
    timeout: float = 5.0
    name: str = field(default_factory=lambda: f"fleet{next(_numbers)}")

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.manifests = self.folder / "manifests"
        self.manifests.mkdir()
        self.env = {
            "PINATA_API_URL": self.pinata.url,
            "VAULT_ADDR": self.proxy.url,
            "ROLE_ID": self.logins.provider.role_id,
            "SECRET_ID": self.logins.provider.secret_id,
        }
        self.names = [f"{self.name}-{number:03}" for number in range(self.size)]
        self.secrets = [self.logins.provider.secret_id]
        self.write("defaults", DEFAULTS.format(fleet=self.name, timeout=self.timeout))
        for name in self.names:
            self.add(name)

    def add(self, name: str, **spec: object) -> None:
        account = self.pinata.add_account(name)
        self.secrets.append(account.jwt)
        self.env[self.variable(name)] = account.jwt
        self.declare(name, **spec)

    def declare(self, name: str, *, variable: str | None = None, **spec: object) -> None:
        more = "\n".join(f"  {key}: {value}" for key, value in spec.items())
        text = ACCOUNT.format(name=name, variable=variable or self.variable(name), fleet=self.name, more=more)
        self.write(name, text)

    def write(self, name: str, text: str) -> None:
        (self.manifests / f"{name}.yaml").write_text(text)

    def remove(self, *names: str) -> None:
        for name in names:
            (self.manifests / f"{name}.yaml").unlink()

    def variable(self, name: str) -> str:
        return f"JWT_{name.upper().replace('-', '_')}"

    def run(self, *arguments: str) -> Ran:
        """In this process: quick, and the same but for signals."""
        out, err = StringIO(), StringIO()
        with self.environment(), redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
        self.assert_no_secret(out.getvalue() + err.getvalue())
        return Ran(code, out.getvalue(), err.getvalue())

    def plan(self, *arguments: str) -> Ran:
        return self.run("plan", str(self.manifests), *arguments)

    def apply(self, *arguments: str) -> Ran:
        return self.run("apply", str(self.manifests), "--yes", *arguments)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """As a process, to be killed."""
        return subprocess.Popen(
            [sys.executable, "-m", "reconciler", *arguments],
            env={**self.clean(), **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @contextmanager
    def environment(self) -> Iterator[None]:
        with mock.patch.dict(os.environ, {**self.clean(), **self.env}, clear=True):
            yield

    @staticmethod
    def clean() -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith(("PINATA_", "VAULT_"))}

    def key(self, name: str) -> str | None:
        """The key that a service reads."""
        try:
            data = self.bao.api.data("GET", f"secret/data/fleets/{self.name}/{name}")["data"]
        except BaoError:
            return None
        return str((data or {}).get("PINATA_LLM_KEY"))

    def safe(self, name: str) -> bool:
        """Inference is on, and the key in Vault is the live one."""
        key = self.key(name)
        return self.pinata.state(name).enabled and key is not None and self.pinata.is_live(name, key)

    def unsafe(self, *names: str) -> list[str]:
        with ThreadPoolExecutor(8) as pool:
            checked = list(pool.map(self.safe, names or self.names))
        return [name for name, safe in zip(names or self.names, checked, strict=True) if not safe]

    def on(self) -> set[str]:
        return {name for name in self.names if self.pinata.state(name).enabled}

    def mints(self) -> Counter[str]:
        return Counter({name: len(self.pinata.minted_keys(name)) for name in self.names})

    def clear(self) -> None:
        self.pinata.clear_calls()
        self.proxy.calls.clear()

    def assert_no_secret(self, text: str) -> None:
        keys = [key for name in self.names for key in self.pinata.minted_keys(name)]
        assert [] == [secret for secret in (*self.secrets, *keys) if secret in text]


MakeFleet = Callable[..., SandboxFleet]
