"""One manifest as text: what is read from it, and what is said of it."""

from pathlib import Path

from reconciler.manifest import manifests as manifest
from reconciler.manifest.declared import Manifest

ENV = {"VAULT_ADDR": "https://vault.test"}
API = "apiVersion: pinata-reconciler.dev/v1alpha1\n"
HEAD = f"{API}kind: Inference\nmetadata:\n  name: a\n"


def read(folder: Path, text: str | bytes, env: dict[str, str] | None = None) -> Manifest:
    (folder / "bad.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return manifest.load([folder], ENV if env is None else env, root=folder)


def problems(folder: Path, text: str | bytes, env: dict[str, str] | None = None) -> list[str]:
    return [str(problem) for problem in read(folder, text, env).problems]
