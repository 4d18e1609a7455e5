"""The environment that a sandbox gives its user, and the files and children that get it; no servers here."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

_OURS = ("PINATA_", "VAULT_", "BAO_")


def suffix(account: str) -> str:
    """Return the account name as a part of a variable's name: prod-eu -> PROD_EU."""
    return account.upper().replace("-", "_")


def shell_lines(exports: Mapping[str, str]) -> str:
    """Return `export NAME=value` lines that a shell can eval."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items())


def child_environment(outer: Mapping[str, str], exports: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a command: nothing of a real Pinata or Vault comes through from outside."""
    kept = {name: value for name, value in outer.items() if not name.startswith(_OURS)}
    # A proxy set outside must neither see the tokens nor break the calls.
    direct = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    return {**kept, **direct, **exports}


def write_file(path: Path, exports: Mapping[str, str]) -> None:
    """Write the lines to a file of mode 0600 that is whole as soon as it exists."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(shell_lines(exports))
    unfinished.replace(path)
