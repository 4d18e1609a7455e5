"""The stage of the demo: the sandbox, a copy of the example, the Pulumi CLI, the service, and what can be seen of each.

Does not belong here: the story, and what is expected in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from processes import Ran, kill_when, run
from screen import Screen

from pulumi_pinata.sandbox import exports
from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_api import BaoError
from pulumi_pinata.sandbox.pinata_server import PinataServer, SandboxAccount

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "stack"
ACCOUNTS = ("prod", "staging")
STACK = "demo"
NOW = ("--yes", "--skip-preview")
"""Without asking; a person would look at the plan first."""
# What Pulumi reports of a resource and in the end, and what our provider says through it.
_RESOURCE = re.compile(
    r"^ *([-+~]) +\S+:(Inference|CreditsTopUp) (\w+) (created?|updated?|deleted?)\b(?: \([\d.]+s\))?( \[diff: .*\])?$"
)
_COUNT = re.compile(r"^ {4}(?:[-+~] )?(\d+ (?:created|updated|deleted|unchanged|errored|to \w+))$", re.MULTILINE)
_NOTICE = re.compile(r"\b(pinata \w+: .*)")
_ERROR = re.compile(r"pulumi_pinata\.core\.errors\.(\w+: .*)|^ *(error: (?!Traceback|update failed).*)")


@dataclass
class Stage:
    """Everything that a step acts on and looks at."""

    screen: Screen
    folder: Path
    pinata: PinataServer
    bao: OpenBao
    accounts: dict[str, SandboxAccount]
    deployer: dict[str, str] = field(repr=False)
    """The environment in which `pulumi` runs."""
    service: dict[str, str] = field(repr=False)
    """The environment of a service: a read-only login to Vault, and nothing else."""
    secret_ids: tuple[str, ...] = field(repr=False)
    """The secrets of the Vault logins."""
    runs: int = 0

    # What happens on it.

    def pulumi(self, *arguments: str, aloud: bool = True) -> Ran:
        """Run the CLI in the project; aloud: show the command and what matters of its output."""
        command = ["pulumi", *arguments, "--non-interactive", "--color=never"]
        if aloud:
            shown = [word for word in arguments if word not in NOW]
            self.screen.command(" ".join(["pulumi", *shown]))
        ran = run(command, self.deployer, self.project, _teller(self.screen) if aloud else _silent)
        counts = _COUNT.findall(ran.text)
        if aloud and counts:
            self.screen.output(f"{', '.join(counts)} ({ran.seconds:.1f} s)")
        self._keep(ran)
        return ran

    def kill_pulumi_when(self, is_time: Callable[[], bool], *arguments: str) -> int:
        """Start the CLI and kill it, plugins and all, when it is time; returns the number of processes."""
        self.screen.command(f"pulumi {arguments[0]}")
        command = ["pulumi", *arguments, "--non-interactive", "--color=never"]
        return kill_when(command, self.deployer, self.project, is_time, self._page())

    def ask(self, name: str, question: str, *options: str) -> Ran:
        """Let the service ask for a chat completion, with the key that it finds in Vault."""
        arguments = [f"secret/pinata/{name}", question, *options]
        self.screen.command(f'python downstream.py {arguments[0]} "{question}" {" ".join(options)}'.rstrip())
        ran = run([sys.executable, "downstream.py", *arguments], self.service, self.project, on_line=self.screen.output)
        self._keep(ran)
        return ran

    # What can be seen of it.

    @property
    def keys(self) -> list[str]:
        """Every private key that there ever was."""
        return [key for name in self.accounts for key in self.pinata.minted_keys(name)]

    @property
    def project(self) -> Path:
        """The copy of the example."""
        return self.folder / "project"

    def managed(self, name: str) -> dict[str, Any] | None:
        """The outputs of an Inference in Pulumi's state, or None."""
        ran = self.pulumi("stack", "export", aloud=False)
        resources = json.loads(ran.text)["deployment"].get("resources", [])
        suffix = f":Inference::{name}"
        return next((one["outputs"] for one in resources if one["urn"].endswith(suffix)), None)

    def vault_copy(self, name: str) -> tuple[int, str] | None:
        """The version of a secret in Vault and the key in it, or None when it is absent or deleted."""
        try:
            found: Any = self.bao.api.data("GET", f"secret/data/pinata/{name}")
        except BaoError as error:
            if error.status == 404:
                return None
            raise
        return found["metadata"]["version"], found["data"]["PINATA_LLM_KEY"]

    def vault_logins(self) -> int:
        """How many tokens Vault has given out and not yet forgotten: one for each login."""
        found: Any = self.bao.api.data("LIST", "auth/token/accessors")
        return len(found["keys"])

    def mints(self, name: str) -> int:
        """How often an account has handed out a key."""
        return self.pinata.state(name).mints

    def is_lost(self, name: str) -> bool:
        """Whether the account is on and Vault does not hold its live key."""
        live, copy = self.pinata.state(name).live_key_sha256, self.vault_copy(name)
        return live is not None and (copy is None or hashlib.sha256(copy[1].encode()).hexdigest() != live)

    def chat_status(self, key: str) -> int:
        """What the chat endpoint answers to somebody who has this key: 200, or 401 when it is dead."""
        body = {"model": "sandbox/small", "messages": [{"role": "user", "content": "still there?"}]}
        headers = {"Authorization": f"Bearer {key}"}
        reply = httpx.post(f"{self.pinata.url}/v0/llm/chat/completions", json=body, headers=headers, trust_env=False)
        return reply.status_code

    def _keep(self, ran: Ran) -> None:
        self._page().write_text(ran.text)

    def _page(self) -> Path:
        """A new file for what a command printed."""
        self.runs += 1
        return self.folder / "printed" / f"{self.runs:02}.txt"


