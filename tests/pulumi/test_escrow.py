"""Vault dies between mint and store: with a recipient configured the key is sealed, without one it is revoked."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pyrage
import pytest
from provider_process import ProviderProcess, message
from world import World

from pulumi_pinata._provider import InferenceProvider


@pytest.fixture
def identity(world: World) -> Any:
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def sealing(world: World, identity: Any) -> Iterator[ProviderProcess]:
    escrow = {
        "PINATA_ESCROW_RECIPIENT": str(identity.to_public()),
        "PINATA_ESCROW_DIRECTORY": str(world.folder / "escrow"),
    }
    with ProviderProcess({**world.env, **escrow}, InferenceProvider()) as process:
        yield process


def owner(world: World) -> str:
    return f"pulumi:organization/proj/dev/{world.name}"


def failed_create(world: World, provider: ProviderProcess) -> tuple[dict[str, Any], str]:
    """A create whose key Vault refuses: the inputs and what was said."""
    inputs, failures = provider.check({"owner": owner(world)})
    assert {} == failures
    world.proxy.fault = lambda method, path: 403 if (method, path) == ("POST", f"secret/data/{world.path}") else None
    with pytest.raises(grpc.RpcError) as caught:
        provider.create(inputs)
    world.proxy.clear()
    return inputs, message(caught.value)


def escrow_import(world: World, file: Path, identity: Any) -> "subprocess.CompletedProcess[str]":
    key_file = world.folder / "identity"
    key_file.write_text(f"# made for a test\n{identity}\n")
    return subprocess.run(
        [
            *(sys.executable, "-m", "pulumi_pinata", "escrow", "import", str(file)),
            *("--identity", str(key_file), "--owner", owner(world)),
        ],
        env={**os.environ, **world.env},
        capture_output=True,
        text=True,
    )


def sealed_file(world: World) -> Path:
    (file,) = (world.folder / "escrow").iterdir()
    return file


def test_a_key_that_vault_refuses_is_sealed_and_imported_later(
    world: World, sealing: ProviderProcess, identity: Any
) -> None:
    inputs, said = failed_create(world, sealing)
    file = sealed_file(world)
    assert f"it is sealed in {file}. Run `pulumi-pinata escrow import` once Vault is back." in said
    assert (0o600, True) == (stat.S_IMODE(file.stat().st_mode), world.pinata.state(world.name).enabled)
    assert b"pnk_" not in file.read_bytes()

    done = escrow_import(world, file, identity)

    assert (0, 1, True) == (done.returncode, world.mints, world.key_is_live())
    assert "closed" == world.record()["state"]
    _, outs = sealing.create(inputs)
    assert ("Ready", 1) == (outs["condition"], world.mints)


def test_another_run_mints_anew_and_the_sealed_key_is_then_refused(
    world: World, sealing: ProviderProcess, identity: Any
) -> None:
    inputs, _ = failed_create(world, sealing)
    inputs["timeout"] = 1

    sealing.create(inputs)
    done = escrow_import(world, sealed_file(world), identity)

    assert (2, True) == (world.mints, world.key_is_live())
    assert (1, "") == (done.returncode, done.stdout)
    assert "another run has repaired this account since; the sealed key is dead." in done.stderr


def test_a_file_for_another_identity_is_refused(world: World, sealing: ProviderProcess) -> None:
    failed_create(world, sealing)

    done = escrow_import(world, sealed_file(world), pyrage.x25519.Identity.generate())

    assert "FILE: the file is not sealed to this identity, or it is damaged." in done.stderr


def test_a_recipient_that_is_no_age_key_is_refused_before_anything_happens(world: World) -> None:
    with ProviderProcess({**world.env, "PINATA_ESCROW_RECIPIENT": "age1nonsense"}, InferenceProvider()) as process:
        _, failures = process.check({"owner": owner(world)})

    assert {"PINATA_ESCROW_RECIPIENT": "not an age public key. It begins with age1 (age-keygen -y)."} == failures
