"""A Pulumi project in a folder of its own, run by the real CLI as its user would, with no login and no internet."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_PROGRAM = """
import json
import pathlib
import pulumi
import pulumi_pinata as pinata

for entry in json.loads(pathlib.Path("declared.json").read_text()):
    kind = getattr(pinata, entry.get("kind", "Inference"))
    opts = pulumi.ResourceOptions(**entry.get("opts", {}))
    if entry.get("get"):
        found = kind.get(entry["name"], entry["get"], **entry.get("inputs", {}))
    else:
        found = kind(entry["name"], entry.get("inputs", {}), opts)
    for output in entry.get("export", ("fingerprint", "vault_version", "condition")):
        pulumi.export(f"{entry['name']}.{output}", getattr(found, output))
"""


class PulumiFailed(AssertionError):
    """A command that should have succeeded did not."""


class Engine:
    """`project/` is the program, `state/` the backend, `home/` Pulumi's own files; all below `folder`."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir(parents=True)
        (folder / "state").mkdir()
        (self.project / "Pulumi.yaml").write_text("name: proj\nruntime: python\n")
        (self.project / "__main__.py").write_text(_PROGRAM)
        engine = Path(sys.prefix, "engine-bin")
        cli = shutil.which("pulumi") or f"{engine.read_text().strip()}/pulumi"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "PINATA_", "VAULT_"))}
        self.env = {
            **clean,
            "PATH": os.pathsep.join((str(Path(sys.prefix, "bin")), str(Path(cli).parent), os.environ["PATH"])),
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
            "PULUMI_CREDENTIAL_STORE": "plaintext",
            "PULUMI_PYTHON_CMD": sys.executable,
            "NO_COLOR": "1",
            **env,
        }
        self.printed: list[str] = []
        self.declare()
        self.run("stack", "init", "dev")

    def declare(self, *entries: dict[str, Any]) -> None:
        """What the program says from now on."""
        (self.project / "declared.json").write_text(json.dumps(entries))

    def run(self, *command: str, fails: bool = False) -> str:
        """Run a command; its whole output. `fails` expects it to."""
        done = subprocess.run(
            self.command(*command),
            cwd=self.project,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
        )
        self.printed.append(done.stdout)
        if fails != (done.returncode != 0):
            raise PulumiFailed(f"pulumi {' '.join(command)} exited with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Start a command in a process group of its own; the caller ends it."""
        with (self.folder / "background.log").open("a") as log:
            return subprocess.Popen(
                self.command(*command),
                cwd=self.project,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def command(self, verb: str, *rest: str) -> list[str]:
        extra = {
            "up": ["--yes", "--skip-preview", "--stack", "dev"],
            "preview": ["--stack", "dev", "--diff"],
            "refresh": ["--yes", "--skip-preview", "--stack", "dev"],
            "destroy": ["--yes", "--skip-preview", "--stack", "dev"],
            "import": ["--yes", "--skip-preview", "--stack", "dev", "--generate-code=false", "--protect=false"],
            "cancel": ["--yes", "--stack", "dev"],
        }
        return ["pulumi", verb, *rest, *extra.get(verb, [])]

    def outputs(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("stack", "output", "--json", "--stack", "dev"))
        return found

    def resources(self) -> dict[str, dict[str, Any]]:
        """Name to state, as `stack export` shows it."""
        state = json.loads(self.run("stack", "export", "--stack", "dev"))
        found = state["deployment"].get("resources") or []
        return {r["urn"].rpartition("::")[2]: r for r in found if "dynamic" in r["type"]}

    def leaks(self, secrets: Iterable[str]) -> list[str]:
        """Where any of `secrets` stands, in all that was printed and in every file that Pulumi wrote."""
        wanted = [secret.encode() for secret in secrets]
        texts = {"output": "\n".join(self.printed).encode()}
        texts |= {str(p.relative_to(self.folder)): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}
        return sorted(place for place, text in texts.items() if any(secret in text for secret in wanted))