@contextmanager
def opened(screen: Screen) -> Iterator[Stage]:
    """Start the sandbox and make the project's folder; both are gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pinata-demo-"))).resolve()
        pinata = stack.enter_context(PinataServer())
        accounts = {name: pinata.add_account(name) for name in ACCOUNTS}
        bao = stack.enter_context(OpenBao())
        logins = bao.provision()
        shutil.copytree(EXAMPLE, folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("backend", "home", "printed", "tmp"):
            (folder / name).mkdir()
        outer = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        given = {
            "PINATA_API_URL": pinata.url,
            **{f"PINATA_JWT_{exports.suffix(name)}": account.jwt for name, account in accounts.items()},
            "VAULT_ADDR": bao.addr,
            "PINATA_VAULT_ROLE_ID": logins.provider.role_id,
            "PINATA_VAULT_SECRET_ID": logins.provider.secret_id,
        }
        service = {
            "VAULT_ADDR": bao.addr,
            "READER_ROLE_ID": logins.reader.role_id,
            "READER_SECRET_ID": logins.reader.secret_id,
        }
        yield Stage(
            screen,
            folder,
            pinata,
            bao,
            accounts,
            deployer=exports.child_environment(outer, given | _pulumi_settings(folder)),
            service={"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1", **service},
            secret_ids=(logins.provider.secret_id, logins.reader.secret_id),
        )


def _pulumi_settings(folder: Path) -> dict[str, str]:
    """No login, no look at the internet, and nothing written outside of the folder."""
    return {
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "demo",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
        "PULUMI_CREDENTIAL_STORE": "plaintext",
        "PULUMI_PYTHON_CMD": sys.executable,
        "TMPDIR": str(folder / "tmp"),
    }


def _teller(screen: Screen) -> Callable[[str], None]:
    """Shows the lines of Pulumi's output that say something, each once and without the type's long name."""
    told: set[str] = set()

    def tell(line: str) -> None:
        line, text = line.rstrip(), None
        if match := _RESOURCE.search(line):
            sign, kind, name, verb, diff = match.groups()
            text = f"{sign} {kind} {name}: {verb}{diff or ''}"
        elif match := _NOTICE.search(line) or _ERROR.search(line):
            text = next(group for group in match.groups() if group)
        if text and text not in told:
            told.add(text)
            screen.output(text)

    return tell


def _silent(_line: str) -> None:
    return
