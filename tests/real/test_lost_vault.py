"""Vault's process ends between mint and store, with an escrow recipient configured."""

import os
import subprocess
import sys

import pyrage
from stage import ON, Stage, at_enable

from pulumi_pinata.sandbox.openbao import OpenBao


def test_a_key_that_finds_no_vault_is_sealed_and_imported_when_vault_is_back(stage: Stage, vault: OpenBao) -> None:
    identity = pyrage.x25519.Identity.generate()
    folder = stage.folder / "escrow"
    escrow = {"PINATA_ESCROW_RECIPIENT": str(identity.to_public()), "PINATA_ESCROW_DIRECTORY": str(folder)}
    at_enable(stage.direct(), lambda: vault.stop(kill=True))

    result = stage.start(env=escrow).result()

    (file,) = folder.iterdir()
    assert "Refused" == result["error"]
    assert f"it is sealed in {file}." in result["message"]
    assert (1, True) == (stage.mints, stage.enabled)
    assert b"pnk_" not in file.read_bytes()
    vault.start()
    assert stage.promise_kept()
    key_file = stage.folder / "identity"
    key_file.write_text(f"{identity}\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pulumi_pinata", "escrow", "import", str(file)),
            *("--identity", str(key_file), "--owner", f"real:test/{stage.name}"),
        ],
        env={**os.environ, **stage.env},
        capture_output=True,
        text=True,
    )

    assert (0, ON, 1) == (done.returncode, stage.settled(), stage.mints), done.stderr
    assert 1 == stage.converge()["version"]
    assert 1 == stage.mints
