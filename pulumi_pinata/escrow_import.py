"""The command `pulumi-pinata escrow import`."""

import os
import sys
from pathlib import Path
from typing import Any

from pulumi_pinata import properties, wiring
from pulumi_pinata.adapters.escrow_age import unseal
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.escrow import restore
from pulumi_pinata.core.model import Mode


def run(file: str, identity: str, owner: str, inputs: dict[str, Any]) -> str:
    """Put the key sealed in `file` into Vault; returns a line for the person. Raises PinataError."""
    checked, failures = properties.check({**inputs, "owner": owner}, os.environ)
    if failures:
        raise Refused("; ".join(f"{prop}: {reason}" for prop, reason in failures))
    sealed = unseal(Path(file), Path(identity))
    settings = properties.settings(checked)
    with wiring.session(settings, notice=lambda line: print(line, file=sys.stderr)) as found:  # noqa: T201
        want = wiring.desired(settings, found.account, Mode.ENABLED, None)
        minted = restore(sealed, want, found.ports).minted
    version = minted.version if minted else 0
    return f"{settings.vault.location} version {version} holds the key; {file} is of no more use: delete it"
