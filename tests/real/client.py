"""The core without Pulumi as a process of its own: one account, one convergence, one line of JSON about it.

`python client.py SPEC` with SPEC = {"mode", "inputs", "gate", "clock_shift"}; where things are (PINATA_*, VAULT_*)
comes from the environment, as for the provider.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

from pulumi_pinata import properties, wiring
from pulumi_pinata.adapters import vault_kv
from pulumi_pinata.core.converge import converge
from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.model import Mode


def run(mode: str, inputs: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Converge once; the outcome, or the class and text of the error that stopped it."""
    notices: list[str] = []
    begun = time.monotonic()
    try:
        checked, failures = properties.check(inputs, environ)
        if failures:
            raise AssertionError(f"the test's inputs are wrong: {failures}")
        settings = properties.settings(checked)
        with wiring.session(settings, notice=notices.append, environ=environ) as found:
            outcome = converge(wiring.desired(settings, found.account, Mode(mode), None), found.ports)
    except PinataError as error:
        seconds = time.monotonic() - begun
        return {"error": type(error).__name__, "message": str(error), "notices": notices, "seconds": seconds}
    return {
        "enabled": outcome.status.enabled,
        "fingerprint": outcome.minted.fingerprint if outcome.minted else None,
        "version": outcome.minted.version if outcome.minted else None,
        "notices": notices,
        "seconds": time.monotonic() - begun,
    }


def shift_wall_clock(seconds: float) -> None:
    """Every wall clock that the package reads. libfaketime would be an install more, and moves monotonic clocks too."""
    true_time = time.time

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Shifted":
            return super().now(tz) + timedelta(seconds=seconds)

    time.time = lambda: true_time() + seconds
    vault_kv.datetime = Shifted  # type: ignore[misc]


def main() -> int:
    spec = json.loads(sys.argv[1])
    if shift := spec.get("clock_shift"):
        shift_wall_clock(shift)
    if spec.get("gate"):
        # All imports are done: whoever writes the line decides when this client starts.
        print(json.dumps({"ready": os.getpid()}), flush=True)
        sys.stdin.readline()
    result = run(spec["mode"], spec["inputs"], os.environ)
    print(json.dumps(result), flush=True)
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main())
