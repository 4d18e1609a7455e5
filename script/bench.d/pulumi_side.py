"""Accounts under Pulumi: a project in a folder of its own, the real engine, no login and no internet."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import child
from rig import Account

_NOW = ("--yes", "--skip-preview", "--stack", "bench", "--non-interactive", "--color=never")
_PROGRAM = """
import json
import pathlib

import pulumi_pinata as pinata

for name, variable, path in json.loads(pathlib.Path("accounts.json").read_text()):
    pinata.Inference(name, credentials=f"env:{variable}", vault={"path": path})
"""


class Project:
    """The accounts as resources of one stack."""

    def __init__(self, folder: Path, accounts: Sequence[Account], environ: Mapping[str, str]) -> None:
        self._project = folder / "project"
        for name in ("project", "state", "home"):
            (folder / name).mkdir(parents=True)
        (self._project / "Pulumi.yaml").write_text("name: bench\nruntime: python\n")
        (self._project / "__main__.py").write_text(_PROGRAM)
        declared = [(each.name, each.variable, each.path) for each in accounts]
        (self._project / "accounts.json").write_text(json.dumps(declared))
        self._environ = {
            **{name: value for name, value in environ.items() if not name.startswith("PULUMI_")},
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
            "PULUMI_CREDENTIAL_STORE": "plaintext",
            "PULUMI_PYTHON_CMD": sys.executable,
        }

    def up(self) -> None:
        """Make the stack, and switch all accounts on."""
        child.run(["pulumi", "stack", "init", "bench"], self._environ, self._project)
        child.run(["pulumi", "up", *_NOW], self._environ, self._project)

    def refresh(self) -> None:
        """Look at all of them; Failed when anything has changed."""
        child.run(["pulumi", "refresh", "--expect-no-changes", *_NOW], self._environ, self._project)
