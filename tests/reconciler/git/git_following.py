"""What the tests of following a repository share."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pulumi_pinata.core.errors import Refused, Transient
from reconciler.git.source import GitSource
from reconciler.loop.source import Checkout
from reconciler.manifest import manifests as manifest

HEAD = "apiVersion: pinata-reconciler.dev/v1alpha1\nkind: Inference\nmetadata:\n  name: "
TOKEN = "tok-7f3a91"  # of the tests' server, for the time of a test
Follow = Callable[..., GitSource]


def account(name: str) -> str:
    return f"{HEAD}{name}\nspec: {{credentials: env:{name.upper()}}}\n"


def names(checkout: Checkout) -> list[str]:
    read = manifest.load(checkout.paths, {"VAULT_ADDR": "https://vault.test"}, root=checkout.root)
    assert () == read.problems
    return [each.name for each in read.accounts]


def refused(source: GitSource) -> str:
    with pytest.raises(Refused) as raised:
        source.fetch()
    return str(raised.value)


def transient(source: GitSource) -> str:
    with pytest.raises(Transient) as raised:
        source.fetch()
    return str(raised.value)


def all_bytes(folder: Path) -> bytes:
    files = (path for path in folder.rglob("*") if path.is_file())
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


def wait_until(done: Callable[[], bool]) -> None:
    """Of what was killed, the kernel may take a moment to be rid."""
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def processes(word: str) -> list[str]:
    """Command lines of the processes that work in a folder of ours."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if word in os.readlink(process / "cwd"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
