"""Runs Pulumi's own installer into a folder: `download.py FOLDER VERSION`, in a Python with the SDK.

A process of its own, since nothing in the SDK bounds the time that an unreachable site may take.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request

from pulumi.automation import PulumiCommand
from semver import VersionInfo

SITE = "https://get.pulumi.com"  # where the SDK's installer downloads from
PATIENCE = 20  # seconds


def main(folder: str, version: str) -> None:
    """Asks first whether the site answers at all, so that a machine without internet soon goes on."""
    print(f"asking {SITE} for an answer, {PATIENCE} s at most", flush=True)
    # No handler, so that the alarm ends the process: a hanging name look-up runs no Python code.
    signal.alarm(PATIENCE)
    try:
        urllib.request.urlopen(f"{SITE}/install.sh", timeout=PATIENCE).close()
    except OSError as error:
        sys.exit(f"it cannot be reached: {error}")
    signal.alarm(0)
    try:
        PulumiCommand.install(root=folder, version=VersionInfo.parse(version))
    except subprocess.CalledProcessError as error:
        sys.exit(f"the installer failed: {error.output.decode(errors='replace')}")


main(*sys.argv[1:])
